//! `[[extension.functions]]` and `[[extension.schedules]]`: limits of what is offered, and what
//! runs by itself.

use std::ops::RangeInclusive;
use std::time::Duration;

use jiff::civil::DateTime;
use tinybase_model::{
    FunctionLimits, IntervalUnit, JITTER_MAX, MissedPolicy, Offer, OverlapPolicy, RUN_TIMEOUT_MAX,
    RunPolicy, SCHEDULE_NAME_MAX, ScheduleBinding, ScheduleDeclaration, Timing, TimingSpec,
};

use super::object;
use crate::checked::{Mistake, Section};

const CALL: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_mins(15);
const RUN: RangeInclusive<Duration> = Duration::from_secs(1)..=RUN_TIMEOUT_MAX;
const JITTER: RangeInclusive<Duration> = Duration::ZERO..=JITTER_MAX;
const EVERY: RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_hours(10 * 366 * 24);

/// What the manifest says; the version is known elsewhere.
pub(super) fn read(extension: &Section<'_>) -> Result<Offer, Mistake> {
    let functions = extension.sections("functions")?;
    let functions: Vec<_> = functions.iter().map(limits).collect::<Result<_, _>>()?;
    let sections = extension.sections("schedules")?;
    let mut schedules: Vec<ScheduleDeclaration> = Vec::new();
    for section in &sections {
        let declared = declaration(section)?;
        if schedules.iter().any(|other| other.name == declared.name) {
            return Err(section.wrong("name", "is that of another schedule; give it its own"));
        }
        schedules.push(declared);
    }
    Ok(Offer { version: String::new(), functions, schedules })
}

fn limits(section: &Section<'_>) -> Result<FunctionLimits, Mistake> {
    let name = section.string("name")?;
    let timeout = section.duration("timeout", CALL)?;
    let concurrency = section.integer("concurrency", 1..=100_000)?;
    section.finish()?;
    let name = name.ok_or_else(|| section.lacking("has no name"))?;
    let concurrency = concurrency.and_then(|number| u32::try_from(number).ok());
    Ok(FunctionLimits { name, timeout, concurrency })
}

fn declaration(section: &Section<'_>) -> Result<ScheduleDeclaration, Mistake> {
    let name = section.string("name")?;
    let function = section.string("function")?;
    let timing = timing(section)?;
    let input = object(section, "input")?;
    let policy = policy(section)?;
    section.finish()?;
    let name = name.ok_or_else(|| section.lacking("has no name"))?;
    if name.is_empty() || name.chars().count() > SCHEDULE_NAME_MAX {
        let message = format!("must have 1 to {SCHEDULE_NAME_MAX} characters");
        return Err(section.wrong("name", &message));
    }
    let function = function.ok_or_else(|| section.lacking("has no function"))?;
    let binding = timing.map(|timing| ScheduleBinding {
        name: name.clone(),
        function: function.clone(),
        timing,
        input,
        policy,
    });
    Ok(ScheduleDeclaration { name, function, binding })
}

/// One of `cron`, `every` and `at`; none leaves it to what the extension registers.
fn timing(section: &Section<'_>) -> Result<Option<Timing>, Mistake> {
    let cron = section.string("cron")?;
    let every = section.duration("every", EVERY)?;
    let at = section.string("at")?;
    let timezone = section.string("timezone")?;
    let (key, spec) = match (cron, every, at) {
        (None, None, None) => {
            return match timezone {
                Some(_) => Err(section.wrong("timezone", "needs cron, every or at beside it")),
                None => Ok(None),
            };
        }
        (Some(cron), None, None) => {
            ("cron", TimingSpec::Cron { cron, description: None, timezone })
        }
        (None, Some(every), None) => ("every", interval(section, every, timezone)?),
        (None, None, Some(at)) => {
            let at: DateTime = at.parse().map_err(|_| {
                let example = "must be a date and time such as \"2027-01-31T18:00:00\"";
                section.wrong("at", &format!("{example}, not {at:?}"))
            })?;
            ("at", TimingSpec::Once { date: at.date(), time: at.time(), timezone })
        }
        _ => return Err(section.lacking("has more than one of cron, every and at; keep one")),
    };
    Timing::new(spec).map(Some).map_err(|error| {
        let key = if error.field == "timezone" { "timezone" } else { key };
        section.wrong(key, &format!("can't be used: {error}"))
    })
}

fn interval(
    section: &Section<'_>,
    every: Duration,
    timezone: Option<String>,
) -> Result<TimingSpec, Mistake> {
    let value = u32::try_from(every.as_secs()).ok().filter(|_| every.subsec_nanos() == 0);
    let value = value.ok_or_else(|| section.wrong("every", "must be whole seconds"))?;
    Ok(TimingSpec::Interval { unit: IntervalUnit::Seconds, value, timezone })
}

fn policy(section: &Section<'_>) -> Result<RunPolicy, Mistake> {
    let missed = word(section, "missed", MissedPolicy::parse, "skip, run_once or run_all")?;
    let overlap = word(section, "overlap", OverlapPolicy::parse, "skip, queue or allow")?;
    Ok(RunPolicy {
        missed: missed.unwrap_or_default(),
        overlap: overlap.unwrap_or_default(),
        timeout: section.duration("timeout", RUN)?,
        jitter: section.duration("jitter", JITTER)?.unwrap_or_default(),
    })
}

fn word<T>(
    section: &Section<'_>,
    key: &'static str,
    parse: fn(&str) -> Option<T>,
    known: &str,
) -> Result<Option<T>, Mistake> {
    let Some(text) = section.string(key)? else { return Ok(None) };
    match parse(&text) {
        Some(word) => Ok(Some(word)),
        None => Err(section.wrong(key, &format!("must be {known}, not {text:?}"))),
    }
}
