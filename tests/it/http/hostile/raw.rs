//! Requests byte by byte, and what the kernel says of connections.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tinybase_tests::TestServer;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

/// Longer than anything here may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

pub(super) fn address(server: &TestServer) -> &str {
    server.api.base.trim_start_matches("http://")
}

pub(super) async fn connect(server: &TestServer) -> Result<TcpStream> {
    Ok(TcpStream::connect(address(server)).await?)
}

/// A connection of which the kernel keeps next to nothing that isn't read.
pub(super) async fn connect_narrow(server: &TestServer) -> Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.set_recv_buffer_size(4096)?;
    Ok(socket.connect(address(server).parse()?).await?)
}

/// Sends bytes and reads until the server closes the connection.
pub(super) async fn exchange(server: &TestServer, request: &[u8]) -> Result<String> {
    let mut stream = connect(server).await?;
    // The server may have answered and closed before it has read all.
    drop(stream.write_all(request).await);
    read_to_end(&mut stream).await
}

pub(super) async fn read_to_end(stream: &mut TcpStream) -> Result<String> {
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

pub(super) fn status(answer: &str) -> Option<u16> {
    answer.split(' ').nth(1)?.parse().ok()
}

/// The body of an answer that has to be a problem, checked for what all problems have.
pub(super) fn problem(answer: &str) -> Result<Value> {
    let (head, body) = answer.split_once("\r\n\r\n").context("no body")?;
    ensure!(head.to_ascii_lowercase().contains("application/problem+json"), "{head}");
    let problem: Value = serde_json::from_str(body).with_context(|| answer.to_owned())?;
    check(&problem)?;
    Ok(problem)
}

/// What all problems have, and none (E18).
pub(super) fn check(problem: &Value) -> Result<()> {
    for key in ["type", "title", "status", "detail", "request_id"] {
        ensure!(!problem[key].is_null(), "{key} is missing in {problem}");
    }
    let text = problem.to_string();
    for internal in ["panicked", "sqlx", "select ", "src/", "/home/", "/root/", "/tmp/", ".rs:"] {
        ensure!(!text.contains(internal), "{internal:?} is in {text}");
    }
    Ok(())
}

pub(super) fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").into_bytes()
}

pub(super) fn post(path: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\n\
         content-length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

/// Whether the server still has its side of a connection open, as the kernel says.
pub(super) fn is_held(server: &TestServer, client: &TcpStream) -> Result<bool> {
    let ours = client.local_addr()?.port();
    let (_, theirs) = address(server).rsplit_once(':').context("no port")?;
    let theirs: u16 = theirs.parse()?;
    let table = std::fs::read_to_string(format!("/proc/{}/net/tcp", server.process().0))?;
    let held = table.lines().any(|line| {
        let mut columns = line.split_whitespace().skip(1);
        let mut port = || {
            let (_, port) = columns.next()?.rsplit_once(':')?;
            u16::from_str_radix(port, 16).ok()
        };
        let ports = (port(), port());
        // Established, or waiting for the server to close it too.
        ports == (Some(theirs), Some(ours)) && matches!(columns.next(), Some("01" | "08"))
    });
    Ok(held)
}
