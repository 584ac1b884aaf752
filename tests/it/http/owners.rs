//! To whom records belong: an administrator's to decide, and told to whoever watches.

use std::time::Duration;

use anyhow::{Context as _, Result};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tinybase_tests::{Api, TestServer};

const RECORDS: &str = "/api/collections/notes/records";
const NOBODY: &str = "019ab0c2-5f0e-7d3c-8a51-3f1f5a0d9e11";

async fn server() -> Result<(TestServer, Api, Api)> {
    let server = TestServer::start().await?;
    let fields = json!({ "fields": [{ "name": "title", "type": "string" }] });
    let access = json!({ "list": "owner", "read": "owner" });
    let body = json!({
        "name": "notes", "label": "Notes", "schema": fields, "options": { "access": access },
    });
    server.admin.post("/api/collections", &body).await?;
    let ann = server.api.register("ann@example.com").await?;
    let bob = server.api.register("bob@example.com").await?;
    Ok((server, ann, bob))
}

async fn me(api: &Api) -> Result<Value> {
    Ok(api.get("/api/auth/me").await?["id"].clone())
}

fn path(record: &Value) -> String {
    format!("{RECORDS}/{}", record["id"].as_str().unwrap_or_default())
}

#[tokio::test]
async fn an_administrator_gives_records_to_users_and_to_nobody() -> Result<()> {
    let (server, ann, bob) = server().await?;
    let (admin, a, b) = (&server.admin, me(&ann).await?, me(&bob).await?);
    let body = |owner: &Value| json!({ "data": { "title": "x" }, "owner_id": owner });
    let record = admin.post(RECORDS, &body(&a)).await?;
    assert_eq!(record["owner_id"], a);
    ann.get(&path(&record)).await?;
    for (method, owner) in [(Method::PATCH, &b), (Method::PUT, &a), (Method::PATCH, &Value::Null)] {
        let (status, changed) = admin.send(method, &path(&record), Some(&body(owner))).await?;
        assert_eq!((status, &changed["owner_id"]), (StatusCode::OK, owner), "{changed}");
        assert_eq!(&admin.get(&path(&record)).await?["owner_id"], owner);
    }
    // Without the key it stays as it is.
    admin.patch(&path(&record), &body(&b)).await?;
    let kept = admin.patch(&path(&record), &json!({ "data": { "title": "y" } })).await?;
    assert_eq!(kept["owner_id"], b);
    assert_eq!(ann.send(Method::GET, &path(&record), None).await?.0, StatusCode::NOT_FOUND);
    let operations = json!({ "operations": [
        { "op": "create", "data": { "title": "1" }, "owner_id": a },
        { "op": "create", "data": { "title": "2" }, "owner_id": null },
        { "op": "update", "id": record["id"], "data": {}, "owner_id": a },
        { "op": "replace", "id": record["id"], "data": {}, "if_match": "7" },
    ]});
    let (status, answer) =
        admin.send(Method::POST, &format!("{RECORDS}/batch"), Some(&operations)).await?;
    assert_eq!(status, 200, "{answer}");
    let owners = answer["results"].as_array().context("results")?;
    let owners: Vec<_> = owners.iter().map(|record| &record["owner_id"]).collect();
    assert_eq!(owners, [&a, &Value::Null, &a, &a]);
    let activity = admin.get("/api/admin/activity?action=record.update&limit=1").await?;
    assert_eq!(activity["total"], 7, "{activity}");
    let activity = admin.get("/api/admin/activity?action=record.update").await?;
    let given = &activity["activities"][1]["metadata"];
    assert_eq!((&given["owner_id"], &given["old_owner_id"]), (&a, &b), "{activity}");
    server.stop().await
}

#[tokio::test]
async fn nobody_else_gives_records_away_or_takes_them() -> Result<()> {
    let (server, ann, bob) = server().await?;
    let (a, b) = (me(&ann).await?, me(&bob).await?);
    let token = json!({ "name": "p", "scopes": ["records:write:*", "records:read:*"] });
    let token = server.admin.post("/api/admin/application-tokens", &token).await?;
    let program = server.api.with_token(token["token_value"].as_str().context("a token")?);
    let body = |owner: &Value| json!({ "data": { "title": "x" }, "owner_id": owner });
    // What is so anyway may be said.
    let record = ann.post(RECORDS, &body(&a)).await?;
    ann.patch(&path(&record), &body(&a)).await?;
    program.post(RECORDS, &body(&Value::Null)).await?;
    for (api, owner) in [(&ann, &b), (&ann, &Value::Null), (&program, &a)] {
        let (status, problem) = api.send(Method::POST, RECORDS, Some(&body(owner))).await?;
        assert_eq!(status, StatusCode::FORBIDDEN, "{problem}");
        assert!(problem["detail"].to_string().contains("leave owner_id out"), "{problem}");
    }
    for (api, owner) in [(&ann, &b), (&ann, &Value::Null), (&program, &b)] {
        for method in [Method::PATCH, Method::PUT] {
            let (status, problem) = api.send(method, &path(&record), Some(&body(owner))).await?;
            assert_eq!(status, StatusCode::FORBIDDEN, "{problem}");
        }
        let operation =
            json!({ "op": "update", "id": record["id"], "data": {}, "owner_id": owner });
        let operations = json!({ "operations": [operation] });
        let batch = format!("{RECORDS}/batch");
        let (status, problem) = api.send(Method::POST, &batch, Some(&operations)).await?;
        assert_eq!(status, StatusCode::FORBIDDEN, "{problem}");
    }
    // What can't be an owner.
    for (owner, status) in [(json!(NOBODY), 400), (json!("ann"), 422), (json!(7), 422)] {
        for (method, path) in [(Method::POST, RECORDS.to_owned()), (Method::PATCH, path(&record))] {
            let (found, problem) = server.admin.send(method, &path, Some(&body(&owner))).await?;
            assert_eq!(found, status, "{problem}");
        }
    }
    assert_eq!(server.admin.get(&path(&record)).await?["owner_id"], a);
    let delete = json!({ "op": "delete", "id": record["id"], "owner_id": b });
    let operations = json!({ "operations": [delete] });
    let batch = format!("{RECORDS}/batch");
    let (status, problem) = server.admin.send(Method::POST, &batch, Some(&operations)).await?;
    assert_eq!(
        (status.as_u16(), &problem["errors"][0]["field"]),
        (422, &json!("/operations/0/owner_id"))
    );
    server.stop().await
}

#[tokio::test]
async fn to_the_old_owner_it_is_gone_and_to_the_new_one_it_has_come() -> Result<()> {
    let (server, ann, bob) = server().await?;
    let (a, b) = (me(&ann).await?, me(&bob).await?);
    let record = ann.post(RECORDS, &json!({ "data": { "title": "x" } })).await?;
    let mut streams = Vec::new();
    for api in [&ann, &bob, &server.admin] {
        let events = format!("{RECORDS}/events");
        let mut response = api.request(Method::GET, &events).send().await?;
        response.chunk().await?.context("where it begins")?;
        streams.push(response);
    }
    let body = json!({ "data": {}, "owner_id": b });
    server.admin.patch(&path(&record), &body).await?;
    let expected = ["event: record.delete", "event: record.create", "event: record.update"];
    for (mut response, expected) in streams.into_iter().zip(expected) {
        let mut text = String::new();
        while !text.contains("event: ") || !text.ends_with("\n\n") {
            let chunk = tokio::time::timeout(Duration::from_secs(30), response.chunk()).await??;
            text.push_str(std::str::from_utf8(&chunk.context("the stream ended")?)?);
        }
        assert!(text.contains(expected), "{expected}: {text}");
        assert!(!text.contains(a.as_str().unwrap_or_default()), "{text}");
    }
    server.stop().await
}
