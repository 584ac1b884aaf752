//! Clients that don't read what they asked for.

use anyhow::{Context, Result};
use futures_util::future::try_join;
use reqwest::Method;
use serde_json::json;
use tinybase_tests::{TestServer, wait_until};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;

use super::raw::{PATIENCE, connect_narrow, exchange, get, is_held, read_to_end, status};

const RECORDS: &str = "/api/collections/notes/records";
/// More than the kernel keeps for a connection on both sides.
const RECORDS_MAX: usize = 20;
const RECORD_BYTES: usize = 900_000;

async fn server() -> Result<TestServer> {
    let server = TestServer::start_with(&[("TINYBASE_LIMITS_WRITE_TIMEOUT", "2s")]).await?;
    let fields = json!([{ "name": "s", "type": "string" }]);
    let body = json!({
        "name": "notes", "label": "Notes", "schema": { "fields": fields },
        "options": { "access": { "list": "public" } },
    });
    server.admin.post("/api/collections", &body).await?;
    Ok(server)
}

async fn fill(server: &TestServer) -> Result<()> {
    let body = json!({ "data": { "s": "x".repeat(RECORD_BYTES) } });
    for _ in 0..RECORDS_MAX {
        server.admin.post(RECORDS, &body).await?;
    }
    Ok(())
}

/// (E2)
#[tokio::test]
async fn an_answer_that_nobody_reads_is_given_up() -> Result<()> {
    let server = server().await?;
    fill(&server).await?;
    let path = format!("{RECORDS}?limit=100");
    let mut stopped = connect_narrow(&server).await?;
    stopped.write_all(&get(&path)).await?;
    let trickling = connect_narrow(&server).await?;
    wait_until("the request is sent", PATIENCE, || async {
        trickling.try_write(&get(&path)).is_ok()
    })
    .await;
    assert_eq!(status(&exchange(&server, &get("/health")).await?), Some(200));
    wait_until("both are given up", PATIENCE, || async {
        drop(trickling.try_read(&mut [0]));
        let held = [&stopped, &trickling].map(|client| is_held(&server, client));
        held.into_iter().all(|held| held.is_ok_and(|held| !held))
    })
    .await;
    let read = read_to_end(&mut stopped).await?.len();
    assert!(read < RECORDS_MAX * RECORD_BYTES, "all {read} bytes were sent");
    // Whoever reads gets everything.
    let read = exchange(&server, &get(&path)).await?.len();
    assert!(read > RECORDS_MAX * RECORD_BYTES, "{read}");
    server.stop().await
}

/// (E13)
#[tokio::test]
async fn a_stream_that_nobody_reads_ends_and_goes_on_later_from_its_place() -> Result<()> {
    let server = server().await?;
    let path = format!("{RECORDS}/events");
    let mut stopped = connect_narrow(&server).await?;
    stopped.write_all(&get(&path)).await?;
    let mut begin = String::new();
    while !begin.contains("\nid") || !begin.ends_with("\n\n") {
        let mut byte = [0];
        timeout(PATIENCE, stopped.read_exact(&mut byte)).await.context("no beginning")??;
        begin.push(char::from(byte[0]));
    }
    let place = begin.lines().rev().find_map(|line| line.strip_prefix("id:"));
    let place = place.context("a place")?.trim().to_owned();

    // Somebody else's is no slower for it.
    let other = server.api.request(Method::GET, &path).send().await?;
    try_join(fill(&server), count_to(other, RECORDS_MAX)).await?;
    wait_until("the one that reads nothing is given up", PATIENCE, || async {
        is_held(&server, &stopped).is_ok_and(|held| !held)
    })
    .await;
    let request = server.api.request(Method::GET, &path).header("last-event-id", place);
    count_to(request.send().await?, RECORDS_MAX).await?;
    server.stop().await
}

/// Reads a stream until so many records were created.
async fn count_to(mut stream: reqwest::Response, count: usize) -> Result<()> {
    let (mut seen, mut rest) = (0, String::new());
    while seen < count {
        let chunk = timeout(PATIENCE, stream.chunk()).await.context("an event is missing")??;
        rest.push_str(std::str::from_utf8(&chunk.context("the stream ended")?)?);
        while let Some(end) = rest.find('\n') {
            let line: String = rest.drain(..=end).collect();
            seen += usize::from(line.trim_end() == "event: record.create");
        }
    }
    Ok(())
}
