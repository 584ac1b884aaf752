//! An extension as the command line shows it, whether a server told of it or the catalog.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tinybase_catalog::Installed;
use tinybase_core::InstalledExtension;
use tinybase_model::{ExtensionState, ExtensionStatus};

use crate::extensions::view;

/// An extension, in the shape of the API.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Row {
    pub(super) description: Option<String>,
    pub(super) author: Option<String>,
    pub(super) repo_url: String,
    pub(super) is_enabled: bool,
    /// `broad` or `listed`.
    pub(super) permissions: String,
    pub(super) installed_at: Timestamp,
    #[serde(flatten)]
    pub(super) status: ExtensionStatus,
}

impl Row {
    /// An extension of a server that doesn't run.
    pub(super) fn of(installed: &Installed) -> Self {
        let shown = view::installed(installed, None, false);
        let InstalledExtension { description, author, source, is_enabled, is_broad, .. } = shown;
        Self {
            description,
            author,
            repo_url: source,
            is_enabled,
            permissions: if is_broad { "broad" } else { "listed" }.to_owned(),
            installed_at: shown.installed_at,
            status: shown.status,
        }
    }

    /// Whether it takes work.
    pub(super) fn is_ready(&self) -> bool {
        self.status.state == ExtensionState::Ready
    }

    /// The state with why, in a line.
    pub(super) fn state(&self) -> String {
        let word = self.status.state.as_str().replace('_', " ");
        match &self.status.reason {
            Some(reason) => format!("{word}: {reason}"),
            None => word,
        }
    }

    /// A few lines for a list. A tick is for what works, and for nothing else.
    pub(super) fn lines(&self) -> String {
        let ExtensionStatus { name, version, state, reason, .. } = &self.status;
        let word = state.as_str().replace('_', " ");
        let mark = match state {
            ExtensionState::Ready => "✓",
            ExtensionState::Installed | ExtensionState::Disabled | ExtensionState::Stopped => "○",
            ExtensionState::Starting | ExtensionState::Draining => "…",
            ExtensionState::Broken
            | ExtensionState::Degraded
            | ExtensionState::BackingOff
            | ExtensionState::Quarantined => "✗",
        };
        let broad = if self.permissions == "broad" { "  broad" } else { "" };
        let mut lines = vec![format!("  {name} v{version}  [{mark} {word}]{broad}")];
        let facts = [
            ("", reason.as_ref()),
            ("", self.description.as_ref()),
            ("Author: ", self.author.as_ref()),
            ("Source: ", Some(&self.repo_url)),
        ];
        for (label, fact) in facts {
            if let Some(fact) = fact.filter(|fact| !fact.is_empty()) {
                lines.push(format!("    {label}{}", fact.replace('\n', "\n    ")));
            }
        }
        lines.join("\n")
    }

    /// Everything that is known.
    pub(super) fn details(&self) -> String {
        let status = &self.status;
        let list = |words: &[String]| {
            if words.is_empty() { "none".to_owned() } else { words.join(", ") }
        };
        let process = match status.pid {
            Some(pid) => format!("{pid}, {} since {}", status.state.as_str(), status.since),
            None => "none".to_owned(),
        };
        let mut lines = vec![
            self.lines(),
            format!("    Installed: {}", self.installed_at),
            format!("    Permissions: {}", self.permissions),
            format!("    Process: {process}"),
            format!("    Restarts: {}", status.restarts),
            format!("    Hooks: {}", list(&status.hooks)),
            format!("    Functions: {}", list(&status.functions)),
        ];
        if let Some(crash) = &status.last_crash {
            lines.push(format!(
                "    Last crash: {} at {} with {} calls in hand",
                crash.reason, crash.at, crash.in_flight
            ));
            lines.extend(crash.last_lines.iter().map(|line| format!("      {line}")));
        }
        lines.join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(state: ExtensionState, reason: Option<&str>) -> Row {
        Row {
            description: Some("Welcomes people".to_owned()),
            author: None,
            repo_url: "https://github.com/u/e".to_owned(),
            is_enabled: true,
            permissions: "broad".to_owned(),
            installed_at: Timestamp::UNIX_EPOCH,
            status: ExtensionStatus {
                name: "welcome".parse().expect("a name"),
                version: "1.0.0".to_owned(),
                state,
                reason: reason.map(str::to_owned),
                pid: None,
                since: Timestamp::UNIX_EPOCH,
                restarts: 0,
                hooks: Vec::new(),
                functions: Vec::new(),
                last_crash: None,
            },
        }
    }

    #[test]
    fn only_what_works_has_a_tick() {
        assert_eq!(
            row(ExtensionState::Ready, None).lines(),
            "  welcome v1.0.0  [✓ ready]  broad\n    Welcomes people\n    Source: https://github.com/u/e"
        );
        let lines = row(ExtensionState::BackingOff, Some("exited with status 3")).lines();
        assert!(lines.starts_with("  welcome v1.0.0  [✗ backing off]"), "{lines}");
        assert!(lines.contains("\n    exited with status 3\n"), "{lines}");
    }

    #[test]
    fn what_the_api_says_reads_back() {
        let row = row(ExtensionState::Ready, None);
        let json = serde_json::to_value(&row).expect("JSON");
        assert_eq!(json["state"], "ready");
        let back: Row = serde_json::from_value(json).expect("a row");
        assert_eq!(back.lines(), row.lines());
    }
}
