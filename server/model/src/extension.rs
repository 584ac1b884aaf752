//! An installed extension, as the supervisor needs to know it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use crate::{EventKind, ExtensionName, HookFilter, JsonBytes, Phase, ScheduleDeclaration};

/// What to start and under which rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExtensionSpec {
    /// Its name.
    pub name: ExtensionName,
    /// Its version.
    pub version: String,
    /// The folder with its code; the process's working directory.
    pub folder: PathBuf,
    /// Program and arguments. A program with a `/` is taken relative to the folder.
    pub command: Vec<String>,
    /// Environment variables for the process, over what [`Permissions::environment`] lets through.
    pub environment: BTreeMap<String, String>,
    /// What it may do.
    pub permissions: Permissions,
    /// When it is started, given up and stopped.
    pub policy: LifecyclePolicy,
    /// Its configuration, a JSON object.
    pub config: JsonBytes,
}

/// What an extension may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Permissions {
    /// Everything that the documented extensions do: a manifest without a permissions table.
    Broad,
    /// What the manifest lists and the operator granted, such as `records:read:orders`.
    Listed {
        /// Call-backs, such as `records:read:*`, `functions:call:*`, `users:read`.
        capabilities: BTreeSet<String>,
        /// Names of environment variables that are passed on.
        environment: BTreeSet<String>,
        /// The hooks that it may register; none means any after-hook.
        hooks: Option<Vec<HookDeclaration>>,
    },
}

/// A hook that a manifest declares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HookDeclaration {
    /// The event.
    pub event: EventKind,
    /// When it runs.
    pub phase: Phase,
    /// Which events.
    pub filter: HookFilter,
    /// Whether a request goes on when this before-hook can't be asked.
    pub fail_open: bool,
}

/// What an installed extension's manifest says about what it offers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Offer {
    /// The installed version.
    pub version: String,
    /// Limits of its functions.
    pub functions: Vec<FunctionLimits>,
    /// Its schedules.
    pub schedules: Vec<ScheduleDeclaration>,
}

/// Limits that a manifest sets for a function. Of these and what the extension registers, the
/// narrower ones hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FunctionLimits {
    /// The function's name.
    pub name: String,
    /// How long a call may take.
    pub timeout: Option<Duration>,
    /// How many calls may run at a time on a server.
    pub concurrency: Option<u32>,
}

/// When an extension is started, given up and stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LifecyclePolicy {
    /// From spawn to ready.
    pub start_timeout: Duration,
    /// For running work to end once draining.
    pub drain_grace: Duration,
    /// From SIGTERM to SIGKILL.
    pub term_grace: Duration,
    /// The first delay before a restart; it doubles.
    pub backoff_min: Duration,
    /// The longest delay before a restart.
    pub backoff_max: Duration,
    /// How long it has to be ready for the delay to start over.
    pub backoff_reset: Duration,
    /// Restarts within the window after which it is quarantined.
    pub restarts_max: u32,
    /// The window.
    pub restart_window: Duration,
}

impl Default for LifecyclePolicy {
    fn default() -> Self {
        Self {
            start_timeout: Duration::from_secs(30),
            drain_grace: Duration::from_secs(5),
            term_grace: Duration::from_secs(2),
            backoff_min: Duration::from_millis(100),
            backoff_max: Duration::from_secs(30),
            backoff_reset: Duration::from_mins(1),
            restarts_max: 5,
            restart_window: Duration::from_mins(5),
        }
    }
}
