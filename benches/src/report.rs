//! Ratios against their goals, as text and as JSON.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use crate::measure::{Latency, Rate, median};

/// What a ratio has to be.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Goal {
    /// At most that.
    AtMost(f64),
    /// At least that.
    AtLeast(f64),
    /// It is only for information.
    None,
}

impl Goal {
    fn met(self, ratio: f64) -> Option<bool> {
        match self {
            Self::AtMost(limit) => Some(ratio <= limit),
            Self::AtLeast(limit) => Some(ratio >= limit),
            Self::None => None,
        }
    }
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtMost(limit) => write!(f, "≤ {limit}×"),
            Self::AtLeast(limit) => write!(f, "≥ {limit}×"),
            Self::None => f.write_str("–"),
        }
    }
}

/// What was measured in each round; the middle one counts.
#[derive(Debug, Clone)]
pub enum Measured<'a> {
    /// Calls one at a time.
    Alone(&'a [Latency]),
    /// Many calls in flight.
    Together(&'a [Rate]),
    /// The same, as the time from one call's end to the next one's.
    Each(&'a [Rate]),
    /// One time, itself a median.
    Once(Duration),
}

impl Measured<'_> {
    /// The number that counts: microseconds, or calls a second.
    pub fn value(&self) -> f64 {
        let rounds = self.rounds();
        median(rounds, f64::total_cmp).unwrap_or(f64::NAN)
    }

    fn rounds(&self) -> Vec<f64> {
        match self {
            Self::Alone(rounds) => rounds.iter().map(|round| micros(round.p50)).collect(),
            Self::Together(rounds) => rounds.iter().map(|round| round.calls).collect(),
            Self::Each(rounds) => rounds.iter().map(|round| 1e6 / round.calls).collect(),
            Self::Once(time) => vec![micros(*time)],
        }
    }

    /// Further numbers, each the middle one of its own.
    fn details(&self) -> Details {
        let middle = |times: Vec<Duration>| median(times, Ord::cmp).map(micros);
        match self {
            Self::Alone(rounds) => Details {
                p99_us: middle(rounds.iter().map(|round| round.p99).collect()),
                mean_us: middle(rounds.iter().map(|round| round.mean).collect()),
                ..Details::default()
            },
            Self::Together(rounds) | Self::Each(rounds) => Details {
                host_cpu_us: middle(rounds.iter().map(|round| round.host_cpu).collect()),
                extension_cpu_us: middle(rounds.iter().map(|round| round.extension_cpu).collect()),
                ..Details::default()
            },
            Self::Once(_) => Details::default(),
        }
    }

    const fn unit(&self) -> &'static str {
        match self {
            Self::Alone(_) | Self::Each(_) | Self::Once(_) => "µs",
            Self::Together(_) => "calls/s",
        }
    }
}

#[derive(Debug, Clone, Copy, Default, Serialize)]
#[expect(clippy::struct_field_names, reason = "the unit belongs into the JSON's names")]
struct Details {
    #[serde(skip_serializing_if = "Option::is_none")]
    p99_us: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mean_us: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    host_cpu_us: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    extension_cpu_us: Option<f64>,
}

/// One measured thing.
#[derive(Debug, Clone, Serialize)]
struct Row {
    what: &'static str,
    value: f64,
    unit: &'static str,
    against: &'static str,
    ratio: f64,
    goal: Goal,
    met: Option<bool>,
    rounds: Vec<f64>,
    #[serde(flatten)]
    details: Details,
}

/// The machine, as it was.
#[derive(Debug, Default, Serialize)]
struct Machine {
    processor: String,
    processors: usize,
    load: String,
}

/// All that was measured, what wasn't and why, and what else there is to say.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    machine: Machine,
    rows: Vec<Row>,
    left_out: Vec<String>,
    notes: Vec<String>,
}

impl Report {
    /// An empty report of this machine.
    pub fn new() -> Self {
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let processors = read("/proc/cpuinfo");
        let model = processors.lines().find_map(|line| line.strip_prefix("model name"));
        let machine = Machine {
            processor: model.unwrap_or_default().trim_matches([' ', '\t', ':']).to_owned(),
            processors: std::thread::available_parallelism().map_or(0, std::num::NonZero::get),
            load: read("/proc/loadavg").trim().to_owned(),
        };
        Self { machine, ..Self::default() }
    }

    /// Adds what was measured, compared with something else of the same unit.
    pub fn add(
        &mut self,
        what: &'static str,
        measured: &Measured<'_>,
        (against, base): (&'static str, f64),
        goal: Goal,
    ) {
        let value = measured.value();
        let ratio = value / base;
        self.rows.push(Row {
            what,
            value,
            unit: measured.unit(),
            against,
            ratio,
            goal,
            met: goal.met(ratio),
            rounds: measured.rounds(),
            details: measured.details(),
        });
    }

    /// Says what wasn't measured.
    pub fn leave_out(&mut self, what: &str, why: &anyhow::Error) {
        self.left_out.push(format!("{what}: {why:#}"));
    }

    /// Says something that no row can.
    pub fn note(&mut self, text: String) {
        self.notes.push(text);
    }

    /// The report as JSON.
    pub fn json(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_else(|error| error.to_string())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let machine = &self.machine;
        writeln!(
            f,
            "{}, {} processors, load {}",
            machine.processor, machine.processors, machine.load
        )?;
        writeln!(
            f,
            "{:<42} {:>11} {:>17} {:>8} {:>8} {:>15} {:>8}  {:<6} {:<4} against",
            "what", "median", "rounds", "p99", "mean", "cpu host+ext µs", "ratio", "goal", "met"
        )?;
        for row in &self.rows {
            writeln!(f, "{row}")?;
        }
        for left_out in &self.left_out {
            writeln!(f, "left out: {left_out}")?;
        }
        for note in &self.notes {
            writeln!(f, "{note}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let one = |number: Option<f64>| number.map_or_else(String::new, |n| format!("{n:.1}"));
        let lowest = self.rounds.iter().copied().fold(f64::INFINITY, f64::min);
        let highest = self.rounds.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let (value, rounds) = match self.unit {
            "µs" => (format!("{:.1} µs", self.value), format!("{lowest:.1}–{highest:.1}")),
            _ => (format!("{:.0}/s", self.value), format!("{lowest:.0}–{highest:.0}")),
        };
        let details = &self.details;
        let cpu = match (details.host_cpu_us, details.extension_cpu_us) {
            (Some(host), Some(extension)) => format!("{host:.2}+{extension:.2}"),
            _ => String::new(),
        };
        let met = match self.met {
            Some(true) => "yes",
            Some(false) => "NO",
            None => "",
        };
        let (p99, mean) = (one(details.p99_us), one(details.mean_us));
        let (what, ratio) = (self.what, format!("{:.2}×", self.ratio));
        let (goal, against) = (self.goal.to_string(), self.against);
        write!(
            f,
            "{what:<42} {value:>11} {rounds:>17} {p99:>8} {mean:>8} {cpu:>15} {ratio:>8}  \
             {goal:<6} {met:<4} {against}"
        )
    }
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_meets_its_goal_or_not() {
        let mut report = Report::new();
        let time = |micros| Measured::Once(Duration::from_micros(micros));
        report.add("fast", &time(40), ("base", 10.0), Goal::AtMost(4.0));
        report.add("slow", &time(41), ("base", 10.0), Goal::AtMost(4.0));
        let round = |calls| Rate { calls, host_cpu: Duration::ZERO, extension_cpu: Duration::ZERO };
        let rounds = [round(900.0), round(100.0), round(120.0)];
        report.add("many", &Measured::Together(&rounds), ("few", 10.0), Goal::AtLeast(12.0));
        let met: Vec<_> = report.rows.iter().map(|row| row.met).collect();
        assert_eq!(met, [Some(true), Some(false), Some(true)]);
        assert!(report.to_string().contains("4.10×"), "{report}");
        assert!(report.json().contains(r#""at_most": 4.0"#), "{}", report.json());
    }
}
