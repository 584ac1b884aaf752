//! Reading and changing schedules, for administrators.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tinybase_model::{
    CallId, Identity, JsonBytes, Origin, RunPolicy, ScheduleId, Timing, time_zone,
};
use tinybase_store::{
    ScheduleDefinition, ScheduleOwner, ScheduleQuery, ScheduleTimes, StoreError, StoredSchedule,
    TickKind, TickTaken, TickToTake, now,
};

use super::{
    NewSchedule, RunPage, Schedule, ScheduleChange, ScheduleError, SchedulePage, ScheduleState,
};
use crate::Core;
use crate::access::authorize_admin;
use crate::schema::violation;

/// How many ticks ahead are shown of one schedule.
const AHEAD: usize = 5;

/// Schedules; administrators only.
#[derive(Debug, Clone, Copy)]
pub struct Schedules<'a> {
    pub(crate) core: &'a Core,
}

impl Schedules<'_> {
    /// Some schedules, the newest first.
    pub async fn list(
        &self,
        identity: &Identity,
        query: &ScheduleQuery,
    ) -> Result<SchedulePage, ScheduleError> {
        authorize_admin(identity)?;
        let (found, total) = self.core.inner.store.schedules(query).await?;
        let schedules = found.into_iter().map(|stored| self.core.view_schedule(stored));
        Ok(SchedulePage {
            schedules: schedules.collect::<Result<_, _>>()?,
            total,
            limit: query.limit,
            offset: query.offset,
        })
    }

    /// One schedule, with its next ticks.
    pub async fn get(
        &self,
        identity: &Identity,
        id: ScheduleId,
    ) -> Result<Schedule, ScheduleError> {
        authorize_admin(identity)?;
        let stored = self.find(id).await?;
        self.core.view_with_ticks(stored)
    }

    /// Creates a schedule.
    pub async fn create(
        &self,
        identity: &Identity,
        new: NewSchedule,
    ) -> Result<Schedule, ScheduleError> {
        authorize_admin(identity)?;
        let NewSchedule { name, function_name, schedule, input_data, is_active, policy } = new;
        let timing = Timing::parse(&schedule)?;
        check_policy(&policy)?;
        self.check_input(&function_name, &input_data)?;
        let now = now();
        let mut stored = StoredSchedule {
            id: ScheduleId::generate(),
            revision: 1,
            definition: ScheduleDefinition {
                name,
                function_name,
                timing: timing_json(&timing),
                input: input_data,
                policy,
            },
            is_active,
            owner: ScheduleOwner { extension: None, created_by: identity.user_id() },
            times: ScheduleTimes {
                anchor_at: now,
                last_run_at: None,
                next_run_at: None,
                created_at: now,
                updated_at: now,
            },
        };
        self.core.set_next(&mut stored, &timing, now)?;
        self.core.inner.store.insert_schedule(stored.clone()).await?;
        self.core.inner.schedules_changed.notify_one();
        self.core.view_with_ticks(stored)
    }

    /// Changes a schedule. Its next tick is found anew.
    pub async fn change(
        &self,
        identity: &Identity,
        id: ScheduleId,
        change: ScheduleChange,
    ) -> Result<Schedule, ScheduleError> {
        authorize_admin(identity)?;
        let mut stored = self.find(id).await?;
        if let Some(extension) = &stored.owner.extension
            && !change.is_only_a_switch()
        {
            return Err(ScheduleError::Owned(extension.clone()));
        }
        let now = now();
        let resumed = change.is_active == Some(true) && !stored.is_active;
        let timing = match &change.schedule {
            Some(schedule) => Timing::parse(schedule)?,
            None => Core::timing(&stored)?,
        };
        if change.schedule.is_some() || resumed {
            stored.times.anchor_at = now;
        }
        stored.is_active = change.is_active.unwrap_or(stored.is_active);
        let definition = &mut stored.definition;
        definition.timing = timing_json(&timing);
        definition.name = change.name.unwrap_or_else(|| definition.name.clone());
        if let Some(input) = change.input_data {
            self.check_input(&definition.function_name, &input)?;
            definition.input = input;
        }
        let policy = &mut definition.policy;
        policy.missed = change.missed.unwrap_or(policy.missed);
        policy.overlap = change.overlap.unwrap_or(policy.overlap);
        policy.timeout = change.timeout.unwrap_or(policy.timeout);
        policy.jitter = change.jitter.unwrap_or(policy.jitter);
        check_policy(policy)?;
        self.core.set_next(&mut stored, &timing, now)?;
        stored.times.updated_at = now;
        if !self.core.inner.store.update_schedule(stored.clone()).await? {
            return Err(ScheduleError::Changed);
        }
        self.core.inner.schedules_changed.notify_one();
        self.core.view_with_ticks(stored)
    }

    /// Deletes a schedule. One of an extension can only be deleted once its function is gone.
    pub async fn delete(&self, identity: &Identity, id: ScheduleId) -> Result<(), ScheduleError> {
        authorize_admin(identity)?;
        let stored = self.find(id).await?;
        if let Some(extension) = &stored.owner.extension
            && self.core.inner.hooks.function(&stored.definition.function_name).is_some()
        {
            return Err(ScheduleError::Owned(extension.clone()));
        }
        if self.core.inner.store.delete_schedule(id).await? {
            Ok(())
        } else {
            Err(ScheduleError::NotFound(id))
        }
    }

    /// Has a schedule run now, beside its ticks. When that was noted, which names the run.
    pub async fn run_now(
        &self,
        identity: &Identity,
        id: ScheduleId,
    ) -> Result<Timestamp, ScheduleError> {
        authorize_admin(identity)?;
        let schedule = self.find(id).await?;
        let overlap = schedule.definition.policy.overlap;
        let now = now();
        let tick = TickToTake {
            schedule,
            tick_at: now,
            kind: TickKind::Manual,
            next_at: None,
            start_at: now,
            call_id: CallId::generate(),
            now,
        };
        match self.core.inner.store.take_tick(tick).await? {
            TickTaken::Queued => {
                self.core.inner.schedules_changed.notify_one();
                Ok(now)
            }
            TickTaken::Lost => Err(ScheduleError::Changed),
            TickTaken::Waits | TickTaken::Skipped => Err(ScheduleError::Runs(overlap.as_str())),
        }
    }

    /// What became of a schedule's ticks, the latest first.
    pub async fn runs(
        &self,
        identity: &Identity,
        id: ScheduleId,
        limit: u32,
        offset: u32,
    ) -> Result<RunPage, ScheduleError> {
        authorize_admin(identity)?;
        self.find(id).await?;
        let (runs, total) = self.core.inner.store.schedule_runs(id, limit, offset).await?;
        Ok(RunPage { runs, total, limit, offset })
    }

    /// The next ticks of a timing that isn't a schedule yet.
    pub fn preview(
        &self,
        identity: &Identity,
        schedule: &Value,
        count: usize,
    ) -> Result<Vec<Timestamp>, ScheduleError> {
        authorize_admin(identity)?;
        let timing = Timing::parse(schedule)?;
        let now = now();
        let origin = self.core.schedule_origin(now);
        Ok(ahead(&timing, &origin, now, count))
    }

    async fn find(&self, id: ScheduleId) -> Result<StoredSchedule, ScheduleError> {
        self.core.inner.store.schedule(id).await?.ok_or(ScheduleError::NotFound(id))
    }

    /// Whether there is the function, and takes the input.
    fn check_input(self, function: &str, input: &JsonBytes) -> Result<(), ScheduleError> {
        let Some(registered) = self.core.inner.hooks.function(function) else {
            return Err(ScheduleError::NoFunction(function.to_owned()));
        };
        match self.core.check_input(&registered, input) {
            Ok(None) => Ok(()),
            Ok(Some(failure)) => {
                Err(ScheduleError::Invalid(vec![violation("/input_data", &failure.message)]))
            }
            Err(error) => {
                Err(ScheduleError::Invalid(vec![violation("/input_data", &error.to_string())]))
            }
        }
    }
}

impl ScheduleChange {
    const fn is_only_a_switch(&self) -> bool {
        self.name.is_none()
            && self.schedule.is_none()
            && self.input_data.is_none()
            && self.missed.is_none()
            && self.overlap.is_none()
            && self.timeout.is_none()
            && self.jitter.is_none()
    }
}

impl Core {
    /// What timings stand on here.
    pub(crate) fn schedule_origin(&self, anchor: Timestamp) -> Origin {
        let zone = time_zone(&self.server_timezone()).unwrap_or(jiff::tz::TimeZone::UTC);
        Origin { anchor, zone }
    }

    /// A stored timing, checked again.
    pub(crate) fn timing(stored: &StoredSchedule) -> Result<Timing, StoreError> {
        let corrupt = |source: Arc<dyn std::error::Error + Send + Sync>| StoreError::Corrupt {
            what: "a schedule's timing",
            source,
        };
        let value: Value =
            stored.definition.timing.parse().map_err(|error| corrupt(Arc::new(error)))?;
        Timing::parse(&value).map_err(|error| corrupt(Arc::new(error)))
    }

    /// Finds the next tick of a schedule that is about to be stored.
    pub(crate) fn set_next(
        &self,
        stored: &mut StoredSchedule,
        timing: &Timing,
        now: Timestamp,
    ) -> Result<(), ScheduleError> {
        let origin = self.schedule_origin(stored.times.anchor_at);
        let next = timing.next_after(now, &origin);
        if next.is_none() && stored.is_active {
            let words = "lies in the past: the schedule would never run";
            return Err(ScheduleError::Timing(vec![violation("/schedule/date", words)]));
        }
        stored.times.next_run_at = next.filter(|_| stored.is_active);
        Ok(())
    }

    fn view_with_ticks(&self, stored: StoredSchedule) -> Result<Schedule, ScheduleError> {
        let ticks = match stored.times.next_run_at {
            None => Vec::new(),
            Some(next) => {
                let origin = self.schedule_origin(stored.times.anchor_at);
                let before = next - SignedDuration::from_micros(1);
                ahead(&Self::timing(&stored)?, &origin, before, AHEAD)
            }
        };
        Ok(Schedule { next_runs: Some(ticks), ..self.view_schedule(stored)? })
    }

    fn view_schedule(&self, stored: StoredSchedule) -> Result<Schedule, ScheduleError> {
        let timing = Self::timing(&stored)?;
        let state = self.schedule_state(&stored, &timing);
        let StoredSchedule { id, definition, is_active, owner, times, .. } = stored;
        let ScheduleDefinition { name, function_name, input, policy, .. } = definition;
        Ok(Schedule {
            id,
            name,
            function_name,
            schedule: timing.spec().clone(),
            input_data: input,
            is_active,
            state,
            last_run_at: times.last_run_at,
            next_run_at: times.next_run_at,
            next_runs: None,
            missed: policy.missed,
            overlap: policy.overlap,
            timeout_seconds: policy.timeout.map(whole_seconds),
            jitter_seconds: policy.jitter.as_secs(),
            extension: owner.extension,
            created_by_user_id: owner.created_by,
            created_at: times.created_at,
            updated_at: times.updated_at,
        })
    }

    fn schedule_state(&self, stored: &StoredSchedule, timing: &Timing) -> ScheduleState {
        if stored.is_active {
            let known = self.inner.hooks.function(&stored.definition.function_name).is_some();
            return if known { ScheduleState::Active } else { ScheduleState::FunctionMissing };
        }
        let origin = self.schedule_origin(stored.times.anchor_at);
        match timing.next_after(now(), &origin) {
            Some(_) => ScheduleState::Paused,
            None => ScheduleState::Finished,
        }
    }
}

/// The next ticks after a time.
fn ahead(timing: &Timing, origin: &Origin, after: Timestamp, count: usize) -> Vec<Timestamp> {
    let next = |after: &Timestamp| timing.next_after(*after, origin);
    std::iter::successors(timing.next_after(after, origin), next).take(count).collect()
}

/// A timing as the database keeps it.
pub(crate) fn timing_json(timing: &Timing) -> JsonBytes {
    JsonBytes::of(timing.spec()).unwrap_or_else(|_| unreachable!("a timing is JSON"))
}

fn check_policy(policy: &RunPolicy) -> Result<(), ScheduleError> {
    match policy.complaint() {
        None => Ok(()),
        Some((field, words)) => {
            let field = format!("/{field}_seconds");
            Err(ScheduleError::Invalid(vec![violation(&field, &words)]))
        }
    }
}

/// A time in seconds, rounded up.
fn whole_seconds(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}
