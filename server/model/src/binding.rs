//! What an extension registers.

use std::collections::HashSet;
use std::time::Duration;

use thiserror::Error;

use crate::{Event, EventKind, JsonBytes, ScheduleBinding};

/// When a hook runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Phase {
    /// Inside the request; may reject or patch.
    Before,
    /// Once it has happened.
    After,
}

impl Phase {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Before => "before",
            Self::After => "after",
        }
    }
}

/// Which events of a kind a hook wants.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum HookFilter {
    /// All of them.
    All,
    /// Those of the collection, or of the function, with exactly this name.
    Named(String),
}

impl HookFilter {
    /// Whether the event passes.
    pub fn matches(&self, event: &Event) -> bool {
        match self {
            Self::All => true,
            Self::Named(name) => event.subject() == Some(name),
        }
    }
}

/// One hook of an extension.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HookBinding {
    /// The event.
    pub event: EventKind,
    /// When it runs.
    pub phase: Phase,
    /// Which events it wants.
    pub filter: HookFilter,
    /// The extension's own name for it, unique within the extension. Never empty.
    pub handler: String,
    /// Where it stands in a chain: lower first, ties by extension name.
    pub priority: i32,
    /// How long it may take; none means the default.
    pub timeout: Option<Duration>,
    /// Whether it also runs for the extension's own writes.
    pub reentrant: bool,
}

/// Who may call a function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FunctionAuth {
    /// Anybody.
    Public,
    /// Any user.
    Auth,
    /// Administrators.
    Admin,
}

impl FunctionAuth {
    /// The word for it in JSON and in the log.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Auth => "auth",
            Self::Admin => "admin",
        }
    }
}

/// One function of an extension.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FunctionBinding {
    /// Its name, unique on the server.
    pub name: String,
    /// What it does, for people.
    pub description: String,
    /// Who may call it.
    pub auth: FunctionAuth,
    /// JSON Schema of the input.
    pub input_schema: Option<JsonBytes>,
    /// JSON Schema of the output.
    pub output_schema: Option<JsonBytes>,
    /// Words to group functions by.
    pub tags: Vec<String>,
    /// How long a call may take; none means the default.
    pub timeout: Option<Duration>,
    /// How many calls may run at a time on a server; none means as many as there are slots.
    pub concurrency: Option<u32>,
    /// Whether it answers with chunks; the output's schema then is that of one chunk.
    pub streams: bool,
}

/// Two hooks of one registration with the same handler name.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("two {what} are called {name:?}; give each its own name")]
pub struct DuplicateHandler {
    what: &'static str,
    name: String,
}

/// Everything that an extension registers. It replaces what was registered before.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Registration {
    hooks: Vec<HookBinding>,
    functions: Vec<FunctionBinding>,
    schedules: Vec<ScheduleBinding>,
}

impl Registration {
    /// Takes hooks and functions whose names differ.
    ///
    /// # Errors
    /// If two hooks share a handler, or two functions a name.
    pub fn new(
        hooks: Vec<HookBinding>,
        functions: Vec<FunctionBinding>,
    ) -> Result<Self, DuplicateHandler> {
        let mut seen = HashSet::new();
        if let Some(hook) = hooks.iter().find(|hook| !seen.insert(hook.handler.as_str())) {
            return Err(DuplicateHandler { what: "hooks", name: hook.handler.clone() });
        }
        let mut seen = HashSet::new();
        if let Some(function) = functions.iter().find(|f| !seen.insert(f.name.as_str())) {
            return Err(DuplicateHandler { what: "functions", name: function.name.clone() });
        }
        Ok(Self { hooks, functions, schedules: Vec::new() })
    }

    /// The same with schedules whose names differ.
    ///
    /// # Errors
    /// If two schedules share a name.
    pub fn with_schedules(self, schedules: Vec<ScheduleBinding>) -> Result<Self, DuplicateHandler> {
        let mut seen = HashSet::new();
        if let Some(schedule) = schedules.iter().find(|s| !seen.insert(s.name.as_str())) {
            return Err(DuplicateHandler { what: "schedules", name: schedule.name.clone() });
        }
        Ok(Self { schedules, ..self })
    }

    /// The hooks.
    pub fn hooks(&self) -> &[HookBinding] {
        &self.hooks
    }

    /// The functions.
    pub fn functions(&self) -> &[FunctionBinding] {
        &self.functions
    }

    /// The schedules.
    pub fn schedules(&self) -> &[ScheduleBinding] {
        &self.schedules
    }

    /// The hook for a lifecycle event, if there is one.
    pub fn lifecycle(&self, kind: EventKind) -> impl Iterator<Item = &HookBinding> {
        self.hooks.iter().filter(move |hook| hook.event == kind)
    }
}
