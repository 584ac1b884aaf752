//! The core as the scheduler's loop sees it.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use tinybase_hooks::RegisteredFunction;
use tinybase_model::{CallId, Cause, FunctionEvent, Identity, ScheduleId, plan};
use tinybase_store::{
    QueuedRun, RunToStart, StartedCall, StoreError, StoredSchedule, TickKind, TickTaken,
    TickToTake, now,
};

use super::{Agenda, Run};
use crate::Core;
use crate::function::FunctionError;
use crate::function_call::{Failure, Way};
use crate::running_call::OpenCall;

/// How long a run waits for its function to be there and its extension to be ready.
const PATIENCE: SignedDuration = SignedDuration::from_mins(1);
/// How many runs that can't start yet are looked past.
const LOOKED_PAST: u32 = 100;

pub(super) struct CoreAgenda {
    core: Core,
}

impl CoreAgenda {
    pub(super) const fn new(core: Core) -> Self {
        Self { core }
    }

    /// Takes the tick of one schedule.
    async fn take(&self, schedule: StoredSchedule, now: Timestamp) -> Result<(), StoreError> {
        let Some(due) = schedule.times.next_run_at else { return Ok(()) };
        let timing = Core::timing(&schedule)?;
        let origin = self.core.schedule_origin(schedule.times.anchor_at);
        let policy = schedule.definition.policy;
        let plan = plan(&timing, &origin, policy.missed, due, now);
        let (id, name) = (schedule.id, schedule.definition.name.clone());
        let tick = TickToTake {
            start_at: plan.tick + jitter(id, plan.tick, policy.jitter),
            schedule,
            tick_at: plan.tick,
            kind: TickKind::Due(plan.fate),
            next_at: plan.next,
            call_id: CallId::generate(),
            now,
        };
        if self.core.inner.store.take_tick(tick).await? == TickTaken::Skipped {
            tracing::info!(schedule = %id, name, tick = %plan.tick, "a tick was left out");
        }
        Ok(())
    }

    /// Starts a run, if it may start and nobody else did.
    async fn start_one(&self, run: QueuedRun, now: Timestamp) -> Result<Option<Run>, StoreError> {
        let function = self.core.inner.hooks.function(&run.function_name);
        let ready = function.as_ref().is_some_and(|f| self.core.inner.hooks.is_ready(&f.extension));
        if !ready && now.duration_since(run.start_at) < PATIENCE {
            return Ok(None);
        }
        let call = StartedCall {
            id: run.call_id,
            function_name: run.function_name.clone(),
            extension: function.as_ref().map(|function| function.extension.clone()),
            version: function.as_ref().map(|f| f.version.clone()).unwrap_or_default(),
            trigger_id: Some(run.schedule_id),
            user_id: None,
            started_at: now,
            is_async: false,
            node: self.core.inner.node.clone(),
        };
        let (schedule_id, tick_at, overlap) = (run.schedule_id, run.tick_at, run.overlap);
        let start = RunToStart { schedule_id, tick_at, overlap, call: call.clone() };
        if !self.core.inner.store.start_run(start).await? {
            return Ok(None);
        }
        let core = self.core.clone();
        Ok(Some(Box::pin(async move { core.run_scheduled(run, call, function).await })))
    }
}

#[async_trait]
impl Agenda for CoreAgenda {
    fn now(&self) -> Timestamp {
        now()
    }

    fn runs_max(&self) -> usize {
        self.core.scheduler_limits().runs_max
    }

    async fn take_due(&self) -> Result<(), StoreError> {
        let now = now();
        let limit = self.core.scheduler_limits().ticks_max;
        for schedule in self.core.inner.store.due_schedules(now, limit).await? {
            let id = schedule.id;
            if let Err(error) = self.take(schedule, now).await {
                tracing::warn!(
                    schedule = %id, error = &error as &dyn std::error::Error,
                    "a tick could not be taken"
                );
            }
        }
        Ok(())
    }

    async fn start(&self, most: usize) -> Result<Vec<Run>, StoreError> {
        let now = now();
        let limit = u32::try_from(most).unwrap_or(u32::MAX).saturating_add(LOOKED_PAST);
        let mut runs = Vec::new();
        for run in self.core.inner.store.startable_runs(now, limit).await? {
            if runs.len() == most {
                break;
            }
            runs.extend(self.start_one(run, now).await?);
        }
        Ok(runs)
    }

    async fn next_at(&self) -> Result<Option<Timestamp>, StoreError> {
        self.core.inner.store.next_tick_at(now()).await
    }

    async fn changed(&self) {
        self.core.inner.schedules_changed.notified().await;
    }
}

impl Core {
    /// Carries a started run out. It acts for the function's extension: there is no user, and
    /// nobody's rights are asked.
    async fn run_scheduled(
        &self,
        run: QueuedRun,
        started: StartedCall,
        function: Option<Arc<RegisteredFunction>>,
    ) {
        let Some(function) = function else {
            let words = format!("no extension offers the function '{}'", run.function_name);
            return self.end_unrun(started, Failure::new("FunctionNotFound", &words)).await;
        };
        let cause = Cause::request(Identity::Extension(function.extension.clone()), String::new());
        let call = FunctionEvent {
            name: run.function_name,
            call_id: run.call_id,
            user_id: None,
            is_admin: false,
            input: run.input,
            schedule: Some(run.schedule_id),
        };
        let timeout =
            run.timeout.or(function.binding.timeout).unwrap_or(self.scheduler_limits().run_timeout);
        let prepared = match self.take_places(&function, None) {
            Ok(places) => self.approve_call(function, call, cause, places).await,
            Err(error) => Err(error),
        };
        let ended = match prepared {
            Ok(ready) => self.perform(ready, Way::Scheduled(timeout)).await,
            Err(error) => {
                let kind = refusal_type(&error);
                return self.end_unrun(started, Failure::new(kind, &error.to_string())).await;
            }
        };
        if let Err(error) = ended {
            tracing::error!(error = &error as &dyn std::error::Error, "a run was not ended");
        }
    }

    /// Ends a call that was recorded and then couldn't be made.
    async fn end_unrun(&self, started: StartedCall, failure: Failure) {
        tracing::warn!(
            schedule = ?started.trigger_id, function = started.function_name,
            error = failure.message, "a schedule's run could not be made"
        );
        let cause = Cause::request(Identity::Operator, String::new());
        let open = OpenCall::new(self, started, cause);
        if let Err(error) = open.finish(&Err(failure), None).await {
            tracing::error!(error = &error as &dyn std::error::Error, "a run was not ended");
        }
    }
}

/// What a call's record calls the reason for which it wasn't made.
fn refusal_type(error: &FunctionError) -> &'static str {
    match error {
        FunctionError::Refused(_) => "Rejected",
        FunctionError::TooManyOfUser(_) | FunctionError::TooManyOfFunction { .. } => {
            "ConcurrencyLimit"
        }
        FunctionError::TooLarge { .. } => "PayloadTooLarge",
        FunctionError::BrokenSchema { .. } => "InvalidSchema",
        FunctionError::NotFound(_) => "FunctionNotFound",
        FunctionError::NoCall(_)
        | FunctionError::HasEnded(_)
        | FunctionError::ResultGone(_)
        | FunctionError::Busy
        | FunctionError::Stopping
        | FunctionError::NotRecorded(_)
        | FunctionError::Denied(_)
        | FunctionError::Key(_)
        | FunctionError::Store(_) => "InternalError",
    }
}

/// By how much a tick is delayed: the same on every server, and evenly spread.
fn jitter(id: ScheduleId, tick: Timestamp, most: Duration) -> Duration {
    let most = u64::try_from(most.as_millis()).unwrap_or(u64::MAX);
    if most == 0 {
        return Duration::ZERO;
    }
    let (high, low) = id.uuid().as_u64_pair();
    let mut bits = high ^ low ^ tick.as_microsecond().unsigned_abs();
    // The finaliser of SplitMix64: each bit of the input changes half of the output's.
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    Duration::from_millis((bits ^ (bits >> 31)) % (most + 1))
}
