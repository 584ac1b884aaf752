//! Looking at processes through `/proc`.
//!
//! A dead process whose parent never reaps it stays a zombie, to which signals can still be sent.
//! So whether a process is alive is read from its state.

use std::fs;

use rustix::process::{Pid, Signal};

/// A process by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Process(pub u32);

impl Process {
    /// Whether it runs: it is there, and neither a zombie nor dead.
    pub fn is_alive(self) -> bool {
        fs::read_to_string(format!("/proc/{}/status", self.0)).is_ok_and(|status| {
            status
                .lines()
                .find_map(|line| line.strip_prefix("State:"))
                .is_some_and(|state| !state.trim_start().starts_with(['Z', 'X']))
        })
    }

    /// Sends SIGKILL.
    ///
    /// # Errors
    /// If the process isn't there.
    pub fn kill(self) -> anyhow::Result<()> {
        self.signal(Signal::KILL)
    }

    /// Sends a signal.
    ///
    /// # Errors
    /// If the process isn't there.
    pub fn signal(self, signal: Signal) -> anyhow::Result<()> {
        let pid = Pid::from_raw(i32::try_from(self.0)?)
            .ok_or_else(|| anyhow::anyhow!("{} is not a process", self.0))?;
        Ok(rustix::process::kill_process(pid, signal)?)
    }

    fn parent(self) -> Option<u32> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0)).ok()?;
        status.lines().find_map(|line| line.strip_prefix("PPid:"))?.trim().parse().ok()
    }
}

/// All living processes below one, at any depth.
///
/// # Errors
/// If `/proc` can't be read.
pub fn descendants(root: u32) -> anyhow::Result<Vec<Process>> {
    let all: Vec<Process> = fs::read_dir("/proc")?
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .map(Process)
        .collect();
    let mut found = vec![root];
    let mut next = 0;
    while let Some(parent) = found.get(next).copied() {
        next += 1;
        let children = all.iter().filter(|process| process.parent() == Some(parent));
        found.extend(children.map(|process| process.0));
    }
    Ok(found.into_iter().skip(1).map(Process).filter(|process| process.is_alive()).collect())
}
