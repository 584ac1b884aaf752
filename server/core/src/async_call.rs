//! Calls that nobody waits for: accepting, looking after them, results, cancelling.

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tinybase_model::{CallId, Cause, ExtensionName, Identity, JsonBytes};
use tinybase_store::{CallRecord, CallStatus, KeptAnswer, StartedCall, Written, now};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::Core;
use crate::access::{AccessDenied, authorize_admin};
use crate::acting::Acting;
use crate::function::{CallOutcome, FunctionError, Functions};
use crate::function_call::{ReadyCall, Way};
use crate::idempotency::{Claim, KeyError};

/// How often other servers' wishes to cancel calls of this one are looked for.
const CANCEL_PERIOD: Duration = Duration::from_secs(1);
/// How many of them are taken at once.
const CANCELS_MAX: u32 = 100;
/// How long calls have to end once the server stops; their extensions are gone by then.
const STOP_GRACE: Duration = Duration::from_secs(5);

type Job = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The calls that nobody waits for, on their way to the task that owns them.
pub(crate) struct Background {
    room: Arc<Semaphore>,
    jobs: mpsc::Sender<Job>,
    taken: Mutex<Option<mpsc::Receiver<Job>>>,
}

impl fmt::Debug for Background {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Background")
            .field("room", &self.room.available_permits())
            .finish_non_exhaustive()
    }
}

impl Background {
    /// Room for so many calls at a time.
    pub(crate) fn new(calls_max: usize) -> Self {
        let (jobs, taken) = mpsc::channel(calls_max.max(1));
        let room = Arc::new(Semaphore::new(calls_max));
        Self { room, jobs, taken: Mutex::new(Some(taken)) }
    }

    fn reserve(&self) -> Result<OwnedSemaphorePermit, FunctionError> {
        Arc::clone(&self.room).try_acquire_owned().map_err(|_| FunctionError::Busy)
    }

    /// Hands a job over to whoever owns them. There is room for each permit; it fails once the
    /// server stops, and then the next one finds the call as left open.
    fn hand_over(
        &self,
        job: impl Future<Output = ()> + Send + 'static,
    ) -> Result<(), FunctionError> {
        self.jobs.try_send(Box::pin(job)).map_err(|_| FunctionError::Stopping)
    }
}

/// A call that was accepted and runs by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AcceptedCall {
    /// How it stands: running.
    pub outcome: CallOutcome,
}

/// How a call went that was asked for again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Repeated {
    /// It was accepted.
    Accepted(AcceptedCall),
    /// It has ended.
    Ended(CallOutcome),
}

/// What is known of a call's result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallResult {
    /// There is none yet.
    Running(CallRecord),
    /// It has ended like this.
    Ended(CallOutcome),
}

impl Functions<'_> {
    /// Calls a function without waiting for its end. Once this returns, the call is on the disk:
    /// it ends with a result or a failure, even if the server dies. With a claim the call is what
    /// its key stands for.
    pub async fn accept(
        &self,
        cause: &Cause,
        name: &str,
        input: JsonBytes,
        claim: Option<&Claim>,
    ) -> Result<AcceptedCall, FunctionError> {
        let core = self.core;
        let room = core.inner.background.reserve()?;
        let ready = core.prepare_call(Acting::client(cause), name, input).await?;
        let started = core.starting(&ready, true);
        let accepted = AcceptedCall::new(started.id, ready.failed_open());
        core.record_start(started, claim).await?;
        let runner = core.clone();
        core.inner.background.hand_over(async move {
            let _room = room;
            drop(runner.carry_through(ready, Way::Accepted).await);
        })?;
        Ok(accepted)
    }

    /// Calls a function and waits for its end, once. The call goes on if whoever waits goes away,
    /// and how it ended is kept for when the request is sent again.
    pub async fn call_once(
        &self,
        cause: &Cause,
        name: &str,
        input: JsonBytes,
        claim: Claim,
    ) -> Result<CallOutcome, FunctionError> {
        let core = self.core;
        let room = core.inner.background.reserve()?;
        let ready = core.prepare_call(Acting::client(cause), name, input).await?;
        core.record_start(core.starting(&ready, false), Some(&claim)).await?;
        let (reply, answer) = oneshot::channel();
        let runner = core.clone();
        core.inner.background.hand_over(async move {
            let _held = (room, claim);
            // Whoever asked may have gone away; the call is recorded.
            drop(reply.send(runner.carry_through(ready, Way::Repeatable).await));
        })?;
        answer.await.unwrap_or(Err(FunctionError::Stopping))
    }

    /// How a call went that a key stands for, for whoever sent the key.
    pub async fn repeated(&self, id: CallId) -> Result<Repeated, FunctionError> {
        let call = self.core.inner.store.call(id).await?.ok_or(FunctionError::ResultGone(id))?;
        if call.is_async {
            return Ok(Repeated::Accepted(AcceptedCall::new(id, &[])));
        }
        match self.core.outcome_of(call).await? {
            CallResult::Running(_) => Err(KeyError::InUse.into()),
            CallResult::Ended(outcome) => Ok(Repeated::Ended(outcome)),
        }
    }

    /// A recorded call, for whoever made it and for administrators.
    pub async fn own_call(
        &self,
        identity: &Identity,
        id: CallId,
    ) -> Result<CallRecord, FunctionError> {
        if *identity == Identity::Anonymous {
            return Err(AccessDenied::Unauthenticated.into());
        }
        let found = self.core.inner.store.call(id).await?;
        let is_admin = authorize_admin(identity).is_ok();
        let is_own = |call: &CallRecord| {
            call.requested_by_user_id.is_some() && call.requested_by_user_id == identity.user_id()
        };
        // To others it isn't there.
        found.filter(|call| is_admin || is_own(call)).ok_or(FunctionError::NoCall(id))
    }

    /// The result of an asynchronous call, for whoever made it and for administrators.
    pub async fn result(
        &self,
        identity: &Identity,
        id: CallId,
    ) -> Result<CallResult, FunctionError> {
        self.core.outcome_of(self.own_call(identity, id).await?).await
    }

    /// Tells a running call to stop, on whatever server it runs. It ends as failed, `Cancelled`.
    pub async fn cancel(
        &self,
        identity: &Identity,
        id: CallId,
    ) -> Result<CallRecord, FunctionError> {
        let call = self.own_call(identity, id).await?;
        if call.status != CallStatus::Running {
            return Err(FunctionError::HasEnded(id));
        }
        if !self.core.inner.running.cancel(id)
            && !self.core.inner.store.request_cancel(id, now()).await?
        {
            return Err(FunctionError::HasEnded(id));
        }
        Ok(call)
    }
}

impl AcceptedCall {
    fn new(call_id: CallId, failed_open: &[ExtensionName]) -> Self {
        let outcome = CallOutcome {
            call_id,
            status: CallStatus::Running,
            result: None,
            error_message: None,
            error_type: None,
            duration_ms: None,
            failed_open: failed_open.to_vec(),
        };
        Self { outcome }
    }
}

impl Core {
    /// Records the start of a call, and that it is what a key stands for.
    async fn record_start(
        &self,
        started: StartedCall,
        claim: Option<&Claim>,
    ) -> Result<(), FunctionError> {
        let key = claim.map(|claim| claim.used(KeptAnswer::Call(started.id)));
        match self.inner.store.accept_call(started, key).await? {
            Written::Done => Ok(()),
            // Another server was faster; its call is there the next time.
            Written::Stale => Err(KeyError::InUse.into()),
        }
    }

    /// Runs a call whose start is recorded, and logs what keeps its end from being recorded too.
    async fn carry_through(
        &self,
        ready: ReadyCall,
        way: Way,
    ) -> Result<CallOutcome, FunctionError> {
        let ended = self.perform(ready, way).await;
        if let Err(error) = &ended {
            tracing::error!(error = error as &dyn std::error::Error, "a call was not ended");
        }
        ended
    }

    /// How a recorded call stands, with its result if that is kept.
    async fn outcome_of(&self, call: CallRecord) -> Result<CallResult, FunctionError> {
        let result = match call.status {
            CallStatus::Running => return Ok(CallResult::Running(call)),
            CallStatus::Failed => None,
            CallStatus::Succeeded => {
                let kept = self.inner.store.call_result(call.id).await?;
                Some(kept.ok_or(FunctionError::ResultGone(call.id))?)
            }
        };
        Ok(CallResult::Ended(CallOutcome {
            call_id: call.id,
            status: call.status,
            result,
            error_message: call.error_message,
            error_type: call.error_type,
            duration_ms: call.duration_ms,
            failed_open: Vec::new(),
        }))
    }

    /// Owns the calls that nobody waits for, until `stop`; then they have a moment to end. To be
    /// run once, for as long as the server runs.
    pub async fn run_calls(&self, stop: CancellationToken) {
        let taken =
            self.inner.background.taken.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut jobs) = taken else {
            tracing::error!("calls are already being run; a second run does nothing");
            return;
        };
        let mut running = JoinSet::new();
        let mut period = tokio::time::interval(CANCEL_PERIOD);
        loop {
            // All arms are cancel-safe: what isn't taken stays where it is.
            tokio::select! {
                () = stop.cancelled() => break,
                Some(job) = jobs.recv() => drop(running.spawn(job)),
                Some(ended) = running.join_next() => note(ended),
                _ = period.tick(), if !self.inner.running.is_empty() => self.take_cancels().await,
            }
        }
        jobs.close();
        while let Ok(job) = jobs.try_recv() {
            running.spawn(job);
        }
        let ended = async {
            while let Some(ended) = running.join_next().await {
                note(ended);
            }
        };
        if tokio::time::timeout(STOP_GRACE, ended).await.is_err() {
            running.shutdown().await;
        }
    }

    /// Cancels calls of this server that were cancelled at another one.
    async fn take_cancels(&self) {
        match self.inner.store.cancels(&self.inner.node, CANCELS_MAX).await {
            Ok(wanted) => {
                for id in wanted {
                    self.inner.running.cancel(id);
                }
            }
            Err(error) => tracing::warn!(%error, "wishes to cancel calls could not be read"),
        }
    }
}

fn note(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "a call's task failed");
    }
}
