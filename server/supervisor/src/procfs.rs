//! What `/proc` tells of processes.

use std::fs;

use rustix::process::{Pid, Signal, kill_process_group};

/// What identifies a process for as long as the machine is up: numbers are given out again, but
/// not with the same start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ProcessId {
    /// Its number.
    pub(crate) pid: u32,
    /// When it started, in clock ticks since the machine started.
    pub(crate) started: u64,
}

/// A process as `/proc/PID/stat` shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stat {
    /// Its group.
    pub(crate) group: u32,
    /// When it started, in clock ticks since the machine started.
    pub(crate) started: u64,
    /// Whether it has ended and waits to be reaped.
    pub(crate) is_zombie: bool,
}

/// Looks a process up; none if there is none.
pub(crate) fn stat(pid: u32) -> Option<Stat> {
    parse_stat(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// The process's identity; none if it is gone already.
pub(crate) fn identify(pid: u32) -> Option<ProcessId> {
    stat(pid).map(|stat| ProcessId { pid, started: stat.started })
}

/// Whether that very process still runs.
pub(crate) fn is_running(id: ProcessId) -> bool {
    stat(id.pid).is_some_and(|stat| stat.started == id.started && !stat.is_zombie)
}

/// The numbers of all members of a group, zombies left out.
pub(crate) fn members(group: u32) -> Vec<u32> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|pid| stat(*pid).is_some_and(|stat| stat.group == group && !stat.is_zombie))
        .collect()
}

/// Whether the process was started with that environment variable.
pub(crate) fn has_environment(pid: u32, name: &str, value: &str) -> bool {
    let Ok(environment) = fs::read(format!("/proc/{pid}/environ")) else { return false };
    let wanted = format!("{name}={value}");
    environment.split(|byte| *byte == 0).any(|variable| variable == wanted.as_bytes())
}

/// Names this start of the machine; empty if that isn't known.
pub(crate) fn boot_id() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .map(|text| text.trim().to_owned())
        .unwrap_or_default()
}

/// Kills a process group. A group that is gone is fine.
pub(crate) fn kill_group(group: u32) {
    if let Some(group) = group_pid(group) {
        // The only error to be expected is that nobody is left.
        let _ = kill_process_group(group, Signal::KILL);
    }
}

/// The group's number for a system call. Group 1 would be everybody.
fn group_pid(group: u32) -> Option<Pid> {
    i32::try_from(group).ok().filter(|raw| *raw > 1).and_then(Pid::from_raw)
}

/// The name in parentheses may hold anything, so fields count from its end.
fn parse_stat(text: &str) -> Option<Stat> {
    let (_, fields) = text.rsplit_once(") ")?;
    let mut fields = fields.split_ascii_whitespace();
    let state = fields.next()?;
    let group = fields.nth(1)?.parse().ok()?;
    let started = fields.nth(16)?.parse().ok()?;
    Some(Stat { group, started, is_zombie: matches!(state, "Z" | "X") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_moves_no_field() {
        let text = "7 (a) Z (b)) S 1 5 5 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 4711 1 1 1";
        assert_eq!(parse_stat(text), Some(Stat { group: 5, started: 4711, is_zombie: false }));
    }

    #[test]
    fn this_process_is_found_and_known_again() {
        let id = identify(std::process::id()).expect("this process runs");
        assert!(is_running(id));
        assert!(!is_running(ProcessId { started: id.started + 1, ..id }));
        let group = stat(id.pid).expect("this process runs").group;
        assert!(members(group).contains(&id.pid));
    }
}
