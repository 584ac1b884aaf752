//! Paths, parameters and hosts that pretend.

use anyhow::{Context, Result};
use reqwest::Method;
use serde_json::{Value, json};
use tinybase_tests::TestServer;

use super::raw::{check, exchange, get, problem, status};

/// (E8)
#[tokio::test]
async fn encoded_paths_are_names_that_dont_exist_and_never_files() -> Result<()> {
    let server = TestServer::start().await?;
    for path in [
        "/api/collections/..%2f..%2fetc%2fpasswd",
        "/api/collections/%00",
        "/api/collections/a%0d%0aset-cookie:%20x=1",
        "/docs/..%2f..%2fetc%2fpasswd",
        "/api/collections/%ff%fe",
        "/api/collections/x/records/%2e%2e",
        "/api/files/download/..%2f..%2f..%2fetc%2fpasswd",
        "/api/files/download/%2fetc%2fpasswd",
        "/api/files/signed/..%2fx?expires=1&signature=x",
        "/../../etc/passwd",
    ] {
        let answer = exchange(&server, &get(path)).await?;
        assert!(matches!(status(&answer), Some(400 | 401 | 403 | 404 | 422)), "{path}: {answer}");
        assert!(!answer.to_ascii_lowercase().contains("\r\nset-cookie"), "{path}: {answer}");
        assert!(!answer.contains("root:"), "{path}: {answer}");
        problem(&answer)?;
    }
    server.stop().await
}

/// The operations of a document with something in place of each path's parameters.
pub(super) fn operations(document: &Value) -> Vec<(Method, String)> {
    let paths = document["paths"].as_object().into_iter().flatten();
    let all = paths.flat_map(|(path, item)| {
        let mut filled = String::new();
        for part in path.split('/').skip(1) {
            let part = if part.starts_with('{') { "x" } else { part };
            filled.push('/');
            filled.push_str(part);
        }
        let methods = item.as_object().into_iter().flatten();
        methods.filter_map(move |(method, _)| {
            Some((method.to_uppercase().parse().ok()?, filled.clone()))
        })
    });
    all.collect()
}

/// (E9)
#[tokio::test]
async fn no_operation_takes_a_query_parameter_that_it_doesnt_have() -> Result<()> {
    let server = TestServer::start().await?;
    let document = server.admin.get("/openapi.json").await?;
    let operations = operations(&document);
    assert!(operations.len() > 60, "{}", operations.len());
    for (method, path) in operations {
        let at = format!("{method} {path}");
        let path = format!("{path}?no_such_parameter=1");
        let (answered, problem) =
            server.admin.send(method, &path, None).await.with_context(|| at.clone())?;
        assert_eq!(answered, 400, "{at}: {problem}");
        check(&problem).with_context(|| at.clone())?;
        let detail = problem["detail"].as_str().unwrap_or_default();
        assert!(detail.contains("no_such_parameter"), "{at}: {detail}");
    }
    assert!(server.admin.get("/api/auth/me").await.is_ok(), "nothing was done by any of them");
    server.stop().await
}

/// (E12)
#[tokio::test]
async fn a_spoofed_host_changes_nothing_in_an_answer() -> Result<()> {
    let server = TestServer::start().await?;
    for (path, expected) in [("/redoc", 307), ("/auth/login", 200), ("/openapi.json", 200)] {
        let request = format!(
            "GET {path} HTTP/1.1\r\nhost: evil.example\r\nx-forwarded-host: evil.example\r\n\
             forwarded: host=evil.example\r\nconnection: close\r\n\r\n"
        );
        let answer = exchange(&server, request.as_bytes()).await?;
        assert_eq!(status(&answer), Some(expected), "{path}");
        assert!(!answer.contains("evil.example"), "{path}: {answer}");
    }
    server.stop().await
}

/// (E12) What a browser asks before it sends somebody's request from a page.
#[tokio::test]
async fn a_preflight_allows_what_is_listed_and_nothing_else() -> Result<()> {
    let origins = "https://app.example.com";
    let server = TestServer::start_with(&[("TINYBASE_CORS_ALLOW_ORIGINS", origins)]).await?;
    let url = format!("{}/api/collections", server.api.base);
    let client = reqwest::Client::new();
    for (origin, method, header, origin_may, header_may) in [
        ("https://app.example.com", "POST", "authorization", true, true),
        ("https://app.example.com", "DELETE", "if-match", true, true),
        ("https://app.example.com", "POST", "cookie", true, false),
        ("https://app.example.com", "POST", "x-forwarded-for", true, false),
        ("http://app.example.com", "POST", "authorization", false, true),
        ("https://app.example.com:444", "POST", "authorization", false, true),
        ("https://APP.example.com.", "POST", "authorization", false, true),
        ("null", "POST", "authorization", false, true),
        ("file://", "POST", "authorization", false, true),
    ] {
        let asked = client
            .request(Method::OPTIONS, &url)
            .header("origin", origin)
            .header("access-control-request-method", method)
            .header("access-control-request-headers", header)
            .send()
            .await?;
        let told = |name: &str| {
            let value = asked.headers().get(name).and_then(|value| value.to_str().ok());
            value.unwrap_or_default().to_ascii_lowercase()
        };
        let row = format!("{origin} {method} {header}");
        assert_eq!(told("access-control-allow-origin") == origin, origin_may, "{row}");
        let headers = told("access-control-allow-headers");
        assert_eq!(headers.split(',').any(|known| known.trim() == header), header_may, "{row}");
        let methods = told("access-control-allow-methods").to_uppercase();
        assert!(methods.contains(method) && !methods.contains("CONNECT"), "{row}: {methods}");
        assert_eq!(told("access-control-allow-credentials"), "", "{row}");
    }
    server.stop().await
}

/// (E12) A page elsewhere can make a browser send forms with whatever the browser adds by itself. It adds
/// nothing that means somebody here: cookies aren't looked at, and a form is no JSON.
#[tokio::test]
async fn a_form_of_another_page_does_nothing() -> Result<()> {
    let server = TestServer::start().await?;
    server.admin.make_collection("notes", &["s"]).await?;
    let url = format!("{}/api/collections/notes/records", server.api.base);
    for kind in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"] {
        let sent = reqwest::Client::new()
            .post(&url)
            .header("content-type", kind)
            .header("cookie", "access_token=x; session=y")
            .body(json!({ "data": { "s": "forged" } }).to_string())
            .send()
            .await?;
        assert!(matches!(sent.status().as_u16(), 401 | 403 | 415), "{kind}: {}", sent.status());
    }
    let page = server.admin.get("/api/collections/notes/records").await?;
    assert_eq!(page["total"], 0);
    server.stop().await
}
