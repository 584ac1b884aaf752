//! Connections that send nothing, too little, or are too many.

use anyhow::Result;
use serde_json::json;
use tinybase_tests::{TestServer, wait_until};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use super::raw::{PATIENCE, connect, exchange, get, problem, read_to_end, status};

/// Sends a byte now and then, and waits until that leads to nothing any more.
async fn trickle(stream: &TcpStream) {
    wait_until("the trickle is cut off", PATIENCE, || async {
        // A write to a connection that the other side has closed fails as well, at the latest the next one.
        match stream.try_write(b"x") {
            Err(error) => error.kind() != std::io::ErrorKind::WouldBlock,
            Ok(_) => false,
        }
    })
    .await;
}

/// (E1)
#[tokio::test]
async fn a_header_that_doesnt_come_ends_the_connection() -> Result<()> {
    let server = TestServer::start_with(&[("TINYBASE_LIMITS_HEADER_TIMEOUT", "300ms")]).await?;
    let mut half = connect(&server).await?;
    half.write_all(b"GET / HTTP/1.1\r\nhost: x\r\nx-slow: ").await?;
    let mut silent = connect(&server).await?;
    let trickling = connect(&server).await?;
    trickle(&trickling).await;
    read_to_end(&mut half).await?;
    read_to_end(&mut silent).await?;
    assert_eq!(status(&exchange(&server, &get("/health")).await?), Some(200));
    server.stop().await
}

/// (E2)
#[tokio::test]
async fn a_body_that_doesnt_come_is_a_problem_and_ends_the_connection() -> Result<()> {
    let server = TestServer::start_with(&[("TINYBASE_LIMITS_BODY_TIMEOUT", "300ms")]).await?;
    let head = "POST /api/auth/login HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n";
    for rest in
        ["content-length: 100000\r\n\r\n{\"", "transfer-encoding: chunked\r\n\r\n2\r\n{\"\r\n"]
    {
        let mut stopped = connect(&server).await?;
        stopped.write_all(format!("{head}{rest}").as_bytes()).await?;
        let answer = read_to_end(&mut stopped).await?;
        assert_eq!(status(&answer), Some(408), "{answer}");
        assert!(answer.to_ascii_lowercase().contains("connection: close"), "{answer}");
        let problem = problem(&answer)?;
        assert!(problem["type"].as_str().is_some_and(|kind| kind.ends_with("/too-slow")));
    }
    let mut trickling = connect(&server).await?;
    trickling.write_all(format!("{head}content-length: 100000\r\n\r\n").as_bytes()).await?;
    trickle(&trickling).await;
    assert_eq!(status(&exchange(&server, &get("/health")).await?), Some(200));
    server.stop().await
}

/// (E2) A file comes on another way than JSON.
#[tokio::test]
async fn an_upload_that_doesnt_go_on_leaves_no_file() -> Result<()> {
    let server = TestServer::start_with(&[("TINYBASE_LIMITS_BODY_TIMEOUT", "300ms")]).await?;
    server.api.register("ann@example.com").await?;
    let login = json!({ "email": "ann@example.com", "password": "a long enough password" });
    let login = server.api.post("/api/auth/login", &login).await?;
    let token = login["access_token"].as_str().unwrap_or_default();
    let mut stream = connect(&server).await?;
    let head = format!(
        "POST /api/files/upload HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n\
         content-type: multipart/form-data; boundary=b\r\ncontent-length: 100000\r\n\r\n\
         --b\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a.txt\"\r\n\r\nhalf of"
    );
    stream.write_all(head.as_bytes()).await?;
    let answer = read_to_end(&mut stream).await?;
    assert!(matches!(status(&answer), Some(400 | 408)), "{answer}");
    problem(&answer)?;
    assert_eq!(server.admin.get("/api/files").await?["total"], 0);
    server.stop().await
}

/// How much memory the server's process has, in KiB.
fn resident(server: &TestServer) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.process().0))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    Ok(line.split_whitespace().next().unwrap_or_default().parse()?)
}

/// (E3)
#[tokio::test]
async fn two_thousand_idle_connections_cost_little_and_keep_nobody_out() -> Result<()> {
    // Both sides need them: the server inherits this process's limit.
    let mut limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    limit.current = limit.maximum;
    rustix::process::setrlimit(rustix::process::Resource::Nofile, limit)?;
    let server = TestServer::start().await?;
    let before = resident(&server)?;
    let mut idle = Vec::new();
    for _ in 0..2_000 {
        idle.push(connect(&server).await?);
    }
    assert_eq!(status(&exchange(&server, &get("/health")).await?), Some(200));
    let grown = resident(&server)?.saturating_sub(before);
    assert!(grown < 80 << 10, "{grown} KiB");
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
        idle.push(connect(&server).await?);
    }
    // Those before it are closed by the header's timeout, eight at a time.
    assert_eq!(status(&exchange(&server, &get("/health")).await?), Some(200));
    server.stop().await
}
