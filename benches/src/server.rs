//! What an extension costs inside the running server.

use std::path::Path;

use anyhow::Result;

use crate::create::Pair;
use crate::inside::Inside;
use crate::measure::{Rate, median};
use crate::process::Process;
use crate::python::SdkPython;
use crate::raw::Raw;
use crate::report::{Goal, Measured, Report};
use crate::rust_extension;

/// How often hooks are measured, in turn. The middle one counts.
const ROUNDS: usize = 5;
/// How often creates are measured: the disk varies more.
const CREATE_ROUNDS: usize = 9;
/// The base of times.
const BARE: &str = "bare ping-pong";

/// Measures everything and reports it.
///
/// # Errors
/// If something fails that isn't merely absent.
pub fn run(folder: &Path) -> Result<Report> {
    let mut report = Report::new();
    hooks(folder, &mut report)?;
    creates(folder, &mut report)?;
    Ok(report)
}

fn hooks(folder: &Path, report: &mut Report) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut raw = runtime.block_on(Raw::start(folder))?;
    let rust = Inside::start(&made(folder, "rust")?, &Process::role(rust_extension::ROLE)?)?;
    let python = python(folder);
    let (mut socket, mut by_rust, mut by_python) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        socket.push(raw.lone()?);
        by_rust.push(rust.lone()?);
        if let Ok(python) = &python {
            by_python.push(python.lone()?);
        }
    }
    let bare = (BARE, Measured::Alone(&socket).value());
    report.add("bare Unix socket, 64 bytes", &Measured::Alone(&socket), bare, Goal::None);
    let goal = Goal::AtMost(6.0);
    report.add("Rust hook in the server, alone", &Measured::Alone(&by_rust), bare, goal);
    match python {
        Ok(_) => {
            let (python, goal) = (Measured::Alone(&by_python), Goal::AtMost(8.0));
            report.add("Python hook in the server, alone", &python, bare, goal);
        }
        Err(error) => report.leave_out("the Python extension", &error),
    }
    Ok(())
}

/// The Python extension, in a folder of its own: the supervisor puts a link into it.
fn python(folder: &Path) -> Result<Inside> {
    let folder = made(folder, "python-server")?;
    let mut command = SdkPython::find(&folder)?.extension();
    if let Some(source) = command.get_current_dir().map(Path::to_owned) {
        let own = made(&folder, "extension")?;
        std::fs::copy(source.join("__init__.py"), own.join("__init__.py"))?;
        command.current_dir(own);
    }
    Inside::start(&folder, &command)
}

fn made(folder: &Path, name: &str) -> Result<std::path::PathBuf> {
    let folder = folder.join(name);
    std::fs::create_dir_all(&folder)?;
    Ok(folder)
}

fn creates(folder: &Path, report: &mut Report) -> Result<()> {
    let mut pair = match Pair::start(folder) {
        Ok(pair) => pair,
        Err(error) => {
            report.leave_out("creates over HTTP", &error);
            return Ok(());
        }
    };
    let (mut without, mut with, mut delivered) = (Vec::<Rate>::new(), Vec::new(), Vec::new());
    for round in 0..CREATE_ROUNDS {
        // Whatever comes second finds a warmer or a busier disk.
        if round % 2 == 0 {
            without.push(pair.without()?);
        }
        let subscribed = pair.with()?;
        with.push(subscribed.rate);
        delivered.push(subscribed.delivered);
        if round % 2 == 1 {
            without.push(pair.without()?);
        }
    }
    let base = ("create without", Measured::Each(&without).value());
    report.add("record create, 16 connections", &Measured::Each(&without), base, Goal::None);
    let goal = Goal::AtMost(1.05);
    report.add("record create, one subscriber more", &Measured::Each(&with), base, goal);
    let share = 100.0 * median(delivered, f64::total_cmp).unwrap_or(f64::NAN);
    report.note(format!("when the clients stopped, {share:.0} % of the events were delivered"));
    Ok(())
}
