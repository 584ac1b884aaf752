//! Requests that no well-meaning client sends, on raw sockets. The ids are those of the fault matrix.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tinybase_tests::TestServer;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Longer than anything here may take.
const PATIENCE: Duration = Duration::from_secs(20);

fn address(server: &TestServer) -> &str {
    server.api.base.trim_start_matches("http://")
}

/// Sends bytes and reads until the server closes the connection.
async fn exchange(server: &TestServer, request: &[u8]) -> Result<String> {
    let mut stream = TcpStream::connect(address(server)).await?;
    // The server may have answered and closed before it has read all.
    drop(stream.write_all(request).await);
    read_to_end(&mut stream).await
}

async fn read_to_end(stream: &mut TcpStream) -> Result<String> {
    let mut bytes = Vec::new();
    let read = async {
        let mut buffer = [0; 4096];
        while let Ok(length @ 1..) = stream.read(&mut buffer).await {
            bytes.extend_from_slice(&buffer[..length]);
        }
    };
    timeout(PATIENCE, read).await.context("the server never closed the connection")?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn status(answer: &str) -> Option<u16> {
    answer.split(' ').nth(1)?.parse().ok()
}

/// The body of an answer that has to be a problem, checked for what all problems have.
fn problem(answer: &str) -> Result<Value> {
    let (head, body) = answer.split_once("\r\n\r\n").context("no body")?;
    ensure!(head.to_ascii_lowercase().contains("application/problem+json"), "{head}");
    let problem: Value = serde_json::from_str(body).with_context(|| answer.to_owned())?;
    for key in ["type", "title", "status", "detail", "request_id"] {
        ensure!(!problem[key].is_null(), "{key} is missing in {problem}");
    }
    for internal in ["panicked", "sqlx", "select ", "src/", "/home/", "/root/"] {
        ensure!(!body.contains(internal), "{internal:?} is in {body}");
    }
    Ok(problem)
}

fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").into_bytes()
}

fn post(path: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\n\
         content-length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

/// (E1)
#[tokio::test]
async fn a_header_that_doesnt_come_ends_the_connection() -> Result<()> {
    let server = TestServer::start_with(&[("TINYBASE_LIMITS_HEADER_TIMEOUT", "300ms")]).await?;
    let mut stream = TcpStream::connect(address(&server)).await?;
    stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\nx-slow: ").await?;
    read_to_end(&mut stream).await?;
    let mut silent = TcpStream::connect(address(&server)).await?;
    read_to_end(&mut silent).await?;
    assert_eq!(status(&exchange(&server, &get("/health")).await?), Some(200));
    server.stop().await
}

/// (E3)
#[tokio::test]
async fn idle_connections_dont_keep_others_out() -> Result<()> {
    let server = TestServer::start().await?;
    let mut idle = Vec::new();
    for _ in 0..500 {
        idle.push(TcpStream::connect(address(&server)).await?);
    }
    assert_eq!(status(&exchange(&server, &get("/health")).await?), Some(200));
    drop(idle);
    server.stop().await
}

/// (E3)
#[tokio::test]
async fn connections_over_the_cap_wait_until_others_are_gone() -> Result<()> {
    let server = TestServer::start_with(&[
        ("TINYBASE_LIMITS_CONNECTIONS_MAX", "8"),
        ("TINYBASE_LIMITS_HEADER_TIMEOUT", "500ms"),
    ])
    .await?;
    let mut idle = Vec::new();
    for _ in 0..32 {
        idle.push(TcpStream::connect(address(&server)).await?);
    }
    // Those before it are closed by the header's timeout, eight at a time.
    assert_eq!(status(&exchange(&server, &get("/health")).await?), Some(200));
    server.stop().await
}

/// (E4)
#[tokio::test]
async fn a_request_with_two_lengths_is_refused_and_the_connection_closed() -> Result<()> {
    let server = TestServer::start().await?;
    let hidden = "GET /health HTTP/1.1\r\nhost: x\r\n\r\n";
    for head in [
        "content-length: 4\r\ncontent-length: 5",
        "content-length: +4",
        "transfer-encoding: chunked\r\ntransfer-encoding: identity",
    ] {
        let request =
            format!("POST /health HTTP/1.1\r\nhost: x\r\n{head}\r\n\r\n0\r\n\r\n{hidden}");
        let answer = exchange(&server, request.as_bytes()).await?;
        assert_eq!(status(&answer), Some(400), "{head}: {answer}");
        assert!(!answer.contains("healthy"), "{head}: the hidden request was answered");
    }
    server.stop().await
}

/// (E4)
#[tokio::test]
async fn a_length_beside_chunks_never_lets_a_hidden_request_through() -> Result<()> {
    let server = TestServer::start().await?;
    let hidden = "GET /health HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let request = format!(
        "POST /health HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\ntransfer-encoding: chunked\r\n\
         connection: close\r\n\r\n0\r\n\r\n{hidden}",
        hidden.len() + 5
    );
    let answer = exchange(&server, request.as_bytes()).await?;
    assert!(!answer.contains("healthy"), "the hidden request was answered: {answer}");
    assert!(status(&answer).is_some_and(|status| (400..500).contains(&status)), "{answer}");
    server.stop().await
}

/// (E5)
#[tokio::test]
async fn what_is_too_large_is_refused_by_its_kind() -> Result<()> {
    let server = TestServer::start_with(&[("TINYBASE_LIMITS_REQUEST_BYTES_MAX", "4096")]).await?;
    let header = format!("GET / HTTP/1.1\r\nhost: x\r\nx-large: {}\r\n\r\n", "a".repeat(1 << 20));
    assert_eq!(status(&exchange(&server, header.as_bytes()).await?), Some(431));
    let address = format!("GET /{} HTTP/1.1\r\nhost: x\r\n\r\n", "a".repeat(70_000));
    assert_eq!(status(&exchange(&server, address.as_bytes()).await?), Some(414));
    let body = format!("{{\"email\": \"{}\"}}", "a".repeat(5000));
    let answer = exchange(&server, &post("/api/auth/login", &body)).await?;
    assert_eq!(status(&answer), Some(413));
    assert!(problem(&answer)?["type"].as_str().is_some_and(|kind| kind.ends_with("/too-large")));
    server.stop().await
}

/// (E6)
#[tokio::test]
async fn json_that_is_nested_too_deeply_is_refused() -> Result<()> {
    let server = TestServer::start().await?;
    for depth in [129, 5_000] {
        let body = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        let answer = exchange(&server, &post("/api/auth/login", &body)).await?;
        assert!(matches!(status(&answer), Some(400 | 422)), "{depth}: {answer}");
        problem(&answer)?;
    }
    server.stop().await
}

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
        "/../../etc/passwd",
    ] {
        let answer = exchange(&server, &get(path)).await?;
        assert!(matches!(status(&answer), Some(400 | 404 | 422)), "{path}: {answer}");
        assert!(!answer.to_ascii_lowercase().contains("\r\nset-cookie"), "{path}: {answer}");
        assert!(!answer.contains("root:"), "{path}: {answer}");
        problem(&answer)?;
    }
    server.stop().await
}

/// (E9)
#[tokio::test]
async fn an_unknown_query_parameter_is_refused() -> Result<()> {
    let server = TestServer::start().await?;
    server.admin.make_collection("things", &["title"]).await?;
    let answer = exchange(&server, &get("/api/collections/things/records?limt=5")).await?;
    assert!(matches!(status(&answer), Some(400 | 422)), "{answer}");
    assert!(problem(&answer)?["detail"].as_str().is_some_and(|detail| detail.contains("limt")));
    server.stop().await
}

/// (E12)
#[tokio::test]
async fn a_spoofed_host_changes_nothing_in_an_answer() -> Result<()> {
    let server = TestServer::start().await?;
    let request = "GET /redoc HTTP/1.1\r\nhost: evil.example\r\nx-forwarded-host: evil.example\r\n\
                   connection: close\r\n\r\n";
    let answer = exchange(&server, request.as_bytes()).await?;
    assert_eq!(status(&answer), Some(307));
    assert!(!answer.contains("evil.example"), "{answer}");
    server.stop().await
}

/// (E18)
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
