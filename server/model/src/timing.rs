//! When a schedule ticks: once, in intervals, or by a cron pattern in a time zone.

use std::fmt;

use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use thiserror::Error;
use utoipa::ToSchema;

/// The unit of an interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum IntervalUnit {
    /// Seconds.
    Seconds,
    /// Minutes.
    Minutes,
    /// Hours.
    Hours,
    /// Days of 24 hours.
    Days,
}

impl IntervalUnit {
    const fn seconds(self) -> i64 {
        match self {
            Self::Seconds => 1,
            Self::Minutes => 60,
            Self::Hours => 3_600,
            Self::Days => 86_400,
        }
    }
}

/// A timing as clients write it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "method", rename_all = "lowercase", deny_unknown_fields)]
pub enum TimingSpec {
    /// At one time.
    Once {
        /// The day, `YYYY-MM-DD`.
        #[schema(value_type = String, format = Date)]
        date: Date,
        /// The time of day, `HH:MM:SS`.
        #[schema(value_type = String)]
        time: Time,
        /// Where that is the time; none means the server's time zone.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        timezone: Option<String>,
    },
    /// Again and again, equally far apart.
    Interval {
        /// The unit.
        unit: IntervalUnit,
        /// How many of them, at least 1.
        #[schema(minimum = 1)]
        value: u32,
        /// Taken for the sake of clients that send one; an interval is the same everywhere.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        timezone: Option<String>,
    },
    /// Whenever the clock on the wall matches a pattern.
    Cron {
        /// Five fields (minute, hour, day of the month, month, day of the week), or six with
        /// seconds before them.
        cron: String,
        /// What it means, for people.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        description: Option<String>,
        /// Where the clock hangs; none means the server's time zone.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        timezone: Option<String>,
    },
}

/// Why a timing can't be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct TimingError {
    /// The key at fault; empty if it is the whole.
    pub field: &'static str,
    /// What is wrong, and what to do.
    pub message: String,
}

/// What a timing stands on besides itself.
#[derive(Debug, Clone)]
pub struct Origin {
    /// Where intervals are counted from.
    pub anchor: Timestamp,
    /// The time zone of timings that name none.
    pub zone: TimeZone,
}

/// When a schedule ticks, checked.
#[derive(Clone)]
pub struct Timing {
    spec: TimingSpec,
    zone: Option<TimeZone>,
    pattern: Option<Box<Cron>>,
}

/// The longest interval, in seconds: ten years.
const INTERVAL_SECONDS_MAX: i64 = 10 * 366 * 86_400;

impl Timing {
    /// Checks a timing.
    ///
    /// # Errors
    /// If its pattern or its time zone can't be used, or it never ticks.
    pub fn new(spec: TimingSpec) -> Result<Self, TimingError> {
        let named = match &spec {
            TimingSpec::Once { timezone, .. }
            | TimingSpec::Interval { timezone, .. }
            | TimingSpec::Cron { timezone, .. } => timezone.as_deref(),
        };
        let zone = named.map(time_zone).transpose()?;
        let pattern = match &spec {
            TimingSpec::Once { .. } => None,
            TimingSpec::Interval { unit, value, .. } => {
                let seconds = i64::from(*value).saturating_mul(unit.seconds());
                if !(1..=INTERVAL_SECONDS_MAX).contains(&seconds) {
                    return Err(wrong("value", "must be at least 1, and at most ten years"));
                }
                None
            }
            TimingSpec::Cron { cron, .. } => Some(Box::new(pattern(cron)?)),
        };
        let timing = Self { spec, zone, pattern };
        if let TimingSpec::Cron { cron, .. } = &timing.spec {
            let origin = Origin { anchor: Timestamp::UNIX_EPOCH, zone: TimeZone::UTC };
            if timing.next_after(Timestamp::now(), &origin).is_none() {
                return Err(wrong("cron", format!("{cron:?} matches no date that will ever come")));
            }
        }
        Ok(timing)
    }

    /// Reads a timing as clients send it.
    ///
    /// # Errors
    /// If it has the wrong shape or can't be used.
    pub fn parse(value: &Value) -> Result<Self, TimingError> {
        let spec = TimingSpec::deserialize(value).map_err(|error| wrong("", error.to_string()))?;
        Self::new(spec)
    }

    /// The timing as clients write it.
    pub const fn spec(&self) -> &TimingSpec {
        &self.spec
    }

    /// The first tick after a time; none if there is none.
    pub fn next_after(&self, after: Timestamp, origin: &Origin) -> Option<Timestamp> {
        match (&self.spec, &self.pattern) {
            (TimingSpec::Once { .. }, _) => self.once(origin).filter(|at| *at > after),
            (TimingSpec::Interval { .. }, _) => {
                let (step, passed) = self.steps(after, origin)?;
                origin.anchor.checked_add(step.checked_mul(passed.checked_add(1)?)?).ok()
            }
            (TimingSpec::Cron { .. }, Some(pattern)) => {
                let after = after.to_zoned(self.zone(origin).clone());
                let next = pattern.find_next_occurrence(&after, false).ok()?;
                Some(next.timestamp())
            }
            (TimingSpec::Cron { .. }, None) => None,
        }
    }

    /// The latest ticks from a time to another, both included; at most so many, the oldest first.
    pub fn last_ticks(
        &self,
        from: Timestamp,
        until: Timestamp,
        most: usize,
        origin: &Origin,
    ) -> Vec<Timestamp> {
        match &self.spec {
            TimingSpec::Once { .. } => {
                self.once(origin).filter(|at| (from..=until).contains(at)).into_iter().collect()
            }
            TimingSpec::Interval { .. } => self.last_of_interval(from, until, most, origin),
            TimingSpec::Cron { .. } => self.last_of_pattern(from, until, most, origin),
        }
    }

    /// The one tick of [`TimingSpec::Once`]. A time that the clock skips is the same distance
    /// behind the gap; of a time that comes twice, the first counts.
    fn once(&self, origin: &Origin) -> Option<Timestamp> {
        let TimingSpec::Once { date, time, .. } = &self.spec else { return None };
        let zone = self.zone(origin);
        zone.to_ambiguous_timestamp(date.to_datetime(*time)).compatible().ok()
    }

    /// The length of a step, and how many have passed; the first tick is one step after the anchor.
    fn steps(&self, at: Timestamp, origin: &Origin) -> Option<(SignedDuration, i32)> {
        let TimingSpec::Interval { unit, value, .. } = &self.spec else { return None };
        let seconds = i64::from(*value).checked_mul(unit.seconds())?;
        let micros = seconds.checked_mul(1_000_000)?;
        let since = at.as_microsecond().saturating_sub(origin.anchor.as_microsecond());
        let passed = since.div_euclid(micros).max(0);
        Some((SignedDuration::from_secs(seconds), i32::try_from(passed).ok()?))
    }

    fn last_of_interval(
        &self,
        from: Timestamp,
        until: Timestamp,
        most: usize,
        origin: &Origin,
    ) -> Vec<Timestamp> {
        let Some((step, passed)) = self.steps(until, origin) else { return Vec::new() };
        let tick = |count: i32| origin.anchor.checked_add(step.checked_mul(count)?).ok();
        let mut ticks: Vec<_> = (1..=passed)
            .rev()
            .map_while(tick)
            .take_while(|tick| *tick >= from)
            .take(most)
            .collect();
        ticks.reverse();
        ticks
    }

    /// Looks at longer and longer windows before the end, so that a pattern that ticks each second
    /// isn't walked through a whole outage.
    fn last_of_pattern(
        &self,
        from: Timestamp,
        until: Timestamp,
        most: usize,
        origin: &Origin,
    ) -> Vec<Timestamp> {
        let windows = [1, 60, 24 * 60, 32 * 24 * 60].map(SignedDuration::from_mins);
        let starts = windows.into_iter().filter_map(|window| until.checked_sub(window).ok());
        for start in starts.filter(|start| *start > from).chain([from]) {
            let mut ticks = std::collections::VecDeque::new();
            let mut last = start - SignedDuration::from_micros(1);
            while let Some(tick) = self.next_after(last, origin).filter(|tick| *tick <= until) {
                if ticks.len() == most {
                    ticks.pop_front();
                }
                ticks.push_back(tick);
                last = tick;
            }
            if ticks.len() >= most || start == from {
                return ticks.into();
            }
        }
        Vec::new()
    }

    fn zone<'a>(&'a self, origin: &'a Origin) -> &'a TimeZone {
        self.zone.as_ref().unwrap_or(&origin.zone)
    }
}

impl PartialEq for Timing {
    fn eq(&self, other: &Self) -> bool {
        self.spec == other.spec
    }
}

impl Eq for Timing {}

impl fmt::Debug for Timing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.spec.fmt(f)
    }
}

/// A time zone by its name in the IANA database.
///
/// # Errors
/// If there is none of that name.
pub fn time_zone(name: &str) -> Result<TimeZone, TimingError> {
    TimeZone::get(name).map_err(|_| {
        let example = "use a name of the IANA database such as \"Europe/Berlin\" or \"UTC\"";
        wrong("timezone", format!("there is no time zone {name:?}; {example}"))
    })
}

fn pattern(text: &str) -> Result<Cron, TimingError> {
    let parser = CronParser::builder().seconds(Seconds::Optional).year(Year::Disallowed).build();
    parser.parse(text).map_err(|error| {
        let fields = "it has five fields: minute, hour, day of the month, month, day of the week";
        wrong("cron", format!("{text:?} is not a cron pattern ({error}); {fields}"))
    })
}

fn wrong(field: &'static str, message: impl Into<String>) -> TimingError {
    TimingError { field, message: message.into() }
}

#[cfg(test)]
mod tests;
