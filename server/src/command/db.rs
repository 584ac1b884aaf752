//! `tinybase db`: the schema's state, bringing it up to date, checking the database, moving it.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use tinybase_store::{DatabaseUrl, SchemaStep, upkeep};

use super::admin::with_core;
use crate::cli::{Common, DbCommand};
use crate::config::Config;
use crate::data_folder::DataFolder;
use crate::terminal::{self, Progress};

pub(super) async fn run(command: DbCommand) -> anyhow::Result<ExitCode> {
    match command {
        DbCommand::Status { common } => status(&common).await,
        DbCommand::Upgrade { data } => upgrade(&data.data).await,
        DbCommand::Check { data } => check(&data.data).await,
        DbCommand::Copy { to, data } => copy(&data.data, &to).await,
    }
}

fn url(data: &Path) -> anyhow::Result<DatabaseUrl> {
    Ok(Config::load(data)?.database.url)
}

async fn status(common: &Common) -> anyhow::Result<ExitCode> {
    let url = url(&common.data.data)?;
    let steps = upkeep::status(&url).await?;
    if common.json {
        let step = |step: &SchemaStep| {
            serde_json::json!({
                "version": step.version, "description": step.description, "applied": step.applied,
            })
        };
        let steps: Vec<_> = steps.iter().map(step).collect();
        let answer = serde_json::json!({ "database": url.to_string(), "steps": steps });
        terminal::say_json(&answer)?;
        return Ok(ExitCode::SUCCESS);
    }
    terminal::say(&url.to_string())?;
    for step in &steps {
        terminal::say(&line(step))?;
    }
    let pending = steps.iter().filter(|step| !step.applied).count();
    if pending > 0 {
        terminal::say(&format!("{pending} pending; run `tinybase db upgrade`"))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn line(step: &SchemaStep) -> String {
    let state = if step.applied { "✓ applied" } else { "○ pending" };
    format!("{state}  {:04} {}", step.version, step.description)
}

async fn upgrade(data: &Path) -> anyhow::Result<ExitCode> {
    let url = url(data)?;
    let applied = upkeep::upgrade(&url).await?;
    for step in &applied {
        terminal::say(&format!("✓ Applied {:04} {}", step.version, step.description))?;
    }
    if applied.is_empty() {
        terminal::say(&format!("○ {url} is up to date"))?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn check(data: &Path) -> anyhow::Result<ExitCode> {
    let url = url(data)?;
    let wrong = upkeep::check(&url).await?;
    if wrong.is_empty() {
        terminal::say(&format!("✓ {url} is as it should be"))?;
        return Ok(ExitCode::SUCCESS);
    }
    for sentence in &wrong {
        terminal::say(&format!("✗ {sentence}"))?;
    }
    terminal::note(&format!("{} thing(s) are wrong with {url}", wrong.len()));
    Ok(ExitCode::FAILURE)
}

async fn copy(data: &Path, to: &str) -> anyhow::Result<ExitCode> {
    let mut config = Config::load(data)?;
    let from = config.database.url.clone();
    let to: DatabaseUrl =
        to.parse().with_context(|| "the database to copy to can't be used".to_owned())?;
    // What is written meanwhile would be missing in the copy.
    let _lock = DataFolder::new(data)?.lock().context("stop the server first")?;
    let progress = Progress::begin(&format!("Copying {from} to {to}"));
    let copied = upkeep::copy(&from, &to, &mut |table, rows| {
        progress.report(&format!("{table}: {rows} rows"));
    })
    .await?;
    progress.report("indexes over fields");
    config.database.url = to;
    make_indexes(&config).await?;
    drop(progress);
    for table in &copied {
        terminal::say(&format!("✓ {}: {} rows", table.table, table.rows))?;
    }
    terminal::say(
        "Counts and checksums agree. Point [database] url or TINYBASE_DB_URL to the copy.",
    )?;
    Ok(ExitCode::SUCCESS)
}

/// Makes what a copy lacks and a server would make at its start: rows are copied, and the indexes over
/// fields are made from the collections' schemas.
pub(super) async fn make_indexes(config: &Config) -> anyhow::Result<()> {
    let made = with_core(config, async |core| Ok(core.repair_indexes().await?)).await;
    made.map(drop).context(
        "everything was copied, but the indexes over fields could not be made; a server makes them when \
         it starts",
    )
}
