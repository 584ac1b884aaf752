//! `tinybase extensions …`: through the running server, or on the catalog when none runs.

mod check_updates;
mod install;

use std::process::ExitCode;

use anyhow::{Context as _, bail};
use serde::Deserialize;
use serde_json::{Value, json};

use super::admin_client::AdminClient;
use super::catalog::Offline;
use super::logs::{self, Style, Wanted};
use super::row::Row;
use crate::cli::{Common, ExtensionsCommand, One};
use crate::data_folder::DataFolder;
use crate::server::{PROTO, open_catalog};
use crate::{config, terminal};

const LIST: &str = "/api/admin/extensions";

/// The data folder, and its server if one runs.
struct Place {
    data: DataFolder,
    server: Option<AdminClient>,
    json: bool,
}

impl Place {
    async fn find(common: &Common) -> anyhow::Result<Self> {
        let data = DataFolder::new(&common.data.data)?;
        if !data.root().join(config::FILE_NAME).is_file() {
            let shown = data.root().display().to_string();
            return Err(config::ConfigError::NotInitialized(shown).into());
        }
        let server = AdminClient::connect(&data.admin_socket()).await?;
        Ok(Self { data, server, json: common.json })
    }

    fn offline(&self) -> anyhow::Result<Offline> {
        Offline::open(&self.data)
    }

    async fn show(&self, name: &str) -> anyhow::Result<Row> {
        match &self.server {
            Some(server) => server.get(&path(name)).await,
            None => Ok(Row::of(&self.offline()?.find(name)?)),
        }
    }

    /// Prints the row as JSON, or the line for a person.
    fn tell(&self, row: &Row, line: &str) -> anyhow::Result<()> {
        if self.json { terminal::say_json(row) } else { Ok(terminal::say(line)?) }
    }

    /// Prints how an extension is that was just started; success means that it is ready.
    fn tell_started(&self, row: &Row, done: &str) -> anyhow::Result<ExitCode> {
        let name = &row.status.name;
        if row.is_ready() {
            self.tell(row, done)?;
            return Ok(ExitCode::SUCCESS);
        }
        if self.json {
            terminal::say_json(row)?;
        }
        terminal::note(&format!("✗ {name} is not running: {}", row.state()));
        terminal::note(&format!("  Its log: tinybase extensions logs {name}"));
        Ok(ExitCode::FAILURE)
    }
}

fn path(name: &str) -> String {
    // Whatever isn't a name is no extension either; the server says so.
    let safe: String =
        name.chars().filter(|c| c.is_ascii_alphanumeric() || "-_.".contains(*c)).collect();
    format!("{LIST}/{safe}")
}

pub(super) async fn run(command: ExtensionsCommand) -> anyhow::Result<ExitCode> {
    match command {
        ExtensionsCommand::Install { source, yes, common } => {
            install::run(&Place::find(&common).await?, &source, yes).await
        }
        ExtensionsCommand::List { common } => list(&Place::find(&common).await?).await,
        ExtensionsCommand::Show(One { name, common }) => {
            let place = Place::find(&common).await?;
            let row = place.show(&name).await?;
            place.tell(&row, &row.details())?;
            Ok(ExitCode::SUCCESS)
        }
        ExtensionsCommand::Enable(One { name, common }) => {
            set_enabled(&Place::find(&common).await?, &name, true).await
        }
        ExtensionsCommand::Disable(One { name, common }) => {
            set_enabled(&Place::find(&common).await?, &name, false).await
        }
        ExtensionsCommand::CheckUpdates { name, common } => {
            check_updates::run(&Place::find(&common).await?, name.as_deref()).await
        }
        ExtensionsCommand::Restart(One { name, common }) => {
            restart(&Place::find(&common).await?, &name).await
        }
        ExtensionsCommand::Uninstall { name, yes, common } => {
            uninstall(&Place::find(&common).await?, &name, yes).await
        }
        ExtensionsCommand::Repin(One { name, common }) => {
            repin(&Place::find(&common).await?, &name).await
        }
        ExtensionsCommand::Logs { name, lines, follow, common } => {
            let place = Place::find(&common).await?;
            place.show(&name).await?;
            let style = if common.json { Style::Json } else { Style::Text };
            logs::print(&place.data, &name, Wanted { lines, follow, style }).await
        }
        ExtensionsCommand::Proto => {
            terminal::say(PROTO.trim_end())?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

#[derive(Deserialize)]
struct List {
    extensions: Vec<Row>,
    total: usize,
}

/// All extensions.
async fn rows(place: &Place) -> anyhow::Result<Vec<Row>> {
    let Some(server) = &place.server else {
        return Ok(place.offline()?.all()?.iter().map(Row::of).collect());
    };
    let mut rows = Vec::new();
    loop {
        let query = format!("{LIST}?limit=1000&offset={}", rows.len());
        let List { extensions, total } = server.get(&query).await?;
        let last = extensions.is_empty();
        rows.extend(extensions);
        if last || rows.len() >= total {
            return Ok(rows);
        }
    }
}

async fn list(place: &Place) -> anyhow::Result<ExitCode> {
    let rows = rows(place).await?;
    if place.json {
        terminal::say_json(&rows)?;
    } else if rows.is_empty() {
        terminal::say("No extensions installed.")?;
    } else {
        for row in &rows {
            terminal::say(&row.lines())?;
        }
        if place.server.is_none() {
            terminal::note("No server runs here; the extensions start with it.");
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn set_enabled(place: &Place, name: &str, enabled: bool) -> anyhow::Result<ExitCode> {
    let before = place.show(name).await?;
    let word = if enabled { "enabled" } else { "disabled" };
    let capital = if enabled { "Enabled" } else { "Disabled" };
    let same = before.is_enabled == enabled;
    let Some(server) = &place.server else {
        place.offline()?.set_enabled(name, enabled)?;
        let row = place.show(name).await?;
        let line = if same {
            format!("Extension {name} is already {word}.")
        } else {
            format!("✓ {capital} extension: {name}")
        };
        place.tell(&row, &line)?;
        return Ok(ExitCode::SUCCESS);
    };
    if same && (!enabled || before.is_ready()) {
        place.tell(&before, &format!("Extension {name} is already {word}."))?;
        return Ok(ExitCode::SUCCESS);
    }
    let row: Row = server.patch(&path(name), &json!({ "is_enabled": enabled })).await?;
    let done = format!("✓ {capital} extension: {name}");
    if enabled {
        return place.tell_started(&row, &done);
    }
    place.tell(&row, &done)?;
    Ok(ExitCode::SUCCESS)
}

async fn restart(place: &Place, name: &str) -> anyhow::Result<ExitCode> {
    let Some(server) = &place.server else {
        place.show(name).await?;
        bail!("no server runs on {}, so there is nothing to restart", place.data.root().display());
    };
    let row: Row = server.post(&format!("{}/restart", path(name)), &Value::Null).await?;
    place.tell_started(&row, &format!("✓ Restarted extension: {name}"))
}

async fn uninstall(place: &Place, name: &str, yes: bool) -> anyhow::Result<ExitCode> {
    place.show(name).await?;
    if !yes {
        if !terminal::can_ask() {
            bail!("there is no terminal to ask on; add --yes to uninstall {name}");
        }
        if !terminal::confirm(&format!("Uninstall {name}?"))? {
            terminal::note("Uninstall cancelled.");
            return Ok(ExitCode::SUCCESS);
        }
    }
    match &place.server {
        Some(server) => server.delete(&path(name)).await?,
        None => place.offline()?.uninstall(name)?,
    }
    if place.json {
        terminal::say_json(&json!({ "name": name, "uninstalled": true }))?;
    } else {
        terminal::say(&format!("✓ Uninstalled extension: {name}"))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The lock file may be changed beside a running server, which then is told to look again.
async fn repin(place: &Place, name: &str) -> anyhow::Result<ExitCode> {
    let before = place.show(name).await?;
    let parsed = name.parse().with_context(|| format!("Extension '{name}' not found"))?;
    open_catalog(place.data.root())?.repin(&parsed)?;
    let done = format!("✓ Pinned the files of {name} as they are now");
    match &place.server {
        Some(server) if before.is_enabled => {
            let body = json!({ "is_enabled": true });
            let row: Row = server.patch(&path(name), &body).await?;
            place.tell_started(&row, &done)
        }
        Some(_) | None => {
            place.tell(&place.show(name).await?, &done)?;
            Ok(ExitCode::SUCCESS)
        }
    }
}
