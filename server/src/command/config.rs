//! `tinybase config`: what holds and where it came from.

use std::process::ExitCode;

use anyhow::Context as _;
use tinybase_api::Tls;

use crate::cli::ConfigCommand;
use crate::config::{Config, Entry, Explained};
use crate::terminal;

pub(super) fn run(command: ConfigCommand) -> anyhow::Result<ExitCode> {
    match command {
        ConfigCommand::Show { origin, json, data, flags } => {
            let Explained { config, entries } = Config::explain(&data.data, &flags.list())?;
            warn(&config);
            if json {
                terminal::say_json(&entries)?;
            } else {
                terminal::say(&text(&entries, origin))?;
            }
        }
        ConfigCommand::Check { data, flags } => {
            let Explained { config, entries } = Config::explain(&data.data, &flags.list())?;
            warn(&config);
            if let Some(tls) = &config.tls {
                Tls::load(&tls.certificate, &tls.key).context("[server.tls] can't be used")?;
            }
            let set = entries.iter().filter(|entry| !entry.is_default()).count();
            terminal::say(&format!("✓ The configuration is valid ({set} keys are set)"))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn warn(config: &Config) {
    for warning in &config.warnings {
        terminal::note(&format!("Warning: {warning}"));
    }
}

/// The entries as TOML, with the origins as comments.
fn text(entries: &[Entry], with_origin: bool) -> String {
    let line = |entry: &Entry| match entry.value.as_str() {
        "" => format!("# {} isn't set", entry.key),
        value => format!("{} = {value}", entry.key),
    };
    let width = entries.iter().map(|entry| line(entry).chars().count()).max().unwrap_or(0);
    let mut lines = Vec::new();
    let mut section = "";
    for entry in entries {
        if entry.section != section {
            if !lines.is_empty() {
                lines.push(String::new());
            }
            section = entry.section;
            lines.push(format!("[{section}]"));
        }
        let line = line(entry);
        lines.push(if with_origin { format!("{line:width$}  # {}", entry.origin) } else { line });
    }
    lines.join("\n")
}
