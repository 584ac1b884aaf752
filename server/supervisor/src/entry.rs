//! What the rest of the server sees of a supervised extension, beside its owner task.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use arc_swap::ArcSwapOption;
use tinybase_model::{ExtensionSpec, ExtensionState, ExtensionStatus};
use tokio::sync::{mpsc, oneshot, watch};

use crate::log::Log;

/// What an owner task is told to do.
#[derive(Debug)]
pub(crate) enum Command {
    /// Run it, with this specification from the next process on, and say so once that shows.
    Start(Arc<ExtensionSpec>, oneshot::Sender<()>),
    /// Stop it, and say so once there is no process.
    Stop(oneshot::Sender<()>),
    /// Replace its process, and say so once the old one is gone.
    Restart(oneshot::Sender<()>),
    /// Stop it and end the task.
    Forget(oneshot::Sender<()>),
}

/// A supervised extension. Its owner task writes it, everybody reads it.
#[derive(Debug)]
pub(crate) struct Entry<S> {
    /// To the owner task.
    pub(crate) commands: mpsc::Sender<Command>,
    /// The session in service.
    pub(crate) live: ArcSwapOption<Live<S>>,
    /// What people see.
    pub(crate) status: watch::Sender<ExtensionStatus>,
    /// What it said.
    pub(crate) log: Arc<Log>,
}

impl<S> Entry<S> {
    /// The word for why nothing can be invoked.
    pub(crate) fn idle_state(&self) -> &'static str {
        match self.status.borrow().state {
            // The session went away between two looks.
            ExtensionState::Ready | ExtensionState::Degraded => ExtensionState::Draining.as_str(),
            state @ (ExtensionState::Installed
            | ExtensionState::Disabled
            | ExtensionState::Broken
            | ExtensionState::Starting
            | ExtensionState::Draining
            | ExtensionState::Stopped
            | ExtensionState::BackingOff
            | ExtensionState::Quarantined) => state.as_str(),
        }
    }
}

/// A session in service, with a count of the work that it holds.
#[derive(Debug)]
pub(crate) struct Live<S> {
    /// The session.
    pub(crate) session: S,
    in_flight: AtomicU32,
    lost: AtomicU32,
}

impl<S> Live<S> {
    /// A session without work.
    pub(crate) fn new(session: S) -> Self {
        Self { session, in_flight: AtomicU32::new(0), lost: AtomicU32::new(0) }
    }

    /// Counts one piece of work for as long as the guard lives.
    pub(crate) fn begin(&self) -> InFlight<'_> {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        InFlight { in_flight: &self.in_flight, lost: &self.lost }
    }

    /// How much work the process held when it went away: what is still counted, and what has
    /// already been told that the process is gone.
    pub(crate) fn held_at_end(&self) -> u32 {
        self.in_flight.load(Ordering::Relaxed).saturating_add(self.lost.load(Ordering::Relaxed))
    }
}

/// One piece of work that a process holds.
#[derive(Debug)]
pub(crate) struct InFlight<'a> {
    in_flight: &'a AtomicU32,
    lost: &'a AtomicU32,
}

impl InFlight<'_> {
    /// The process went away with it.
    pub(crate) fn lose(self) {
        self.lost.fetch_add(1, Ordering::Relaxed);
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_that_was_lost_still_counts_as_held_at_the_end() {
        let live = Live::new(());
        let (first, second, third) = (live.begin(), live.begin(), live.begin());
        drop(first);
        second.lose();
        assert_eq!(live.held_at_end(), 2);
        drop(third);
        assert_eq!(live.held_at_end(), 1);
    }
}
