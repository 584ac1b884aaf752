//! `tinybase extensions check-updates`: what the places where extensions came from have now.

use std::process::ExitCode;

use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::{Place, path};
use crate::extensions::update::look;
use crate::terminal;

/// One extension, as it is here and as it is there.
#[derive(Debug, Serialize, Deserialize)]
struct Looked {
    name: String,
    version: String,
    update_available: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

impl Looked {
    fn line(&self) -> String {
        let Self { name, version, update_available, error } = self;
        match (update_available, error) {
            (Some(found), _) => format!("{name}: {version} → {found} (update available)"),
            (None, None) => format!("{name}: {version} (up to date)"),
            (None, Some(error)) => format!("{name}: {version} (could not be checked: {error})"),
        }
    }
}

/// Looks for one extension, or for all. Fails if one could not be checked.
pub(super) async fn run(place: &Place, name: Option<&str>) -> anyhow::Result<ExitCode> {
    let names = match name {
        Some(name) => vec![name.to_owned()],
        None => {
            super::rows(place).await?.into_iter().map(|row| row.status.name.to_string()).collect()
        }
    };
    let mut all = Vec::with_capacity(names.len());
    for name in names {
        all.push(check(place, &name).await?);
    }
    if place.json {
        terminal::say_json(&all)?;
    } else if all.is_empty() {
        terminal::say("No extensions installed.")?;
    } else {
        for looked in &all {
            terminal::say(&looked.line())?;
        }
    }
    let failed = all.iter().any(|looked| looked.error.is_some());
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

async fn check(place: &Place, name: &str) -> anyhow::Result<Looked> {
    let row = place.show(name).await?;
    let (name, version) = (row.status.name.to_string(), row.status.version);
    let found: anyhow::Result<Option<String>> = if let Some(server) = &place.server {
        let looked = server.get::<Looked>(&format!("{}?check_updates=true", path(&name))).await;
        looked.map(|looked| looked.update_available)
    } else {
        let installed = place.offline()?.find(&name)?;
        look(&installed, &CancellationToken::new()).await.map_err(Into::into)
    };
    Ok(match found {
        Ok(update_available) => Looked { name, version, update_available, error: None },
        Err(error) => {
            Looked { name, version, update_available: None, error: Some(format!("{error:#}")) }
        }
    })
}
