//! The command line, against a running server and against a stopped one.

use std::process::Output;

use anyhow::{Result, ensure};
use serde_json::Value;
use tinybase_tests::{TestServer, Zoo};

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

async fn list(server: &TestServer) -> Result<Value> {
    let output = server.cli(&["extensions", "list", "--json"]).await?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(serde_json::from_slice(&output.stdout)?)
}

#[tokio::test]
async fn extensions_are_managed_with_and_without_a_running_server() -> Result<()> {
    let (mut server, zoo) = (TestServer::start().await?, Zoo::new()?);
    assert!(
        stdout(&server.cli(&["extensions", "list"]).await?).contains("No extensions installed.")
    );
    server.install(&zoo.extension("good", "good")?).await?;
    let shown = list(&server).await?;
    assert_eq!(shown[0]["name"], "good");
    assert_eq!(shown[0]["state"], "ready");
    let restarted = server.cli(&["extensions", "restart", "good"]).await?;
    assert!(restarted.status.success(), "{}", String::from_utf8_lossy(&restarted.stderr));
    server.wait_for_state("good", "ready").await;

    server.kill().await?;
    server.install(&zoo.extension("late", "good")?).await?;
    let shown = list(&server).await?;
    let states: Vec<_> = shown.as_array().expect("a list").iter().map(|e| &e["state"]).collect();
    assert_eq!(states, ["installed", "installed"], "no server runs");
    let output = server.cli(&["extensions", "disable", "good"]).await?;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let restart = server.cli(&["extensions", "restart", "good"]).await?;
    assert!(!restart.status.success(), "nothing runs that could be restarted");

    server.start_again().await?;
    server.wait_for_state("late", "ready").await;
    assert_eq!(server.extension("good").await?["state"], "disabled");
    let removed = server.cli(&["extensions", "uninstall", "--yes", "late"]).await?;
    assert!(removed.status.success(), "{}", String::from_utf8_lossy(&removed.stderr));
    assert_eq!(list(&server).await?.as_array().map(Vec::len), Some(1));
    server.stop().await
}

#[tokio::test]
async fn a_broken_manifest_says_what_where_and_what_to_do() -> Result<()> {
    let (server, zoo) = (TestServer::start().await?, Zoo::new()?);
    for (name, manifest, words) in [
        ("no-version", "[extension]\nname = \"no-version\"\n", &["version"][..]),
        (
            "typo",
            "[extension]\nname = \"typo\"\nversion = \"1.0.0\"\nauthr = \"me\"\n",
            &["authr", "author"],
        ),
        ("syntax", "[extension\nname = \"syntax\"\n", &["extension.toml", "line 1"]),
        (
            "too-new",
            "[extension]\nname = \"too-new\"\nversion = \"1.0.0\"\n[extension.tinybase]\nmin_version = \"99.0.0\"\n",
            &["99.0.0"],
        ),
        ("bad_name", "[extension]\nname = \"Bad Name\"\nversion = \"1.0.0\"\n", &["Bad Name"]),
    ] {
        let folder = zoo.folder(name, &[("extension.toml", manifest), ("__init__.py", "")])?;
        let source = folder.display().to_string();
        let output = server.cli(&["extensions", "install", "--yes", &source]).await?;
        assert!(!output.status.success(), "{name}");
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        for word in words {
            assert!(error.contains(word), "{name}: {word:?} is not in {error}");
        }
    }
    assert_eq!(list(&server).await?.as_array().map(Vec::len), Some(0), "nothing was left behind");
    server.stop().await
}

#[tokio::test]
async fn an_unknown_key_in_the_configuration_names_the_nearest_known_one() -> Result<()> {
    let server = TestServer::start().await?;
    let folder = server.folder().to_owned();
    let file = folder.join("tinybase.toml");
    let text = std::fs::read_to_string(&file)?;
    std::fs::write(&file, text.replace("[server]", "[server]\nlog_levle = \"debug\""))?;
    let output = server.cli(&["serve", "--port", "0"]).await?;
    assert!(!output.status.success());
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(error.contains("log_levle") && error.contains("log_level"), "{error}");
    server.stop().await
}
