//! What a session keeps under its one lock: the books, what its streams have to say, and their
//! wakers.

use std::sync::Arc;
use std::task::Waker;

use tinybase_model::{Limits, Registration};
use tinybase_proto::v1;
use tokio::time::Instant;

use crate::book::{BookLimits, SlotBook, SlotId};
use crate::status::Refusal;
use crate::work::Work;

/// The most invocations in one frame.
const FRAME_INVOCATIONS_MAX: usize = 256;
/// A frame with several invocations is at most this large; one alone may be larger.
const SHARED_FRAME_BYTES_MAX: usize = 1 << 20;

/// Frames that only a session's own stream carries, each at most once at a time.
#[derive(Debug, Default)]
pub(crate) struct Controls {
    pub(crate) welcome: Option<v1::Welcome>,
    pub(crate) registered: Option<v1::Registered>,
    pub(crate) drain: Option<v1::Drain>,
    pub(crate) ping: Option<v1::Ping>,
}

impl Controls {
    const fn is_empty(&self) -> bool {
        self.welcome.is_none()
            && self.registered.is_none()
            && self.drain.is_none()
            && self.ping.is_none()
    }
}

/// Everything that is ready for one slot; it becomes one frame.
#[derive(Debug, Default)]
pub(crate) struct Parcel {
    pub(crate) controls: Controls,
    pub(crate) invocations: Vec<v1::Invocation>,
    pub(crate) cancels: Vec<v1::Cancel>,
    pub(crate) grants: Vec<v1::ChunkGrant>,
}

impl Parcel {
    const fn is_empty(&self) -> bool {
        self.controls.is_empty()
            && self.invocations.is_empty()
            && self.cancels.is_empty()
            && self.grants.is_empty()
    }
}

/// How a session ended.
#[derive(Debug, Clone)]
pub(crate) struct Ending {
    /// Why, in a sentence.
    pub(crate) reason: String,
    /// What its streams end with; none means OK.
    pub(crate) refusal: Option<Refusal>,
}

impl Ending {
    /// The server ends it, with a sentence for the extension.
    pub(crate) fn refused(refusal: Refusal) -> Self {
        Self { reason: refusal.message().to_owned(), refusal: Some(refusal) }
    }

    /// It ends in peace.
    pub(crate) fn plain(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), refusal: None }
    }
}

/// What a slot's stream finds at the desk.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "it is moved once, from the desk into a frame")]
pub(crate) enum Collected {
    /// Something to send.
    Parcel(Parcel),
    /// Nothing now; the waker is kept.
    Nothing,
    /// Nothing ever again.
    Ended(Option<Refusal>),
}

/// The state of a session.
#[derive(Debug)]
pub(crate) struct Desk {
    pub(crate) book: SlotBook<Work>,
    pub(crate) controls: Controls,
    pub(crate) registration: Arc<Registration>,
    pub(crate) ending: Option<Ending>,
    pub(crate) heard_at: Instant,
    pub(crate) late_outcomes: u64,
    pub(crate) violations: u32,
    /// The slot of the session's own stream, which carries the controls.
    pub(crate) own_slot: Option<SlotId>,
    shared_frame_bytes_max: usize,
    wakers: Vec<(SlotId, Waker)>,
    ended_slots: Vec<(SlotId, Option<Refusal>)>,
}

impl Desk {
    pub(crate) fn new(limits: &Limits) -> Self {
        let book = BookLimits {
            credit_max: limits.credit_max,
            slots_max: limits.slots_max,
            queue_max: limits.queue_max,
        };
        Self {
            book: SlotBook::new(book),
            shared_frame_bytes_max: SHARED_FRAME_BYTES_MAX.min(limits.message_bytes_max / 2),
            controls: Controls::default(),
            registration: Arc::new(Registration::default()),
            ending: None,
            heard_at: Instant::now(),
            late_outcomes: 0,
            violations: 0,
            own_slot: None,
            wakers: Vec::new(),
            ended_slots: Vec::new(),
        }
    }

    /// Packs what is ready for a slot, or keeps the waker.
    pub(crate) fn collect(&mut self, session: u64, slot: SlotId, waker: &Waker) -> Collected {
        let mut parcel = Parcel::default();
        let owns_controls = self.own_slot == Some(slot);
        if owns_controls {
            parcel.controls = std::mem::take(&mut self.controls);
        }
        let cancels = self.book.take_cancels(slot);
        parcel.cancels = cancels
            .into_iter()
            .map(|(id, reason)| v1::Cancel {
                invocation_id: id.to_string(),
                reason: reason.as_str().to_owned(),
            })
            .collect();
        let grants = self.book.take_grants(slot).into_iter();
        parcel.grants = grants
            .map(|(id, chunks)| v1::ChunkGrant { invocation_id: id.to_string(), chunks })
            .collect();
        self.pack_invocations(session, slot, &mut parcel);
        if !parcel.is_empty() {
            return Collected::Parcel(parcel);
        }
        if let Some(at) = self.ended_slots.iter().position(|(ended, _)| *ended == slot) {
            return Collected::Ended(self.ended_slots.swap_remove(at).1);
        }
        if let Some(ending) = &self.ending {
            return Collected::Ended(ending.refusal.clone());
        }
        self.keep_waker(slot, waker);
        Collected::Nothing
    }

    /// The waker of a slot's stream, if it sleeps.
    pub(crate) fn waker(&mut self, slot: SlotId) -> Option<Waker> {
        let at = self.wakers.iter().position(|(sleeper, _)| *sleeper == slot)?;
        Some(self.wakers.swap_remove(at).1)
    }

    /// The waker of a slot's stream, if it sleeps and has something to send.
    pub(crate) fn waker_for_output(&mut self, slot: SlotId) -> Option<Waker> {
        self.book.has_output(slot).then(|| self.waker(slot)).flatten()
    }

    /// The waker of the session's own stream, if it sleeps.
    pub(crate) fn own_waker(&mut self) -> Option<Waker> {
        self.own_slot.and_then(|slot| self.waker(slot))
    }

    /// All wakers.
    pub(crate) fn all_wakers(&mut self) -> Vec<Waker> {
        std::mem::take(&mut self.wakers).into_iter().map(|(_, waker)| waker).collect()
    }

    /// Lets the stream of a slot end.
    pub(crate) fn end_slot(&mut self, slot: SlotId, refusal: Option<Refusal>) {
        if self.ended_slots.iter().all(|(ended, _)| *ended != slot) {
            self.ended_slots.push((slot, refusal));
        }
    }

    /// Forgets a slot whose stream is gone.
    pub(crate) fn forget_slot(&mut self, slot: SlotId) {
        self.ended_slots.retain(|(ended, _)| *ended != slot);
        self.wakers.retain(|(sleeper, _)| *sleeper != slot);
    }

    fn pack_invocations(&mut self, session: u64, slot: SlotId, parcel: &mut Parcel) {
        let mut bytes = 0;
        let mut now = None;
        while parcel.invocations.len() < FRAME_INVOCATIONS_MAX {
            let Some(size) = self.book.peek_to_send(slot).map(|work| work.size) else { break };
            if bytes > 0 && bytes + size > self.shared_frame_bytes_max {
                break;
            }
            bytes += size;
            let Some((id, work)) = self.book.next_to_send(slot) else { break };
            let Some(mut message) = work.message.take() else { continue };
            let now = *now.get_or_insert_with(Instant::now);
            let left = work.deadline.saturating_duration_since(now).as_millis();
            message.timeout_ms = u32::try_from(left).unwrap_or(u32::MAX).max(1);
            message.id = id.to_string();
            message.token = work.secret.token(session, id);
            parcel.invocations.push(message);
        }
    }

    fn keep_waker(&mut self, slot: SlotId, waker: &Waker) {
        match self.wakers.iter_mut().find(|(sleeper, _)| *sleeper == slot) {
            Some((_, kept)) => kept.clone_from(waker),
            None => self.wakers.push((slot, waker.clone())),
        }
    }
}
