//! What is said to those who ask for nonsense (E18).

use anyhow::{Context, Result};
use reqwest::Method;
use serde_json::json;
use tinybase_tests::TestServer;

use super::names::operations;
use super::raw::{check, exchange, get, post, problem, status};

#[tokio::test]
async fn every_error_is_a_problem_with_a_request_id_and_no_internals() -> Result<()> {
    let server = TestServer::start().await?;
    for (request, expected) in [
        (get("/nothing/here"), 404),
        (get("/api/collections/missing"), 404),
        (get("/api/auth/me"), 401),
        (get("/api/admin/extensions"), 401),
        (post("/health", "{}"), 405),
        (post("/api/auth/login", "{"), 400),
        (post("/api/auth/login", "[]"), 422),
        (
            post(
                "/api/auth/login",
                "{\"email\": \"a@b.example\", \"password\": \"wrong password\"}",
            ),
            401,
        ),
        (get("/api/collections/x/records/not-an-id"), 422),
    ] {
        let answer = exchange(&server, &request).await?;
        let line = String::from_utf8_lossy(&request).lines().next().unwrap_or_default().to_owned();
        assert_eq!(status(&answer), Some(expected), "{line}: {answer}");
        let problem = problem(&answer).with_context(|| line.clone())?;
        assert_eq!(problem["status"], json!(expected), "{line}");
    }
    server.stop().await
}

/// Whoever asks for whatever, with names and bodies that mean nothing.
#[tokio::test]
async fn no_operation_fails_by_nonsense() -> Result<()> {
    let server = TestServer::start().await?;
    let ann = server.api.register("ann@example.com").await?;
    let document = server.admin.get("/openapi.json").await?;
    let bodies = [json!(null), json!({ "nonsense": ["'; drop table users; --", "\u{1f}", -1] })];
    for (who, api) in [("nobody", &server.api), ("a user", &ann), ("admin", &server.admin)] {
        for (method, path) in operations(&document) {
            // What would end the login is asked by nobody.
            if who != "nobody" && path.starts_with("/api/auth/logout") {
                continue;
            }
            for body in &bodies {
                if method == Method::GET && !body.is_null() {
                    continue;
                }
                let at = format!("{method} {path} {body} of {who}");
                let sent = api.request(method.clone(), &path).json(body).send().await;
                let answer = sent.with_context(|| at.clone())?;
                let code = answer.status();
                assert!(code.as_u16() < 500, "{at}: {code}");
                assert!(answer.headers().contains_key("x-request-id"), "{at}: {code}");
                if code.is_client_error() {
                    let kind = answer.headers().get("content-type").cloned().context("a type")?;
                    let text = answer.text().await?;
                    if kind == "application/problem+json" {
                        let problem = serde_json::from_str(&text).with_context(|| at.clone())?;
                        check(&problem).with_context(|| at.clone())?;
                    } else {
                        // Pages for people are no problems for programs.
                        assert!(path.starts_with("/auth"), "{at}: {code} {kind:?} {text}");
                    }
                }
            }
        }
    }
    let log = std::fs::read_to_string(server.folder().join("server.log"))?;
    assert!(!log.contains("panicked"), "{log}");
    server.stop().await
}
