//! `tinybase hooks list`: who listens to what, in the order in which it runs.

use std::process::ExitCode;

use anyhow::bail;
use serde::{Deserialize, Serialize};

use super::admin_client::AdminClient;
use crate::cli::Common;
use crate::data_folder::DataFolder;
use crate::terminal;

/// One hook, as the API has it.
#[derive(Debug, Serialize, Deserialize)]
struct Hook {
    event: String,
    phase: String,
    filter: Option<String>,
    extension: String,
    handler: String,
    priority: i32,
    timeout_ms: u64,
    fail_open: bool,
}

#[derive(Deserialize)]
struct Hooks {
    hooks: Vec<Hook>,
}

pub(super) async fn list(common: &Common) -> anyhow::Result<ExitCode> {
    let data = DataFolder::new(&common.data.data)?;
    let Some(server) = AdminClient::connect(&data.admin_socket()).await? else {
        bail!(
            "no server runs on {}; what extensions hook is known once they run",
            data.root().display()
        );
    };
    let Hooks { hooks } = server.get("/api/admin/hooks").await?;
    if common.json {
        terminal::say_json(&hooks)?;
    } else if hooks.is_empty() {
        terminal::say("No hooks.")?;
    } else {
        terminal::say(&table(&hooks))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// One heading for each event and phase, below it the chain.
fn table(hooks: &[Hook]) -> String {
    let mut lines = Vec::new();
    let mut heading = String::new();
    for hook in hooks {
        let now = format!("{} {}", hook.phase, hook.event);
        if now != heading {
            lines.push(now.clone());
            heading = now;
        }
        let filter = hook.filter.as_deref().unwrap_or("*");
        let policy = if hook.phase != "before" {
            ""
        } else if hook.fail_open {
            ", open"
        } else {
            ", closed"
        };
        lines.push(format!(
            "  {:>4}  {}  {filter}  {} ({} ms{policy})",
            hook.priority, hook.extension, hook.handler, hook.timeout_ms
        ));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_chain_has_a_heading_and_before_hooks_show_their_policy() {
        let hook = |phase: &str, extension: &str| Hook {
            event: "record.create".to_owned(),
            phase: phase.to_owned(),
            filter: (phase == "before").then(|| "orders".to_owned()),
            extension: extension.to_owned(),
            handler: "check".to_owned(),
            priority: 0,
            timeout_ms: 1000,
            fail_open: extension == "b",
        };
        assert_eq!(
            table(&[hook("before", "a"), hook("before", "b"), hook("after", "c")]),
            "before record.create\n     0  a  orders  check (1000 ms, closed)\n     0  b  orders  \
             check (1000 ms, open)\nafter record.create\n     0  c  *  check (1000 ms)"
        );
    }
}
