//! `tinybase extensions install`: show what is asked for, ask, install, and say how it went.

use std::process::ExitCode;

use anyhow::{Context as _, bail};
use serde_json::json;
use tinybase_catalog::{Source, Staged};

use super::super::admin_client::AdminClient;
use super::super::catalog::{Offline, inspect};
use super::super::row::Row;
use super::{LIST, Place};
use crate::terminal::{self, Progress};

const WARNING: &str = "⚠ Extensions run code of their own on this machine. \
                       Only install extensions from trusted sources.";

pub(super) async fn run(place: &Place, source: &str, yes: bool) -> anyhow::Result<ExitCode> {
    let source: Source = source.parse()?;
    let source = source.absolute().context("failed to find the current folder")?;
    if !yes && !terminal::can_ask() {
        bail!(
            "there is no terminal to ask on; look at what {source} does, and add --yes to agree \
             to what it asks for"
        );
    }
    match &place.server {
        Some(server) => with_server(place, server, source, yes).await,
        None => without_server(place, source, yes).await,
    }
}

async fn with_server(
    place: &Place,
    server: &AdminClient,
    source: Source,
    yes: bool,
) -> anyhow::Result<ExitCode> {
    let staged = inspect(source.clone()).await?;
    if !agreed(&staged, yes)? {
        return Ok(ExitCode::SUCCESS);
    }
    // What was agreed to is what is installed, also if the branch moves meanwhile.
    let (source, note) = match (source, staged.commit()) {
        (Source::Git { url, .. }, Some(commit)) if !yes => {
            (Source::Git { url, reference: Some(commit.to_owned()) }, commit.to_owned())
        }
        (source, _) => (source, String::new()),
    };
    let text = match &source {
        Source::Git { url, reference } => {
            reference.as_ref().map_or_else(|| url.clone(), |reference| format!("{url}@{reference}"))
        }
        Source::Folder(_) | Source::Archive(_) => source.to_string(),
    };
    let name = staged.manifest().about.name.clone();
    drop(staged);
    let progress = Progress::begin(&format!("Installing {name} {note}"));
    let row: Row = server.post(LIST, &json!({ "repo_url": text })).await?;
    drop(progress);
    place.tell_started(&row, &done(&row))
}

async fn without_server(place: &Place, source: Source, yes: bool) -> anyhow::Result<ExitCode> {
    let (offline, staged) = Offline::open(&place.data)?.stage(source).await?;
    if !agreed(&staged, yes)? {
        return Ok(ExitCode::SUCCESS);
    }
    let installed = offline.install(staged).await?;
    let row = Row::of(&installed);
    place.tell(&row, &done(&row))?;
    terminal::note("Note: no server runs here; the extension starts with it.");
    Ok(ExitCode::SUCCESS)
}

fn done(row: &Row) -> String {
    format!("✓ Successfully installed: {} v{}", row.status.name, row.status.version)
}

/// Says what is about to be installed, and asks unless that was agreed to.
fn agreed(staged: &Staged, yes: bool) -> anyhow::Result<bool> {
    let about = &staged.manifest().about;
    terminal::note(WARNING);
    terminal::note(&format!("{} v{} asks for:", about.name, about.version));
    for line in staged.permissions() {
        terminal::note(&format!("  {line}"));
    }
    if yes || terminal::confirm("Install it?")? {
        return Ok(true);
    }
    terminal::note("Installation cancelled.");
    Ok(false)
}
