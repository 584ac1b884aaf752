//! `tinybase templates`: the letters' templates, to be changed.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use tinybase_core::MAIL_TEMPLATES;

use crate::terminal;

/// Writes each template that isn't there yet.
pub(super) fn write(folder: &Path) -> anyhow::Result<ExitCode> {
    fs::create_dir_all(folder).with_context(|| format!("failed to create {}", folder.display()))?;
    for (name, text) in MAIL_TEMPLATES {
        let path = folder.join(name);
        let opened = OpenOptions::new().write(true).create_new(true).open(&path);
        let sentence = match opened.and_then(|mut file| file.write_all(text.as_bytes())) {
            Ok(()) => format!("✓ Wrote {}", path.display()),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                format!("○ {} was there and stays as it is", path.display())
            }
            Err(error) => {
                return Err(error).with_context(|| format!("failed to write {}", path.display()));
            }
        };
        terminal::say(&sentence)?;
    }
    Ok(ExitCode::SUCCESS)
}
