//! Lists: filters, orders, pages, selections and counts, and what none of them may tell.

use anyhow::{Context, Result};
use reqwest::Method;
use serde_json::{Value, json};
use tinybase_tests::{Api, TestServer};

const RECORDS: &str = "/api/collections/items/records";

async fn server() -> Result<TestServer> {
    let server = TestServer::start().await?;
    let fields = json!([
        { "name": "title", "type": "string" },
        { "name": "price", "type": "float" },
        { "name": "rank", "type": "int" },
        { "name": "open", "type": "bool" },
        { "name": "tags", "type": "list[string]" },
        { "name": "author", "type": "dict" },
    ]);
    let body = json!({ "name": "items", "label": "Items", "schema": { "fields": fields } });
    server.admin.post("/api/collections", &body).await?;
    for data in [
        json!({ "title": "one", "price": 1.5, "rank": 1, "open": true, "tags": ["x", "y"],
                "author": { "name": "anna", "age": 30 } }),
        json!({ "title": "two", "price": 10, "rank": 2, "open": false, "tags": ["x"],
                "author": { "name": "Annabel", "age": "30" } }),
        json!({ "title": "Three", "price": 10.5, "rank": 2, "open": true, "tags": [],
                "author": { "name": "bob", "age": true } }),
        json!({ "title": "it's 100%", "price": -1, "open": false, "tags": ["z*"],
                "author": { "name": null } }),
        json!({ "title": null }),
    ] {
        server.admin.post(RECORDS, &json!({ "data": data })).await?;
    }
    Ok(server)
}

/// Encodes a query.
fn with(pairs: &[(&str, &str)]) -> String {
    let encode = |text: &str| {
        text.bytes().fold(String::new(), |mut encoded, byte| {
            if byte.is_ascii_alphanumeric() {
                encoded.push(char::from(byte));
            } else {
                encoded.extend(["%", &format!("{byte:02X}")]);
            }
            encoded
        })
    };
    let pairs: Vec<_> = pairs.iter().map(|(k, v)| format!("{k}={}", encode(v))).collect();
    format!("{RECORDS}?{}", pairs.join("&"))
}

/// The ranks of a list, in its order; their titles would do, but for the one that has none.
async fn found(api: &Api, pairs: &[(&str, &str)]) -> Result<Vec<String>> {
    let list = api.get(&with(pairs)).await?;
    let records = list["records"].as_array().context("records")?;
    let title = |record: &Value| record["data"]["title"].as_str().unwrap_or("none").to_owned();
    Ok(records.iter().map(title).collect())
}

#[tokio::test]
async fn filters_choose_the_same_records_on_every_database() -> Result<()> {
    let server = server().await?;
    let all = ["one", "two", "Three", "it's 100%", "none"];
    for (filter, expected) in [
        (r#"title == "one""#, vec![0]),
        ("title != 'one'", vec![1, 2, 3, 4]),
        ("title == null", vec![4]),
        ("title != null", vec![0, 1, 2, 3]),
        ("price >= 10 && price < 10.5", vec![1]),
        ("price == 10", vec![1]),
        ("price in [1.5, 10.5]", vec![0, 2]),
        ("price not in [1.5, 10.5]", vec![1, 3, 4]),
        ("price in [null, -1]", vec![3, 4]),
        ("!(price > 0)", vec![3, 4]),
        ("open == true", vec![0, 2]),
        ("open != true", vec![1, 3, 4]),
        ("tags contains 'x'", vec![0, 1]),
        ("!(tags contains 'x')", vec![2, 3, 4]),
        ("title ~ 't%'", vec![1]),
        ("title ~ '_n_'", vec![0]),
        ("title ~ '%100\\\\%'", vec![3]),
        ("title ~ '%''%' || title ~ '[a-z]%'", vec![3]),
        ("title contains \"'s\"", vec![3]),
        ("title !~ 't%'", vec![0, 2, 3, 4]),
        ("author.name ~ 'ann%'", vec![0]),
        ("author.age == 30", vec![0]),
        ("author.age == '30'", vec![1]),
        ("author.age == true", vec![2]),
        ("author.age == 1", vec![]),
        ("author.age > 1", vec![0]),
        ("author.age < '4'", vec![1]),
        ("author.age in [30, true]", vec![0, 2]),
        ("author.name == null", vec![3, 4]),
        ("rank == price", vec![4]),
        ("price > rank", vec![0, 1, 2]),
        ("title == author.name", vec![4]),
        ("title < author.name", vec![2]),
        ("rank == 2 && (open == true || price == 10)", vec![1, 2]),
        ("owner_id == null", vec![]),
        ("created_at > '2020-01-01T00:00:00Z' && id != null", vec![0, 1, 2, 3, 4]),
    ] {
        let filter = filter.replace("''", "\\'");
        let expected: Vec<_> = expected.into_iter().map(|index: usize| all[index]).collect();
        let pairs = [("filter", filter.as_str()), ("sort", "created_at")];
        assert_eq!(found(&server.admin, &pairs).await?, expected, "{filter}");
        let count = with(&[("filter", &filter)]).replace("records?", "records/count?");
        let count = server.admin.get(&count).await?;
        assert_eq!(count["count"], expected.len(), "{filter}");
    }
    server.stop().await
}

#[tokio::test]
async fn a_query_that_makes_no_sense_is_refused_with_its_place() -> Result<()> {
    let server = server().await?;
    for (name, value, part) in [
        ("filter", "price == 'x'", "character 1: price is a number"),
        ("filter", "title == 'x' && (", "character 18"),
        ("filter", "secret == 1", "secret is no field"),
        ("filter", "title == 'x\0'", "zero"),
        ("filter", "a; drop table records", "';'"),
        ("sort", "tags", "a list"),
        ("sort", "nothing", "\"nothing\""),
        ("sort", "author.name", "no declared type"),
        ("sort", "", "\"\""),
        ("fields", "id,nothing", "\"nothing\""),
        ("cursor", "nonsense", "cursor"),
    ] {
        let path = with(&[(name, value)]);
        let (status, problem) = server.admin.send(Method::GET, &path, None).await?;
        assert_eq!(status, 400, "{name}={value}: {problem}");
        let detail = problem["detail"].as_str().unwrap_or_default();
        assert!(detail.contains(part), "{name}={value}: {detail}");
    }
    server.stop().await
}

#[tokio::test]
async fn an_order_has_several_keys_and_nothing_comes_first() -> Result<()> {
    let server = server().await?;
    for (sort, expected) in [
        ("rank,-price", ["it's 100%", "none", "one", "Three", "two"]),
        ("-rank,price", ["two", "Three", "one", "none", "it's 100%"]),
        ("title", ["none", "Three", "it's 100%", "one", "two"]),
        ("-open,-created_at", ["Three", "one", "it's 100%", "two", "none"]),
        ("-created_at", ["none", "it's 100%", "Three", "two", "one"]),
    ] {
        assert_eq!(found(&server.admin, &[("sort", sort)]).await?, expected, "{sort}");
        // The same, page by page.
        let mut paged = Vec::new();
        let mut path = with(&[("sort", sort), ("limit", "2"), ("count", "false")]);
        loop {
            let page = server.admin.get(&path).await?;
            assert!(page.get("total").is_none());
            let records = page["records"].as_array().context("records")?.clone();
            paged.extend(records.iter().map(|record| record["data"]["title"].clone()));
            let Some(cursor) = page["next_cursor"].as_str() else { break };
            path = with(&[("cursor", cursor), ("limit", "2"), ("count", "false")]);
        }
        let expected =
            expected.map(|title| if title == "none" { json!(null) } else { json!(title) });
        assert_eq!(paged, expected, "{sort} by pages");
    }
    // As clients of the original sort.
    let pairs = [("sort_by", "price"), ("sort_order", "asc"), ("limit", "2"), ("offset", "1")];
    assert_eq!(found(&server.admin, &pairs).await?, ["it's 100%", "one"]);
    server.stop().await
}

#[tokio::test]
async fn pages_stay_whole_while_records_come_and_go() -> Result<()> {
    // Keyset pagination under concurrent writes (E16): what is there all the time is seen once.
    let server = server().await?;
    let api = &server.admin;
    let mut stable = Vec::new();
    for n in 0..30 {
        let data = json!({ "title": format!("s{n}"), "rank": 100 + n % 4 });
        stable.push(api.post(RECORDS, &json!({ "data": data })).await?["id"].clone());
    }
    let mut passing = Vec::new();
    let mut seen = Vec::new();
    let filter = "rank >= 50";
    let mut path = with(&[("filter", filter), ("sort", "-rank"), ("limit", "4")]);
    loop {
        let page = api.get(&path).await?;
        let records = page["records"].as_array().context("records")?.clone();
        seen.extend(records.into_iter().map(|record| record["id"].clone()));
        // One comes before, one after, and one of those goes.
        for rank in [50, 200] {
            let body = json!({ "data": { "title": "passing", "rank": rank } });
            passing.push(api.post(RECORDS, &body).await?["id"].clone());
        }
        let gone = passing.remove(0);
        api.delete(&format!("{RECORDS}/{}", gone.as_str().unwrap_or_default())).await?;
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        path = with(&[("filter", filter), ("cursor", cursor), ("limit", "4")]);
        assert!(seen.len() < 200, "the pages don't end");
    }
    for id in &stable {
        assert_eq!(seen.iter().filter(|other| *other == id).count(), 1, "{id}");
    }
    // A cursor belongs to its list.
    let (status, _) = api.send(Method::GET, &path.replace("rank", "price"), None).await?;
    assert_eq!(status, 400);
    server.stop().await
}

#[tokio::test]
async fn a_selection_shows_what_was_asked_for() -> Result<()> {
    let server = server().await?;
    let path = with(&[("fields", "id,title,author.name"), ("sort", "created_at"), ("limit", "1")]);
    let list = server.admin.get(&path).await?;
    let id = list["records"][0]["id"].clone();
    assert!(id.is_string());
    let data = json!({ "title": "one", "author": { "name": "anna" } });
    assert_eq!(list["records"][0], json!({ "id": id, "data": data }));
    assert_eq!(
        (&list["total"], &list["limit"], &list["offset"]),
        (&json!(5), &json!(1), &json!(0))
    );
    let path = format!("{RECORDS}/{}?fields=owner_id", id.as_str().unwrap_or_default());
    let record = server.admin.get(&path).await?;
    assert_eq!(
        record.as_object().map(|record| record.keys().collect::<Vec<_>>()),
        Some(vec![&"owner_id".to_owned()])
    );
    server.stop().await
}

#[tokio::test]
async fn a_list_under_the_rule_owner_has_ones_own_whatever_is_asked() -> Result<()> {
    let server = TestServer::start().await?;
    let body = json!({
        "name": "items", "label": "Items",
        "schema": { "fields": [{ "name": "n", "type": "int" }] },
        "options": { "access": { "list": "owner" } },
    });
    server.admin.post("/api/collections", &body).await?;
    let (one, two) =
        (server.api.register("1@example.com").await?, server.api.register("2@example.com").await?);
    for (api, n) in [(&one, 1), (&one, 2), (&two, 3)] {
        api.post(RECORDS, &json!({ "data": { "n": n } })).await?;
    }
    for filter in ["n > 0", "n > 0 || n == null", "!(n == 99)"] {
        assert_eq!(one.get(&with(&[("filter", filter)])).await?["total"], 2, "{filter}");
        assert_eq!(two.get(&with(&[("filter", filter)])).await?["total"], 1, "{filter}");
    }
    // A cursor of somebody else's opens nothing.
    let page = server.admin.get(&with(&[("limit", "1"), ("sort", "n")])).await?;
    let cursor = page["next_cursor"].as_str().context("a cursor")?;
    let page = two.get(&with(&[("cursor", cursor)])).await?;
    assert_eq!(page["records"].as_array().map(Vec::len), Some(1));
    assert_eq!(page["records"][0]["data"]["n"], 3);
    let (status, _) = server.api.send(Method::GET, &with(&[("filter", "n > 0")]), None).await?;
    assert_eq!(status, 403);
    let (status, _) = server.api.send(Method::GET, &format!("{RECORDS}/count"), None).await?;
    assert_eq!(status, 403);
    server.stop().await
}
