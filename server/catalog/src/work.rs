//! What a long operation is given: somewhere to tell its progress, and a way to be stopped.

use tokio_util::sync::CancellationToken;

/// Somewhere to tell progress, and a way to be stopped.
#[derive(Clone)]
pub struct Work<'a> {
    report: &'a (dyn Fn(&str) + Send + Sync),
    stop: CancellationToken,
}

impl std::fmt::Debug for Work<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Work(stopped: {})", self.stop.is_cancelled())
    }
}

impl<'a> Work<'a> {
    /// Progress goes to `report`, a line at a time; cancelling `stop` ends the operation, which
    /// then leaves nothing behind.
    pub fn new(report: &'a (dyn Fn(&str) + Send + Sync), stop: CancellationToken) -> Self {
        Self { report, stop }
    }

    pub(crate) fn report(&self, line: &str) {
        (self.report)(line);
    }

    pub(crate) fn stop(&self) -> &CancellationToken {
        &self.stop
    }
}
