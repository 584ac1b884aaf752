//! What waits to be sent to the core, and the stream of frames that carries it.

use std::collections::{HashMap, VecDeque};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::Stream;
use futures_util::task::AtomicWaker;
use tinybase_proto::v1;
use tokio::sync::Semaphore;

use super::ChunkSender;

/// A frame is closed once it holds this many bytes, far below any message limit.
const FRAME_BYTES: usize = 512 << 10;
/// The longest text of a fault or a refusal.
const TEXT_BYTES_MAX: usize = 32 << 10;
/// The limit of a body until the core has said its own.
const BODY_BYTES_MAX: usize = 1 << 20;
/// The same of a chunk.
const CHUNK_BYTES_MAX: usize = 256 << 10;

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
        let Some(room) = pending.outstanding.remove(&outcome.invocation_id) else { return };
        pending.results.push_back(Part::Outcome(outcome));
        drop(pending);
        self.outbox.waker.wake();
        // Nothing comes after the outcome.
        if let Some(room) = room {
            room.close();
        }
    }

    /// The way for the chunks of an invocation's result; none if it is to have none, or has ended.
    pub fn chunks(&self, invocation_id: &str) -> Option<ChunkSender> {
        let room = self.outbox.lock().outstanding.get(invocation_id)?.clone()?;
        let (outbox, invocation_id) = (Arc::clone(&self.outbox), invocation_id.to_owned());
        Some(ChunkSender { outbox, invocation_id, room })
    }
}

/// The shared state behind [`Outcomes`] and [`Frames`]. What it holds is bounded by the credit, of
/// invocations and of chunks.
#[derive(Debug)]
pub(crate) struct Outbox {
    pending: Mutex<Pending>,
    waker: AtomicWaker,
    body_bytes_max: AtomicUsize,
    chunk_bytes_max: AtomicUsize,
}

/// A part of a result, or how its invocation ended.
#[derive(Debug)]
enum Part {
    Chunk(v1::Chunk),
    Outcome(v1::Outcome),
}

#[derive(Debug, Default)]
struct Pending {
    first: Option<v1::SessionRequest>,
    ready: Option<v1::Ready>,
    pong: Option<v1::Pong>,
    received: Vec<String>,
    /// In one queue, so that no outcome overtakes its chunks.
    results: VecDeque<Part>,
    /// The invocations in hand, each with the room for its chunks if it is to have any.
    outstanding: HashMap<String, Option<Arc<Semaphore>>>,
    closed: bool,
}

impl Outbox {
    pub(crate) fn new(first: Option<v1::SessionRequest>) -> Arc<Self> {
        Arc::new(Self {
            pending: Mutex::new(Pending { first, ..Pending::default() }),
            waker: AtomicWaker::new(),
            body_bytes_max: AtomicUsize::new(BODY_BYTES_MAX),
            chunk_bytes_max: AtomicUsize::new(CHUNK_BYTES_MAX),
        })
    }

    pub(crate) fn limit(&self, limits: &v1::Limits) {
        self.body_bytes_max.store(limits.body_bytes_max as usize, Ordering::Relaxed);
        self.chunk_bytes_max.store(limits.chunk_bytes_max as usize, Ordering::Relaxed);
    }

    pub(super) fn chunk_bytes_max(&self) -> usize {
        self.chunk_bytes_max.load(Ordering::Relaxed)
    }

    /// Sends a chunk for which there is room, unless its invocation has ended.
    pub(super) fn put_chunk(&self, invocation_id: &str, value: Bytes) {
        let mut pending = self.lock();
        if pending.outstanding.contains_key(invocation_id) {
            let invocation_id = invocation_id.to_owned();
            pending.results.push_back(Part::Chunk(v1::Chunk { invocation_id, value }));
            drop(pending);
            self.waker.wake();
        }
    }

    /// Makes room for further chunks.
    pub(crate) fn grant(&self, grant: &v1::ChunkGrant) {
        if let Some(Some(room)) = self.lock().outstanding.get(&grant.invocation_id) {
            let chunks = (grant.chunks as usize).min(Semaphore::MAX_PERMITS / 2);
            if room.available_permits() <= Semaphore::MAX_PERMITS / 2 {
                room.add_permits(chunks);
            }
        }
    }

    /// No more chunks of an invocation are wanted.
    pub(crate) fn cancel(&self, invocation_id: &str) {
        if let Some(Some(room)) = self.lock().outstanding.get(invocation_id) {
            room.close();
        }
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
            let credit = invocation.chunk_credit as usize;
            let room = (credit > 0).then(|| Arc::new(Semaphore::new(credit)));
            pending.outstanding.insert(invocation.id.clone(), room);
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
        let outstanding = std::mem::take(&mut pending.outstanding);
        drop(pending);
        outstanding.into_values().flatten().for_each(|room| room.close());
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
        let empty = self.results.is_empty() && self.received.is_empty();
        if empty && self.ready.is_none() && self.pong.is_none() {
            return None;
        }
        let mut frame = v1::SessionRequest {
            ready: self.ready.take(),
            pong: self.pong.take(),
            received: std::mem::take(&mut self.received),
            ..v1::SessionRequest::default()
        };
        self.take_results(&mut frame);
        Some(frame)
    }

    /// The core reads the chunks of a frame before its outcomes, so what is apart there stays in
    /// order.
    fn take_results(&mut self, frame: &mut v1::SessionRequest) {
        let mut bytes = 0;
        while bytes < FRAME_BYTES {
            match self.results.pop_front() {
                None => break,
                Some(Part::Chunk(chunk)) => {
                    bytes += chunk.invocation_id.len() + chunk.value.len() + 16;
                    frame.chunks.push(chunk);
                }
                Some(Part::Outcome(outcome)) => {
                    bytes += size(&outcome);
                    frame.outcomes.push(outcome);
                }
            }
        }
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
