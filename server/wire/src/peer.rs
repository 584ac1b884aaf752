//! Who is at the other end of a connection, by the kernel's word.

use rustix::process::{Pid, getpgid};

/// The process that connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Peer {
    pid: Option<Pid>,
}

impl Peer {
    /// From the credentials of a socket. A process of another PID namespace has no number here.
    pub(crate) fn new(pid: Option<i32>) -> Self {
        Self { pid: pid.and_then(Pid::from_raw) }
    }

    /// Whether it is the process, or one in the group that the process leads. A wrapper script
    /// that doesn't `exec` leaves the work to a child in its group.
    pub(crate) fn belongs_to(self, process: u32) -> bool {
        let (Some(peer), Ok(process)) = (self.pid, i32::try_from(process)) else { return false };
        let Some(process) = Pid::from_raw(process) else { return false };
        peer == process || getpgid(Some(peer)).is_ok_and(|group| group == process)
    }

    /// For messages.
    pub(crate) fn describe(self) -> String {
        match self.pid {
            Some(pid) => format!("process {pid}"),
            None => "a process of another PID namespace".to_owned(),
        }
    }
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
        let group = getpgid(None).expect("this process has a group");
        assert!(peer(this).belongs_to(group.as_raw_nonzero().get().unsigned_abs()));
    }
}
