//! Schedules: what calls which function when, in the shapes that administrators see.

mod admin;

use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use thiserror::Error;
use tinybase_model::{
    ExtensionName, FieldViolation, JsonBytes, MissedPolicy, OverlapPolicy, RunPolicy, ScheduleId,
    TimingError, TimingSpec, UserId,
};
use tinybase_store::{ScheduleRun, StoreError};
use utoipa::ToSchema;

use crate::access::AccessDenied;
use crate::problem::{Kind, Problem};
use crate::schema::violation;

pub use admin::Schedules;
pub(crate) use admin::timing_json;

/// How a schedule stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ScheduleState {
    /// It ticks.
    Active,
    /// Somebody paused it.
    Paused,
    /// It has no tick left.
    Finished,
    /// It ticks, but no extension offers its function: each run fails.
    FunctionMissing,
}

/// A schedule, as administrators see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Schedule {
    /// Its id.
    pub id: ScheduleId,
    /// Its name.
    pub name: String,
    /// The function that it calls.
    pub function_name: String,
    /// When.
    pub schedule: TimingSpec,
    /// With which input.
    #[schema(value_type = Object)]
    pub input_data: JsonBytes,
    /// Whether it ticks.
    pub is_active: bool,
    /// How it stands.
    pub state: ScheduleState,
    /// The last tick that was run.
    pub last_run_at: Option<Timestamp>,
    /// The next tick.
    pub next_run_at: Option<Timestamp>,
    /// The next ticks; only if one schedule was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_runs: Option<Vec<Timestamp>>,
    /// What becomes of ticks that passed while nobody could run them.
    pub missed: MissedPolicy,
    /// What becomes of a tick while an earlier run goes on.
    pub overlap: OverlapPolicy,
    /// How long a run may take, in seconds; null means the function's own time, or the setting.
    pub timeout_seconds: Option<u64>,
    /// By how much a run is delayed at most, in seconds.
    pub jitter_seconds: u64,
    /// The extension that declared or registered it.
    pub extension: Option<ExtensionName>,
    /// The user who created it.
    pub created_by_user_id: Option<UserId>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When its definition was changed last.
    pub updated_at: Timestamp,
}

/// A part of the schedules.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct SchedulePage {
    /// The schedules, the newest first.
    pub schedules: Vec<Schedule>,
    /// How many there are without limit and offset.
    pub total: u64,
    /// The limit that was asked for.
    pub limit: u32,
    /// The offset that was asked for.
    pub offset: u32,
}

/// A part of what became of a schedule's ticks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct RunPage {
    /// The runs, the latest first.
    pub runs: Vec<ScheduleRun>,
    /// How many there are without limit and offset.
    pub total: u64,
    /// The limit that was asked for.
    pub limit: u32,
    /// The offset that was asked for.
    pub offset: u32,
}

/// A schedule to be created.
#[derive(Debug, Clone)]
pub struct NewSchedule {
    /// Its name.
    pub name: String,
    /// The function that it calls.
    pub function_name: String,
    /// When, as a client wrote it.
    pub schedule: Value,
    /// With which input.
    pub input_data: JsonBytes,
    /// Whether it ticks.
    pub is_active: bool,
    /// How its ticks become runs.
    pub policy: RunPolicy,
}

/// A change of a schedule; what is none stays.
#[derive(Debug, Clone, Default)]
pub struct ScheduleChange {
    /// Its name.
    pub name: Option<String>,
    /// When, as a client wrote it.
    pub schedule: Option<Value>,
    /// With which input.
    pub input_data: Option<JsonBytes>,
    /// Whether it ticks.
    pub is_active: Option<bool>,
    /// For ticks that passed while nobody could run them.
    pub missed: Option<MissedPolicy>,
    /// For ticks that come while an earlier run goes on.
    pub overlap: Option<OverlapPolicy>,
    /// How long a run may take; the inner none takes the limit away.
    pub timeout: Option<Option<Duration>>,
    /// By how much a run is delayed at most.
    pub jitter: Option<Duration>,
}

/// Why something about a schedule couldn't be done.
#[derive(Debug, Clone, Error)]
pub enum ScheduleError {
    /// There is no such schedule.
    #[error("Schedule '{0}' not found")]
    NotFound(ScheduleId),
    /// There is no such function.
    #[error("Function '{0}' not found")]
    NoFunction(String),
    /// The timing can't be used.
    #[error("Invalid schedule configuration: {}", .0[0].message)]
    Timing(Vec<FieldViolation>),
    /// Something else is wrong with it.
    #[error("Invalid schedule: {} {}", .0[0].field, .0[0].message)]
    Invalid(Vec<FieldViolation>),
    /// It belongs to an extension.
    #[error(
        "the schedule belongs to the extension '{0}': it can be paused and resumed, everything else \
         is changed in the extension"
    )]
    Owned(ExtensionName),
    /// Somebody else changed it at the same time.
    #[error("the schedule was changed at the same time; read it again")]
    Changed,
    /// It mustn't run beside itself.
    #[error("a run of the schedule goes on, and its overlap policy is '{0}'")]
    Runs(&'static str),
    /// Who acts may not do it.
    #[error(transparent)]
    Denied(#[from] AccessDenied),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Problem for ScheduleError {
    fn kind(&self) -> Kind {
        match self {
            Self::NotFound(_) => Kind::NotFound,
            Self::NoFunction(_) | Self::Timing(_) | Self::Invalid(_) => Kind::Invalid,
            Self::Owned(_) | Self::Changed | Self::Runs(_) => Kind::Conflict,
            Self::Denied(denied) => denied.kind(),
            Self::Store(error) => error.kind(),
        }
    }

    fn violations(&self) -> &[FieldViolation] {
        match self {
            Self::Timing(violations) | Self::Invalid(violations) => violations,
            Self::NotFound(_)
            | Self::NoFunction(_)
            | Self::Owned(_)
            | Self::Changed
            | Self::Runs(_)
            | Self::Denied(_)
            | Self::Store(_) => &[],
        }
    }
}

impl From<TimingError> for ScheduleError {
    fn from(error: TimingError) -> Self {
        let field = if error.field.is_empty() {
            "/schedule".to_owned()
        } else {
            format!("/schedule/{}", error.field)
        };
        Self::Timing(vec![violation(&field, &error.message)])
    }
}
