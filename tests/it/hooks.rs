//! Hooks before and after, seen from the API.

use std::time::Duration;

use anyhow::Result;
use reqwest::Method;
use serde_json::json;
use tinybase_tests::{TestServer, Zoo, wait_until};

const GATE: &str = "\n[[extension.hooks]]\nevent = \"record.create\"\nphase = \"before\"\ncollection = \"orders\"\n";

#[tokio::test]
async fn a_before_hook_patches_and_rejects_and_holds_while_its_extension_is_away() -> Result<()> {
    let (server, zoo) = (TestServer::start().await?, Zoo::new()?);
    server.admin.make_collection("orders", &["email"]).await?;
    server.install(&zoo.extension_with("gate", "gate", GATE)?).await?;
    let path = "/api/collections/orders/records";

    let created =
        server.admin.post(path, &json!({ "data": { "email": "ADA@EXAMPLE.COM" } })).await?;
    assert_eq!(created["data"]["email"], "ada@example.com");

    let bad = json!({ "data": { "email": "bad" } });
    let (status, body) = server.admin.send(Method::POST, path, Some(&bad)).await?;
    assert_eq!(status, 422, "{body}");
    assert_eq!(body["detail"], "this address is not welcome");
    assert_eq!(body["code"], "bad_email");

    server.cli(&["extensions", "disable", "gate"]).await?;
    let created = server.admin.post(path, &json!({ "data": { "email": "OFF" } })).await?;
    assert_eq!(created["data"]["email"], "OFF", "an operator switched the gate off");

    server.cli(&["extensions", "enable", "gate"]).await?;
    let status = server.wait_for_state("gate", "ready").await;
    let pid = u32::try_from(status["pid"].as_u64().expect("a pid"))?;
    tinybase_tests::Process(pid).signal(rustix::process::Signal::STOP)?;
    let (status, body) =
        server.admin.send(Method::POST, path, Some(&json!({ "data": { "email": "x" } }))).await?;
    assert_eq!(status, 503, "a stopped gate is a closed gate: {body}");
    assert!(body["detail"].as_str().expect("detail").contains("gate"), "{body}");
    tinybase_tests::Process(pid).signal(rustix::process::Signal::CONT)?;
    wait_until("the gate opens again", Duration::from_secs(30), || async {
        let body = json!({ "data": { "email": "x" } });
        server.admin.send(Method::POST, path, Some(&body)).await.is_ok_and(|(s, _)| s == 201)
    })
    .await;
    server.stop().await
}

#[tokio::test]
async fn an_after_hook_sees_each_record_once_it_is_there_and_only_its_collection() -> Result<()> {
    let out = tempfile::NamedTempFile::new()?;
    let server = TestServer::start_with(&[("ZOO_OUT", &out.path().display().to_string())]).await?;
    let zoo = Zoo::new()?;
    server.admin.make_collection("orders", &["email"]).await?;
    server.admin.make_collection("other", &["email"]).await?;
    server.install(&zoo.extension("good", "good")?).await?;
    let record = json!({ "data": { "email": "a@b.c" } });
    server.admin.post("/api/collections/other/records", &record).await?;
    let mut ids = Vec::new();
    for _ in 0..20 {
        let created = server.admin.post("/api/collections/orders/records", &record).await?;
        ids.push(created["id"].as_str().expect("an id").to_owned());
    }
    let seen = || async {
        std::fs::read_to_string(out.path()).unwrap_or_default().lines().count() >= ids.len()
    };
    wait_until("twenty events", Duration::from_secs(20), seen).await;
    let text = std::fs::read_to_string(out.path())?;
    let mut records: Vec<_> =
        text.lines().filter_map(|line| line.split(' ').nth(1)).map(str::to_owned).collect();
    records.sort();
    ids.sort();
    assert_eq!(records, ids, "each once, and none of the other collection");
    server.stop().await
}

#[tokio::test]
async fn a_before_hook_that_the_manifest_does_not_declare_is_refused() -> Result<()> {
    let (server, zoo) = (TestServer::start().await?, Zoo::new()?);
    let source = zoo.extension("sneaky", "undeclared-before-hook")?.display().to_string();
    let output = server.cli(&["extensions", "install", "--yes", &source]).await?;
    assert!(!output.status.success());
    let status = server.extension("sneaky").await?;
    assert_ne!(status["state"], "ready");
    let reason = status["reason"].as_str().expect("a reason");
    assert!(reason.contains("record.create"), "{reason}");
    server.stop().await
}
