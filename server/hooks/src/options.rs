//! Times and bounds of hooks, functions and deliveries.

use std::time::Duration;

/// How many invocations may lead to one another.
pub(crate) const DEPTH_MAX: u32 = 8;

/// The longest that a before-hook may ask for.
pub(crate) const BEFORE_TIMEOUT_MAX: Duration = Duration::from_secs(30);

/// The longest that a function or an after-hook may ask for.
pub(crate) const TIMEOUT_MAX: Duration = Duration::from_mins(15);

/// The defaults of what a registration may leave out, and of deliveries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HooksOptions {
    /// How long one before-hook, or one hook on a function's call, may take.
    pub before_timeout: Duration,
    /// How long all before-hooks of one operation may take together.
    pub chain_budget: Duration,
    /// How long a function may take.
    pub function_timeout: Duration,
    /// How long one delivery of an event may take.
    pub after_timeout: Duration,
    /// How often an event is tried before it goes to the dead letters.
    pub attempts_max: u32,
    /// The upper bound of the delay before the second attempt; it doubles with each further one.
    pub retry_min: Duration,
    /// The upper bound of any delay.
    pub retry_max: Duration,
    /// The most events of one subscription that a crash of the server can deliver again.
    pub window: usize,
}

impl Default for HooksOptions {
    fn default() -> Self {
        Self {
            before_timeout: Duration::from_secs(1),
            chain_budget: Duration::from_secs(3),
            function_timeout: Duration::from_secs(30),
            after_timeout: Duration::from_secs(30),
            attempts_max: 8,
            retry_min: Duration::from_secs(1),
            retry_max: Duration::from_mins(5),
            window: 256,
        }
    }
}
