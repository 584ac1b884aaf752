//! Measures what an extension costs inside the running server.
//!
//! `server [--json FILE]` prints a table, and writes the same as JSON into a file. It takes the `tinybase`
//! binary beside it.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use tinybase_benches::process::ROLE;
use tinybase_benches::{counter, raw, rust_extension, server};
use tinybase_supervisor::shim;

fn main() -> Result<ExitCode> {
    // Becomes an extension's process; nothing else may have been set up by then.
    if std::env::args_os().nth(1).is_some_and(|first| first == shim::ARGUMENT) {
        return Ok(shim::run(std::env::args_os().skip(1)));
    }
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        [ROLE, rust_extension::ROLE] => Ok(rust_extension::run()),
        [ROLE, counter::ROLE] => Ok(counter::run()),
        [ROLE, raw::ROLE, socket] => raw::serve(socket.as_ref()).map(|()| ExitCode::SUCCESS),
        [] => measure(None),
        ["--json", file] => measure(Some(PathBuf::from(file))),
        other => bail!("usage: server [--json FILE]; not {other:?}"),
    }
}

fn measure(json: Option<PathBuf>) -> Result<ExitCode> {
    let folder = tempfile::tempdir().context("failed to make a folder")?;
    let report = server::run(folder.path())?;
    write!(std::io::stdout(), "{report}")?;
    if let Some(file) = json {
        std::fs::write(&file, report.json())
            .with_context(|| format!("failed to write {}", file.display()))?;
    }
    Ok(ExitCode::SUCCESS)
}
