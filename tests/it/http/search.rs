//! Searching for words: what is found, on both databases, and that it stays right.

use anyhow::{Context, Result};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tinybase_tests::{Api, TestServer};

const RECORDS: &str = "/api/collections/articles/records";

fn fields() -> Value {
    json!([
        { "name": "title", "type": "string", "search": true },
        { "name": "body", "type": "string", "search": true },
        { "name": "note", "type": "string", "search": true, "hidden": true },
        { "name": "tag", "type": "string", "index": true },
        { "name": "author", "type": "reference", "collection": "authors", "on_delete": "cascade" },
    ])
}

async fn server() -> Result<TestServer> {
    let server = TestServer::start().await?;
    server.admin.make_collection("authors", &["name"]).await?;
    let body = json!({ "name": "articles", "label": "Articles", "schema": { "fields": fields() } });
    server.admin.post("/api/collections", &body).await?;
    for (title, body, tag) in [
        ("Green tea", "Leaves of CAMELLIA, steamed; 2026-01-31.", "drink"),
        ("Coffee", "No tea at all: beans, roasted. It's strong!", "drink"),
        ("Teapots", "For tea (green or black).", "thing"),
        ("Café", "οδός, Straße, naïve, 日本語テキスト", "place"),
        ("AND OR NOT NEAR", "\"quoted\" title:word -minus ^caret a*b", "words"),
    ] {
        let data = json!({ "title": title, "body": body, "tag": tag, "note": "internal" });
        server.admin.post(RECORDS, &json!({ "data": data })).await?;
    }
    Ok(server)
}

/// Encodes a query.
fn with(path: &str, pairs: &[(&str, &str)]) -> String {
    let encode =
        |text: &str| text.bytes().fold(String::new(), |all, byte| format!("{all}%{byte:02X}"));
    let pairs: Vec<_> = pairs.iter().map(|(k, v)| format!("{k}={}", encode(v))).collect();
    format!("{path}?{}", pairs.join("&"))
}

async fn found(api: &Api, pairs: &[(&str, &str)]) -> Result<Vec<String>> {
    let list = api.get(&with(RECORDS, pairs)).await?;
    let records = list["records"].as_array().context("records")?;
    let title = |record: &Value| record["data"]["title"].as_str().unwrap_or_default().to_owned();
    Ok(records.iter().map(title).collect())
}

#[tokio::test]
async fn words_are_found_alike_on_every_database() -> Result<()> {
    let server = server().await?;
    for (words, expected) in [
        ("tea", vec!["Coffee", "Green tea", "Teapots"]),
        ("TEA green", vec!["Green tea", "Teapots"]),
        ("te*", vec!["Coffee", "Green tea", "Teapots"]),
        ("teapo*", vec!["Teapots"]),
        ("tea * pots", vec![]),
        ("camellia", vec!["Green tea"]),
        ("camell", vec![]),
        ("01 2026", vec!["Green tea"]),
        ("it's", vec!["Coffee"]),
        ("café", vec!["Café"]),
        ("CAFÉ", vec!["Café"]),
        ("cafe", vec![]),
        ("ΟΔΌΣ", vec!["Café"]),
        ("straße naï*", vec!["Café"]),
        ("日本*", vec!["Café"]),
        ("and", vec!["AND OR NOT NEAR"]),
        ("NOT tea", vec![]),
        ("tea OR coffee", vec![]),
        ("\"quoted\" title:word -minus ^caret", vec!["AND OR NOT NEAR"]),
        ("a*b", vec!["AND OR NOT NEAR"]),
        ("drink", vec![]),
    ] {
        let pairs = [("search", words), ("sort", "title")];
        assert_eq!(found(&server.api, &pairs).await?, expected, "{words}");
        let path = with(&format!("{RECORDS}/count"), &[("search", words)]);
        assert_eq!(server.api.get(&path).await?["count"], expected.len(), "{words}");
    }
    // Whatever is asked for, it is never the database's own language.
    for words in
        ["x\" OR \"x", "x') or ('1'='1", "x:*", "* x", "NEAR(x y)", "{title}:x", "x & !y |", "<->x"]
    {
        assert!(found(&server.api, &[("search", words)]).await?.is_empty(), "{words}");
    }
    server.stop().await
}

#[tokio::test]
async fn a_search_goes_together_with_everything_else() -> Result<()> {
    let server = server().await?;
    let pairs = [("search", "tea"), ("filter", "tag == 'drink'"), ("sort", "-title")];
    assert_eq!(found(&server.api, &pairs).await?, ["Green tea", "Coffee"]);
    // Page by page, and only with the same words.
    let page = server
        .api
        .get(&with(RECORDS, &[("search", "tea"), ("sort", "title"), ("limit", "2")]))
        .await?;
    assert_eq!((&page["total"], page["records"].as_array().map(Vec::len)), (&json!(3), Some(2)));
    let cursor = page["next_cursor"].as_str().context("a cursor")?;
    assert_eq!(found(&server.api, &[("search", "tea"), ("cursor", cursor)]).await?, ["Teapots"]);
    for other in [vec![("cursor", cursor)], vec![("search", "te*"), ("cursor", cursor)]] {
        let (status, _) = server.api.send(Method::GET, &with(RECORDS, &other), None).await?;
        assert_eq!(status, 400, "{other:?}");
    }
    // Only what the rule lets through.
    let owned = json!({ "options": { "access": { "list": "owner" } } });
    server.admin.patch("/api/collections/articles", &owned).await?;
    let user = server.api.register("user@example.com").await?;
    user.post(RECORDS, &json!({ "data": { "title": "My tea", "note": "mine" } })).await?;
    assert_eq!(found(&user, &[("search", "tea")]).await?, ["My tea"]);
    assert_eq!(found(&server.admin, &[("search", "tea")]).await?.len(), 4);
    // Hidden fields are searched for those who see them.
    assert_eq!(found(&server.admin, &[("search", "internal tea")]).await?.len(), 3);
    assert!(found(&user, &[("search", "internal")]).await?.is_empty());
    let (status, _) =
        server.api.send(Method::GET, &with(RECORDS, &[("search", "tea")]), None).await?;
    assert_eq!(status, StatusCode::FORBIDDEN);
    server.stop().await
}

#[tokio::test]
async fn what_cant_be_searched_is_refused() -> Result<()> {
    let server = server().await?;
    let many = "word ".repeat(17);
    for (words, part) in [
        ("", "no word"),
        ("*", "no word"),
        ("!?…", "no word"),
        (many.as_str(), "at most 1000 bytes and 16 words"),
    ] {
        for path in [RECORDS, &format!("{RECORDS}/count")] {
            let path = with(path, &[("search", words)]);
            let (status, problem) = server.api.send(Method::GET, &path, None).await?;
            assert_eq!(status, 400, "{words}: {problem}");
            assert!(
                problem["detail"].as_str().is_some_and(|detail| detail.contains(part)),
                "{problem}"
            );
        }
    }
    let authors = "/api/collections/authors/records?search=x";
    let (status, problem) = server.admin.send(Method::GET, authors, None).await?;
    assert_eq!(status, 400);
    assert!(problem["detail"].as_str().is_some_and(|d| d.contains("no field")), "{problem}");
    let number =
        json!({ "schema": { "fields": [{ "name": "n", "type": "int", "search": true }] } });
    let (status, problem) =
        server.admin.send(Method::PATCH, "/api/collections/authors", Some(&number)).await?;
    assert_eq!(status, 400);
    assert_eq!(problem["errors"][0]["field"], "/schema/fields/0/search");
    // If only hidden fields can be searched, nothing can for those who don't see them.
    let secret = json!({ "schema": { "fields": [
        { "name": "name", "type": "string", "search": true, "hidden": true },
    ] } });
    server.admin.patch("/api/collections/authors", &secret).await?;
    assert_eq!(server.admin.send(Method::GET, authors, None).await?.0, StatusCode::OK);
    let (status, other) = server.api.send(Method::GET, authors, None).await?;
    assert_eq!(
        (status, &other["detail"]),
        (
            StatusCode::BAD_REQUEST,
            &json!(
                "search: 'authors' has no field that can be searched; an administrator gives fields of type \
         string \"search\": true"
            )
        )
    );
    server.stop().await
}

#[tokio::test]
async fn every_write_keeps_the_words_right() -> Result<()> {
    let server = server().await?;
    let api = &server.admin;
    let author =
        api.post("/api/collections/authors/records", &json!({ "data": { "name": "a" } })).await?;
    let data = json!({ "title": "alpha", "body": "one", "author": author["id"] });
    let made = api.post(RECORDS, &json!({ "data": data })).await?;
    let path = format!("{RECORDS}/{}", made["id"].as_str().context("an id")?);
    let has = async |words: &str, expected: usize| -> Result<()> {
        let count = api.get(&with(&format!("{RECORDS}/count"), &[("search", words)])).await?;
        anyhow::ensure!(count["count"] == expected, "{words}: {count}, not {expected}");
        Ok(())
    };
    has("alpha one", 1).await?;
    api.patch(&path, &json!({ "data": { "body": "two" } })).await?;
    has("alpha one", 0).await?;
    has("alpha two", 1).await?;
    let body = json!({ "data": { "title": "beta", "author": author["id"] } });
    assert_eq!(api.send(Method::PUT, &path, Some(&body)).await?.0, StatusCode::OK);
    has("alpha", 0).await?;
    has("two", 0).await?;
    has("beta", 1).await?;
    let operations = json!({ "operations": [
        { "op": "create", "data": { "title": "gamma beta" } },
        { "op": "update", "id": made["id"], "data": { "title": "delta" } },
        { "op": "create", "data": { "title": "gamma", "body": "epsilon" } },
    ] });
    let batch = api.post(&format!("{RECORDS}/batch"), &operations).await?;
    has("beta", 1).await?;
    has("gamma", 2).await?;
    has("delta", 1).await?;
    // Nothing of a batch that fails.
    let failing = json!({ "operations": [
        { "op": "create", "data": { "title": "zeta" } },
        { "op": "delete", "id": author["id"] },
    ] });
    assert_eq!(api.send(Method::POST, &format!("{RECORDS}/batch"), Some(&failing)).await?.0, 404);
    has("zeta", 0).await?;
    let first = batch["results"][0]["id"].as_str().context("an id")?;
    api.delete(&format!("{RECORDS}/{first}")).await?;
    has("gamma", 1).await?;
    // With its author goes the article.
    let author =
        format!("/api/collections/authors/records/{}", author["id"].as_str().context("an id")?);
    api.delete(&author).await?;
    has("delta", 0).await?;
    let checked = server.cli(&["db", "check"]).await?;
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stdout));
    server.stop().await
}

#[tokio::test]
async fn a_change_of_the_schema_changes_what_is_searched() -> Result<()> {
    let server = server().await?;
    let (api, path) = (&server.admin, "/api/collections/articles");
    // More than one step of the database.
    for part in 0..3 {
        let operations: Vec<_> = (0..400)
            .map(|n| json!({ "op": "create", "data": { "title": format!("n{part} x{n}"), "tag": "bulk" } }))
            .collect();
        api.post(&format!("{RECORDS}/batch"), &json!({ "operations": operations })).await?;
    }
    let count = async |words: &str| -> Result<Value> {
        Ok(api.get(&with(&format!("{RECORDS}/count"), &[("search", words)])).await?["count"]
            .clone())
    };
    assert_eq!(count("n2").await?, 400);
    let with_search = |names: &[&str]| {
        let mut fields = fields();
        for field in fields.as_array_mut().into_iter().flatten() {
            let name = field["name"].as_str().unwrap_or_default().to_owned();
            field["search"] = json!(names.contains(&name.as_str()));
        }
        json!({ "schema": { "fields": fields } })
    };
    api.patch(path, &with_search(&["tag"])).await?;
    assert_eq!((count("n2").await?, count("bulk").await?), (json!(0), json!(1200)));
    api.patch(path, &with_search(&[])).await?;
    let (status, _) = api.send(Method::GET, &with(RECORDS, &[("search", "bulk")]), None).await?;
    assert_eq!(status, 400);
    api.patch(path, &with_search(&["title", "tag"])).await?;
    assert_eq!(count("n1 bulk x39*").await?, 11);
    // Another collection's words are its own.
    let twin = json!({ "name": "twins", "label": "Twins", "schema": { "fields": fields() } });
    api.post("/api/collections", &twin).await?;
    api.post("/api/collections/twins/records", &json!({ "data": { "title": "bulk" } })).await?;
    assert_eq!(count("bulk").await?, 1200);
    assert_eq!(api.get("/api/collections/twins/records?search=bulk").await?["total"], 1);
    let gone = api.send(Method::DELETE, path, None).await?;
    assert!(gone.0.is_success(), "{}", gone.1);
    assert_eq!(api.get("/api/collections/twins/records?search=bulk").await?["total"], 1);
    server.stop().await
}
