//! The delay before another attempt: exponential with full jitter.

use std::time::Duration;

/// The longest delay that an extension can ask for.
const RETRY_AFTER_MAX: Duration = Duration::from_hours(24);

/// The delay after `attempt` failed attempts: anything up to a bound that doubles each time.
///
/// `random` is from 0 to 1. An extension that asks for more time gets it.
pub(super) fn delay(
    attempt: u32,
    (min, max): (Duration, Duration),
    random: f64,
    retry_after: Option<Duration>,
) -> Duration {
    let doublings = attempt.saturating_sub(1).min(31);
    let bound = min.saturating_mul(1 << doublings).min(max);
    let jittered = bound.mul_f64(random.clamp(0.0, 1.0));
    retry_after.map_or(jittered, |asked| jittered.max(asked.min(RETRY_AFTER_MAX)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BOUNDS: (Duration, Duration) = (Duration::from_secs(1), Duration::from_mins(5));

    #[test]
    fn the_bound_doubles_up_to_the_cap() {
        let bounds: Vec<_> = (1..=10).map(|n| delay(n, BOUNDS, 1.0, None).as_secs()).collect();
        assert_eq!(bounds, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300]);
    }

    #[test]
    fn an_extension_that_asks_for_more_time_gets_it() {
        let hour = Duration::from_hours(1);
        assert_eq!(delay(1, BOUNDS, 0.5, Some(hour)), hour);
        assert_eq!(delay(8, BOUNDS, 1.0, Some(Duration::from_secs(1))).as_secs(), 128);
        assert_eq!(delay(1, BOUNDS, 0.0, Some(hour * 1000)), RETRY_AFTER_MAX);
    }

    proptest! {
        #[test]
        fn no_delay_is_above_the_cap(attempt in any::<u32>(), random in any::<f64>()) {
            prop_assume!(!random.is_nan());
            prop_assert!(delay(attempt, BOUNDS, random, None) <= BOUNDS.1);
        }
    }
}
