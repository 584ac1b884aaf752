//! The program behind `tinybase __shim …`: a process that prepares itself and becomes the
//! extension, and one that cleans up after a server that was killed.
//!
//! Both are this same binary, started anew: what they set on themselves needs no `unsafe` and no
//! code between fork and exec.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use rustix::process::{Resource, Rlimit, Signal, getppid, getrlimit, setrlimit};

use crate::roster;

/// The first argument of a shim.
pub const ARGUMENT: &str = "__shim";
/// Becomes an extension: `run <parent> -- <program> <arguments…>`.
pub(crate) const RUN: &str = "run";
/// Waits for the server's end: `guard <parent> -- <file>`.
pub(crate) const GUARD: &str = "guard";

/// As shells have it.
const CANNOT_EXECUTE: u8 = 126;
const NOT_FOUND: u8 = 127;
const USAGE: u8 = 2;

/// Runs what the supervisor asked for. `main` calls it before anything else when the first
/// argument is [`ARGUMENT`], with all arguments or with those after that one.
pub fn run(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let mut arguments: Vec<OsString> = arguments.collect();
    if let Some(at) = arguments.iter().take(2).position(|argument| argument == ARGUMENT) {
        arguments.drain(..=at);
    }
    let parsed = match arguments.as_slice() {
        [role, parent, dashes, rest @ ..] if dashes == "--" => parent
            .to_str()
            .and_then(|parent| parent.parse().ok())
            .map(|parent: u32| (role.to_str(), parent, rest)),
        _ => None,
    };
    match parsed {
        Some((Some(RUN), parent, [program, arguments @ ..])) => {
            become_extension(parent, program, arguments)
        }
        Some((Some(GUARD), parent, [file])) => guard(parent, Path::new(file)),
        _ => {
            complain("this is for the server's own use");
            ExitCode::from(USAGE)
        }
    }
}

fn become_extension(parent: u32, program: &OsString, arguments: &[OsString]) -> ExitCode {
    if let Err(error) = restrict() {
        complain(&format!("can't prepare the process: {error}"));
        return ExitCode::from(CANNOT_EXECUTE);
    }
    // A parent that died before the signal was set is noticed here.
    let is_orphan = getppid().map(|pid| pid.as_raw_nonzero().get().unsigned_abs()) != Some(parent);
    if is_orphan || !is_released() {
        return ExitCode::from(CANNOT_EXECUTE);
    }
    // It only returns if it fails.
    let error = Command::new(program).args(arguments).stdin(Stdio::null()).exec();
    let folder = std::env::current_dir().unwrap_or_default();
    complain(&format!("can't run {} in {}: {error}", program.display(), folder.display()));
    ExitCode::from(if error.kind() == io::ErrorKind::NotFound { NOT_FOUND } else { CANNOT_EXECUTE })
}

/// Dies with the server, gains no rights, writes no core file into the extension's folder.
fn restrict() -> io::Result<()> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    rustix::thread::set_no_new_privs(true)?;
    let core = getrlimit(Resource::Core);
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: core.maximum })?;
    Ok(())
}

/// Waits for the byte that says that this process is listed, so that no line of an extension runs
/// before whoever comes after a dead server could find it.
fn is_released() -> bool {
    matches!(io::stdin().read(&mut [0]), Ok(1))
}

/// The parent-death signal reaches only the process that the server started, not its children.
/// This process notices the server's death by the end of its standard input, which nobody else
/// holds, and kills the groups that are still listed.
fn guard(parent: u32, file: &Path) -> ExitCode {
    let Ok(mut list) = File::open(file) else { return ExitCode::FAILURE };
    let mut ignored = [0; 64];
    loop {
        match io::stdin().read(&mut ignored) {
            Ok(0) => break,
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => break,
        }
    }
    roster::sweep_after(&mut list, parent);
    ExitCode::SUCCESS
}

/// Standard error is the extension's log. If it can't be written there is nobody to tell.
fn complain(message: &str) {
    let _ = writeln!(io::stderr(), "tinybase: {message}");
}
