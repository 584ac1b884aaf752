//! How an owner task tells everybody else about its extension.

use std::sync::Arc;

use jiff::Timestamp;
use tinybase_model::{CrashReport, ExtensionState, LogLevel};
use tokio::sync::watch;

use crate::entry::Entry;
use crate::failure::Failure;
use crate::lifecycle::Lifecycle;
use crate::world::Bindings;

/// The longest of a process's last words that goes into a reason, in characters.
const QUOTE_CHARS_MAX: usize = 300;

/// The public side of an extension.
#[derive(Debug)]
pub(crate) struct Board<S> {
    entry: Arc<Entry<S>>,
    changes: Arc<watch::Sender<u64>>,
    bindings: Bindings,
    last_crash: Option<CrashReport>,
    run: RunFacts,
}

/// What is remembered of the latest process.
#[derive(Debug)]
struct RunFacts {
    version: String,
    held_at_end: u32,
}

impl<S> Board<S> {
    /// A board for an entry; `changes` counts the changes of all extensions.
    pub(crate) fn new(entry: Arc<Entry<S>>, changes: Arc<watch::Sender<u64>>) -> Self {
        let version = entry.status.borrow().version.clone();
        let run = RunFacts { version, held_at_end: 0 };
        Self { entry, changes, bindings: Bindings::default(), last_crash: None, run }
    }

    /// A process of that version is about to be started.
    pub(crate) fn begin_run(&mut self, version: &str) {
        self.entry.log.begin_run();
        self.run = RunFacts { version: version.to_owned(), held_at_end: 0 };
    }

    /// The process is gone, with so much work in its hands.
    pub(crate) fn end_run(&mut self, held: u32) {
        self.run.held_at_end = held;
    }

    /// What it is about.
    pub(crate) fn entry(&self) -> &Arc<Entry<S>> {
        &self.entry
    }

    /// What is registered now. It shows with the next status.
    pub(crate) fn set_bindings(&mut self, bindings: Bindings) {
        self.bindings = bindings;
    }

    /// Writes the report of a process that is gone, with its last words.
    pub(crate) fn report(&mut self, failure: &Failure) {
        let last_lines = match failure {
            Failure::NotStarted(_) => Vec::new(),
            Failure::EndedBeforeHello(_)
            | Failure::Refused { .. }
            | Failure::Left { .. }
            | Failure::NotReadyAfter { .. }
            | Failure::Ended(_)
            | Failure::SessionLost(_)
            | Failure::Unresponsive(_)
            | Failure::Hung(_) => self.entry.log.last_words(),
        };
        let quote = last_lines
            .iter()
            .rev()
            .find(|line| !line.trim().is_empty())
            .filter(|_| failure.is_explained_by_stderr());
        let reason = match quote {
            Some(line) => {
                let quote: String = line.trim().chars().take(QUOTE_CHARS_MAX).collect();
                format!("{failure}: {quote}")
            }
            None => failure.to_string(),
        };
        let RunFacts { version, held_at_end: in_flight } = &self.run;
        self.last_crash = Some(CrashReport {
            at: Timestamp::now(),
            version: version.clone(),
            reason,
            last_lines,
            in_flight: *in_flight,
        });
    }

    /// Shows the state, if it differs from what is shown.
    pub(crate) fn publish(&self, lifecycle: &Lifecycle, pid: Option<u32>) {
        let state = lifecycle.state();
        let reason = lifecycle.reason(self.last_crash.as_ref().map(|crash| crash.reason.as_str()));
        let changed = self.entry.status.send_if_modified(|status| {
            let mut next = status.clone();
            if next.state != state {
                next.since = Timestamp::now();
            }
            (next.state, next.reason, next.pid) = (state, reason.clone(), pid);
            next.version.clone_from(&self.run.version);
            next.restarts = lifecycle.restarts();
            next.hooks.clone_from(&self.bindings.hooks);
            next.functions.clone_from(&self.bindings.functions);
            next.last_crash.clone_from(&self.last_crash);
            let changed = next != *status;
            if changed {
                self.note(status.state, state, reason.as_deref());
                *status = next;
            }
            changed
        });
        if changed {
            self.changes.send_modify(|count| *count = count.wrapping_add(1));
        }
    }

    fn note(&self, before: ExtensionState, now: ExtensionState, reason: Option<&str>) {
        let level = match now {
            _ if before == now && reason.is_none() => return,
            ExtensionState::Starting => return,
            ExtensionState::Installed
            | ExtensionState::Disabled
            | ExtensionState::Ready
            | ExtensionState::Draining
            | ExtensionState::Stopped => LogLevel::Info,
            ExtensionState::Degraded | ExtensionState::BackingOff => LogLevel::Warning,
            ExtensionState::Broken | ExtensionState::Quarantined => LogLevel::Error,
        };
        let state = now.as_str();
        let text = reason.map_or_else(|| state.to_owned(), |reason| format!("{state}: {reason}"));
        self.entry.log.note(level, text);
    }
}
