//! Ids of what is somebody else's: the answer is the one for ids of nothing at all.

use anyhow::{Context as _, Result, ensure};
use reqwest::multipart::{Form, Part};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tinybase_tests::{Api, TestServer, Zoo};

const NOBODY: &str = "019ab0c2-5f0e-7d3c-8a51-3f1f5a0d9e11";

/// What an answer says, without the words that name the request.
async fn ask(
    api: &Api,
    (method, path): (&Method, &str),
    id: &str,
    body: Option<&Value>,
) -> Result<(StatusCode, String)> {
    let body = body.map(|body| {
        let text = body.to_string().replace("ID", id);
        serde_json::from_str::<Value>(&text).unwrap_or_default()
    });
    let (status, mut answer) =
        api.send(method.clone(), &path.replace("ID", id), body.as_ref()).await?;
    if let Some(answer) = answer.as_object_mut() {
        answer.remove("request_id");
    }
    Ok((status, answer.to_string().replace(id, "ID")))
}

/// Fails unless an id is answered as one of nothing.
async fn is_as_missing(
    api: &Api,
    (method, path): (&Method, &str),
    id: &str,
    body: Option<&Value>,
) -> Result<StatusCode> {
    let foreign = ask(api, (method, path), id, body).await?;
    // Of the same length and characters, so that it gets as far.
    let nothing = if id.contains('-') && !id.contains('.') {
        NOBODY.to_owned()
    } else {
        id.chars().map(|c| if c.is_ascii_hexdigit() { '0' } else { c }).collect()
    };
    let missing = ask(api, (method, path), &nothing, body).await?;
    ensure!(foreign == missing, "{method} {path}: {foreign:?}, but of nothing {missing:?}");
    ensure!(!foreign.0.is_success(), "{method} {path}: {foreign:?}");
    Ok(foreign.0)
}

async fn text(api: &Api, path: &str, body: &Value, key: &str) -> Result<String> {
    let answer = api.post(path, body).await?;
    Ok(answer[key].as_str().with_context(|| format!("{answer}"))?.to_owned())
}

#[tokio::test]
async fn a_record_that_one_may_not_read_is_as_if_it_were_not_there() -> Result<()> {
    let server = TestServer::start().await?;
    let (ann, bob) = (
        server.api.register("ann@example.com").await?,
        server.api.register("bob@example.com").await?,
    );
    let fields = json!({ "fields": [{ "name": "title", "type": "string" }] });
    let own = |name: &str, rule: &str| {
        let access = ["list", "read", "update", "delete"].map(|o| (o.to_owned(), json!(rule)));
        let access: serde_json::Map<String, Value> = access.into_iter().collect();
        json!({ "name": name, "label": name, "schema": fields, "options": { "access": access } })
    };
    let owned = "record.owner_id == user.id";
    for (name, rule) in [("words", "owner"), ("expressions", owned), ("closed", "admin")] {
        server.admin.post("/api/collections", &own(name, rule)).await?;
    }
    server.admin.make_collection("open", &["title"]).await?;
    let data = json!({ "data": { "title": "a" } });
    let record = |name: &str| format!("/api/collections/{name}/records/ID");
    let mut cases = 0;
    for name in ["words", "expressions", "closed", "open"] {
        let id = text(&ann, &format!("/api/collections/{name}/records"), &data, "id").await?;
        for elsewhere in ["words", "expressions", "closed", "open"] {
            // Of the open collection Bob may read Ann's record: to change it is another question.
            if name == "open" && elsewhere == "open" {
                continue;
            }
            for api in [&bob, &server.api] {
                for (method, body) in [
                    (Method::GET, None),
                    (Method::PATCH, Some(&data)),
                    (Method::PUT, Some(&data)),
                    (Method::DELETE, None),
                ] {
                    is_as_missing(api, (&method, &record(elsewhere)), &id, body).await?;
                    cases += 1;
                }
                for op in ["update", "replace", "delete"] {
                    let mut operation = json!({ "op": op, "collection": elsewhere, "id": "ID" });
                    if op != "delete" {
                        operation["data"] = json!({ "title": "b" });
                    }
                    let body = json!({ "operations": [operation] });
                    is_as_missing(api, (&Method::POST, "/api/batch"), &id, Some(&body)).await?;
                    cases += 1;
                }
            }
        }
        assert_eq!(
            ann.send(Method::GET, &record(name).replace("ID", &id), None).await?.0,
            if name == "closed" { StatusCode::FORBIDDEN } else { StatusCode::OK }
        );
    }
    assert_eq!(cases, 15 * 2 * 7);
    // What one may see but not change is no secret.
    let id = text(&ann, "/api/collections/open/records", &data, "id").await?;
    let path = record("open").replace("ID", &id);
    assert_eq!(bob.send(Method::PATCH, &path, Some(&data)).await?.0, StatusCode::FORBIDDEN);
    assert_eq!(server.api.send(Method::DELETE, &path, None).await?.0, StatusCode::UNAUTHORIZED);
    server.stop().await
}

#[tokio::test]
async fn calls_files_and_what_is_for_administrators_tell_nothing_either() -> Result<()> {
    let (server, zoo) = (TestServer::start().await?, Zoo::new()?);
    server.install(&zoo.extension("zoo", "good")?).await?;
    let (ann, bob) = (
        server.api.register("ann@example.com").await?,
        server.api.register("bob@example.com").await?,
    );
    let call = text(&ann, "/api/functions/zoo_echo", &json!({}), "call_id").await?;
    let part = Part::bytes(b"hello".to_vec()).file_name("a.txt");
    let form = Form::new().part("file", part);
    let stored = ann.request(Method::POST, "/api/files/upload").multipart(form).send().await?;
    let stored: Value = stored.json().await?;
    let key = stored["key"].as_str().context("a key")?.to_owned();
    let me = ann.get("/api/auth/me").await?["id"].as_str().context("an id")?.to_owned();
    let token = json!({ "name": "a", "scopes": ["users:read"] });
    let token = server.admin.post("/api/admin/application-tokens", &token).await?;
    let token = token["token"]["id"].as_str().context("an id")?.to_owned();
    let schedule = json!({
        "name": "s", "function_name": "zoo_echo",
        "schedule": { "method": "interval", "unit": "hours", "value": 1 },
    });
    let schedule = text(&server.admin, "/api/admin/schedules", &schedule, "id").await?;
    let (get, post, patch, delete) = (Method::GET, Method::POST, Method::PATCH, Method::DELETE);
    let empty = json!({});
    let routes = [
        (&get, "/api/functions/calls/ID", &call, None),
        (&get, "/api/functions/calls/ID/result", &call, None),
        (&post, "/api/functions/calls/ID/cancel", &call, Some(&empty)),
        (&delete, "/api/functions/calls/ID", &call, None),
        (&get, "/api/admin/functions/calls/ID", &call, None),
        (&get, "/api/files/download/ID", &key, None),
        (&get, "/api/files/presigned/ID", &key, None),
        (&delete, "/api/files/ID", &key, None),
        (&get, "/api/admin/users/ID", &me, None),
        (&patch, "/api/admin/users/ID", &me, Some(&empty)),
        (&delete, "/api/admin/users/ID", &me, None),
        (&get, "/api/admin/application-tokens/ID", &token, None),
        (&patch, "/api/admin/application-tokens/ID", &token, Some(&empty)),
        (&delete, "/api/admin/application-tokens/ID", &token, None),
        (&get, "/api/admin/schedules/ID", &schedule, None),
        (&patch, "/api/admin/schedules/ID", &schedule, Some(&empty)),
        (&delete, "/api/admin/schedules/ID", &schedule, None),
        (&post, "/api/admin/schedules/ID/run", &schedule, Some(&empty)),
        (&get, "/api/admin/schedules/ID/runs", &schedule, None),
    ];
    for (method, path, id, body) in routes {
        for api in [&bob, &server.api] {
            let status = is_as_missing(api, (method, path), id, body).await?;
            let is_admins = path.contains("/admin/");
            ensure!(status == 404 || is_admins || status == 401, "{method} {path}: {status}");
        }
    }
    // It was all there.
    ann.get(&format!("/api/functions/calls/{call}")).await?;
    server.admin.get(&format!("/api/admin/schedules/{schedule}")).await?;
    ann.delete(&format!("/api/files/{key}")).await?;
    server.stop().await
}

#[tokio::test]
async fn what_a_body_claims_beside_the_data_is_not_taken_over() -> Result<()> {
    let server = TestServer::start().await?;
    server.admin.make_collection("notes", &["title"]).await?;
    let body = json!({
        "email": "ann@example.com", "password": "a long enough password",
        "is_admin": true, "id": NOBODY, "created_at": "2000-01-01T00:00:00Z",
    });
    server.api.send(Method::POST, "/api/auth/register", Some(&body)).await?;
    let (status, _) = server
        .api
        .send(
            Method::POST,
            "/api/auth/register",
            Some(&json!({
                "email": "ann@example.com", "password": "a long enough password",
            })),
        )
        .await?;
    ensure!(status == 201 || status == 400, "refused or passed over: {status}");
    let ann = server.api.login("ann@example.com", "a long enough password").await?;
    let me = ann.get("/api/auth/me").await?;
    assert_eq!(me["is_admin"], false);
    assert_ne!(me["id"], NOBODY);
    let claims = json!({
        "id": NOBODY, "collection_id": NOBODY, "created_at": "2000-01-01T00:00:00Z",
        "updated_at": "2000-01-01T00:00:00Z", "version": 99, "is_admin": true,
    });
    let path = "/api/collections/notes/records";
    let mut record = ann.post(path, &json!({ "data": { "title": "a" } })).await?;
    let of = |record: &Value| format!("{path}/{}", record["id"].as_str().unwrap_or_default());
    for (method, path) in
        [(Method::POST, path.to_owned()), (Method::PATCH, of(&record)), (Method::PUT, of(&record))]
    {
        let mut data = claims.clone();
        data["title"] = json!("b");
        data["owner_id"] = json!(NOBODY);
        let mut body = claims.clone();
        body["data"] = data;
        let (status, answer) = ann.send(method.clone(), &path, Some(&body)).await?;
        if status.is_success() {
            record = answer;
        } else {
            ensure!(status == 400 || status == 422, "{method}: {status} {answer}");
        }
        let record = ann.get(&of(&record)).await?;
        assert_eq!(record["owner_id"], me["id"], "{method}");
        assert_ne!(record["id"], NOBODY);
        assert!(!record["created_at"].to_string().contains("2000"), "{record}");
        assert!(record["data"].as_object().is_some_and(|data| data.len() == 1), "{record}");
    }
    server.stop().await
}

#[tokio::test]
async fn a_rule_that_changes_holds_for_the_next_request() -> Result<()> {
    let server = TestServer::start().await?;
    server.admin.make_collection("notes", &["title"]).await?;
    let ann = server.api.register("ann@example.com").await?;
    let path = "/api/collections/notes/records";
    let data = json!({ "data": { "title": "a" } });
    let record = text(&ann, path, &data, "id").await?;
    let record = format!("{path}/{record}");
    for round in 0..10 {
        for (rule, expected) in [("admin", 403), ("auth", 0)] {
            let access = ["list", "read", "create", "update"].map(|o| (o.to_owned(), json!(rule)));
            let access: serde_json::Map<String, Value> = access.into_iter().collect();
            let change = json!({ "options": { "access": access } });
            server.admin.patch("/api/collections/notes", &change).await?;
            for (method, path, body) in [
                (Method::GET, path, None),
                (Method::GET, record.as_str(), None),
                (Method::POST, path, Some(&data)),
                (Method::PATCH, record.as_str(), Some(&data)),
            ] {
                let (status, answer) = ann.send(method.clone(), path, body).await?;
                let found = if status.is_success() { 0 } else { status.as_u16() };
                assert_eq!(found, expected, "{round} {method} {path}: {answer}");
            }
        }
    }
    server.stop().await
}
