//! What an administrator does with extensions over HTTP and on the command line.

use std::path::{Path, PathBuf};

use anyhow::Result;
use reqwest::Method;
use serde_json::json;
use tinybase_tests::TestServer;

const LIST: &str = "/api/admin/extensions";

/// An extension that runs as it stands and isn't started, so that no toolchain is needed.
fn extension(folder: &Path, version: &str) -> Result<PathBuf> {
    let folder = folder.join("quiet");
    std::fs::create_dir_all(&folder)?;
    let manifest = format!(
        "[extension]\nname = \"quiet\"\nversion = \"{version}\"\nauthor = \"Ada\"\n\n\
         [extension.run]\ncommand = [\"/bin/cat\"]\n\n[extension.permissions]\n"
    );
    std::fs::write(folder.join("extension.toml"), manifest)?;
    Ok(folder)
}

async fn server() -> Result<TestServer> {
    TestServer::start_with(&[("TINYBASE_EXTENSIONS_ENABLED", "false")]).await
}

/// Installs over HTTP: the command wants what it installs to run.
async fn install(server: &TestServer, folder: &Path) -> Result<()> {
    let source = json!({ "repo_url": folder.display().to_string() });
    server.admin.post(LIST, &source).await?;
    Ok(())
}

#[tokio::test]
async fn settings_of_an_extension_are_kept_and_its_secrets_are_not_shown() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = server().await?;
    install(&server, &extension(folder.path(), "1.0.0")?).await?;
    let path = format!("{LIST}/quiet/settings");
    let empty = json!({ "extension_name": "quiet", "settings": [] });
    assert_eq!(server.admin.get(&path).await?, empty);
    let change = json!({ "settings": { "url": "https://example.com", "api_key": "hunter2" } });
    let settings = server.admin.patch(&path, &change).await?;
    let shown = json!([
        { "key": "api_key", "value": null, "value_type": "str", "description": null,
          "is_secret": true },
        { "key": "url", "value": "https://example.com", "value_type": "str", "description": null,
          "is_secret": false },
    ]);
    assert_eq!(settings["settings"], shown);
    let wrong = json!({ "settings": { "url": "x", "a b": "y" } });
    let (status, problem) = server.admin.send(Method::PATCH, &path, Some(&wrong)).await?;
    assert_eq!(status, 400, "{problem}");
    assert_eq!(server.admin.get(&path).await?["settings"], shown);
    let gone = json!({ "settings": { "url": null } });
    assert_eq!(server.admin.patch(&path, &gone).await?["settings"][1], json!(null));
    let missing = format!("{LIST}/missing/settings");
    assert_eq!(server.admin.send(Method::GET, &missing, None).await?.0, 404);
    assert_eq!(server.api.send(Method::GET, &path, None).await?.0, 401);
    server.stop().await
}

#[tokio::test]
async fn another_version_at_the_source_is_an_update() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = server().await?;
    install(&server, &extension(folder.path(), "1.0.0")?).await?;
    let shown = server.admin.get(&format!("{LIST}/quiet?check_updates=true")).await?;
    assert_eq!(shown["update_available"], json!(null));
    let output = server.cli(&["extensions", "check-updates"]).await?;
    assert_eq!(String::from_utf8_lossy(&output.stdout), "quiet: 1.0.0 (up to date)\n");
    assert!(output.status.success());
    extension(folder.path(), "1.1.0")?;
    let list = server.admin.get(&format!("{LIST}?check_updates=true")).await?;
    assert_eq!(list["extensions"][0]["update_available"], "1.1.0");
    assert_eq!(server.admin.get(LIST).await?["extensions"][0]["update_available"], json!(null));
    let output = server.cli(&["extensions", "check-updates", "quiet"]).await?;
    let line = "quiet: 1.0.0 → 1.1.0 (update available)\n";
    assert_eq!(String::from_utf8_lossy(&output.stdout), line);
    std::fs::remove_dir_all(folder.path().join("quiet"))?;
    let output = server.cli(&["extensions", "check-updates", "quiet"]).await?;
    assert_eq!(output.status.code(), Some(1));
    let output = server.cli(&["extensions", "check-updates", "missing"]).await?;
    assert_eq!(output.status.code(), Some(1));
    server.stop().await
}

#[tokio::test]
async fn what_is_done_with_an_extension_is_noted() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = server().await?;
    install(&server, &extension(folder.path(), "1.0.0")?).await?;
    assert!(server.cli(&["extensions", "disable", "quiet"]).await?.status.success());
    server.admin.delete(&format!("{LIST}/quiet")).await?;
    // The next commit comes after those that note what was done before.
    server.admin.make_collection("notes", &["title"]).await?;
    let noted = server.admin.get("/api/admin/activity?resource_type=extension").await?;
    let actions: Vec<_> = noted["activities"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|activity| (activity["action"].clone(), activity["resource_id"].clone()))
        .collect();
    let expected = ["extension.uninstall", "extension.disable", "extension.install"]
        .map(|action| (json!(action), json!("quiet")));
    assert_eq!(actions, expected);
    assert_eq!(noted["activities"][1]["metadata"]["actor"], "operator");
    assert_eq!(noted["activities"][2]["user_email"], "admin@example.com");
    server.stop().await
}
