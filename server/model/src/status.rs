//! What state an extension is in, for people and for the API.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::ExtensionName;

/// Where an extension is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ExtensionState {
    /// Installed, and nothing was asked of it yet.
    Installed,
    /// An operator switched it off.
    Disabled,
    /// What is installed can't be started: its files or its manifest are not as they should be.
    Broken,
    /// A process was spawned and isn't ready yet.
    Starting,
    /// It takes work.
    Ready,
    /// It is connected but doesn't answer heartbeats, or all its slots are held past deadlines.
    Degraded,
    /// It ends what it has begun.
    Draining,
    /// It was stopped.
    Stopped,
    /// It failed and will be started again.
    BackingOff,
    /// It failed too often; an operator has to enable it again.
    Quarantined,
}

impl ExtensionState {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Installed => "installed",
            Self::Disabled => "disabled",
            Self::Broken => "broken",
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::Degraded => "degraded",
            Self::Draining => "draining",
            Self::Stopped => "stopped",
            Self::BackingOff => "backing_off",
            Self::Quarantined => "quarantined",
        }
    }
}

/// How a process ended that wasn't asked to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CrashReport {
    /// When.
    pub at: Timestamp,
    /// The extension's version.
    pub version: String,
    /// Why it was ended or how it ended, in a sentence: "exited with status 3", "killed by SIGSEGV",
    /// "was not ready after 30 s".
    pub reason: String,
    /// The last lines that it wrote to standard error, oldest first.
    pub last_lines: Vec<String>,
    /// How many invocations it had in hand.
    pub in_flight: u32,
}

/// An extension's state with the facts that explain it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ExtensionStatus {
    /// Its name.
    pub name: ExtensionName,
    /// Its version.
    pub version: String,
    /// Its state.
    pub state: ExtensionState,
    /// Why it is in that state, in a sentence; none when all is well.
    pub reason: Option<String>,
    /// Its process.
    pub pid: Option<u32>,
    /// Since when it has been in that state.
    pub since: Timestamp,
    /// How often it was restarted since the server started.
    pub restarts: u32,
    /// The hooks that are registered, as "record.create orders".
    pub hooks: Vec<String>,
    /// The functions that are registered.
    pub functions: Vec<String>,
    /// How its last process failed.
    pub last_crash: Option<CrashReport>,
}

/// How much a log line matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// For those who look for a mistake.
    Debug,
    /// What happens in normal work.
    Info,
    /// Something is odd and was dealt with.
    Warning,
    /// Something failed.
    Error,
}

impl LogLevel {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// Where a log line came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogSource {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
    /// `WriteLog`.
    Log,
    /// The supervisor, about the extension.
    Supervisor,
}

/// One line of an extension's log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LogLine {
    /// When.
    pub at: Timestamp,
    /// How much it matters.
    pub level: LogLevel,
    /// Where it came from.
    pub source: LogSource,
    /// Who said so, such as a Python logger's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logger: Option<String>,
    /// The invocation that it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invocation_id: Option<String>,
    /// The text.
    pub message: String,
}
