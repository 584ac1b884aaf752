//! Schedules: when functions of the extension are called by themselves.

use std::time::Duration;

use serde::Serialize;
use serde_json::{Map, Value, json};
use tinybase_proto::v1;

use crate::hook::milliseconds;

/// What becomes of ticks that passed while nobody could run them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Missed {
    /// They are left out.
    Skip,
    /// One run stands for all of them.
    #[default]
    RunOnce,
    /// Each is run, one after the other; at most the latest hundred.
    RunAll,
}

/// What becomes of a tick while an earlier run of the same schedule goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Overlap {
    /// It is left out.
    #[default]
    Skip,
    /// One tick waits for the end of the run; further ones are left out.
    Queue,
    /// It runs beside the other.
    Allow,
}

/// One schedule, for [`crate::Extension::schedule`]. Its runs call a function of the extension,
/// with no user; they act for the extension itself.
#[derive(Debug, Clone)]
pub struct Schedule {
    binding: v1::ScheduleBinding,
    timing: Map<String, Value>,
}

impl Schedule {
    /// Whenever the clock on the wall matches a cron pattern of five fields, or of six with seconds
    /// before them.
    pub fn cron(
        name: impl Into<String>,
        function: impl Into<String>,
        pattern: impl Into<String>,
    ) -> Self {
        let pattern: String = pattern.into();
        Self::new(name.into(), function.into(), json!({ "method": "cron", "cron": pattern }))
    }

    /// Again and again, so far apart; at least a second, and whole seconds.
    pub fn every(name: impl Into<String>, function: impl Into<String>, interval: Duration) -> Self {
        let seconds = interval.as_secs().max(1);
        let timing = json!({ "method": "interval", "unit": "seconds", "value": seconds });
        Self::new(name.into(), function.into(), timing)
    }

    /// Once, on a day (`2027-01-31`) at a time (`18:00:00`).
    pub fn once(
        name: impl Into<String>,
        function: impl Into<String>,
        date: impl Into<String>,
        time: impl Into<String>,
    ) -> Self {
        let (date, time): (String, String) = (date.into(), time.into());
        let timing = json!({ "method": "once", "date": date, "time": time });
        Self::new(name.into(), function.into(), timing)
    }

    fn new(name: String, function: String, timing: Value) -> Self {
        let binding = v1::ScheduleBinding { name, function, ..v1::ScheduleBinding::default() };
        let Value::Object(timing) = timing else { unreachable!("it was written as an object") };
        Self { binding, timing }
    }

    /// Where the clock hangs, such as `Europe/Berlin`; the server's time zone unless given.
    #[must_use]
    pub fn timezone(mut self, zone: impl Into<String>) -> Self {
        self.timing.insert("timezone".to_owned(), Value::String(zone.into()));
        self
    }

    /// With which input the function is called; `{}` unless given.
    ///
    /// # Errors
    /// If it can't be written as JSON.
    pub fn input(mut self, input: &impl Serialize) -> serde_json::Result<Self> {
        self.binding.input = serde_json::to_vec(input)?.into();
        Ok(self)
    }

    /// What becomes of ticks that passed while nobody could run them.
    #[must_use]
    pub fn missed(mut self, missed: Missed) -> Self {
        let missed = match missed {
            Missed::Skip => v1::MissedPolicy::Skip,
            Missed::RunOnce => v1::MissedPolicy::RunOnce,
            Missed::RunAll => v1::MissedPolicy::RunAll,
        };
        self.binding.missed = missed.into();
        self
    }

    /// What becomes of a tick while an earlier run goes on.
    #[must_use]
    pub fn overlap(mut self, overlap: Overlap) -> Self {
        let overlap = match overlap {
            Overlap::Skip => v1::OverlapPolicy::Skip,
            Overlap::Queue => v1::OverlapPolicy::Queue,
            Overlap::Allow => v1::OverlapPolicy::Allow,
        };
        self.binding.overlap = overlap.into();
        self
    }

    /// How long a run may take.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.binding.timeout_ms = milliseconds(timeout);
        self
    }

    /// By how much a run is delayed at most, so that many schedules of one time don't start at
    /// once.
    #[must_use]
    pub fn jitter(mut self, jitter: Duration) -> Self {
        self.binding.jitter_ms = u32::try_from(jitter.as_millis()).unwrap_or(u32::MAX);
        self
    }

    /// The function that it calls.
    pub(crate) fn function(&self) -> &str {
        &self.binding.function
    }

    pub(crate) fn into_binding(self) -> v1::ScheduleBinding {
        let timing = Value::Object(self.timing).to_string();
        v1::ScheduleBinding { timing: timing.into(), ..self.binding }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timing(schedule: Schedule) -> Value {
        serde_json::from_slice(&schedule.into_binding().timing).expect("JSON")
    }

    #[test]
    fn each_way_to_say_when_is_what_the_server_reads() {
        let cron = Schedule::cron("nightly", "clean", "0 2 * * *").timezone("Europe/Berlin");
        assert_eq!(
            timing(cron),
            json!({ "method": "cron", "cron": "0 2 * * *", "timezone": "Europe/Berlin" })
        );
        let every = Schedule::every("often", "look", Duration::from_mins(5));
        assert_eq!(timing(every), json!({ "method": "interval", "unit": "seconds", "value": 300 }));
        let once = Schedule::once("party", "sing", "2027-01-31", "18:00:00");
        assert_eq!(
            timing(once),
            json!({ "method": "once", "date": "2027-01-31", "time": "18:00:00" })
        );
    }
}
