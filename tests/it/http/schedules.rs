//! Schedules over HTTP: the documented shapes, and runs that really happen.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tinybase_tests::{PostgresDatabase, TestServer, Zoo, wait_for};

const PATH: &str = "/api/admin/schedules";

/// A schedule that the manifest declares in full, and one that is never due.
const DECLARED: &str = "\n[[extension.schedules]]\nname = \"tick\"\nfunction = \"zoo_echo\"\n\
                        every = \"1s\"\ninput = { n = 7 }\n\n[[extension.schedules]]\n\
                        name = \"yearly\"\nfunction = \"zoo_echo\"\ncron = \"0 0 1 1 *\"\n\
                        timezone = \"Europe/Berlin\"\noverlap = \"queue\"\n";

async fn zoo(tables: &str) -> Result<(TestServer, Zoo)> {
    let (server, zoo) = (TestServer::start().await?, Zoo::new()?);
    server.install(&zoo.extension_with("zoo", "good", tables)?).await?;
    Ok((server, zoo))
}

fn interval(function: &str) -> Value {
    json!({
        "name": "often", "function_name": function, "input_data": { "n": 1 },
        "schedule": { "method": "interval", "unit": "seconds", "value": 1 },
    })
}

async fn runs(server: &TestServer, id: &str, status: &str, count: usize) -> Value {
    let what = format!("{count} runs are {status}");
    wait_for(&what, Duration::from_mins(1), || async {
        let page = server.admin.get(&format!("{PATH}/{id}/runs")).await.ok()?;
        let found = page["runs"].as_array()?.iter().filter(|run| run["status"] == status).count();
        (found >= count).then_some(page)
    })
    .await
}

#[tokio::test]
async fn a_schedule_runs_its_function_and_each_run_is_a_recorded_call() -> Result<()> {
    let (server, _zoo) = zoo("").await?;
    let (status, created) =
        server.admin.send(Method::POST, PATH, Some(&interval("zoo_echo"))).await?;
    assert_eq!(status, StatusCode::CREATED, "{created}");
    for (key, value) in [
        ("name", json!("often")),
        ("function_name", json!("zoo_echo")),
        ("input_data", json!({ "n": 1 })),
        ("is_active", json!(true)),
        ("last_run_at", Value::Null),
        ("state", json!("active")),
    ] {
        assert_eq!(created[key], value, "{key}");
    }
    let admin = server.admin.get("/api/auth/me").await?;
    assert_eq!(created["created_by_user_id"], admin["id"]);
    let id = created["id"].as_str().context("no id")?;
    let page = runs(&server, id, "succeeded", 2).await;
    let call = page["runs"]
        .as_array()
        .and_then(|runs| runs.iter().find(|run| run["status"] == "succeeded"))
        .and_then(|run| run["call_id"].as_str())
        .context("no call")?
        .to_owned();
    let call = server.admin.get(&format!("/api/admin/functions/calls/{call}")).await?;
    assert_eq!((&call["trigger_type"], &call["trigger_id"]), (&json!("schedule"), &json!(id)));
    assert!(call["requested_by_user_id"].is_null());
    let path = format!("/api/admin/functions/calls?trigger_type=schedule&trigger_id={id}");
    assert!(server.admin.get(&path).await?["total"].as_u64() >= Some(2));

    let path = format!("{PATH}/{id}");
    let paused = server.admin.patch(&path, &json!({ "is_active": false })).await?;
    assert!(paused["next_run_at"].is_null() && paused["state"] == "paused", "{paused}");
    let (status, _) = server.admin.send(Method::POST, &format!("{path}/run"), None).await?;
    assert_eq!(status, StatusCode::ACCEPTED, "a paused schedule runs when it is asked to");
    wait_for("the manual run", Duration::from_secs(30), || async {
        let page = server.admin.get(&format!("{path}/runs")).await.ok()?;
        let run = page["runs"].as_array()?.iter().find(|run| run["is_manual"] == true)?;
        (run["status"] == "succeeded").then_some(())
    })
    .await;
    let (status, _) = server.admin.send(Method::DELETE, &path, None).await?;
    assert_eq!(status, StatusCode::NO_CONTENT);
    let (status, _) = server.admin.send(Method::GET, &path, None).await?;
    assert_eq!(status, StatusCode::NOT_FOUND);
    server.stop().await
}

#[tokio::test]
async fn what_cannot_be_a_schedule_is_refused_and_says_what_is_wrong() -> Result<()> {
    let (server, _zoo) = zoo("").await?;
    let with =
        |schedule: Value| json!({ "name": "x", "function_name": "zoo_echo", "schedule": schedule });
    for (body, status, words) in [
        (interval("nobody"), 400, "Function 'nobody' not found"),
        (with(json!({ "method": "cron", "cron": "99 * * * *" })), 400, "99 * * * *"),
        (
            with(json!({ "method": "cron", "cron": "* * * * *", "timezone": "Mars/Base" })),
            400,
            "Mars/Base",
        ),
        (with(json!({ "method": "cron", "cron": "* * * * *", "zone": "UTC" })), 400, "zone"),
        (
            with(json!({ "method": "once", "date": "2020-02-29", "time": "12:00:00" })),
            400,
            "in the past",
        ),
        (with(json!({ "method": "interval", "unit": "seconds", "value": 0 })), 400, "at least 1"),
        (with(json!({})), 400, "method"),
        (json!({ "function_name": "zoo_echo", "schedule": {} }), 422, "name"),
        (json!({ "name": "", "function_name": "zoo_echo", "schedule": {} }), 422, "characters"),
    ] {
        let (got, answer) = server.admin.send(Method::POST, PATH, Some(&body)).await?;
        assert_eq!(got.as_u16(), status, "{body}: {answer}");
        let detail = answer["detail"].as_str().context("no detail")?;
        assert!(detail.contains(words), "{detail}");
    }
    let ann = server.api.register("ann@example.com").await?;
    for (api, expected) in [(&server.api, 401), (&ann, 403)] {
        for (method, path) in [(Method::GET, PATH.to_owned()), (Method::POST, PATH.to_owned())] {
            let body = interval("zoo_echo");
            let body = (method == Method::POST).then_some(&body);
            let (status, _) = api.send(method, &path, body).await?;
            assert_eq!(status.as_u16(), expected, "{path}");
        }
    }
    server.stop().await
}

#[tokio::test]
async fn schedules_are_listed_by_filter_and_previewed() -> Result<()> {
    let (server, _zoo) = zoo("").await?;
    let yearly = json!({
        "name": "yearly", "function_name": "zoo_echo", "is_active": false,
        "schedule": { "method": "cron", "cron": "30 2 * * *", "timezone": "Europe/Berlin" },
    });
    let created = server.admin.post(PATH, &yearly).await?;
    let list = async |query: &str| server.admin.get(&format!("{PATH}?{query}")).await;
    for (query, total) in [
        ("", 1),
        ("function_name=zoo_echo", 1),
        ("function_name=other", 0),
        ("is_active=false", 1),
        ("is_active=true", 0),
    ] {
        let page = list(query).await?;
        assert_eq!(page["total"], total, "{query}");
        assert_eq!((&page["limit"], &page["offset"]), (&json!(100), &json!(0)));
    }
    let body = json!({ "schedule": created["schedule"], "count": 3 });
    let preview = server.admin.post(&format!("{PATH}/preview"), &body).await?;
    assert_eq!(preview["next_runs"].as_array().map(Vec::len), Some(3));
    let id = created["id"].as_str().context("no id")?;
    let shown = server.admin.get(&format!("{PATH}/{id}")).await?;
    assert_eq!(shown["next_runs"], json!([]), "it is paused");
    server.stop().await
}

#[tokio::test]
async fn a_manifest_s_schedules_run_and_go_with_their_extension() -> Result<()> {
    let (server, _zoo) = zoo(DECLARED).await?;
    let page = wait_for("the schedules are there", Duration::from_secs(30), || async {
        let page = server.admin.get(&format!("{PATH}?extension=zoo")).await.ok()?;
        (page["total"] == 2).then_some(page)
    })
    .await;
    let find = |name: &str| {
        let all = page["schedules"].as_array();
        all.and_then(|all| all.iter().find(|schedule| schedule["name"] == name)).cloned()
    };
    let yearly = find("yearly").context("not declared")?;
    assert_eq!((&yearly["extension"], &yearly["overlap"]), (&json!("zoo"), &json!("queue")));
    assert_eq!(yearly["schedule"]["timezone"], "Europe/Berlin");
    let tick = find("tick").context("not declared")?;
    let id = tick["id"].as_str().context("no id")?;
    runs(&server, id, "succeeded", 1).await;
    let path = format!("{PATH}/{id}");
    let (status, body) =
        server.admin.send(Method::PATCH, &path, Some(&json!({ "name": "mine" }))).await?;
    assert_eq!(status, StatusCode::CONFLICT, "{body}");
    server.admin.patch(&path, &json!({ "is_active": false })).await?;
    server.cli(&["extensions", "disable", "zoo"]).await?;
    wait_for("the schedules are gone", Duration::from_secs(30), || async {
        let page = server.admin.get(PATH).await.ok()?;
        (page["total"] == 0).then_some(())
    })
    .await;
    server.stop().await
}

/// Needs PostgreSQL, on which several servers may work; without one there is nothing to show.
#[tokio::test]
async fn two_servers_on_one_database_run_each_tick_once() -> Result<()> {
    let Some(database) = PostgresDatabase::create()? else { return Ok(()) };
    let url = database.url();
    let environment = [("TINYBASE_DB_URL", url.as_str())];
    let one = TestServer::start_with(&environment).await?;
    let two = TestServer::start_with(&environment).await?;
    let zoo = Zoo::new()?;
    let source = zoo.extension("zoo", "good")?;
    one.install(&source).await?;
    two.install(&source).await?;
    let created = one.admin.post(PATH, &interval("zoo_echo")).await?;
    let id = created["id"].as_str().context("no id")?;
    let page = runs(&one, id, "succeeded", 6).await;
    let started: Vec<_> = page["runs"]
        .as_array()
        .context("no runs")?
        .iter()
        .filter(|run| run["status"] == "succeeded" || run["status"] == "running")
        .collect();
    let ticks: BTreeSet<_> = started.iter().map(|run| run["scheduled_for"].to_string()).collect();
    assert_eq!(ticks.len(), started.len(), "a tick has one row: {page}");
    let path = format!("/api/admin/functions/calls?trigger_id={id}&limit=1000");
    let calls = two.admin.get(&path).await?["total"].as_u64().context("no total")?;
    let again = one.admin.get(&format!("{PATH}/{id}/runs")).await?;
    let begun = again["runs"]
        .as_array()
        .context("no runs")?
        .iter()
        .filter(|run| !run["call_id"].is_null())
        .count();
    assert!(calls >= started.len() as u64, "each run is a call");
    assert!(calls <= begun as u64, "no call without a tick of its own: {again}");
    two.stop().await?;
    one.stop().await
}
