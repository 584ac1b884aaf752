//! What a schedule is: which function it calls, when, and what happens when a tick can't run.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{JsonBytes, Timing};

/// What becomes of ticks that passed while nobody could run them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum MissedPolicy {
    /// They are left out.
    Skip,
    /// One run stands for all of them.
    #[default]
    RunOnce,
    /// Each is run, one after the other; at most the latest hundred.
    RunAll,
}

impl MissedPolicy {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Skip, Self::RunOnce, Self::RunAll];

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Skip => "skip",
            Self::RunOnce => "run_once",
            Self::RunAll => "run_all",
        }
    }

    /// Reads the word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|policy| policy.as_str() == word)
    }
}

/// What becomes of a tick while an earlier run of the same schedule goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum OverlapPolicy {
    /// It is left out.
    #[default]
    Skip,
    /// One tick waits for the end of the run; further ones are left out.
    Queue,
    /// It runs beside the other.
    Allow,
}

impl OverlapPolicy {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Skip, Self::Queue, Self::Allow];

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Skip => "skip",
            Self::Queue => "queue",
            Self::Allow => "allow",
        }
    }

    /// Reads the word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|policy| policy.as_str() == word)
    }
}

/// The longest that a scheduled run may ask for.
pub const RUN_TIMEOUT_MAX: Duration = Duration::from_hours(24);
/// The longest random delay of a run.
pub const JITTER_MAX: Duration = Duration::from_hours(1);
/// The longest name of a schedule, in characters.
pub const SCHEDULE_NAME_MAX: usize = 200;

/// How a schedule's ticks become runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RunPolicy {
    /// For ticks that passed while nobody could run them.
    pub missed: MissedPolicy,
    /// For ticks that come while an earlier run goes on.
    pub overlap: OverlapPolicy,
    /// How long a run may take; none means the function's own time, or the server's.
    pub timeout: Option<Duration>,
    /// By how much a run is delayed at most, so that schedules of one time don't start at once.
    pub jitter: Duration,
}

impl RunPolicy {
    /// What is wrong with it, if anything is.
    pub fn complaint(&self) -> Option<(&'static str, String)> {
        let timeout = self.timeout.unwrap_or(Duration::from_secs(1));
        if timeout.is_zero() || timeout > RUN_TIMEOUT_MAX {
            let most = RUN_TIMEOUT_MAX.as_secs();
            return Some(("timeout", format!("must be more than 0 and at most {most} s")));
        }
        if self.jitter > JITTER_MAX {
            return Some(("jitter", format!("must be at most {} s", JITTER_MAX.as_secs())));
        }
        None
    }
}

/// A schedule that an extension declares or registers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScheduleBinding {
    /// Its name, unique within the extension.
    pub name: String,
    /// The function of the same extension that it calls.
    pub function: String,
    /// When.
    pub timing: Timing,
    /// With which input, a JSON object.
    pub input: JsonBytes,
    /// How its ticks become runs.
    pub policy: RunPolicy,
}

/// A schedule that a manifest speaks of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScheduleDeclaration {
    /// Its name.
    pub name: String,
    /// The function that it calls.
    pub function: String,
    /// In full; none if the manifest only allows the extension to register it.
    pub binding: Option<ScheduleBinding>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_read_back_from_their_words() {
        for policy in MissedPolicy::ALL {
            assert_eq!(MissedPolicy::parse(policy.as_str()), Some(policy));
        }
        for policy in OverlapPolicy::ALL {
            assert_eq!(OverlapPolicy::parse(policy.as_str()), Some(policy));
        }
        assert_eq!(OverlapPolicy::parse("sometimes"), None);
    }
}
