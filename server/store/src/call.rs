//! Recorded function calls.

use jiff::Timestamp;
use serde::Serialize;
use tinybase_model::{CallId, CompletionEvent, ExtensionName, JsonBytes, ScheduleId, UserId};
use utoipa::ToSchema;

use crate::NodeId;
use crate::event::NewEvent;

/// How a recorded call stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum CallStatus {
    /// It hasn't ended.
    Running,
    /// It gave a result.
    Succeeded,
    /// It didn't.
    Failed,
}

impl CallStatus {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Running, Self::Succeeded, Self::Failed];

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
        }
    }

    /// Reads the word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == word)
    }
}

/// What caused a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Trigger {
    /// A client or an extension.
    Manual,
    /// A schedule.
    Schedule,
}

impl Trigger {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Manual, Self::Schedule];

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Manual => "manual",
            Self::Schedule => "schedule",
        }
    }

    /// Reads the word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|trigger| trigger.as_str() == word)
    }
}

/// A recorded call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct CallRecord {
    /// Its id.
    pub id: CallId,
    /// The function's name.
    pub function_name: String,
    /// How it stands.
    pub status: CallStatus,
    /// What caused it.
    pub trigger_type: Trigger,
    /// The schedule, if one caused it.
    pub trigger_id: Option<ScheduleId>,
    /// The user who called, if logged in.
    pub requested_by_user_id: Option<UserId>,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// How long it took.
    pub duration_ms: Option<u64>,
    /// For a failure, what went wrong.
    pub error_message: Option<String>,
    /// For a failure, its type.
    pub error_type: Option<String>,
    /// When it was recorded.
    pub created_at: Timestamp,
    /// The extension that has the function; none if no extension had it.
    pub extension: Option<ExtensionName>,
    /// The extension's version.
    pub version: Option<String>,
    /// Whether it was called without waiting for its end.
    pub is_async: bool,
}

/// Which calls to list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallQuery {
    /// Only calls of this function.
    pub function_name: Option<String>,
    /// Only calls that stand so.
    pub status: Option<CallStatus>,
    /// Only calls caused so.
    pub trigger_type: Option<Trigger>,
    /// Only calls caused by this schedule.
    pub trigger_id: Option<ScheduleId>,
    /// Only calls of this extension's functions.
    pub extension: Option<ExtensionName>,
    /// At most so many.
    pub limit: u32,
    /// After so many.
    pub offset: u32,
}

impl Default for CallQuery {
    fn default() -> Self {
        Self {
            function_name: None,
            status: None,
            trigger_type: None,
            trigger_id: None,
            extension: None,
            limit: 100,
            offset: 0,
        }
    }
}

/// A part of the recorded calls.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct CallPage {
    /// The calls, the newest first.
    pub calls: Vec<CallRecord>,
    /// How many there are without limit and offset.
    pub total: u64,
    /// The limit that was asked for.
    pub limit: u32,
    /// The offset that was asked for.
    pub offset: u32,
}

/// A call that begins.
#[derive(Debug, Clone)]
pub struct StartedCall {
    /// Its id.
    pub id: CallId,
    /// The function's name.
    pub function_name: String,
    /// The extension that offers it; none if no extension does.
    pub extension: Option<ExtensionName>,
    /// The extension's version; empty if it isn't known.
    pub version: String,
    /// The schedule that caused it; none for a client or an extension.
    pub trigger_id: Option<ScheduleId>,
    /// The user who calls, if logged in.
    pub user_id: Option<UserId>,
    /// When.
    pub started_at: Timestamp,
    /// Whether nobody waits for its end.
    pub is_async: bool,
    /// The server that runs it.
    pub node: NodeId,
}

impl StartedCall {
    /// What caused it.
    pub const fn trigger_type(&self) -> Trigger {
        match self.trigger_id {
            Some(_) => Trigger::Schedule,
            None => Trigger::Manual,
        }
    }
}

/// A result that is kept for whoever asks for it later.
#[derive(Debug, Clone)]
pub struct KeptResult {
    /// What the function gave.
    pub output: JsonBytes,
    /// Until when it is kept.
    pub expires_at: Timestamp,
}

/// A call that ended.
#[derive(Debug, Clone)]
pub struct FinishedCall {
    /// How it began.
    pub started: StartedCall,
    /// When it ended.
    pub finished_at: Timestamp,
    /// How it ended; the source of the event as well.
    pub completion: CompletionEvent,
    /// The event that says so.
    pub event: NewEvent,
    /// The result, if it is to be kept.
    pub result: Option<KeptResult>,
}

/// A function's calls since some time.
#[derive(Debug, Clone, PartialEq)]
pub struct CallCounts {
    /// The function's name.
    pub function_name: String,
    /// All calls.
    pub total: u64,
    /// Those that succeeded.
    pub succeeded: u64,
    /// Those that failed.
    pub failed: u64,
    /// How long an ended call took on average.
    pub avg_duration_ms: Option<f64>,
}
