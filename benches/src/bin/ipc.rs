//! Measures what a round trip to an extension costs.
//!
//! `ipc [--json FILE]` prints a table, and writes the same as JSON.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use tinybase_benches::process::ROLE;
use tinybase_benches::{ipc, raw, rust_extension, unary};

fn main() -> Result<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        [ROLE, role, rest @ ..] => play(role, rest),
        [] => measure(None),
        ["--json", file] => measure(Some(PathBuf::from(file))),
        other => bail!("usage: ipc [--json FILE]; not {other:?}"),
    }
}

fn play(role: &str, rest: &[&str]) -> Result<ExitCode> {
    match (role, rest) {
        (rust_extension::ROLE, []) => Ok(rust_extension::run()),
        (raw::ROLE, [socket]) => raw::serve(socket.as_ref()).map(|()| ExitCode::SUCCESS),
        (unary::ROLE, [socket]) => {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(unary::serve(socket.as_ref())).map(|()| ExitCode::SUCCESS)
        }
        _ => bail!("there is no role {role:?} with {rest:?}"),
    }
}

fn measure(json: Option<PathBuf>) -> Result<ExitCode> {
    let folder = tempfile::tempdir().context("failed to make a folder")?;
    let report = ipc::run(folder.path())?;
    let mut out = std::io::stdout();
    write!(out, "{report}")?;
    match json {
        Some(file) => std::fs::write(&file, report.json())
            .with_context(|| format!("failed to write {}", file.display()))?,
        None => writeln!(out, "{}", report.json())?,
    }
    Ok(ExitCode::SUCCESS)
}
