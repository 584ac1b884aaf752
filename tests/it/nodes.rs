//! Two servers on one PostgreSQL database: what one does holds on the other, what one leaves undone the
//! other does.

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use reqwest::Method;
use serde_json::{Value, json};
use tinybase_tests::{Api, PostgresDatabase, TestServer, Zoo, wait_for, wait_until};

/// Five seconds are promised; the rest is for a machine that does other things as well.
const SOON: Duration = Duration::from_secs(15);
const PATIENCE: Duration = Duration::from_mins(1);
const PASSWORD: &str = "a long enough password";

async fn status(api: &Api, method: Method, path: &str) -> Result<u16> {
    Ok(api.send(method, path, None).await?.0.as_u16())
}

/// Waits until a request is answered so.
async fn becomes(what: &str, api: &Api, path: &str, expected: u16) {
    wait_until(what, SOON, || async {
        status(api, Method::GET, path).await.is_ok_and(|status| status == expected)
    })
    .await;
}

/// The access token of a new login.
async fn token(api: &Api, email: &str, password: &str) -> Result<String> {
    let login = json!({ "email": email, "password": password });
    let login = api.post("/api/auth/login", &login).await?;
    Ok(login["access_token"].as_str().context("a token")?.to_owned())
}

async fn pair(database: &PostgresDatabase) -> Result<(TestServer, TestServer)> {
    let url = database.url();
    let environment = [("TINYBASE_DB_URL", url.as_str())];
    let one = TestServer::start_with(&environment).await?;
    Ok((one, TestServer::start_with(&environment).await?))
}

/// (I3, I8)
#[tokio::test]
async fn what_one_server_revokes_holds_on_the_other() -> Result<()> {
    let Some(database) = PostgresDatabase::create()? else { return Ok(()) };
    let (one, two) = pair(&database).await?;
    let (me, users) = ("/api/auth/me", "/api/admin/users");
    let mut ids = HashMap::new();
    for name in ["ann", "bob", "cleo"] {
        let email = format!("{name}@example.com");
        let user = json!({ "email": email, "password": PASSWORD, "is_admin": name != "ann" });
        let user = one.admin.post(users, &user).await?;
        ids.insert(name, user["id"].as_str().context("an id")?.to_owned());
    }
    let ann = token(&one.api, "ann@example.com", PASSWORD).await?;
    let bob = token(&one.api, "bob@example.com", PASSWORD).await?;
    let cleo = token(&one.api, "cleo@example.com", PASSWORD).await?;
    let program = json!({ "name": "program" });
    let program = one.admin.post("/api/admin/application-tokens", &program).await?;
    let key = program["token_value"].as_str().context("a token")?.to_owned();

    // The other one knows them all.
    let at = |token: &str| two.api.with_token(token);
    for user in [&ann, &bob, &cleo] {
        assert_eq!(status(&at(user), Method::GET, me).await?, 200);
    }
    assert_eq!(status(&at(&bob), Method::GET, users).await?, 200);
    assert_ne!(status(&at(&key), Method::GET, "/api/collections").await?, 401);

    one.api.with_token(&ann).send(Method::POST, "/api/auth/logout", None).await?;
    let demoted = json!({ "is_admin": false });
    one.admin.patch(&format!("{users}/{}", ids["bob"]), &demoted).await?;
    let change = json!({ "current_password": PASSWORD, "new_password": "another password" });
    let elsewhere = one.api.login("cleo@example.com", PASSWORD).await?;
    elsewhere.post("/api/auth/password", &change).await?;
    let id = program["token"]["id"].as_str().context("an id")?;
    one.admin.delete(&format!("/api/admin/application-tokens/{id}")).await?;

    becomes("a logout", &at(&ann), me, 401).await;
    becomes("a right that was taken away", &at(&bob), users, 403).await;
    becomes("a changed password", &at(&cleo), me, 401).await;
    becomes("a deleted application token", &at(&key), "/api/collections", 401).await;
    ensure!(two.api.login("cleo@example.com", PASSWORD).await.is_err(), "the old password");
    two.api.login("cleo@example.com", "another password").await?;
    one.stop().await?;
    two.stop().await
}

/// (I8)
#[tokio::test]
async fn a_rule_and_a_schema_that_one_server_changes_hold_on_the_other() -> Result<()> {
    let Some(database) = PostgresDatabase::create()? else { return Ok(()) };
    let (one, two) = pair(&database).await?;
    let records = "/api/collections/notes/records";
    let with_rule = |rule: &str| json!({ "options": { "access": { "list": rule } } });
    one.admin.make_collection("notes", &["s"]).await?;
    one.admin.patch("/api/collections/notes", &with_rule("public")).await?;
    becomes("a new collection", &two.api, records, 200).await;
    for (rule, expected) in [("admin", 403), ("public", 200), ("auth", 403)] {
        one.admin.patch("/api/collections/notes", &with_rule(rule)).await?;
        becomes(rule, &two.api, records, expected).await;
    }
    // What refers to it is known as well: its records can't go any more.
    let note = two.admin.post(records, &json!({ "data": { "s": "x" } })).await?;
    let note = note["id"].as_str().context("an id")?;
    let field = json!({ "name": "note", "type": "reference", "collection": "notes",
                        "on_delete": "restrict" });
    let links = json!({ "name": "links", "label": "Links", "schema": { "fields": [field] } });
    one.admin.post("/api/collections", &links).await?;
    let link = json!({ "data": { "note": note } });
    one.admin.post("/api/collections/links/records", &link).await?;
    let (refused, problem) =
        two.admin.send(Method::DELETE, &format!("{records}/{note}"), None).await?;
    assert!(refused.is_client_error(), "{refused} {problem}");
    one.admin.delete("/api/collections/links").await?;
    one.admin.delete("/api/collections/notes").await?;
    becomes("a collection that is gone", &two.admin, records, 404).await;
    one.stop().await?;
    two.stop().await
}

/// The records that a witness saw, each as often as it did.
fn seen(path: &Path) -> HashMap<String, u32> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let mut seen = HashMap::new();
    for id in text.lines().filter_map(|line| line.split(' ').nth(1)) {
        *seen.entry(id.to_owned()).or_default() += 1;
    }
    seen
}

async fn write(api: &Api, count: usize) -> Result<Vec<String>> {
    let mut ids = Vec::new();
    for _ in 0..count {
        let body = json!({ "data": { "email": "a@b.c" } });
        let created = api.post("/api/collections/orders/records", &body).await?;
        ids.push(created["id"].as_str().context("an id")?.to_owned());
    }
    Ok(ids)
}

#[tokio::test]
async fn events_are_delivered_by_one_server_and_taken_over_when_it_is_killed() -> Result<()> {
    let Some(database) = PostgresDatabase::create()? else { return Ok(()) };
    let (url, folder, zoo) = (database.url(), tempfile::tempdir()?, Zoo::new()?);
    let source = zoo.extension("witness", "good")?;
    let outs = ["one", "two"].map(|name| folder.path().join(name));
    let mut servers = Vec::new();
    for out in &outs {
        let out = out.display().to_string();
        let environment = [("TINYBASE_DB_URL", url.as_str()), ("ZOO_OUT", &out)];
        let server = TestServer::start_with(&environment).await?;
        if servers.is_empty() {
            server.admin.make_collection("orders", &["email"]).await?;
        }
        server.install(&source).await?;
        servers.push(server);
    }
    let mut ids = Vec::new();
    for server in &servers {
        ids.extend(write(&server.admin, 40).await?);
    }
    let all = || {
        let mut all = seen(&outs[0]);
        for (id, count) in seen(&outs[1]) {
            *all.entry(id).or_default() += count;
        }
        all
    };
    wait_until("every event is delivered", PATIENCE, || async {
        let all = all();
        ids.iter().all(|id| all.contains_key(id))
    })
    .await;
    let twice: Vec<_> = all().into_iter().filter(|(_, count)| *count > 1).collect();
    ensure!(twice.is_empty(), "delivered more than once: {twice:?}");
    let holders: Vec<_> = (0..2).filter(|index| !seen(&outs[*index]).is_empty()).collect();
    ensure!(holders.len() == 1, "one subscription has one holder at a time: {holders:?}");

    let mut dead = servers.remove(holders[0]);
    let (survivor, out) = (servers.remove(0), &outs[1 - holders[0]]);
    dead.kill().await?;
    let after = write(&survivor.admin, 40).await?;
    wait_until("the other one takes over", PATIENCE, || async {
        let seen = seen(out);
        after.iter().all(|id| seen.contains_key(id))
    })
    .await;
    survivor.stop().await
}

async fn start(api: &Api, function: &str) -> Result<String> {
    let path = format!("/api/functions/{function}");
    let request = api.request(Method::POST, &path).header("prefer", "respond-async");
    let body: Value = request.json(&json!({})).send().await?.json().await?;
    Ok(body["call_id"].as_str().with_context(|| body.to_string())?.to_owned())
}

#[tokio::test]
async fn a_server_that_starts_ends_only_the_calls_that_it_left_open_itself() -> Result<()> {
    let Some(database) = PostgresDatabase::create()? else { return Ok(()) };
    let ((one, mut two), zoo) = (pair(&database).await?, Zoo::new()?);
    let source = zoo.extension("zoo", "good")?;
    one.install(&source).await?;
    two.install(&source).await?;
    let (running, left_open) =
        (start(&one.admin, "zoo_sleep").await?, start(&two.admin, "zoo_sleep").await?);
    two.kill().await?;
    two.start_again().await?;
    let call = |id: &str| format!("/api/admin/functions/calls/{id}");
    let ended = wait_for("the call that was left open is ended", PATIENCE, || async {
        let call = two.admin.get(&call(&left_open)).await.ok()?;
        (call["status"] != "running").then_some(call)
    })
    .await;
    assert_eq!(ended["error_type"], "ServerRestarted", "{ended}");
    let other = two.admin.get(&call(&running)).await?;
    assert_eq!(other["status"], "running", "{other}");
    let path = format!("/api/functions/calls/{running}/cancel");
    one.admin.send(Method::POST, &path, None).await?;
    wait_until("the other call ends as it should", PATIENCE, || async {
        let call = two.admin.get(&call(&running)).await;
        call.is_ok_and(|call| call["error_type"] == "Cancelled")
    })
    .await;
    one.stop().await?;
    two.stop().await
}
