//! How much an extension may say: a bucket of bytes that fills with time.

use std::time::Duration;

use tokio::time::Instant;

/// What flows into the bucket each second, and what it holds.
const BYTES_PER_SECOND: u64 = 1 << 20;
/// What a line costs beside its bytes, so that a flood of empty lines is a flood too.
const LINE_COST: u64 = 64;
/// How often a report of what was dropped is written.
pub(super) const REPORT_INTERVAL: Duration = Duration::from_secs(1);

/// The bucket, and what didn't fit.
#[derive(Debug)]
pub(super) struct RateLimit {
    left: u64,
    filled_at: Instant,
    reported_at: Option<Instant>,
    dropped_lines: u64,
    dropped_bytes: u64,
}

impl RateLimit {
    /// A full bucket.
    pub(super) fn new(now: Instant) -> Self {
        Self {
            left: BYTES_PER_SECOND,
            filled_at: now,
            reported_at: None,
            dropped_lines: 0,
            dropped_bytes: 0,
        }
    }

    /// Whether a line of that length may pass; if not, it is counted.
    pub(super) fn admit(&mut self, bytes: usize, now: Instant) -> bool {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        self.fill(now);
        let cost = bytes.saturating_add(LINE_COST);
        if let Some(left) = self.left.checked_sub(cost) {
            self.left = left;
            return true;
        }
        self.dropped_lines = self.dropped_lines.saturating_add(1);
        self.dropped_bytes = self.dropped_bytes.saturating_add(bytes);
        false
    }

    /// What was dropped since the last report, at most once in an interval.
    pub(super) fn report(&mut self, now: Instant) -> Option<String> {
        let due = self.reported_at.is_none_or(|at| now.duration_since(at) >= REPORT_INTERVAL);
        if self.dropped_lines == 0 || !due {
            return None;
        }
        self.reported_at = Some(now);
        let (lines, bytes) = (self.dropped_lines, self.dropped_bytes);
        (self.dropped_lines, self.dropped_bytes) = (0, 0);
        let noun = if lines == 1 { "line" } else { "lines" };
        Some(format!(
            "dropped {lines} {noun} with {bytes} bytes: it says more than the {BYTES_PER_SECOND} \
             bytes a second that are kept"
        ))
    }

    fn fill(&mut self, now: Instant) {
        let passed = now.duration_since(self.filled_at).as_micros();
        let gained = passed.saturating_mul(u128::from(BYTES_PER_SECOND)) / 1_000_000;
        if gained > 0 {
            let gained = u64::try_from(gained).unwrap_or(u64::MAX);
            self.left = self.left.saturating_add(gained).min(BYTES_PER_SECOND);
            self.filled_at = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_over_the_limit_is_dropped_and_told_once() {
        let start = Instant::now();
        let mut rate = RateLimit::new(start);
        let line = 64 << 10;
        let admitted = (0..100).filter(|_| rate.admit(line, start)).count();
        assert_eq!(admitted, 15);
        let report = rate.report(start).expect("something was dropped");
        assert!(report.starts_with("dropped 85 lines with 5570560 bytes"), "{report}");
        assert_eq!(rate.report(start), None);
    }

    #[test]
    fn a_second_fills_the_bucket_and_no_more() {
        let start = Instant::now();
        let mut rate = RateLimit::new(start);
        while rate.admit(1_000, start) {}
        let later = start + Duration::from_hours(1);
        let admitted = (0..10_000).filter(|_| rate.admit(1_000, later)).count();
        assert_eq!(admitted, (1 << 20) / 1_064);
    }

    #[test]
    fn reports_come_at_most_once_in_an_interval() {
        let start = Instant::now();
        let mut rate = RateLimit::new(start);
        while rate.admit(1_000, start) {}
        assert!(rate.report(start).is_some());
        assert!(!rate.admit(1 << 21, start));
        assert_eq!(rate.report(start), None);
        assert!(rate.report(start + REPORT_INTERVAL).is_some());
    }
}
