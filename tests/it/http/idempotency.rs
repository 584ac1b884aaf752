//! Requests that are sent again with their key: done once, answered twice.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use futures_util::future::join_all;
use reqwest::{Method, StatusCode, header::HeaderMap};
use serde_json::{Value, json};
use tinybase_tests::{Api, TestServer, Zoo, wait_for, wait_until};

const RECORDS: &str = "/api/collections/orders/records";

async fn server() -> Result<TestServer> {
    let server = TestServer::start().await?;
    server.admin.make_collection("orders", &["item"]).await?;
    Ok(server)
}

async fn post(
    api: &Api,
    path: &str,
    headers: &[(&str, &str)],
    body: &Value,
) -> Result<(StatusCode, HeaderMap, Value)> {
    let request = api.request(Method::POST, path).json(body);
    let request =
        headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    let response = request.send().await?;
    let (status, headers) = (response.status(), response.headers().clone());
    Ok((status, headers, response.json().await?))
}

async fn keyed(
    api: &Api,
    key: &str,
    path: &str,
    body: &Value,
) -> Result<(StatusCode, HeaderMap, Value)> {
    post(api, path, &[("idempotency-key", key)], body).await
}

fn is_replayed(headers: &HeaderMap) -> bool {
    headers.get("idempotent-replayed").is_some_and(|value| value == "true")
}

async fn count(api: &Api) -> Result<u64> {
    let answer = api.get(&format!("{RECORDS}/count")).await?;
    answer["count"].as_u64().context("a count")
}

#[tokio::test]
async fn the_same_request_is_done_once_and_answered_alike() -> Result<()> {
    let server = server().await?;
    let ann = server.api.register("ann@example.com").await?;
    let one = json!({ "data": { "item": "tea" } });
    let batch = json!({ "operations": [
        { "op": "create", "collection": "orders", "data": { "item": "a" } },
        { "op": "create", "collection": "orders", "data": { "item": "b" } },
    ]});
    let within = json!({ "operations": [{ "op": "create", "data": { "item": "c" } }] });
    let path = format!("{RECORDS}/batch");
    for (key, path, body, status) in
        [("1", RECORDS, &one, 201), ("2", "/api/batch", &batch, 200), ("3", &path, &within, 200)]
    {
        let (first, headers, answer) = keyed(&ann, key, path, body).await?;
        assert_eq!(first, status, "{answer}");
        ensure!(!is_replayed(&headers));
        let before = count(&ann).await?;
        let quoted = format!("\"{key}\"");
        for key in [key, quoted.as_str()] {
            let (again, replayed, same) = keyed(&ann, key, path, body).await?;
            assert_eq!((again, &same), (first, &answer));
            ensure!(is_replayed(&replayed), "{replayed:?}");
            for name in ["etag", "content-type"] {
                assert_eq!(replayed.get(name), headers.get(name), "{name}");
            }
        }
        assert_eq!(count(&ann).await?, before);
    }
    assert_eq!(count(&ann).await?, 4);
    // Without a key it is another one each time.
    ann.post(RECORDS, &one).await?;
    assert_eq!(count(&ann).await?, 5);
    server.stop().await
}

#[tokio::test]
async fn a_key_is_for_one_request_of_one_user() -> Result<()> {
    let server = server().await?;
    let (ann, bob) = (
        server.api.register("ann@example.com").await?,
        server.api.register("bob@example.com").await?,
    );
    let body = json!({ "data": { "item": "tea" } });
    let (_, _, record) = keyed(&ann, "k", RECORDS, &body).await?;
    // Another body, another path.
    let other = json!({ "data": { "item": "milk" } });
    let batch = json!({ "operations": [{ "op": "create", "data": { "item": "tea" } }] });
    for (path, body) in [(RECORDS, &other), (&format!("{RECORDS}/batch"), &batch)] {
        let (status, _, problem) = keyed(&ann, "k", path, body).await?;
        assert_eq!(status, 422, "{problem}");
        assert_eq!(problem["type"], "https://tinybase.dev/problems/key-reused");
    }
    // Somebody else's key of that name is another key, also a program's.
    let (status, headers, his) = keyed(&bob, "k", RECORDS, &body).await?;
    ensure!(status == 201 && !is_replayed(&headers) && his["id"] != record["id"], "{his}");
    let token = json!({ "name": "p", "scopes": ["records:write:*"] });
    let token = server.admin.post("/api/admin/application-tokens", &token).await?;
    let program = server.api.with_token(token["token_value"].as_str().context("a token")?);
    let (status, headers, _) = keyed(&program, "k", RECORDS, &body).await?;
    ensure!(status == 201 && !is_replayed(&headers));
    assert_eq!(count(&ann).await?, 3);
    // What can't be a key, or belongs to nobody.
    let long = "k".repeat(256);
    for (api, key, expected) in [
        (&ann, "", "invalid"),
        (&ann, "\"\"", "invalid"),
        (&ann, long.as_str(), "invalid"),
        (&server.api, "k", "invalid"),
    ] {
        let (status, _, problem) = keyed(api, key, RECORDS, &body).await?;
        assert_eq!(status, 400, "{key}: {problem}");
        ensure!(problem["type"].to_string().contains(expected), "{problem}");
    }
    let twice = [("idempotency-key", "a"), ("idempotency-key", "b")];
    assert_eq!(post(&ann, RECORDS, &twice, &body).await?.0, 400);
    assert_eq!(count(&ann).await?, 3);
    server.stop().await
}

#[tokio::test]
async fn what_was_refused_did_nothing_and_leaves_its_key_unused() -> Result<()> {
    let server = server().await?;
    let ann = server.api.register("ann@example.com").await?;
    let wrong = json!({ "data": { "item": 5 } });
    let body = json!({ "data": { "item": "tea" } });
    let path = "/api/collections/missing/records";
    assert_eq!(keyed(&ann, "k", path, &body).await?.0, 404);
    let rule = json!({ "options": { "access": { "create": "admin" } } });
    server.admin.patch("/api/collections/orders", &rule).await?;
    assert_eq!(keyed(&ann, "k", RECORDS, &body).await?.0, 403);
    let rule = json!({ "options": { "access": { "create": "auth" } } });
    server.admin.patch("/api/collections/orders", &rule).await?;
    let (status, _, problem) = keyed(&ann, "k", RECORDS, &wrong).await?;
    assert_eq!(status, 400, "{problem}");
    assert_eq!(problem["errors"][0]["field"], "/data/item", "as without a key");
    let (status, headers, _) = keyed(&ann, "k", RECORDS, &body).await?;
    ensure!(status == 201 && !is_replayed(&headers));
    server.stop().await
}

#[tokio::test]
async fn many_at_once_with_one_key_are_one() -> Result<()> {
    let server = server().await?;
    let ann = server.api.register("ann@example.com").await?;
    let body = json!({ "data": { "item": "tea" } });
    let answers = join_all((0..20).map(|_| keyed(&ann, "k", RECORDS, &body))).await;
    let mut ids = BTreeSet::new();
    for answer in answers {
        let (status, headers, answer) = answer?;
        match status.as_u16() {
            201 => drop(ids.insert(answer["id"].to_string())),
            409 => {
                assert_eq!(answer["type"], "https://tinybase.dev/problems/key-in-use");
                ensure!(headers.contains_key("retry-after"));
            }
            other => anyhow::bail!("{other}: {answer}"),
        }
    }
    assert_eq!((ids.len(), count(&ann).await?), (1, 1));
    server.stop().await
}

#[tokio::test]
async fn requests_that_a_crash_left_without_an_answer_are_done_once() -> Result<()> {
    const REQUESTS: usize = 60;
    let mut server = server().await?;
    let program = json!({ "name": "p", "scopes": ["records:read:*", "records:write:*"] });
    let token = server.admin.post("/api/admin/application-tokens", &program).await?;
    let token = token["token_value"].as_str().context("a token")?.to_owned();
    let body = |n: usize| json!({ "data": { "item": n.to_string() } });
    for round in 0..3 {
        let before = count(&server.admin).await?;
        let api = server.api.with_token(&token);
        let send = |api: Api| async move {
            let sent = (0..REQUESTS).map(|n| {
                let (api, key) = (api.clone(), format!("{round}-{n}"));
                async move { keyed(&api, &key, RECORDS, &body(n)).await }
            });
            join_all(sent).await
        };
        let admin = server.admin.clone();
        let (first, killed) = tokio::join!(send(api), async {
            wait_until("some are there", Duration::from_secs(30), || async {
                count(&admin).await.is_ok_and(|count| count > before)
            })
            .await;
            server.kill().await
        });
        killed?;
        server.start_again().await?;
        let answered = first.iter().flatten().count();
        let mut ids = BTreeSet::new();
        for (n, (first, again)) in
            first.into_iter().zip(send(server.api.with_token(&token)).await).enumerate()
        {
            let (status, headers, record) = again?;
            assert_eq!(status, 201, "{record}");
            if let Ok((_, _, told)) = first {
                ensure!(is_replayed(&headers), "it had been answered");
                assert_eq!(told, record);
            }
            assert_eq!(record["data"]["item"], n.to_string());
            ids.insert(record["id"].to_string());
        }
        assert_eq!(ids.len(), REQUESTS, "{answered} were answered before");
        assert_eq!(count(&server.admin).await?, before + REQUESTS as u64, "each once");
    }
    server.stop().await
}

#[tokio::test]
async fn a_call_of_a_function_is_made_once() -> Result<()> {
    let (server, zoo) = (TestServer::start().await?, Zoo::new()?);
    server.install(&zoo.extension("zoo", "good")?).await?;
    let ann = server.api.register("ann@example.com").await?;
    let (echo, fault) = ("/api/functions/zoo_echo", "/api/functions/zoo_fault");
    let wait = ("prefer", "respond-async");
    for (key, path, preference, status) in
        [("1", echo, None, 200), ("2", fault, None, 200), ("3", echo, Some(wait), 202)]
    {
        let headers: Vec<_> = [("idempotency-key", key)].into_iter().chain(preference).collect();
        let body = json!({ "n": 7 });
        let (first, told, answer) = post(&ann, path, &headers, &body).await?;
        assert_eq!(first, status, "{answer}");
        let (again, replayed, same) = post(&ann, path, &headers, &body).await?;
        assert_eq!((again, &same), (first, &answer));
        ensure!(is_replayed(&replayed) && !is_replayed(&told));
        assert_eq!(replayed.get("location"), told.get("location"));
        let (status, _, problem) = post(&ann, path, &headers, &json!({ "n": 8 })).await?;
        assert_eq!(status, 422, "{problem}");
    }
    let (status, _, problem) = keyed(&ann, "3", echo, &json!({ "n": 7 })).await?;
    assert_eq!(status, 422, "another preference is another request: {problem}");
    let calls = server.admin.get("/api/admin/functions/calls").await?;
    assert_eq!(calls["total"], 3, "{calls}");
    server.stop().await
}

#[tokio::test]
async fn a_call_goes_on_without_its_client_and_a_crash_ends_it_for_good() -> Result<()> {
    let (mut server, zoo) = (TestServer::start().await?, Zoo::new()?);
    server.install(&zoo.extension("zoo", "good")?).await?;
    let ann = server.api.register("ann@example.com").await?;
    let path = "/api/functions/zoo_sleep";
    let body = json!({});
    let mut calling = tokio::task::JoinSet::new();
    let (client, input) = (ann.clone(), body.clone());
    calling.spawn(async move { keyed(&client, "k", path, &input).await.map(drop) });
    let running = || async {
        let calls = server.admin.get("/api/admin/functions/calls?status=running").await.ok()?;
        (calls["total"] == 1).then(|| calls["calls"][0]["id"].clone())
    };
    let id = wait_for("it runs", Duration::from_secs(30), running).await;
    // The client goes away and asks again.
    calling.shutdown().await;
    let (status, headers, problem) = keyed(&ann, "k", path, &body).await?;
    assert_eq!(status, 409, "{problem}");
    ensure!(headers.contains_key("retry-after"));
    assert_eq!(running().await, Some(id.clone()));
    server.kill().await?;
    server.start_again().await?;
    let ann = server.api.login("ann@example.com", "a long enough password").await?;
    let answer = wait_for("the call has ended", Duration::from_secs(30), || async {
        let (status, headers, answer) = keyed(&ann, "k", path, &body).await.ok()?;
        (status == 200 && is_replayed(&headers)).then_some(answer)
    })
    .await;
    assert_eq!((&answer["call_id"], &answer["status"]), (&id, &json!("failed")));
    assert_eq!(answer["error_type"], "ServerRestarted", "{answer}");
    server.stop().await
}
