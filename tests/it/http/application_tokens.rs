//! Tokens for programs: what they may do is what their scopes say.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tinybase_tests::{Api, TestServer, wait_for};

const TOKENS: &str = "/api/admin/application-tokens";

async fn make(server: &TestServer, body: &Value) -> Result<(Api, Value)> {
    let made = server.admin.post(TOKENS, body).await?;
    let secret = made["token_value"].as_str().context("no secret")?;
    ensure!(secret.starts_with("tba_"), "{secret}");
    Ok((server.api.with_token(secret), made["token"].clone()))
}

async fn with_scopes(server: &TestServer, scopes: &[&str]) -> Result<Api> {
    Ok(make(server, &json!({ "name": "program", "scopes": scopes })).await?.0)
}

async fn status(api: &Api, method: Method, path: &str, body: Option<Value>) -> Result<StatusCode> {
    Ok(api.send(method, path, body.as_ref()).await?.0)
}

fn path_of(token: &Value) -> Result<String> {
    Ok(format!("{TOKENS}/{}", token["id"].as_str().context("no id")?))
}

#[tokio::test]
async fn a_token_is_shown_once_listed_changed_and_deleted() -> Result<()> {
    let server = TestServer::start().await?;
    let body = json!({ "name": "ci", "description": "builds", "expires_days": 30 });
    let (api, token) = make(&server, &body).await?;
    assert_eq!((&token["name"], &token["description"]), (&json!("ci"), &json!("builds")));
    assert_eq!((&token["is_active"], &token["is_valid"]), (&json!(true), &json!(true)));
    assert_eq!(token["scopes"], json!(["records:read:*", "records:write:*", "functions:call:*"]));
    assert_eq!(token["last_used_at"], Value::Null);
    assert_eq!(token["created_by"], server.admin.get("/api/auth/me").await?["id"]);
    assert_eq!(status(&api, Method::GET, "/api/collections", None).await?, 200);
    let path = path_of(&token)?;
    let used = wait_for("its use is noted", Duration::from_secs(10), || async {
        let token = server.admin.get(&path).await.ok()?;
        token["last_used_at"].is_string().then_some(token)
    })
    .await;
    let listed = server.admin.get(TOKENS).await?;
    assert_eq!(listed["tokens"], json!([used]));
    let changed = server.admin.patch(&path, &json!({ "name": "CI", "is_active": false })).await?;
    assert_eq!((&changed["name"], &changed["description"]), (&json!("CI"), &json!("builds")));
    assert_eq!((&changed["is_active"], &changed["is_valid"]), (&json!(false), &json!(false)));
    assert_eq!(status(&api, Method::GET, "/api/collections", None).await?, 401, "at once");
    server.admin.patch(&path, &json!({ "is_active": true })).await?;
    assert_eq!(status(&api, Method::GET, "/api/collections", None).await?, 200);
    server.admin.delete(&path).await?;
    assert_eq!(status(&api, Method::GET, "/api/collections", None).await?, 401, "at once");
    assert_eq!(status(&server.admin, Method::DELETE, &path, None).await?, 404);
    server.stop().await
}

#[tokio::test]
async fn a_token_that_cannot_be_is_refused_with_the_field() -> Result<()> {
    let server = TestServer::start().await?;
    let long = "x".repeat(201);
    for (body, field) in [
        (json!({ "name": "" }), "/name"),
        (json!({ "name": long }), "/name"),
        (json!({ "name": "a", "description": "x".repeat(501) }), "/description"),
        (json!({ "name": "a", "expires_days": 0 }), "/expires_days"),
        (json!({ "name": "a", "scopes": [] }), "/scopes"),
        (json!({ "name": "a", "scopes": ["users:read", "record:read:*"] }), "/scopes/1"),
    ] {
        let (status, problem) = server.admin.send(Method::POST, TOKENS, Some(&body)).await?;
        assert_eq!(status, 422, "{body}");
        assert_eq!(problem["errors"][0]["field"], field, "{problem}");
    }
    server.stop().await
}

#[tokio::test]
async fn a_program_does_what_its_scopes_say_and_nothing_else() -> Result<()> {
    let server = TestServer::start().await?;
    server.admin.make_collection("orders", &["text"]).await?;
    server.admin.make_collection("notes", &["text"]).await?;
    let orders = "/api/collections/orders/records";
    let notes = "/api/collections/notes/records";
    let record = || Some(json!({ "data": { "text": "x" } }));
    let new_collection = || Some(json!({ "name": "c", "label": "c", "schema": { "fields": [] } }));
    // Reads orders, writes orders, reads notes, reads users, makes collections.
    for (scopes, expected) in [
        (&["records:read:orders"][..], [200, 403, 403, 403, 403]),
        (&["records:read:*"], [200, 403, 200, 403, 403]),
        (&["records:write:orders"], [403, 201, 403, 403, 403]),
        (&["users:read"], [403, 403, 403, 200, 403]),
        (&["functions:call:*"], [403, 403, 403, 403, 403]),
        (&["admin"], [200, 201, 200, 200, 201]),
    ] {
        let api = with_scopes(&server, scopes).await?;
        let found = [
            status(&api, Method::GET, orders, None).await?,
            status(&api, Method::POST, orders, record()).await?,
            status(&api, Method::GET, notes, None).await?,
            status(&api, Method::GET, "/api/admin/users", None).await?,
            status(&api, Method::POST, "/api/collections", new_collection()).await?,
        ];
        assert_eq!(found.map(|status| status.as_u16()), expected, "{scopes:?}");
        // It is nobody's user, and makes itself no successor.
        assert_eq!(status(&api, Method::GET, "/api/auth/me", None).await?, 403);
        assert_eq!(status(&api, Method::POST, "/api/auth/logout", None).await?, 403);
        assert_eq!(status(&api, Method::POST, "/api/auth/refresh", None).await?, 400);
        assert_eq!(status(&api, Method::POST, TOKENS, Some(json!({ "name": "a" }))).await?, 403);
        assert_eq!(status(&api, Method::GET, TOKENS, None).await?, 403);
    }
    let made = server.admin.get(orders).await?;
    assert_eq!(made["records"][0]["owner_id"], Value::Null, "a program owns nothing");
    server.stop().await
}

#[tokio::test]
async fn only_administrators_manage_tokens() -> Result<()> {
    let server = TestServer::start().await?;
    let ann = server.api.register("ann@example.com").await?;
    let (_, token) = make(&server, &json!({ "name": "ci" })).await?;
    let path = path_of(&token)?;
    for (api, expected) in [(&server.api, 401), (&ann, 403)] {
        let body = Some(json!({ "name": "a", "scopes": ["admin"] }));
        assert_eq!(status(api, Method::POST, TOKENS, body.clone()).await?, expected);
        assert_eq!(status(api, Method::GET, TOKENS, None).await?, expected);
        assert_eq!(status(api, Method::GET, &path, None).await?, expected);
        assert_eq!(status(api, Method::PATCH, &path, body).await?, expected);
        assert_eq!(status(api, Method::DELETE, &path, None).await?, expected);
    }
    server.stop().await
}

#[tokio::test]
async fn the_command_line_makes_lists_shows_and_revokes_tokens() -> Result<()> {
    let server = TestServer::start().await?;
    let cli = async |args: &[&str]| -> Result<(bool, String)> {
        let output = server.cli(&[&["admin", "token"], args].concat()).await?;
        let text = [output.stdout, output.stderr].concat();
        Ok((output.status.success(), String::from_utf8(text)?))
    };
    let (_, none) = cli(&["list"]).await?;
    assert!(none.contains("No application tokens."), "{none}");
    let args =
        ["create", "-n", "ci", "-d", "builds", "-e", "7", "--scope", "records:read:*", "--json"];
    let (done, made) = cli(&args).await?;
    assert!(done, "{made}");
    let made: Value = serde_json::from_str(&made)?;
    let secret = made["token_value"].as_str().context("no secret")?;
    let api = server.api.with_token(secret);
    assert_eq!(status(&api, Method::GET, "/api/collections", None).await?, 200);
    let id = made["token"]["id"].as_str().context("no id")?;
    for args in [&["list"][..], &["show", "-i", id]] {
        let (done, text) = cli(args).await?;
        assert!(done && text.contains("ci") && text.contains(id), "{text}");
        assert!(!text.contains(secret));
    }
    let (done, text) = cli(&["revoke", "--id", id]).await?;
    assert!(done && text.contains("✓ Revoked application token: ci"), "{text}");
    // Another process revoked it: the running server sees it soon.
    wait_for("the token is refused", Duration::from_secs(10), || async {
        let status = status(&api, Method::GET, "/api/collections", None).await.ok()?;
        (status == 401).then_some(())
    })
    .await;
    for args in [&["show", "-i", "nonsense"][..], &["create", "-n", "x", "--scope", "everything"]] {
        let (done, text) = cli(args).await?;
        assert!(!done, "{text}");
    }
    server.stop().await
}
