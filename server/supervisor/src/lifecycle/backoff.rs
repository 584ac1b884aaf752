//! How long to wait before a failed extension is started again, and when to give up.

use std::collections::VecDeque;
use std::time::Duration;

use tinybase_model::LifecyclePolicy;

/// A random share between 0 and 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Jitter(f64);

impl Jitter {
    /// Takes 32 random bits.
    pub(crate) fn new(bits: u32) -> Self {
        Self(f64::from(bits) / f64::from(u32::MAX))
    }

    /// A time between half of the given one and all of it.
    fn shorten(self, delay: Duration) -> Duration {
        delay.mul_f64(0.5 + self.0 / 2.0).min(delay)
    }
}

/// The restarts after failures: how many in a row, and when the latest were.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Restarts {
    in_a_row: u32,
    recent: VecDeque<Duration>,
    total: u32,
}

impl Restarts {
    /// How often it was started again, by failure or by request.
    pub(super) fn total(&self) -> u32 {
        self.total
    }

    /// An operator's restart counts in the total only.
    pub(super) fn count_requested(&mut self) {
        self.total = self.total.saturating_add(1);
    }

    /// Forgets failures, as when an operator starts it.
    pub(super) fn forgive(&mut self) {
        self.in_a_row = 0;
        self.recent.clear();
    }

    /// It was ready for long enough: the delay starts over. The window is a matter of time only.
    pub(super) fn reset_delay(&mut self) {
        self.in_a_row = 0;
    }

    /// The delay before the next restart; none if there were too many of them in the window.
    pub(super) fn next_delay(
        &mut self,
        policy: &LifecyclePolicy,
        now: Duration,
        jitter: Jitter,
    ) -> Option<Duration> {
        while self.recent.front().is_some_and(|at| now.saturating_sub(*at) > policy.restart_window)
        {
            self.recent.pop_front();
        }
        if self.recent.len() >= usize::try_from(policy.restarts_max).unwrap_or(usize::MAX) {
            return None;
        }
        let factor = 1_u32.checked_shl(self.in_a_row).unwrap_or(u32::MAX);
        let delay = policy.backoff_min.saturating_mul(factor).min(policy.backoff_max);
        self.recent.push_back(now);
        self.in_a_row = self.in_a_row.saturating_add(1);
        self.total = self.total.saturating_add(1);
        Some(jitter.shorten(delay))
    }
}
