//! What waits to be sent to the core, and the stream of frames that carries it.

use std::collections::{HashSet, VecDeque};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use futures_util::Stream;
use futures_util::task::AtomicWaker;
use tinybase_proto::v1;

/// A frame is closed once it holds this many bytes, far below any message limit.
const FRAME_BYTES: usize = 512 << 10;
/// The longest text of a fault or a refusal.
const TEXT_BYTES_MAX: usize = 32 << 10;
/// The limit of a body until the core has said its own.
const BODY_BYTES_MAX: usize = 1 << 20;

/// Where outcomes go, from any thread. They leave in the next frame with whatever else is ready.
#[derive(Debug, Clone)]
pub struct Outcomes {
    outbox: Arc<Outbox>,
}

impl Outcomes {
    /// Sends an invocation's outcome without waiting.
    ///
    /// An outcome for an invocation that isn't outstanding is dropped, so that a second one for
    /// the same work never reaches the core. One that is over the core's limits becomes a fault
    /// that says so.
    pub fn send(&self, outcome: v1::Outcome) {
        let outcome = fit(outcome, self.outbox.body_bytes_max.load(Ordering::Relaxed));
        let mut pending = self.outbox.lock();
        if pending.outstanding.remove(&outcome.invocation_id) {
            pending.outcomes.push_back(outcome);
            drop(pending);
            self.outbox.waker.wake();
        }
    }
}

/// The shared state behind [`Outcomes`] and [`Frames`]. What it holds is bounded by the credit.
#[derive(Debug)]
pub(crate) struct Outbox {
    pending: Mutex<Pending>,
    waker: AtomicWaker,
    body_bytes_max: AtomicUsize,
}

#[derive(Debug, Default)]
struct Pending {
    first: Option<v1::SessionRequest>,
    ready: Option<v1::Ready>,
    pong: Option<v1::Pong>,
    received: Vec<String>,
    outcomes: VecDeque<v1::Outcome>,
    outstanding: HashSet<String>,
    closed: bool,
}

impl Outbox {
    pub(crate) fn new(first: Option<v1::SessionRequest>) -> Arc<Self> {
        Arc::new(Self {
            pending: Mutex::new(Pending { first, ..Pending::default() }),
            waker: AtomicWaker::new(),
            body_bytes_max: AtomicUsize::new(BODY_BYTES_MAX),
        })
    }

    pub(crate) fn limit_bodies(&self, bytes_max: usize) {
        self.body_bytes_max.store(bytes_max, Ordering::Relaxed);
    }

    pub(crate) fn outcomes(self: &Arc<Self>) -> Outcomes {
        Outcomes { outbox: Arc::clone(self) }
    }

    pub(crate) fn frames(self: &Arc<Self>) -> Frames {
        Frames { outbox: Arc::clone(self) }
    }

    pub(crate) fn ready(&self) {
        self.lock().ready = Some(v1::Ready {});
        self.waker.wake();
    }

    pub(crate) fn pong(&self, id: String) {
        self.lock().pong = Some(v1::Pong { id });
        self.waker.wake();
    }

    /// Notes what came in. The receipts leave with the next frame; the caller hands the work out
    /// first, so that what is answered at once needs no frame of its own, and then wakes.
    pub(crate) fn received(&self, batch: &[v1::Invocation], acknowledge: bool) {
        let mut pending = self.lock();
        for invocation in batch {
            pending.outstanding.insert(invocation.id.clone());
            if acknowledge {
                pending.received.push(invocation.id.clone());
            }
        }
    }

    pub(crate) fn wake(&self) {
        self.waker.wake();
    }

    pub(crate) fn close(&self) {
        let mut pending = self.lock();
        pending.closed = true;
        pending.outstanding.clear();
        drop(pending);
        self.waker.wake();
    }

    fn lock(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pending {
    fn take(&mut self) -> Option<v1::SessionRequest> {
        if let Some(first) = self.first.take() {
            return Some(first);
        }
        let empty = self.outcomes.is_empty() && self.received.is_empty();
        if empty && self.ready.is_none() && self.pong.is_none() {
            return None;
        }
        Some(v1::SessionRequest {
            ready: self.ready.take(),
            pong: self.pong.take(),
            received: std::mem::take(&mut self.received),
            outcomes: self.take_outcomes(),
            ..v1::SessionRequest::default()
        })
    }

    fn take_outcomes(&mut self) -> Vec<v1::Outcome> {
        let mut bytes = 0;
        let count = self
            .outcomes
            .iter()
            .take_while(|outcome| {
                let fits = bytes < FRAME_BYTES;
                bytes += size(outcome);
                fits
            })
            .count();
        self.outcomes.drain(..count).collect()
    }
}

/// The frames to the core, each with all that is ready when it is asked for.
#[derive(Debug)]
pub(crate) struct Frames {
    outbox: Arc<Outbox>,
}

impl Stream for Frames {
    type Item = v1::SessionRequest;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.outbox.waker.register(cx.waker());
        let mut pending = self.outbox.lock();
        match pending.take() {
            Some(frame) => Poll::Ready(Some(frame)),
            None if pending.closed => Poll::Ready(None),
            None => Poll::Pending,
        }
    }
}

/// About how many bytes an outcome takes up in a frame.
fn size(outcome: &v1::Outcome) -> usize {
    use v1::outcome::Result::{Fault, Reject, Success};
    let body = match &outcome.result {
        None => 0,
        Some(Success(success)) => success.output.len() + success.patch.len(),
        Some(Reject(reject)) => {
            let violations = reject.violations.iter();
            reject.code.len()
                + reject.message.len()
                + violations.map(|v| v.field.len() + v.message.len() + 16).sum::<usize>()
        }
        Some(Fault(fault)) => fault.r#type.len() + fault.message.len() + fault.stack.len(),
    };
    outcome.invocation_id.len() + body + 32
}

/// Keeps an outcome within what the core takes.
fn fit(mut outcome: v1::Outcome, body_bytes_max: usize) -> v1::Outcome {
    use v1::outcome::Result::{Fault, Reject, Success};
    match &mut outcome.result {
        None => {}
        Some(Success(success)) => {
            let bytes = success.output.len().max(success.patch.len());
            if bytes > body_bytes_max {
                outcome.result = Some(Fault(too_large(bytes, body_bytes_max)));
            }
        }
        Some(Reject(reject)) => {
            truncate(&mut reject.message);
            reject.violations.truncate(1000);
            for violation in &mut reject.violations {
                violation.field.truncate(violation.field.floor_char_boundary(256));
                violation.message.truncate(violation.message.floor_char_boundary(1024));
            }
        }
        Some(Fault(fault)) => {
            truncate(&mut fault.r#type);
            truncate(&mut fault.message);
            truncate(&mut fault.stack);
        }
    }
    outcome
}

fn too_large(bytes: usize, bytes_max: usize) -> v1::Fault {
    v1::Fault {
        r#type: "OutputTooLarge".to_owned(),
        message: format!(
            "the result has {bytes} bytes of JSON, the limit is {bytes_max}; return less, \
             or store it and return where it is"
        ),
        ..v1::Fault::default()
    }
}

fn truncate(text: &mut String) {
    text.truncate(text.floor_char_boundary(TEXT_BYTES_MAX));
}
