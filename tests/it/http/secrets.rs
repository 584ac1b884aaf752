//! Where secrets may not be: in processes that needn't know them, and in files (I17).

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use reqwest::Method;
use serde_json::json;
use tinybase_tests::{TestServer, Zoo};

const SMTP_PASSWORD: &str = "canary-smtp-password";
const USER_PASSWORD: &str = "canary-user-password";

/// Every file below a folder.
fn files(folder: &Path, found: &mut Vec<std::path::PathBuf>) -> Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            files(&entry.path(), found)?;
        } else if kind.is_file() {
            found.push(entry.path());
        }
    }
    Ok(())
}

fn has(bytes: &[u8], secret: &str) -> bool {
    bytes.windows(secret.len()).any(|window| window == secret.as_bytes())
}

#[tokio::test]
async fn no_extension_sees_a_secret_and_no_file_keeps_one() -> Result<()> {
    let variables = [("TINYBASE_EMAIL_SMTP_PASSWORD", SMTP_PASSWORD)];
    let (server, zoo) = (TestServer::start_with(&variables).await?, Zoo::new()?);
    server.install(&zoo.extension("zoo", "good")?).await?;
    let login = json!({ "email": "ann@example.com", "password": USER_PASSWORD });
    server.api.post("/api/auth/register", &login).await?;
    let login = server.api.post("/api/auth/login", &login).await?;
    let made = server.admin.post("/api/admin/application-tokens", &json!({ "name": "x" })).await?;
    let mut secrets = vec![SMTP_PASSWORD.to_owned(), USER_PASSWORD.to_owned()];
    for secret in [&login["access_token"], &login["refresh_token"], &made["token_value"]] {
        secrets.push(secret.as_str().context("a token")?.to_owned());
    }
    let (called, _) =
        server.api.send(Method::POST, "/api/functions/zoo_echo", Some(&json!({ "n": 1 }))).await?;
    assert_eq!(called, 200);

    let children = server.children()?;
    ensure!(!children.is_empty(), "no extension runs");
    let pid = u32::try_from(server.extension("zoo").await?["pid"].as_u64().context("a pid")?)?;
    let environment = std::fs::read(format!("/proc/{pid}/environ"))?;
    for secret in &secrets {
        ensure!(!has(&environment, secret), "{secret} is in an extension's environment");
    }
    ensure!(!has(&environment, "TINYBASE_DB_URL"), "the database's address is");
    for process in children.iter().map(|child| child.0).chain([server.process().0]) {
        let line = std::fs::read(format!("/proc/{process}/cmdline"))?;
        for secret in &secrets {
            ensure!(!has(&line, secret), "{secret} is in the command line of {process}");
        }
    }

    let archive = server.folder().join("backup.zip").display().to_string();
    let output = server.cli(&["backup", "create", &archive]).await?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let shown = server.cli(&["config", "show", "--origin"]).await?.stdout;
    let mut found = Vec::new();
    files(server.folder(), &mut found)?;
    for secret in &secrets {
        ensure!(!has(&shown, secret), "{secret} is in the configuration that is shown");
        for path in &found {
            let kept = std::fs::read(path).unwrap_or_default();
            ensure!(!has(&kept, secret), "{secret} is in {}", path.display());
        }
    }
    server.stop().await
}
