//! The limits of a subscription, and the two clocks that it goes by.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use crate::options::HooksOptions;

/// The bounds of one subscription.
#[derive(Debug, Clone, Copy)]
pub(in crate::delivery) struct Bounds {
    pub(in crate::delivery) attempts_max: u32,
    pub(in crate::delivery) retry: (Duration, Duration),
    pub(in crate::delivery) window: usize,
    pub(in crate::delivery) window_bytes_max: usize,
    pub(in crate::delivery) parked_max: usize,
}

impl Bounds {
    pub(in crate::delivery) const fn new(options: &HooksOptions) -> Self {
        Self {
            attempts_max: options.attempts_max,
            retry: (options.retry_min, options.retry_max),
            window: options.window,
            window_bytes_max: 8 << 20,
            parked_max: 10_000,
        }
    }
}

/// One moment on both clocks: the one that a delay is measured with, and the one that is stored.
#[derive(Debug, Clone, Copy)]
pub(in crate::delivery) struct Moment {
    pub(in crate::delivery) now: Instant,
    pub(in crate::delivery) wall: Timestamp,
}

impl Moment {
    pub(in crate::delivery) fn now() -> Self {
        Self { now: Instant::now(), wall: Timestamp::now() }
    }

    /// The stored time after a delay.
    pub(in crate::delivery) fn wall_after(self, delay: Duration) -> Timestamp {
        let delay = SignedDuration::try_from(delay).unwrap_or(SignedDuration::MAX);
        self.wall.saturating_add(delay).unwrap_or(Timestamp::MAX)
    }

    /// When a stored time is reached.
    pub(in crate::delivery) fn until(self, due_at: Timestamp) -> Instant {
        let wait = Duration::try_from(due_at.duration_since(self.wall)).unwrap_or_default();
        self.now + wait
    }
}
