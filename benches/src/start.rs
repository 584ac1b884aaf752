//! How long a Python extension takes from being spawned to being ready.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tokio::time::Instant;

use crate::host::Host;
use crate::measure::median;
use crate::python::SdkPython;

/// How often each is started.
const STARTS: usize = 9;

/// The median times of an interpreter that does nothing, and of an extension until it is ready.
///
/// # Errors
/// If either fails.
pub fn python(python: &SdkPython, folder: &Path) -> Result<(Duration, Duration)> {
    let (mut bare, mut ready) = (Vec::new(), Vec::new());
    for _ in 0..STARTS {
        let began = Instant::now();
        let status = python.command().args(["-c", "pass"]).status()?;
        bare.push(began.elapsed());
        ensure!(status.success(), "python -c pass failed: {status}");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let socket = folder.join("start.sock");
        let began = Instant::now();
        let host = Host::start(runtime, &socket, &mut python.extension())?;
        ready.push(began.elapsed());
        drop(host);
    }
    let middle = |times| median(times, Ord::cmp).context("nothing was measured");
    Ok((middle(bare)?, middle(ready)?))
}
