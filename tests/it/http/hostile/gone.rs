//! Clients that go away in the middle of a request (E11). See also the functions' tests.

use std::collections::HashSet;

use anyhow::{Context, Result};
use reqwest::Method;
use serde_json::{Value, json};
use tinybase_tests::{TestServer, wait_until};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::raw::{PATIENCE, connect, is_held};

const RECORDS: &str = "/api/collections/notes/records";

async fn server() -> Result<TestServer> {
    let server = TestServer::start().await?;
    let fields = json!([{ "name": "s", "type": "string" }, { "name": "n", "type": "int" }]);
    let access = json!({ "list": "public", "create": "public" });
    let body = json!({
        "name": "notes", "label": "Notes", "schema": { "fields": fields },
        "options": { "access": access },
    });
    server.admin.post("/api/collections", &body).await?;
    Ok(server)
}

fn request(n: usize) -> String {
    let body = json!({ "data": { "s": "x".repeat(2000), "n": n } }).to_string();
    format!(
        "POST {RECORDS} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    )
}

async fn wait_until_let_go(server: &TestServer, clients: &[TcpStream]) {
    wait_until("the server has let go of its connections", PATIENCE, || async {
        clients.iter().all(|client| is_held(server, client).is_ok_and(|held| !held))
    })
    .await;
}

#[tokio::test]
async fn half_a_request_writes_nothing_and_a_whole_one_all_or_nothing() -> Result<()> {
    let server = server().await?;
    let path = format!("{RECORDS}/events?fields=n");
    let mut events = server.api.request(Method::GET, &path).send().await?;
    let mut text = String::new();
    let mut gone = Vec::new();
    for n in 0..100 {
        let mut stream = connect(&server).await?;
        let request = request(n);
        // Every other one is cut off somewhere, in its head or in its body.
        let sent = if n % 2 == 0 { request.len() } else { 1 + request.len() * n / 101 };
        stream.write_all(&request.as_bytes()[..sent]).await?;
        stream.shutdown().await?;
        gone.push(stream);
    }
    wait_until_let_go(&server, &gone).await;
    let page = server.admin.get(&format!("{RECORDS}?limit=1000")).await?;
    let written = page["records"].as_array().context("records")?;
    let mut numbers = HashSet::new();
    for record in written {
        assert_eq!(record["data"]["s"].as_str().map(str::len), Some(2000), "{record}");
        let n = record["data"]["n"].as_u64().context("a number")?;
        assert_eq!(n % 2, 0, "half a request was written: {record}");
        assert!(numbers.insert(n), "{n} was written twice");
    }
    // Each has its event, and each event its record.
    let mut told = HashSet::new();
    while told.len() < numbers.len() {
        let chunk = timeout(PATIENCE, events.chunk()).await.context("an event is missing")??;
        text.push_str(std::str::from_utf8(&chunk.context("the stream ended")?)?);
        while let Some(end) = text.find("\n\n") {
            let block: String = text.drain(..end + 2).collect();
            let Some(data) = block.lines().find_map(|line| line.strip_prefix("data:")) else {
                continue;
            };
            let record: Value = serde_json::from_str(data)?;
            let n = record["data"]["n"].as_u64().context("a number")?;
            assert!(numbers.contains(&n) && told.insert(n), "{n}: an event without its record");
        }
    }
    server.stop().await
}

/// Neither connections nor what they held stay behind.
#[tokio::test]
async fn clients_that_vanish_while_they_are_answered_leave_nothing_behind() -> Result<()> {
    let server = server().await?;
    let descriptors = || -> Result<usize> {
        Ok(std::fs::read_dir(format!("/proc/{}/fd", server.process().0))?.count())
    };
    let before = descriptors()?;
    for round in 0..5 {
        let mut gone = Vec::new();
        for n in 0..40 {
            let mut stream = connect(&server).await?;
            stream.write_all(request(round * 40 + n).as_bytes()).await?;
            gone.push(stream);
        }
        drop(gone);
    }
    wait_until("the descriptors are those of before", PATIENCE, || async {
        descriptors().is_ok_and(|now| now <= before)
    })
    .await;
    let page: Value = server.admin.get(&format!("{RECORDS}?limit=1000")).await?;
    for record in page["records"].as_array().context("records")? {
        assert_eq!(record["data"]["s"].as_str().map(str::len), Some(2000), "{record}");
    }
    assert_eq!(server.admin.get("/health").await?["status"], "healthy");
    server.stop().await
}
