//! So many requests a minute, and no more.

use anyhow::{Context, Result};
use reqwest::header::HeaderMap;
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use tinybase_tests::TestServer;

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Value,
}

impl Answer {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

async fn post(server: &TestServer, path: &str, forwarded_for: &str) -> Result<Answer> {
    let body = json!({
        "email": "nobody@example.com", "password": "a long password", "token": "nonsense",
        "current_password": "a long password", "new_password": "a long password",
    });
    let sent = Client::new()
        .post(format!("{}{path}", server.api.base))
        .header("x-forwarded-for", forwarded_for)
        .json(&body)
        .send()
        .await?;
    let (status, headers) = (sent.status(), sent.headers().clone());
    Ok(Answer { status, headers, body: sent.json().await? })
}

#[tokio::test]
async fn each_route_has_its_limit_and_says_how_it_stands() -> Result<()> {
    let variables = [
        ("TINYBASE_RATE_LIMIT_ENABLED", "true"),
        ("TINYBASE_RATE_LIMIT_LOGIN", "3"),
        ("TINYBASE_RATE_LIMIT_RESET_CONFIRM", "2"),
    ];
    let server = TestServer::start_with(&variables).await?;
    // One login was that of the test's own administrator.
    for left in ["1", "0"] {
        let answer = post(&server, "/api/auth/login", "").await?;
        assert_eq!(answer.status, 401);
        assert_eq!(answer.header("x-ratelimit-limit"), "3");
        assert_eq!(answer.header("x-ratelimit-remaining"), left);
        assert!(answer.header("x-ratelimit-reset").parse::<i64>()? > 1_700_000_000);
        assert!(answer.header("ratelimit").starts_with(&format!("\"login\";r={left};t=")));
    }
    let refused = post(&server, "/api/auth/login", "").await?;
    assert_eq!(refused.status, 429);
    assert_eq!(refused.body["detail"], "Rate limit exceeded: 3 per 1 minute");
    assert_eq!(refused.body["type"], "https://tinybase.dev/problems/rate-limited");
    assert!(refused.body["request_id"].is_string());
    let wait: u64 = refused.header("retry-after").parse().context("a number")?;
    assert!((1..=20).contains(&wait), "{wait}");
    assert_eq!(refused.header("x-ratelimit-remaining"), "0");
    // (E12) Nobody gets another budget by naming another address.
    assert_eq!(post(&server, "/api/auth/login", "9.9.9.9").await?.status, 429);
    for expected in [400, 400, 429] {
        let answer = post(&server, "/api/auth/password-reset/confirm", "").await?;
        assert_eq!(answer.status, expected);
    }
    assert!(server.admin.get("/api/auth/me").await.is_ok(), "other routes go on");
    server.stop().await
}

#[tokio::test]
async fn behind_a_trusted_proxy_each_client_has_its_own_budget() -> Result<()> {
    let variables = [
        ("TINYBASE_RATE_LIMIT_ENABLED", "true"),
        ("TINYBASE_RATE_LIMIT_LOGIN", "1"),
        ("TINYBASE_SERVER_TRUSTED_PROXIES", "127.0.0.0/8, 10.0.0.0/8"),
    ];
    let server = TestServer::start_with(&variables).await?;
    assert_eq!(post(&server, "/api/auth/login", "1.2.3.4").await?.status, 401);
    assert_eq!(post(&server, "/api/auth/login", "1.2.3.4").await?.status, 429);
    assert_eq!(post(&server, "/api/auth/login", "6.6.6.6, 1.2.3.4, 10.0.0.7").await?.status, 429);
    assert_eq!(post(&server, "/api/auth/login", "5.6.7.8").await?.status, 401);
    server.stop().await
}

#[tokio::test]
async fn everything_can_be_limited_for_each_user_and_each_address() -> Result<()> {
    let variables = [
        ("TINYBASE_RATE_LIMIT_ENABLED", "true"),
        ("TINYBASE_RATE_LIMIT_PER_IDENTITY", "3"),
        ("TINYBASE_RATE_LIMIT_PER_ADDRESS", "50"),
    ];
    let server = TestServer::start_with(&variables).await?;
    let ann = server.api.register("ann@example.com").await?;
    let mut statuses = Vec::new();
    for _ in 0..4 {
        statuses.push(ann.send(reqwest::Method::GET, "/api/auth/me", None).await?.0.as_u16());
    }
    assert_eq!(statuses, [200, 200, 200, 429]);
    assert!(server.admin.get("/api/auth/me").await.is_ok(), "somebody else's are apart");
    assert!(server.api.get("/api/collections").await.is_ok(), "and the address's too");
    server.stop().await
}
