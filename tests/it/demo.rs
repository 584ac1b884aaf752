//! `tinybase demo --exit` tells its story and ends with 0.

use std::process::Stdio;
use std::time::Duration;

use anyhow::Result;
use tinybase_tests::binary;

#[tokio::test]
async fn the_demo_tells_its_story_and_leaves_nothing_running() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let demo = tokio::process::Command::new(binary("tinybase")?)
        .args(["demo", "--exit", "--data"])
        .arg(folder.path().join("data"))
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(Duration::from_mins(15), demo).await??;
    let story = String::from_utf8_lossy(&output.stdout);
    let trouble = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{story}\n{trouble}");
    for part in ["344 penguins", "py-welcome", "rust-audit", "killed", "is back"] {
        assert!(story.contains(part), "{part:?} is missing from:\n{story}");
    }
    Ok(())
}
