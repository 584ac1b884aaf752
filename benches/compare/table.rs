//! The table: medians of both sides, their ratios, and the goals.

use std::io::Write as _;
use std::time::Duration;

use anyhow::Result;
use serde::Serialize;
use tinybase_benches::load::Sample;
use tinybase_benches::measure::median;

/// What a ratio has to be.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(crate) struct Goals {
    /// At least so many times the rate.
    pub(crate) rate: Option<f64>,
    /// At most so many times the 99th percentile.
    pub(crate) p99: Option<f64>,
}

/// One side's medians.
#[derive(Debug, Clone, Copy, Serialize)]
struct Side {
    rate: f64,
    p50_us: f64,
    p99_us: f64,
    cpu_us: f64,
}

/// One case with a number of connections.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Row {
    what: &'static str,
    store: &'static str,
    connections: usize,
    ours: Option<Side>,
    theirs: Option<Side>,
    rate_ratio: Option<f64>,
    p99_ratio: Option<f64>,
    goals: Goals,
    met: Option<bool>,
}

/// One number against another.
#[derive(Debug, Clone, Serialize)]
struct Single {
    what: String,
    value: f64,
    base: f64,
    unit: &'static str,
    ratio: f64,
    goal: String,
    met: bool,
}

/// All that was measured.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Measurements {
    rows: Vec<Row>,
    singles: Vec<Single>,
    notes: Vec<String>,
}

impl Row {
    /// Takes the medians of both sides.
    pub(crate) fn new(
        what: &'static str,
        store: &'static str,
        connections: usize,
        (ours, theirs): (&[Sample], &[Sample]),
        goals: Goals,
    ) -> Self {
        let (ours, theirs) = (side(ours), side(theirs));
        let both = ours.zip(theirs);
        let rate_ratio = both.map(|(ours, theirs)| ours.rate / theirs.rate);
        let p99_ratio = both.map(|(ours, theirs)| ours.p99_us / theirs.p99_us);
        let rate = goals.rate.zip(rate_ratio).map(|(goal, ratio)| ratio >= goal);
        let p99 = goals.p99.zip(p99_ratio).map(|(goal, ratio)| ratio <= goal);
        let met = rate.map(|rate| rate && p99.unwrap_or(true));
        Self { what, store, connections, ours, theirs, rate_ratio, p99_ratio, goals, met }
    }
}

fn side(samples: &[Sample]) -> Option<Side> {
    let middle = |of: fn(&Sample) -> f64| median(samples.iter().map(of).collect(), f64::total_cmp);
    Some(Side {
        rate: middle(|sample| sample.rate)?,
        p50_us: middle(|sample| micros(sample.p50))?,
        p99_us: middle(|sample| micros(sample.p99))?,
        cpu_us: middle(|sample| micros(sample.cpu))?,
    })
}

impl Measurements {
    pub(crate) fn add(&mut self, row: Row) {
        self.rows.push(row);
    }

    /// Adds a number that has to be at most, or with `least` at least, so many times another.
    pub(crate) fn add_single(
        &mut self,
        what: impl Into<String>,
        (value, base, unit): (f64, f64, &'static str),
        (limit, least): (f64, bool),
    ) {
        let ratio = value / base;
        let met = if least { ratio >= limit } else { ratio <= limit };
        let goal = format!("{} {limit}×", if least { "≥" } else { "≤" });
        self.singles.push(Single { what: what.into(), value, base, unit, ratio, goal, met });
    }

    /// Adds the median times of two loads.
    pub(crate) fn add_times(&mut self, what: &str, ours: &[Sample], base: &[Sample], at_most: f64) {
        if let (Some(ours), Some(base)) = (side(ours), side(base)) {
            self.add_single(what, (ours.p50_us, base.p50_us, "µs"), (at_most, false));
        }
    }

    /// Says what wasn't measured.
    pub(crate) fn leave_out(&mut self, what: &str, why: &anyhow::Error) {
        self.notes.push(format!("left out: {what}: {why:#}"));
    }

    /// Says something that no row can.
    pub(crate) fn note(&mut self, text: impl Into<String>) {
        self.notes.push(text.into());
    }

    pub(crate) fn json(&self) -> Result<String> {
        Ok(serde_json::to_string_pretty(self)?)
    }

    pub(crate) fn print(&self) -> Result<()> {
        let mut out = std::io::stdout().lock();
        let head = [
            "ours/s", "p50 µs", "p99 µs", "cpu µs", "theirs/s", "p99 µs", "cpu µs", "rate", "p99",
            "goal",
        ];
        write!(out, "{:<26} {:<10} {:>4}", "what", "store", "c")?;
        for name in head {
            write!(out, " {name:>9}")?;
        }
        writeln!(out, " met")?;
        for row in &self.rows {
            let of = |side: Option<Side>, of: fn(Side) -> f64| {
                side.map_or_else(String::new, |side| format!("{:.0}", of(side)))
            };
            let times =
                |ratio: Option<f64>| ratio.map_or_else(String::new, |ratio| format!("{ratio:.2}×"));
            writeln!(
                out,
                "{:<26} {:<10} {:>4} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9} {}",
                row.what,
                row.store,
                row.connections,
                of(row.ours, |side| side.rate),
                of(row.ours, |side| side.p50_us),
                of(row.ours, |side| side.p99_us),
                of(row.ours, |side| side.cpu_us),
                of(row.theirs, |side| side.rate),
                of(row.theirs, |side| side.p99_us),
                of(row.theirs, |side| side.cpu_us),
                times(row.rate_ratio),
                times(row.p99_ratio),
                times(row.goals.rate),
                verdict(row.met),
            )?;
        }
        for Single { what, value, base, unit, ratio, goal, met } in &self.singles {
            let met = verdict(Some(*met));
            writeln!(
                out,
                "{what:<60} {value:>10.1} {unit} against {base:.1} {unit}: {ratio:.2}× ({goal}) {met}"
            )?;
        }
        for note in &self.notes {
            writeln!(out, "{note}")?;
        }
        Ok(())
    }
}

fn verdict(met: Option<bool>) -> &'static str {
    match met {
        Some(true) => "yes",
        Some(false) => "NO",
        None => "",
    }
}

pub(crate) fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}
