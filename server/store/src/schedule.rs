//! Schedules as they are stored, their ticks and their runs.

use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use tinybase_model::{
    CallId, ExtensionName, Fate, JsonBytes, OverlapPolicy, RunPolicy, ScheduleId, UserId,
};
use utoipa::ToSchema;

use crate::call::{CallStatus, StartedCall};

/// A schedule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredSchedule {
    /// Its id.
    pub id: ScheduleId,
    /// Grows with every change of the definition.
    pub revision: i64,
    /// What it does.
    pub definition: ScheduleDefinition,
    /// Whether it ticks.
    pub is_active: bool,
    /// Whose it is.
    pub owner: ScheduleOwner,
    /// When what happens.
    pub times: ScheduleTimes,
}

/// What a schedule does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScheduleDefinition {
    /// Its name.
    pub name: String,
    /// The function that it calls.
    pub function_name: String,
    /// When, as JSON.
    pub timing: JsonBytes,
    /// With which input.
    pub input: JsonBytes,
    /// How its ticks become runs.
    pub policy: RunPolicy,
}

/// Whose a schedule is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ScheduleOwner {
    /// The extension that declared or registered it.
    pub extension: Option<ExtensionName>,
    /// The user who created it.
    pub created_by: Option<UserId>,
}

/// The times of a schedule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScheduleTimes {
    /// Where intervals are counted from.
    pub anchor_at: Timestamp,
    /// The last tick that was run.
    pub last_run_at: Option<Timestamp>,
    /// The next tick.
    pub next_run_at: Option<Timestamp>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When its definition was changed last.
    pub updated_at: Timestamp,
}

/// Which schedules to list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScheduleQuery {
    /// Only those that call this function.
    pub function_name: Option<String>,
    /// Only those that tick, or don't.
    pub is_active: Option<bool>,
    /// Only those of this extension.
    pub extension: Option<ExtensionName>,
    /// At most so many.
    pub limit: u32,
    /// After so many.
    pub offset: u32,
}

impl Default for ScheduleQuery {
    fn default() -> Self {
        Self { function_name: None, is_active: None, extension: None, limit: 100, offset: 0 }
    }
}

/// Why there is a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TickKind {
    /// The schedule's time has come, and this becomes of it.
    Due(Fate),
    /// Somebody asked for it; the schedule's times stay.
    Manual,
}

/// What is to become of a tick.
#[derive(Debug, Clone)]
pub struct TickToTake {
    /// The schedule, as it was read.
    pub schedule: StoredSchedule,
    /// The tick; for a manual run, the time at which it was asked for.
    pub tick_at: Timestamp,
    /// Why there is a run.
    pub kind: TickKind,
    /// The next tick.
    pub next_at: Option<Timestamp>,
    /// When its run may start.
    pub start_at: Timestamp,
    /// The call that it will be.
    pub call_id: CallId,
    /// When it is taken.
    pub now: Timestamp,
}

/// What became of a tick.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TickTaken {
    /// Somebody else took it, or the schedule has changed.
    Lost,
    /// It has to wait for a run that goes on; nothing was written.
    Waits,
    /// It is to be run.
    Queued,
    /// It is left out.
    Skipped,
}

/// A run that may start.
#[derive(Debug, Clone)]
pub struct QueuedRun {
    /// The schedule.
    pub schedule_id: ScheduleId,
    /// The tick.
    pub tick_at: Timestamp,
    /// The call that it will be.
    pub call_id: CallId,
    /// Since when it may start.
    pub start_at: Timestamp,
    /// The function.
    pub function_name: String,
    /// Its input.
    pub input: JsonBytes,
    /// How long it may take.
    pub timeout: Option<Duration>,
    /// Whether it may run beside others of the schedule.
    pub overlap: OverlapPolicy,
}

/// A run that starts.
#[derive(Debug, Clone)]
pub struct RunToStart {
    /// The schedule.
    pub schedule_id: ScheduleId,
    /// The tick.
    pub tick_at: Timestamp,
    /// Whether it may run beside others of the schedule.
    pub overlap: OverlapPolicy,
    /// The call that it is.
    pub call: StartedCall,
}

/// How a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum RunStatus {
    /// It waits.
    Queued,
    /// It runs.
    Running,
    /// It gave a result.
    Succeeded,
    /// It didn't.
    Failed,
    /// It was left out.
    Skipped,
}

impl From<CallStatus> for RunStatus {
    fn from(status: CallStatus) -> Self {
        match status {
            CallStatus::Running => Self::Running,
            CallStatus::Succeeded => Self::Succeeded,
            CallStatus::Failed => Self::Failed,
        }
    }
}

/// What became of one tick.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ScheduleRun {
    /// The tick; for a manual run, when it was asked for.
    pub scheduled_for: Timestamp,
    /// How it stands.
    pub status: RunStatus,
    /// Why it was left out: `missed`, `overlap` or `busy`.
    pub reason: Option<String>,
    /// Whether somebody asked for it.
    pub is_manual: bool,
    /// The recorded call; none if it was left out or waits.
    pub call_id: Option<CallId>,
    /// When the call began.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// How long it took.
    pub duration_ms: Option<u64>,
    /// For a failure, what went wrong.
    pub error_message: Option<String>,
    /// For a failure, its type.
    pub error_type: Option<String>,
}
