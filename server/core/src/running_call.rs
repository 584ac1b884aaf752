//! A call that is recorded as running: it ends exactly once, whatever becomes of whoever waits.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tinybase_model::{CallId, Cause, CompletionEvent, Event, JsonBytes};
use tinybase_store::{FinishedCall, KeptResult, NewEvent, StartedCall, StoreError, now};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::Core;
use crate::function_call::Failure;

/// The calls that run on this server, each with what cancels it.
#[derive(Debug, Default)]
pub(crate) struct RunningCalls {
    tokens: Mutex<HashMap<CallId, CancellationToken>>,
}

impl RunningCalls {
    /// Cancels a call. Whether it runs here.
    pub(crate) fn cancel(&self, id: CallId) -> bool {
        let token = self.lock().get(&id).cloned();
        token.is_some_and(|token| {
            token.cancel();
            true
        })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<CallId, CancellationToken>> {
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Somebody's call while it runs. Dropped before its end, it is recorded as given up.
#[derive(Debug)]
pub(crate) struct OpenCall {
    core: Core,
    started: StartedCall,
    cause: Cause,
    began: Instant,
    token: CancellationToken,
    ended: bool,
}

impl OpenCall {
    pub(crate) fn new(core: &Core, started: StartedCall, cause: Cause) -> Self {
        let token = CancellationToken::new();
        core.inner.running.lock().insert(started.id, token.clone());
        Self { core: core.clone(), started, cause, began: Instant::now(), token, ended: false }
    }

    /// Resolves when somebody cancels the call.
    pub(crate) fn token(&self) -> CancellationToken {
        self.token.clone()
    }

    /// Records the end with its event in the same commit. How long the call took, in milliseconds.
    pub(crate) async fn finish(
        mut self,
        result: &Result<JsonBytes, Failure>,
        keep: Option<KeptResult>,
    ) -> Result<u64, StoreError> {
        let duration_ms = self.elapsed();
        let completion = completion(&self.started, result.as_ref().err(), duration_ms);
        let finished = finished(self.started.clone(), completion, &self.cause, keep);
        self.ended = true;
        self.core.inner.store.finish_call(finished).await?;
        self.core.inner.hooks.events_committed();
        Ok(duration_ms)
    }

    fn elapsed(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn give_up(&self) {
        let failure = if self.started.is_async || self.started.trigger_id.is_some() {
            Failure::new("ServerStopped", "the server stopped while the function ran")
        } else {
            Failure::new("ClientGone", "the client went away before the function had ended")
        };
        let completion = completion(&self.started, Some(&failure), self.elapsed());
        let finished = finished(self.started.clone(), completion, &self.cause, None);
        if let Err(error) = self.core.inner.store.finish_call_later(finished) {
            // The next server finds it as left open.
            tracing::warn!(%error, call = %self.started.id, "a call's end could not be recorded");
        }
        self.core.inner.hooks.events_committed();
    }
}

impl Drop for OpenCall {
    fn drop(&mut self) {
        self.core.inner.running.lock().remove(&self.started.id);
        if !self.ended {
            self.give_up();
        }
    }
}

/// What the log is told of a call's end.
pub(crate) fn completion(
    started: &StartedCall,
    failure: Option<&Failure>,
    duration_ms: u64,
) -> CompletionEvent {
    CompletionEvent {
        name: started.function_name.clone(),
        call_id: started.id,
        user_id: started.user_id,
        succeeded: failure.is_none(),
        duration_ms,
        error_message: failure.map(|failure| failure.message.clone()),
        error_type: failure.map(|failure| failure.kind.clone()),
    }
}

/// A call's end as the store takes it.
pub(crate) fn finished(
    started: StartedCall,
    completion: CompletionEvent,
    cause: &Cause,
    result: Option<KeptResult>,
) -> FinishedCall {
    let finished_at = now();
    let event = Event::FunctionComplete(completion.clone());
    let event = NewEvent::new(&event, cause, finished_at);
    FinishedCall { started, finished_at, completion, event, result }
}
