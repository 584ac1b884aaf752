//! Calls that nobody waits for: accepting, looking after them, results, cancelling.

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tinybase_model::{CallId, Cause, Identity, JsonBytes};
use tinybase_store::{CallRecord, CallStatus, now};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::Core;
use crate::access::{AccessDenied, authorize_admin};
use crate::acting::Acting;
use crate::function::{CallOutcome, FunctionError, Functions};
use crate::function_call::Way;

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

    fn reserve(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.room).try_acquire_owned().ok()
    }
}

/// A call that was accepted and runs by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AcceptedCall {
    /// How it stands: running.
    pub outcome: CallOutcome,
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
    /// it ends with a result or a failure, even if the server dies.
    pub async fn accept(
        &self,
        cause: &Cause,
        name: &str,
        input: JsonBytes,
    ) -> Result<AcceptedCall, FunctionError> {
        let core = self.core;
        let background = &core.inner.background;
        let Some(room) = background.reserve() else { return Err(FunctionError::Busy) };
        let ready = core.prepare_call(Acting::client(cause), name, input).await?;
        let started = core.starting(&ready, true);
        let outcome = CallOutcome {
            call_id: started.id,
            status: CallStatus::Running,
            result: None,
            error_message: None,
            error_type: None,
            duration_ms: None,
            failed_open: ready.failed_open().to_vec(),
        };
        core.inner.store.accept_call(started).await?;
        let runner = core.clone();
        let job = async move {
            let _room = room;
            if let Err(error) = runner.perform(ready, Way::Accepted).await {
                tracing::error!(error = &error as &dyn std::error::Error, "a call was not ended");
            }
        };
        // There is room for each permit. It fails once the server stops; then the next one finds
        // the call as left open.
        background.jobs.try_send(Box::pin(job)).map_err(|_| FunctionError::Stopping)?;
        Ok(AcceptedCall { outcome })
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
        let call = self.own_call(identity, id).await?;
        let result = match call.status {
            CallStatus::Running => return Ok(CallResult::Running(call)),
            CallStatus::Failed => None,
            CallStatus::Succeeded => {
                let kept = self.core.inner.store.call_result(id).await?;
                Some(kept.ok_or(FunctionError::ResultGone(id))?)
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

impl Core {
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
