//! What is too large or too deep.

use anyhow::Result;
use tinybase_tests::TestServer;

use super::raw::{exchange, get, post, problem, status};

/// (E5)
#[tokio::test]
async fn what_is_too_large_is_refused_by_its_kind() -> Result<()> {
    let server = TestServer::start_with(&[("TINYBASE_LIMITS_REQUEST_BYTES_MAX", "4096")]).await?;
    let header = |bytes: usize| {
        let value = "a".repeat(bytes);
        format!("GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\nx-large: {value}\r\n\r\n")
    };
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "x: y\r\n".repeat(200));
    let body = format!("{{\"email\": \"{}\"}}", "a".repeat(5000));
    for (request, expected, kind) in [
        (header(65 << 10).into_bytes(), 431, "header-too-large"),
        (get(&format!("/{}", "a".repeat(33 << 10))), 414, "address-too-long"),
        (get(&format!("/health?x={}", "a".repeat(33 << 10))), 414, "address-too-long"),
        (post("/api/auth/login", &body), 413, "too-large"),
    ] {
        let answer = exchange(&server, &request).await?;
        assert_eq!(status(&answer), Some(expected), "{answer}");
        let problem = problem(&answer)?;
        assert!(problem["type"].as_str().is_some_and(|text| text.ends_with(kind)), "{problem}");
    }
    // So large that it isn't even read.
    for (request, expected) in [
        (header(1 << 20).into_bytes(), 431),
        (many.into_bytes(), 431),
        (get(&format!("/{}", "a".repeat(70_000))), 414),
    ] {
        let answer = exchange(&server, &request).await?;
        assert_eq!(status(&answer), Some(expected), "{answer}");
        assert!(answer.ends_with("\r\n\r\n"), "it has no body: {answer}");
    }
    assert_eq!(status(&exchange(&server, header(60 << 10).as_bytes()).await?), Some(200));
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
