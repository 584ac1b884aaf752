//! Tokens whose time is over (I3).

use std::time::Duration;

use anyhow::{Context as _, Result};
use reqwest::Method;
use serde_json::{Value, json};
use tinybase_tests::{Api, TestServer, wait_until};

const PATIENCE: Duration = Duration::from_secs(30);

async fn status(api: &Api, method: Method, path: &str) -> Result<u16> {
    Ok(api.send(method, path, None).await?.0.as_u16())
}

async fn wait_until_refused(api: &Api, method: Method, path: &str) {
    wait_until("the token's time is over", PATIENCE, || async {
        status(api, method.clone(), path).await.is_ok_and(|status| status == 401)
    })
    .await;
}

fn with(api: &Api, login: &Value, token: &str) -> Result<Api> {
    Ok(api.with_token(login[token].as_str().context("a token")?))
}

#[tokio::test]
async fn an_access_token_ends_by_itself_and_a_refresh_gives_another() -> Result<()> {
    let server = TestServer::start_with(&[("TINYBASE_AUTH_ACCESS_TOKEN_TTL", "2s")]).await?;
    let login = json!({ "email": "admin@example.com", "password": "correct horse battery" });
    let login = server.api.post("/api/auth/login", &login).await?;
    let access = with(&server.api, &login, "access_token")?;
    wait_until_refused(&access, Method::GET, "/api/auth/me").await;
    let (answered, problem) = access.send(Method::GET, "/api/collections", None).await?;
    assert_eq!(answered, 401, "a route for everybody isn't one for a token that is over");
    assert_eq!(problem["type"], "https://tinybase.dev/problems/unauthenticated");
    let refresh = with(&server.api, &login, "refresh_token")?;
    let (answered, again) = refresh.send(Method::POST, "/api/auth/refresh", None).await?;
    assert_eq!(answered, 200, "{again}");
    let access = with(&server.api, &again, "access_token")?;
    wait_until_refused(&access, Method::GET, "/api/auth/me").await;
    server.stop().await
}

#[tokio::test]
async fn a_refresh_token_ends_by_itself() -> Result<()> {
    let lifetimes =
        [("TINYBASE_AUTH_ACCESS_TOKEN_TTL", "1s"), ("TINYBASE_AUTH_REFRESH_TOKEN_TTL", "1s")];
    let server = TestServer::start_with(&lifetimes).await?;
    let login = json!({ "email": "admin@example.com", "password": "correct horse battery" });
    let login = server.api.post("/api/auth/login", &login).await?;
    let access = with(&server.api, &login, "access_token")?;
    // Both were made at the same time.
    wait_until_refused(&access, Method::GET, "/api/auth/me").await;
    let refresh = with(&server.api, &login, "refresh_token")?;
    assert_eq!(status(&refresh, Method::POST, "/api/auth/refresh").await?, 401);
    server.stop().await
}
