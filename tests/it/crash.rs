//! `kill -9`, of an extension and of the server.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Result, ensure};
use reqwest::Method;
use serde_json::json;
use tinybase_tests::{Process, TestServer, Zoo, wait_for, wait_until};

fn seen(path: &std::path::Path) -> HashSet<String> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines().filter_map(|line| line.split(' ').nth(1)).map(str::to_owned).collect()
}

#[tokio::test]
async fn killing_an_extension_under_load_fails_no_request_and_loses_no_event() -> Result<()> {
    let out = tempfile::NamedTempFile::new()?;
    let server = TestServer::start_with(&[("ZOO_OUT", &out.path().display().to_string())]).await?;
    let zoo = Zoo::new()?;
    server.admin.make_collection("orders", &["email"]).await?;
    server.install(&zoo.extension("witness", "good")?).await?;
    let first_pid = server.extension("witness").await?["pid"].as_u64().expect("a pid");

    let (loading, killed) = (AtomicBool::new(true), AtomicBool::new(false));
    let load = async {
        let mut acknowledged = HashSet::new();
        while loading.load(Ordering::Relaxed) {
            let body = json!({ "data": { "email": "a@b.c" } });
            let path = "/api/collections/orders/records";
            let (status, answer) = server.admin.send(Method::POST, path, Some(&body)).await?;
            ensure!(status == 201, "a request failed: {status} {answer}");
            acknowledged.insert(answer["id"].as_str().expect("an id").to_owned());
        }
        Ok(acknowledged)
    };
    let kill = async {
        wait_until("events flow", Duration::from_secs(20), || async {
            seen(out.path()).len() > 50
        })
        .await;
        Process(u32::try_from(first_pid)?).kill()?;
        killed.store(true, Ordering::Relaxed);
        let back = wait_for("the extension is back", Duration::from_secs(20), || async {
            let status = server.extension("witness").await.ok()?;
            (status["state"] == "ready" && status["pid"].as_u64() != Some(first_pid))
                .then_some(status)
        })
        .await;
        let before = seen(out.path()).len();
        wait_until("events flow again", Duration::from_secs(20), || async {
            seen(out.path()).len() > before + 50
        })
        .await;
        loading.store(false, Ordering::Relaxed);
        anyhow::Ok(back)
    };
    let (acknowledged, back) = tokio::join!(load, kill);
    let (acknowledged, back) = (acknowledged?, back?);
    assert!(killed.load(Ordering::Relaxed));
    assert_eq!(back["restarts"], 1);
    wait_until("every acknowledged record's event arrived", Duration::from_mins(1), || async {
        acknowledged.is_subset(&seen(out.path()))
    })
    .await;
    server.stop().await
}

#[tokio::test]
async fn killing_the_server_leaves_no_process_and_loses_no_acknowledged_event() -> Result<()> {
    let out = tempfile::NamedTempFile::new()?;
    let mut server =
        TestServer::start_with(&[("ZOO_OUT", &out.path().display().to_string())]).await?;
    let zoo = Zoo::new()?;
    server.admin.make_collection("orders", &["email"]).await?;
    server.install(&zoo.extension("witness", "good")?).await?;
    server.install(&zoo.extension("parent", "fork-grandchild")?).await?;
    server.install(&zoo.extension("stubborn", "ignore-term")?).await?;
    let children = server.children()?;
    assert!(children.len() >= 4, "three extensions and a grandchild: {children:?}");

    let mut acknowledged = HashSet::new();
    for _ in 0..200 {
        let body = json!({ "data": { "email": "a@b.c" } });
        let created = server.admin.post("/api/collections/orders/records", &body).await?;
        acknowledged.insert(created["id"].as_str().expect("an id").to_owned());
    }
    server.kill().await?;
    wait_until("no process of the server is alive", Duration::from_secs(1), || async {
        children.iter().all(|process| !process.is_alive())
    })
    .await;

    server.start_again().await?;
    server.wait_for_state("witness", "ready").await;
    wait_until("every acknowledged record's event arrived", Duration::from_mins(1), || async {
        acknowledged.is_subset(&seen(out.path()))
    })
    .await;
    let kept = server.admin.get("/api/collections/orders/records?limit=1").await?;
    assert_eq!(kept["total"], 200);
    server.stop().await
}
