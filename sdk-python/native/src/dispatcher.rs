//! Work and cancellations on their way from the connection to the threads.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tinybase_sdk::client::{Dispatcher, Outcomes, v1};
use tokio::time::Instant;

use crate::invocation::Ticket;
use crate::outcome;

/// Something to do with the GIL held.
#[derive(Debug)]
pub(crate) enum Work {
    /// A handler's call, and when its time is over.
    Invoke(Box<v1::Invocation>, Instant),
    /// An asynchronous handler, if it still runs, is to be cancelled.
    CancelTask(String),
}

/// What waits for a thread, and what runs. The credit bounds both.
#[derive(Debug, Default)]
pub(crate) struct Desk {
    waiting: Mutex<VecDeque<Work>>,
    running: Mutex<Vec<Arc<Ticket>>>,
    drained: AtomicBool,
}

impl Desk {
    pub(crate) fn is_empty(&self) -> bool {
        lock(&self.waiting).is_empty()
    }

    pub(crate) fn take(&self) -> Option<Work> {
        lock(&self.waiting).pop_front()
    }

    pub(crate) fn begin(&self, ticket: &Arc<Ticket>) {
        lock(&self.running).push(Arc::clone(ticket));
    }

    pub(crate) fn end(&self, ticket: &Arc<Ticket>) {
        let mut running = lock(&self.running);
        if let Some(place) = running.iter().position(|it| Arc::ptr_eq(it, ticket)) {
            running.swap_remove(place);
        }
    }

    /// Whether the core has begun to end the session.
    pub(crate) fn drained(&self) -> bool {
        self.drained.load(Ordering::Acquire)
    }

    /// Withdraws work that no thread has taken yet.
    fn withdraw(&self, invocation_id: &str) -> bool {
        let mut waiting = lock(&self.waiting);
        let place = waiting.iter().position(
            |work| matches!(work, Work::Invoke(invocation, _) if invocation.id == invocation_id),
        );
        place.is_some_and(|place| waiting.remove(place).is_some())
    }

    fn mark(&self, invocation_id: &str) -> bool {
        let running = lock(&self.running);
        let ticket = running.iter().find(|ticket| ticket.id == invocation_id);
        if let Some(ticket) = ticket {
            ticket.cancelled.store(true, Ordering::Release);
        }
        ticket.is_some()
    }
}

/// The connection's way to the desk.
#[derive(Debug)]
pub(crate) struct Clerk {
    pub(crate) desk: Arc<Desk>,
    pub(crate) outcomes: Outcomes,
}

impl Dispatcher for Clerk {
    fn invoke(&self, batch: Vec<v1::Invocation>, _outcomes: &Outcomes) {
        let now = Instant::now();
        let mut waiting = lock(&self.desk.waiting);
        waiting.extend(batch.into_iter().map(|invocation| {
            let deadline = now + Duration::from_millis(invocation.timeout_ms.into());
            Work::Invoke(Box::new(invocation), deadline)
        }));
    }

    fn cancel(&self, invocation_id: &str, reason: &str) {
        if self.desk.withdraw(invocation_id) {
            let message = format!("it was cancelled before it began ({reason})");
            self.outcomes.send(outcome::fault(invocation_id, "Cancelled", &message));
        } else if !self.desk.mark(invocation_id) {
            lock(&self.desk.waiting).push_back(Work::CancelTask(invocation_id.to_owned()));
        }
    }

    fn drain(&self, _grace: Duration) {
        self.desk.drained.store(true, Ordering::Release);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
