//! How long a handler usually takes, and so who runs it.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// A handler that usually takes longer than this is run beside the connection.
const SLOW: Duration = Duration::from_micros(500);

/// A moving average of a handler's times, in microseconds.
#[derive(Debug, Default)]
pub(crate) struct Pace(AtomicU32);

impl Pace {
    /// Notes how long a call took. Lost updates don't matter.
    pub(crate) fn note(&self, took: Duration) {
        let took = u32::try_from(took.as_micros()).unwrap_or(u32::MAX) / 4;
        let former = self.0.load(Ordering::Relaxed);
        self.0.store(former - former / 4 + took, Ordering::Relaxed);
    }

    /// Whether the next call is likely to take long.
    pub(crate) fn is_slow(&self) -> bool {
        u128::from(self.0.load(Ordering::Relaxed)) > SLOW.as_micros()
    }
}
