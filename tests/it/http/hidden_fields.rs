//! Hidden fields: whatever others than administrators do, it is as if they weren't there.

use anyhow::{Context, Result};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tinybase_tests::{Api, TestServer};

const RECORDS: &str = "/api/collections/offers/records";

/// Offers, each with a name for all and a margin, a code and a source for administrators.
async fn server() -> Result<TestServer> {
    let server = TestServer::start().await?;
    let sources = json!({ "name": "sources", "label": "Sources", "schema": { "fields": [] } });
    server.admin.post("/api/collections", &sources).await?;
    let fields = json!([
        { "name": "name", "type": "string", "max_length": 50 },
        { "name": "margin", "type": "int", "hidden": true, "max": 99_999_999, "default": 77_777_777 },
        { "name": "code", "type": "string", "hidden": true, "unique": true },
        { "name": "source", "type": "reference", "collection": "sources", "hidden": true },
    ]);
    let body = json!({
        "name": "offers", "label": "Offers", "schema": { "fields": fields },
        "options": {
            "access": { "update": "user.is_authenticated || record.margin == 77777778", "delete": "auth" },
            "unique": [["name", "margin"]],
        },
    });
    server.admin.post("/api/collections", &body).await?;
    Ok(server)
}

/// Everybody who is no administrator.
async fn others(server: &TestServer) -> Result<Vec<Api>> {
    let user = server.api.register("user@example.com").await?;
    let body = json!({ "name": "program", "scopes": ["records:read:*", "records:write:*"] });
    let made = server.admin.post("/api/admin/application-tokens", &body).await?;
    let token = made["token_value"].as_str().context("a token")?;
    Ok(vec![user, server.api.with_token(token)])
}

fn path(record: &Value) -> String {
    format!("{RECORDS}/{}", record["id"].as_str().unwrap_or_default())
}

#[track_caller]
fn assert_hidden(answer: &Value, what: &str) {
    let text = answer.to_string();
    for word in ["margin", "77777777", "77777778", "code", "source\"", "top-secret"] {
        assert!(!text.contains(word), "{what} shows {word}: {text}");
    }
}

#[tokio::test]
async fn no_answer_shows_one() -> Result<()> {
    let server = server().await?;
    let secret = json!({ "data": { "name": "a", "margin": 77_777_778, "code": "top-secret" } });
    let offer = path(&server.admin.post(RECORDS, &secret).await?);
    for (index, other) in others(&server).await?.iter().enumerate() {
        for query in ["", "?fields=data", "?fields=id,name"] {
            assert_hidden(&other.get(&format!("{offer}{query}")).await?, query);
            assert_hidden(&other.get(&format!("{RECORDS}{query}")).await?, query);
        }
        let name = |n: &str| json!({ "data": { "name": format!("{n}{index}"), "margin": 1 } });
        let made = other.post(RECORDS, &name("b")).await?;
        assert_hidden(&made, "the answer to a creation");
        let mine = path(&made);
        assert_hidden(&other.patch(&mine, &name("c")).await?, "the answer to a change");
        let (status, replaced) = other.send(Method::PUT, &mine, Some(&name("d"))).await?;
        assert_eq!(status, StatusCode::OK, "{replaced}");
        assert_hidden(&replaced, "the answer to a replacement");
        assert_eq!(
            server.admin.get(&mine).await?["data"]["margin"],
            77_777_777,
            "it isn't theirs to set"
        );
        let id = made["id"].clone();
        let operations = json!({ "operations": [
            { "op": "create", "collection": "offers", "data": name("e")["data"] },
            { "op": "update", "collection": "offers", "id": id, "data": name("f")["data"] },
            { "op": "replace", "collection": "offers", "id": id, "data": name("g")["data"] },
        ] });
        assert_hidden(&other.post("/api/batch", &operations).await?, "a batch");
        assert_eq!(server.admin.get(&mine).await?["data"]["margin"], 77_777_777, "nor in a batch");
        assert_hidden(&other.get("/api/collections/offers").await?, "the definition");
        assert_hidden(&other.get("/api/collections").await?, "the definitions");
    }
    assert_hidden(&server.api.get(RECORDS).await?, "a list without a login");
    let schemas = &server.api.get("/openapi.json").await?["components"]["schemas"];
    for name in ["offers.Input", "offers.Patch", "offers.Data"] {
        assert_hidden(&schemas[name], name);
    }
    let seen = server.admin.get(&offer).await?;
    assert_eq!(
        (&seen["data"]["margin"], &seen["data"]["code"]),
        (&json!(77_777_778), &json!("top-secret"))
    );
    let definition = server.admin.get("/api/collections/offers").await?;
    assert_eq!(definition["schema"]["fields"].as_array().map(Vec::len), Some(4));
    assert!(definition["options"]["access"]["update"].is_string());
    server.stop().await
}

#[tokio::test]
async fn no_query_tells_whether_there_is_one() -> Result<()> {
    let server = server().await?;
    let secret = json!({ "data": { "name": "a", "margin": 77_777_778, "code": "top-secret" } });
    server.admin.post(RECORDS, &secret).await?;
    let events = format!("{RECORDS}/events");
    for (index, other) in others(&server).await?.iter().enumerate() {
        for (path, query) in [
            (RECORDS, "filter=NAME%20%3D%3D%20778"),
            (RECORDS, "filter=name%20%3D%3D%20NAME"),
            (RECORDS, "filter=data.NAME%20!%3D%20null"),
            (RECORDS, "filter=NAME.x%20!%3D%20null"),
            (RECORDS, "sort=NAME"),
            (RECORDS, "sort=-data.NAME"),
            (RECORDS, "sort_by=NAME&sort_order=asc"),
            (RECORDS, "fields=NAME"),
            (RECORDS, "fields=data.NAME"),
            (&format!("{RECORDS}/count"), "filter=NAME%20%3E%201"),
            (&events, "filter=NAME%20%3E%201"),
            (&events, "fields=NAME"),
        ] {
            let mut answers = Vec::new();
            for name in ["margin", "nosuch"] {
                let path = format!("{path}?{}", query.replace("NAME", name));
                let (status, mut problem) = other.send(Method::GET, &path, None).await?;
                assert_eq!(status, 400, "{path}: {problem}");
                problem["request_id"] = Value::Null;
                answers.push(problem.to_string().replace(name, "NAME"));
            }
            assert_eq!(answers[0], answers[1], "{path}?{query}");
        }
        // A cursor of an administrator's list is of no use either.
        let page = format!("{RECORDS}?sort=margin&limit=1");
        server.admin.post(RECORDS, &json!({ "data": { "name": format!("z{index}") } })).await?;
        let cursor = server.admin.get(&page).await?["next_cursor"].clone();
        let cursor = cursor.as_str().context("a cursor")?;
        let path = format!("{RECORDS}?cursor={cursor}");
        assert_eq!(other.send(Method::GET, &path, None).await?.0, 400);
        assert_eq!(server.admin.send(Method::GET, &path, None).await?.0, 200);
    }
    server.stop().await
}

#[tokio::test]
async fn no_error_names_one() -> Result<()> {
    let server = server().await?;
    let source =
        server.admin.post("/api/collections/sources/records", &json!({ "data": {} })).await?;
    let secret = json!({ "data": { "name": "a", "code": "top-secret", "source": source["id"] } });
    server.admin.post(RECORDS, &secret).await?;
    let delete =
        format!("/api/collections/sources/records/{}", source["id"].as_str().context("id")?);
    server
        .admin
        .patch(
            "/api/collections/sources",
            &json!({ "options": { "access": { "delete": "auth" } } }),
        )
        .await?;
    for other in others(&server).await? {
        // The margin is 77_777_777 by default, and unique together with the name.
        let (status, problem) =
            other.send(Method::POST, RECORDS, Some(&json!({ "data": { "name": "a" } }))).await?;
        assert_eq!(status, 400, "{problem}");
        assert_hidden(&problem, "a value that isn't unique");
        assert_eq!(problem["errors"][0]["field"], "/data/name");
        // What doesn't fit a hidden field was never sent.
        let wrong = json!({ "data": { "margin": "x", "code": ["top-secret"], "source": "y" } });
        let (status, made) = other.send(Method::POST, RECORDS, Some(&wrong)).await?;
        assert_eq!(status, 201, "{made}");
        let (status, problem) = other.send(Method::DELETE, &delete, None).await?;
        assert_eq!(status, 409, "{problem}");
        assert!(!problem.to_string().contains("offers"), "{problem}");
        server.admin.delete(&path(&made)).await?;
    }
    let fields = json!({ "schema": { "fields": [
        { "name": "name", "type": "string" },
        { "name": "code", "type": "string", "hidden": true, "required": true },
    ] }, "options": {} });
    server.admin.patch("/api/collections/offers", &fields).await?;
    for other in others_again(&server).await? {
        let (status, problem) =
            other.send(Method::POST, RECORDS, Some(&json!({ "data": { "name": "b" } }))).await?;
        assert_eq!(status, 400, "{problem}");
        assert_hidden(&problem, "a field that has to be there");
        assert_eq!(problem["errors"][0]["field"], "/data");
    }
    server.stop().await
}

async fn others_again(server: &TestServer) -> Result<Vec<Api>> {
    Ok(vec![server.api.register("second@example.com").await?])
}
