//! `[extension.limits]`: when an extension is started, given up and stopped.

use std::ops::RangeInclusive;
use std::time::Duration;

use tinybase_model::LifecyclePolicy;

use crate::checked::{Mistake, Section};

const START: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_mins(10);
const GRACE: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_mins(10);
const BACKOFF: RangeInclusive<Duration> = Duration::from_millis(10)..=Duration::from_hours(1);
const WINDOW: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_hours(24);

pub(super) fn read(extension: &Section<'_>) -> Result<LifecyclePolicy, Mistake> {
    let usual = LifecyclePolicy::default();
    let Some(section) = extension.section("limits")? else { return Ok(usual) };
    let restarts_max = section.integer("restarts_max", 0..=1000)?;
    let policy = LifecyclePolicy {
        start_timeout: section.duration("start_timeout", START)?.unwrap_or(usual.start_timeout),
        drain_grace: section.duration("drain_grace", GRACE)?.unwrap_or(usual.drain_grace),
        term_grace: section.duration("term_grace", GRACE)?.unwrap_or(usual.term_grace),
        backoff_min: section.duration("backoff_min", BACKOFF)?.unwrap_or(usual.backoff_min),
        backoff_max: section.duration("backoff_max", BACKOFF)?.unwrap_or(usual.backoff_max),
        backoff_reset: section.duration("backoff_reset", WINDOW)?.unwrap_or(usual.backoff_reset),
        restarts_max: restarts_max
            .and_then(|number| u32::try_from(number).ok())
            .unwrap_or(usual.restarts_max),
        restart_window: section.duration("restart_window", WINDOW)?.unwrap_or(usual.restart_window),
    };
    section.finish()?;
    if policy.backoff_min > policy.backoff_max {
        return Err(section.lacking("has a backoff_min that is longer than its backoff_max"));
    }
    Ok(policy)
}
