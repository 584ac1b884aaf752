//! Ratios against their goals, as text and as JSON.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

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

/// One measured thing.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    what: &'static str,
    value: f64,
    unit: &'static str,
    against: &'static str,
    ratio: f64,
    goal: Goal,
    met: Option<bool>,
    p99_us: Option<f64>,
}

/// All that was measured, and what wasn't and why.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    rows: Vec<Row>,
    left_out: Vec<String>,
}

impl Report {
    /// Adds a time that is compared with another.
    pub fn time(
        &mut self,
        what: &'static str,
        (p50, p99): (Duration, Option<Duration>),
        (against, base): (&'static str, Duration),
        goal: Goal,
    ) {
        let ratio = p50.as_secs_f64() / base.as_secs_f64();
        let (value, p99_us) = (micros(p50), p99.map(micros));
        self.add(Row { what, value, unit: "µs", against, ratio, goal, met: None, p99_us });
    }

    /// Adds a rate that is compared with another.
    pub fn rate(
        &mut self,
        what: &'static str,
        value: f64,
        (against, base): (&'static str, f64),
        goal: Goal,
    ) {
        let unit = "calls/s";
        self.add(Row {
            what,
            value,
            unit,
            against,
            ratio: value / base,
            goal,
            met: None,
            p99_us: None,
        });
    }

    /// Says what wasn't measured.
    pub fn leave_out(&mut self, what: &str, why: &anyhow::Error) {
        self.left_out.push(format!("{what}: {why:#}"));
    }

    /// The report as JSON.
    pub fn json(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_else(|error| error.to_string())
    }

    fn add(&mut self, mut row: Row) {
        row.met = row.goal.met(row.ratio);
        self.rows.push(row);
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<58} {:>11} {:>10} {:>9}  {:<9} {:<4} against",
            "what", "p50 or rate", "p99 µs", "ratio", "goal", "met"
        )?;
        for row in &self.rows {
            let value = match row.unit {
                "µs" => format!("{:.1} µs", row.value),
                _ => format!("{:.0}/s", row.value),
            };
            let p99 = row.p99_us.map_or_else(String::new, |p99| format!("{p99:.0}"));
            let met = match row.met {
                Some(true) => "yes",
                Some(false) => "NO",
                None => "",
            };
            let ratio = format!("{:.2}×", row.ratio);
            let (what, goal, against) = (row.what, row.goal.to_string(), row.against);
            writeln!(
                f,
                "{what:<58} {value:>11} {p99:>10} {ratio:>9}  {goal:<9} {met:<4} {against}"
            )?;
        }
        for left_out in &self.left_out {
            writeln!(f, "left out: {left_out}")?;
        }
        Ok(())
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
        let mut report = Report::default();
        let base = ("base", Duration::from_micros(10));
        report.time("fast", (Duration::from_micros(40), None), base, Goal::AtMost(4.0));
        report.time("slow", (Duration::from_micros(41), None), base, Goal::AtMost(4.0));
        report.rate("many", 120.0, ("few", 10.0), Goal::AtLeast(12.0));
        let met: Vec<_> = report.rows.iter().map(|row| row.met).collect();
        assert_eq!(met, [Some(true), Some(false), Some(true)]);
        assert!(report.to_string().contains("4.10×"), "{report}");
        assert!(report.json().contains(r#""at_most": 4.0"#), "{}", report.json());
    }
}
