//! What to do about a tick that is due: run it, leave it out, and when the next one comes.

use jiff::{SignedDuration, Timestamp};

use crate::{MissedPolicy, Origin, Timing};

/// From how late on a tick counts as missed.
pub const MISSED_AFTER: SignedDuration = SignedDuration::from_mins(1);
/// How many missed ticks are made up for at most.
pub const CATCH_UP_MAX: usize = 100;

/// What becomes of a tick.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It is run.
    Run,
    /// It is being made up for: it is run, after a run that goes on.
    CatchUp,
    /// It is written down as missed.
    Missed,
}

/// What is to be done about a tick that is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// The tick that it is about.
    pub tick: Timestamp,
    /// What becomes of it.
    pub fate: Fate,
    /// The next tick; none if there is none.
    pub next: Option<Timestamp>,
}

/// Plans a tick that was due at a time that has come.
pub fn plan(
    timing: &Timing,
    origin: &Origin,
    missed: MissedPolicy,
    due: Timestamp,
    now: Timestamp,
) -> Plan {
    let now = now.max(due);
    let most = if missed == MissedPolicy::RunAll { CATCH_UP_MAX } else { 1 };
    let ticks = timing.last_ticks(due, now, most, origin);
    let first = ticks.first().copied().unwrap_or(due);
    let last = ticks.last().copied().unwrap_or(due);
    let late = |tick: Timestamp| now.duration_since(tick) > MISSED_AFTER;
    match missed {
        MissedPolicy::Skip => {
            let fate = if late(last) { Fate::Missed } else { Fate::Run };
            Plan { tick: last, fate, next: timing.next_after(now, origin) }
        }
        MissedPolicy::RunOnce => {
            Plan { tick: last, fate: Fate::Run, next: timing.next_after(now, origin) }
        }
        MissedPolicy::RunAll => {
            let fate = if first < last || late(first) { Fate::CatchUp } else { Fate::Run };
            Plan { tick: first, fate, next: timing.next_after(first, origin) }
        }
    }
}

#[cfg(test)]
mod tests;
