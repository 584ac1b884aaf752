//! A stop while somebody is being served.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use reqwest::Method;
use rustix::process::Signal;
use serde_json::json;
use tinybase_tests::{TestServer, wait_until};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(30);

#[tokio::test]
async fn what_runs_ends_well_and_nobody_new_gets_in() -> Result<()> {
    let mut server = TestServer::start_with(&[("TINYBASE_LIMITS_STOP_GRACE", "1m")]).await?;
    let address = server.api.base.trim_start_matches("http://").to_owned();
    server.admin.make_collection("notes", &["s"]).await?;
    let events = "/api/collections/notes/records/events";
    let mut events = server.admin.request(Method::GET, events).send().await?;
    events.chunk().await?.context("where the stream begins")?;
    let mut idle = TcpStream::connect(&address).await?;

    // A request that has begun: the server asks for its body.
    let body = json!({ "email": "admin@example.com", "password": "correct horse battery" });
    let body = body.to_string();
    let mut slow = TcpStream::connect(&address).await?;
    let head = format!(
        "POST /api/auth/login HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n\
         expect: 100-continue\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    slow.write_all(head.as_bytes()).await?;
    let mut asked = [0; 25];
    timeout(PATIENCE, slow.read_exact(&mut asked)).await.context("no word")??;
    ensure!(asked.starts_with(b"HTTP/1.1 100 "), "{}", String::from_utf8_lossy(&asked));

    server.process().signal(Signal::TERM)?;
    wait_until("nobody new gets in", PATIENCE, || async {
        TcpStream::connect(&address).await.is_err()
    })
    .await;
    let stream_ends = async {
        while events.chunk().await?.is_some() {}
        anyhow::Ok(())
    };
    timeout(PATIENCE, stream_ends).await.context("the stream goes on")?.context("it breaks off")?;
    let read = timeout(PATIENCE, idle.read(&mut [0])).await.context("an idle connection stays")?;
    ensure!(read.is_ok_and(|read| read == 0), "an idle connection was told something");

    slow.write_all(body.as_bytes()).await?;
    let mut answer = String::new();
    timeout(PATIENCE, slow.read_to_string(&mut answer)).await.context("no answer")??;
    ensure!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("access_token"), "{answer}");
    let ended = server.ended().await?;
    ensure!(ended.success(), "it ended with {ended}");
    server.start_again().await?;
    server.stop().await
}

#[tokio::test]
async fn a_request_that_takes_longer_than_the_grace_is_cut_off() -> Result<()> {
    let mut server = TestServer::start_with(&[("TINYBASE_LIMITS_STOP_GRACE", "200ms")]).await?;
    let mut slow = TcpStream::connect(server.api.base.trim_start_matches("http://")).await?;
    let head = "POST /api/auth/login HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n\
                expect: 100-continue\r\ncontent-length: 100\r\n\r\n";
    slow.write_all(head.as_bytes()).await?;
    timeout(PATIENCE, slow.read_exact(&mut [0; 25])).await.context("no word")??;
    server.process().signal(Signal::TERM)?;
    let ended = server.ended().await?;
    ensure!(ended.success(), "it ended with {ended}");
    let log = std::fs::read_to_string(server.folder().join("server.log"))?;
    ensure!(log.contains("requests were still running and are cut off"), "{log}");
    Ok(())
}
