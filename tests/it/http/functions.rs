//! Functions over HTTP: lists, limits, asynchronous calls and their records.

use std::time::Duration;

use anyhow::{Context, Result};
use reqwest::header::HeaderMap;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tinybase_tests::{Api, TestServer, Zoo, wait_for};

/// Limits of the zoo's functions, as its manifest sets them.
const LIMITS: &str = "\n[[extension.functions]]\nname = \"zoo_sleep\"\ntimeout = \"5m\"\n\
                      concurrency = 2\n";

async fn zoo() -> Result<(TestServer, Zoo)> {
    let (server, zoo) = (TestServer::start().await?, Zoo::new()?);
    server.install(&zoo.extension_with("zoo", "good", LIMITS)?).await?;
    Ok((server, zoo))
}

/// Calls a function, with a preference if there is one.
async fn call(
    api: &Api,
    function: &str,
    prefer: Option<&str>,
) -> Result<(StatusCode, HeaderMap, Value)> {
    let request = api.request(Method::POST, &format!("/api/functions/{function}"));
    let request =
        prefer.into_iter().fold(request, |request, words| request.header("prefer", words));
    let answer = request.json(&json!({})).send().await?;
    Ok((answer.status(), answer.headers().clone(), answer.json().await?))
}

/// Calls without waiting, and gives the call's id.
async fn start(api: &Api, function: &str) -> Result<String> {
    let (status, headers, body) = call(api, function, Some("respond-async")).await?;
    assert_eq!(status, StatusCode::ACCEPTED, "{body}");
    assert_eq!(headers["preference-applied"], "respond-async");
    let id = body["call_id"].as_str().context("no id")?.to_owned();
    assert_eq!(headers["location"], format!("/api/functions/calls/{id}"));
    assert_eq!(body["status"], "running");
    Ok(id)
}

async fn ended(api: &Api, id: &str) -> Value {
    let path = format!("/api/functions/calls/{id}/result");
    wait_for("the call ends", Duration::from_secs(30), || async {
        let (status, body) = api.send(Method::GET, &path, None).await.ok()?;
        (status == StatusCode::OK).then_some(body)
    })
    .await
}

#[tokio::test]
async fn functions_are_listed_with_schemas_and_details() -> Result<()> {
    let (server, _zoo) = zoo().await?;
    let listed = server.api.get("/api/functions?include=schemas&extension=zoo").await?;
    let listed = listed.as_array().context("a bare array")?;
    let echo = listed.iter().find(|function| function["name"] == "zoo_echo").context("no echo")?;
    assert_eq!(echo["schemas"]["input"]["type"], "object");
    assert!(echo["schemas"]["output"].is_null());
    let plain = server.api.get("/api/functions").await?;
    assert!(plain[0].get("schemas").is_none(), "{plain}");
    assert_eq!(server.api.get("/api/functions?tag=nothing").await?, json!([]));
    for (bad, expected) in [("include=everything", 422), ("colour=red", 400)] {
        let path = format!("/api/functions?{bad}");
        let (status, body) = server.api.send(Method::GET, &path, None).await?;
        assert_eq!(status.as_u16(), expected, "{bad}: {body}");
    }
    let (status, _) = server.api.send(Method::GET, "/api/functions/admin/list", None).await?;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    let details = server.admin.get("/api/functions/admin/list").await?;
    let details = details.as_array().context("an array")?;
    let sleep = details.iter().find(|f| f["name"] == "zoo_sleep").context("no sleep")?;
    assert_eq!(sleep["module"], "zoo");
    assert_eq!(sleep["version"], "1.0.0");
    assert_eq!(sleep["timeout_ms"], 300_000, "the manifest's limit holds");
    assert_eq!(sleep["concurrency"], 2);
    assert_eq!(sleep["is_async"], false);
    assert!(sleep["last_loaded_at"].is_string() && sleep["has_input_model"] == true, "{sleep}");
    server.stop().await
}

#[tokio::test]
async fn an_asynchronous_call_is_asked_for_its_result_by_its_caller_alone() -> Result<()> {
    let (server, _zoo) = zoo().await?;
    let ann = server.api.register("ann@example.com").await?;
    let bob = server.api.register("bob@example.com").await?;
    let id = start(&ann, "zoo_echo").await?;
    let outcome = ended(&ann, &id).await;
    assert_eq!((&outcome["status"], &outcome["result"]), (&json!("succeeded"), &json!({})));
    let shown = ann.get(&format!("/api/functions/calls/{id}")).await?;
    assert_eq!((&shown["is_async"], &shown["extension"]), (&json!(true), &json!("zoo")));
    for part in ["", "/result"] {
        let path = format!("/api/functions/calls/{id}{part}");
        let (status, _) = bob.send(Method::GET, &path, None).await?;
        assert_eq!(status, StatusCode::NOT_FOUND, "{path}");
        let (status, _) = server.api.send(Method::GET, &path, None).await?;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{path}");
        server.admin.get(&path).await?;
    }
    let cancel = format!("/api/functions/calls/{id}/cancel");
    let (status, body) = ann.send(Method::POST, &cancel, None).await?;
    assert_eq!(status, StatusCode::CONFLICT, "it has ended: {body}");
    // Nobody could ask for the result of an anonymous call, so it is answered in full.
    let (status, headers, _) = call(&server.api, "zoo_echo", Some("respond-async")).await?;
    assert_eq!(status, StatusCode::OK);
    assert!(!headers.contains_key("preference-applied"));
    server.stop().await
}

#[tokio::test]
async fn a_call_can_be_cancelled_and_the_function_s_limit_is_kept() -> Result<()> {
    let (server, _zoo) = zoo().await?;
    let ann = server.api.register("ann@example.com").await?;
    let (first, second) = (start(&ann, "zoo_sleep").await?, start(&ann, "zoo_sleep").await?);
    let (status, headers, body) = call(&ann, "zoo_sleep", None).await?;
    assert_eq!(status, StatusCode::TOO_MANY_REQUESTS, "{body}");
    assert!(headers.contains_key("retry-after"));
    let path = format!("/api/functions/calls/{first}");
    let (status, _) = ann.send(Method::GET, &format!("{path}/result"), None).await?;
    assert_eq!(status, StatusCode::ACCEPTED);
    let (status, _) = ann.send(Method::POST, &format!("{path}/cancel"), None).await?;
    assert_eq!(status, StatusCode::ACCEPTED);
    let outcome = ended(&ann, &first).await;
    assert_eq!(
        (&outcome["status"], &outcome["error_type"]),
        (&json!("failed"), &json!("Cancelled"))
    );
    let (status, _) =
        server.admin.send(Method::DELETE, &format!("/api/functions/calls/{second}"), None).await?;
    assert_eq!(status, StatusCode::ACCEPTED, "administrators may end any call");
    assert_eq!(ended(&ann, &second).await["error_type"], "Cancelled");
    let third = start(&ann, "zoo_sleep").await?;
    ann.send(Method::DELETE, &format!("/api/functions/calls/{third}"), None).await?;
    server.stop().await
}

#[tokio::test]
async fn an_accepted_call_survives_a_crash_as_a_failure() -> Result<()> {
    let (mut server, _zoo) = zoo().await?;
    let id = start(&server.admin, "zoo_sleep").await?;
    server.kill().await?;
    server.start_again().await?;
    let outcome = ended(&server.admin, &id).await;
    assert_eq!(outcome["error_type"], "ServerRestarted", "{outcome}");
    server.stop().await
}

#[tokio::test]
async fn calls_are_listed_by_every_filter() -> Result<()> {
    let (server, _zoo) = zoo().await?;
    server.api.post("/api/functions/zoo_echo", &json!({ "n": 1 })).await?;
    server.api.post("/api/functions/zoo_fault", &json!({})).await?;
    let list =
        async |query: &str| server.admin.get(&format!("/api/admin/functions/calls?{query}")).await;
    for (query, total) in [
        ("", 2),
        ("function_name=zoo_echo", 1),
        ("status=failed", 1),
        ("trigger_type=manual", 2),
        ("trigger_type=schedule", 0),
        ("extension=zoo&limit=1", 2),
        ("extension=other", 0),
    ] {
        let page = list(query).await?;
        assert_eq!(page["total"], total, "{query}: {page}");
    }
    let page = list("status=succeeded").await?;
    assert_eq!(page["calls"][0]["version"], "1.0.0");
    for bad in ["status=done", "limit=0", "limit=1001", "trigger_id=x"] {
        let path = format!("/api/admin/functions/calls?{bad}");
        let (status, _) = server.admin.send(Method::GET, &path, None).await?;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{bad}");
    }
    let unknown = "/api/admin/functions/calls?colour=red";
    let (status, _) = server.admin.send(Method::GET, unknown, None).await?;
    assert_eq!(
        status,
        StatusCode::BAD_REQUEST,
        "unknown parameters are no question of their values"
    );
    let metrics = server.admin.get("/api/admin/functions/metrics?hours=1").await?;
    assert_eq!(metrics["functions"]["zoo_fault"]["failed"], 1);
    server.stop().await
}

#[tokio::test]
async fn an_input_over_the_limit_is_refused_with_the_limit_and_one_at_it_is_not() -> Result<()> {
    let (server, _zoo) = zoo().await?;
    // With the quotes, the key and the braces.
    let input = |bytes: usize| json!({ "x": "y".repeat(bytes - r#"{"x":""}"#.len()) });
    let (status, body) =
        server.api.send(Method::POST, "/api/functions/zoo_echo", Some(&input(1 << 20))).await?;
    assert_eq!((status, &body["status"]), (StatusCode::OK, &json!("succeeded")));
    let (status, body) = server
        .api
        .send(Method::POST, "/api/functions/zoo_echo", Some(&input((1 << 20) + 1)))
        .await?;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE, "{body}");
    let detail = body["detail"].as_str().context("a detail")?;
    assert!(detail.contains("1048577") && detail.contains("1048576"), "{detail}");
    server.stop().await
}

/// (E11)
#[tokio::test]
async fn a_client_that_goes_away_ends_its_call() -> Result<()> {
    let (server, _zoo) = zoo().await?;
    let request = server.api.request(Method::POST, "/api/functions/zoo_sleep").json(&json!({}));
    let gone = request.timeout(Duration::from_millis(500)).send().await;
    assert!(gone.is_err_and(|error| error.is_timeout()), "the function never answers");
    let call = wait_for("the call ends", Duration::from_secs(30), || async {
        let page = server.admin.get("/api/admin/functions/calls?status=failed").await.ok()?;
        page["calls"].get(0).cloned()
    })
    .await;
    assert_eq!(call["error_type"], "ClientGone", "{call}");
    // Its place among those that may run is free again.
    let ann = server.api.register("ann@example.com").await?;
    for id in [start(&ann, "zoo_sleep").await?, start(&ann, "zoo_sleep").await?] {
        ann.send(Method::DELETE, &format!("/api/functions/calls/{id}"), None).await?;
    }
    server.stop().await
}
