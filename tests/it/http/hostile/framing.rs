//! Requests that two readers may take differently, so that one hides in another (E4).

use anyhow::Result;
use tinybase_tests::TestServer;

use super::raw::{exchange, problem, status};

/// What would be answered if it were taken for a request of its own.
const HIDDEN: &str = "GET /health HTTP/1.1\r\nhost: x\r\n\r\n";

/// Sends a request with these lines and another behind it; the connection has to end after one answer.
async fn refused(server: &TestServer, lines: &str) -> Result<String> {
    let request = format!("POST /health HTTP/1.1\r\nhost: x\r\n{lines}\r\n\r\n0\r\n\r\n{HIDDEN}");
    let answer = exchange(server, request.as_bytes()).await?;
    assert_eq!(status(&answer), Some(400), "{lines:?}: {answer}");
    assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{lines:?}: {answer}");
    assert!(!answer.contains("healthy"), "{lines:?}: the hidden request was answered");
    Ok(answer)
}

#[tokio::test]
async fn a_body_with_two_ends_is_a_problem_and_ends_the_connection() -> Result<()> {
    let server = TestServer::start().await?;
    let length = HIDDEN.len() + 5;
    for lines in [
        &format!("content-length: {length}\r\ntransfer-encoding: chunked"),
        &format!("transfer-encoding: chunked\r\ncontent-length: {length}"),
        "Transfer-Encoding: chunked\r\nContent-Length: nonsense",
        "transfer-encoding: gzip, chunked",
        "transfer-encoding: chunked\r\ntransfer-encoding: chunked",
        "content-length: 5\nx: y",
    ] {
        let answer = refused(&server, lines).await?;
        assert!(answer.to_ascii_lowercase().contains("connection: close"), "{answer}");
        let problem = problem(&answer)?;
        assert!(problem["type"].as_str().is_some_and(|kind| kind.ends_with("/malformed")));
    }
    // Also when it isn't the connection's first.
    let request = format!(
        "GET /health/live HTTP/1.1\r\nhost: x\r\n\r\nPOST /health HTTP/1.1\r\nhost: x\r\n\
         content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n{HIDDEN}"
    );
    let answer = exchange(&server, request.as_bytes()).await?;
    let statuses: Vec<_> =
        answer.split("HTTP/1.1 ").skip(1).filter_map(|answer| answer.get(..3)).collect();
    assert_eq!(statuses, ["200", "400"], "{answer}");
    server.stop().await
}

#[tokio::test]
async fn what_is_no_http_is_refused_and_ends_the_connection() -> Result<()> {
    let server = TestServer::start().await?;
    for lines in [
        "content-length: 4\r\ncontent-length: 5",
        "content-length: +4",
        "content-length: 4, 4",
        "content-length: -1",
        "content-length: 18446744073709551616",
        "transfer-encoding: xchunked",
        "transfer-encoding: identity",
        "transfer-encoding: chunked\r\ntransfer-encoding: identity",
        "transfer-encoding : chunked",
        "content-length : 4",
        "x-folded: a\r\n b: c",
        " x: y",
        "x\u{0}y: z",
        "x: a\u{0}b",
        "x: a\rb",
    ] {
        refused(&server, lines).await?;
    }
    for request in [
        format!("POST /health HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n{HIDDEN}"),
        format!("POST  /health HTTP/1.1\r\nhost: x\r\n\r\n{HIDDEN}"),
        format!("POST /health HTTP/2.0\r\nhost: x\r\n\r\n{HIDDEN}"),
        format!("\u{16}\u{3}\u{1}\r\n\r\n{HIDDEN}"),
    ] {
        let answer = exchange(&server, request.as_bytes()).await?;
        assert!(!answer.contains("healthy"), "{request:?}: {answer}");
        assert!(!answer.contains(" 200 "), "{request:?}: {answer}");
    }
    server.stop().await
}

#[tokio::test]
async fn chunks_are_read_strictly_and_their_extensions_mean_nothing() -> Result<()> {
    let server = TestServer::start().await?;
    let head = "POST /api/auth/login HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n\
                transfer-encoding: chunked\r\nconnection: close\r\n\r\n";
    for (chunks, expected) in [
        ("2\r\n{}\r\n0\r\n\r\n", 422),
        ("1;name=value\r\n{\r\n1 ; other\r\n}\r\n0\r\ntrailer: x\r\n\r\n", 422),
        ("zz\r\n{}\r\n0\r\n\r\n", 400),
        ("-2\r\n{}\r\n0\r\n\r\n", 400),
        ("ffffffffffffffff1\r\n{}\r\n0\r\n\r\n", 400),
        ("2\r\n{}x0\r\n\r\n", 400),
    ] {
        let answer = exchange(&server, format!("{head}{chunks}").as_bytes()).await?;
        assert_eq!(status(&answer), Some(expected), "{chunks:?}: {answer}");
    }
    server.stop().await
}
