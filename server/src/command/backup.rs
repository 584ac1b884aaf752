//! `tinybase backup`: making, checking and restoring archives.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;

use super::db::make_indexes;
use crate::backup::{self, Manifest};
use crate::cli::BackupCommand;
use crate::config::Config;
use crate::data_folder::DataFolder;
use crate::terminal::{self, Progress};

pub(super) async fn run(command: BackupCommand) -> anyhow::Result<ExitCode> {
    match command {
        BackupCommand::Create { archive, data } => create(&data.data, archive).await,
        BackupCommand::Verify { archive } => verify(&archive).await,
        BackupCommand::Restore { archive, replace, data } => {
            restore(&data.data, &archive, replace).await
        }
    }
}

async fn create(data: &Path, archive: Option<PathBuf>) -> anyhow::Result<ExitCode> {
    let config = Config::load(data)?;
    let folder = DataFolder::new(data)?;
    let archive = archive.unwrap_or_else(|| {
        let now = jiff::Timestamp::now().strftime("%Y-%m-%dT%H-%M-%SZ");
        PathBuf::from(format!("tinybase-{now}.zip"))
    });
    let progress = Progress::begin(&format!("Backing up {}", config.database.url));
    let manifest = backup::create(&config.database.url, folder.root(), &archive, &mut |what| {
        progress.report(what);
    })
    .await?;
    drop(progress);
    terminal::say(&format!(
        "✓ {}: {} files, {} bytes",
        archive.display(),
        manifest.entries.len(),
        manifest.entries.iter().map(|entry| entry.bytes).sum::<u64>()
    ))?;
    say_buckets(&manifest)?;
    Ok(ExitCode::SUCCESS)
}

/// What an operator has to keep besides the archive.
fn say_buckets(manifest: &Manifest) -> anyhow::Result<()> {
    for (bucket, files) in &manifest.buckets {
        terminal::say(&format!(
            "○ Not in the archive: {files} file(s) in the bucket {bucket}; the bucket's service keeps \
             them"
        ))?;
    }
    Ok(())
}

async fn verify(archive: &Path) -> anyhow::Result<ExitCode> {
    let manifest = backup::verify(archive).await?;
    terminal::say(&format!(
        "✓ {} is whole: made by TinyBase {} at {}",
        archive.display(),
        manifest.server_version,
        manifest.created_at
    ))?;
    for (table, rows) in &manifest.rows {
        terminal::say(&format!("  {table}: {rows} rows"))?;
    }
    say_buckets(&manifest)?;
    Ok(ExitCode::SUCCESS)
}

async fn restore(data: &Path, archive: &Path, replace: bool) -> anyhow::Result<ExitCode> {
    std::fs::create_dir_all(data)
        .with_context(|| format!("failed to create {}", data.display()))?;
    let folder = DataFolder::new(data)?;
    let _lock = folder.lock().context("stop the server first")?;
    let config = Config::load_or_usual(data)?;
    let restored = backup::restore(&config.database.url, folder.root(), archive, replace).await?;
    make_indexes(&config).await?;
    if let Some(aside) = &restored.aside {
        terminal::say(&format!("○ What was there is now in {}", aside.display()))?;
    }
    terminal::say(&format!(
        "✓ Restored {} from {}",
        config.database.url, restored.manifest.created_at
    ))?;
    say_buckets(&restored.manifest)?;
    terminal::say("  Cursors that clients kept from before are no longer valid.")?;
    Ok(ExitCode::SUCCESS)
}
