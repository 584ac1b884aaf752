//! Who is at the other end of a connection, by the kernel's word.

use std::fs;

/// The process that connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Peer {
    pid: Option<u32>,
}

impl Peer {
    /// From the credentials of a socket. A process of another PID namespace has no number here.
    pub(crate) fn new(pid: Option<i32>) -> Self {
        Self { pid: pid.and_then(|pid| u32::try_from(pid).ok()).filter(|pid| *pid > 0) }
    }

    /// Whether it is the process, or one in the group that the process leads. A wrapper script
    /// that doesn't `exec` leaves the work to a child in its group.
    pub(crate) fn belongs_to(self, process: u32) -> bool {
        self.pid.is_some_and(|pid| pid == process || process_group(pid) == Some(process))
    }

    /// For messages.
    pub(crate) fn describe(self) -> String {
        match self.pid {
            Some(pid) => format!("process {pid}"),
            None => "a process of another PID namespace".to_owned(),
        }
    }
}

/// The group of a process. Read from `/proc`, as `rustix` takes a group of 0 for a bug, and the
/// first process of a container is in one.
fn process_group(pid: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The program's name may hold anything, so the fields are counted from its closing bracket.
    let fields = &stat[stat.rfind(')')? + 1..];
    fields.split_ascii_whitespace().nth(2)?.parse().ok().filter(|group| *group > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_process_and_its_group_belong() {
        let this = std::process::id();
        let peer = |pid: u32| Peer::new(i32::try_from(pid).ok());
        assert!(peer(this).belongs_to(this));
        assert!(!peer(1).belongs_to(this));
        assert!(!Peer::new(Some(0)).belongs_to(this));
        assert!(!Peer::new(None).belongs_to(this));
        let group = rustix::process::getpgrp().as_raw_nonzero().get().unsigned_abs();
        assert!(peer(this).belongs_to(group), "{group}");
    }
}
