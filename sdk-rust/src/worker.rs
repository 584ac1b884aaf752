//! Runs jobs: at once where they can, beside each other where they must wait.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context as TaskContext, Poll, Waker};
use std::time::Duration;

use tinybase_proto::v1;
use tokio::runtime::Handle;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::client::{Dispatcher, Outcomes};
use crate::context::{Context, Surroundings};
use crate::handler::{Handlers, Job};
use crate::log;

/// How long a cancelled handler may go on before it is dropped.
const CANCEL_GRACE: Duration = Duration::from_secs(1);
/// How long jobs of one frame are run where they come in before the rest get tasks of their own.
const BATCH_TIME: Duration = Duration::from_micros(200);

/// Where handlers run.
pub(crate) enum Placement {
    /// On the connection's own thread. A handler that never waits needs no task at all, which is
    /// worth a fifth of the throughput.
    Here,
    /// On the threads of this runtime.
    On(Handle),
}

/// The [`Dispatcher`] of extensions written against this crate.
pub(crate) struct Worker {
    handlers: Handlers,
    surroundings: Arc<Surroundings>,
    placement: Placement,
    tasks: Mutex<JoinSet<()>>,
    waiting: Arc<Waiting>,
}

/// The invocations that have a task, by id.
#[derive(Default)]
struct Waiting {
    contexts: Mutex<HashMap<String, Context>>,
}

impl Waiting {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Context>> {
        self.contexts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Worker {
    pub(crate) fn new(
        handlers: Handlers,
        surroundings: Surroundings,
        placement: Placement,
    ) -> Arc<Self> {
        Arc::new(Self {
            handlers,
            surroundings: Arc::new(surroundings),
            placement,
            tasks: Mutex::default(),
            waiting: Arc::default(),
        })
    }

    fn spawn(&self, job: Job, outcomes: &Outcomes) {
        let context = job.context().clone();
        self.waiting.lock().insert(context.invocation_id().to_owned(), context);
        let task = finish(job, outcomes.clone(), Arc::clone(&self.waiting));
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        while tasks.try_join_next().is_some() {}
        match &self.placement {
            Placement::Here => tasks.spawn(task),
            Placement::On(handle) => tasks.spawn_on(task, handle),
        };
    }

    /// Whether a job may run where it came in. The shutdown hook may not: its outcome ends the
    /// session, so the log has to be sent before it.
    fn runs_here(&self, job: &Job, since: Instant) -> bool {
        matches!(self.placement, Placement::Here)
            && job.context().event() != "shutdown"
            && since.elapsed() < BATCH_TIME
    }
}

impl Dispatcher for Worker {
    fn invoke(&self, batch: Vec<v1::Invocation>, outcomes: &Outcomes) {
        let since = Instant::now();
        for invocation in batch {
            let mut job = self.handlers.job(invocation, &self.surroundings, outcomes);
            if self.runs_here(&job, since) {
                // Nothing is lost by the waker that does nothing: a job that has to wait gets a
                // task, which polls it again at once.
                let mut quiet = TaskContext::from_waker(Waker::noop());
                if let Poll::Ready(outcome) = Pin::new(&mut job).poll(&mut quiet) {
                    outcomes.send(outcome);
                    continue;
                }
            }
            self.spawn(job, outcomes);
        }
    }

    fn cancel(&self, invocation_id: &str, reason: &str) {
        if let Some(context) = self.waiting.lock().get(invocation_id) {
            context.cancel(reason);
        }
    }

    fn drain(&self, grace: Duration) {
        tracing::debug!(grace_ms = grace.as_millis(), "the server is about to end the session");
    }
}

async fn finish(mut job: Job, outcomes: Outcomes, waiting: Arc<Waiting>) {
    let context = job.context().clone();
    let finished = tokio::select! {
        biased;
        outcome = &mut job => Some(outcome),
        () = overdue(&context) => None,
    };
    let outcome = finished.unwrap_or_else(|| {
        let reason = context.cancel_reason().unwrap_or("cancelled");
        job.abandon(&format!(
            "the handler was dropped {CANCEL_GRACE:?} after its cancellation ({reason})"
        ))
    });
    if context.event() == "shutdown" {
        log::flush().await;
    }
    waiting.lock().remove(context.invocation_id());
    outcomes.send(outcome);
}

async fn overdue(context: &Context) {
    context.cancelled().cancelled().await;
    tokio::time::sleep(CANCEL_GRACE).await;
}
