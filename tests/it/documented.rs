//! The documented example extension, taken from the document byte for byte, does what is written.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use reqwest::Method;
use serde_json::json;
use tinybase_tests::{TestServer, checkout, wait_until};

/// The files that the document prints under a title.
const FILES: [&str; 4] = ["extension.toml", "__init__.py", "hooks.py", "functions.py"];

/// The fenced block with that title, without its fence.
fn block(document: &str, title: &str) -> Result<String> {
    let fence = format!("title=\"{title}\"\n");
    let start = document.find(&fence).with_context(|| format!("no block {title}"))? + fence.len();
    let length = document[start..].find("```").context("the block doesn't end")?;
    Ok(document[start..start + length].to_owned())
}

fn extract(folder: &Path) -> Result<PathBuf> {
    let document = std::fs::read_to_string(checkout().join("tests/seeds/tinybase-extensions.md"))?;
    let folder = folder.join("my-extension");
    std::fs::create_dir(&folder)?;
    for file in FILES {
        std::fs::write(folder.join(file), block(&document, file)?)?;
    }
    Ok(folder)
}

/// Everything that the extension wrote, as the command line shows it.
async fn logs(server: &TestServer) -> String {
    match server.cli(&["extensions", "logs", "my-extension"]).await {
        Ok(output) => String::from_utf8_lossy(&output.stdout).into_owned(),
        Err(error) => error.to_string(),
    }
}

#[tokio::test]
async fn the_documented_extension_installs_gets_its_events_and_answers() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = TestServer::start_with(&[("MY_EXT_API_KEY", "secret123")]).await?;
    server.admin.make_collection("events", &["title"]).await?;
    let printed = server.install(&extract(folder.path())?).await?;
    assert!(printed.contains("my-extension"), "{printed}");
    server.wait_for_state("my-extension", "ready").await;

    wait_until("the startup hook printed", Duration::from_secs(20), || async {
        logs(&server).await.contains("Connected to external service")
    })
    .await;

    let record = json!({ "data": { "title": "launch" } });
    let created = server.admin.post("/api/collections/events/records", &record).await?;
    let id = created["id"].as_str().expect("an id");
    wait_until("the hook's NameError is in the log", Duration::from_secs(20), || async {
        logs(&server).await.contains("name 'send_to_external' is not defined")
    })
    .await;

    let path = "/api/functions/ext_sync_all";
    let (status, _) = server.api.send(Method::POST, path, Some(&json!({}))).await?;
    assert_eq!(status, 401);
    let user = server.api.register("ada@example.com").await?;
    let (status, _) = user.send(Method::POST, path, Some(&json!({}))).await?;
    assert_eq!(status, 403);
    let answer = server.admin.post(path, &json!({})).await?;
    assert_eq!(answer["status"], "succeeded", "{answer}");
    let error = format!("{id}: name 'send_to_external' is not defined");
    assert_eq!(answer["result"], json!({ "synced_count": 0, "errors": [error] }));

    let schema = server.admin.get(&format!("{path}/schema")).await?;
    assert_eq!(schema["input_schema"]["properties"]["force"]["type"], "boolean");
    assert_eq!(schema["output_schema"]["properties"]["synced_count"]["type"], "integer");
    let answer = server.admin.post(path, &json!({ "force": "perhaps" })).await?;
    assert_eq!(answer["status"], "failed");
    assert_eq!(answer["error_type"], "ValidationError");

    let listed = server.admin.get("/api/functions").await?;
    let function =
        listed.as_array().and_then(|all| all.iter().find(|f| f["name"] == "ext_sync_all"));
    let function = function.context("the function is listed")?;
    assert_eq!(function["description"], "Sync all records to external service");
    assert_eq!(function["tags"], json!(["my-extension", "sync"]));

    server.cli(&["extensions", "disable", "my-extension"]).await?;
    wait_until("the shutdown hook printed", Duration::from_secs(20), || async {
        logs(&server).await.contains("Disconnected from external service")
    })
    .await;
    server.stop().await
}
