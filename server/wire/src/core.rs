//! A session from the inside: its stage, its desk and its end.

use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::Waker;

use tinybase_model::{ExtensionName, Invocation, InvokeError, Limits, Outcome, Registration};
use tinybase_proto::v1;
use tokio::sync::{Notify, oneshot, watch};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::HandshakeError;
use crate::book::{Abandoned, CancelReason, Full, Settled, SlotId, WorkId};
use crate::convert::invocation_message;
use crate::desk::{Collected, Controls, Desk, Ending};
use crate::handshake::Features;
use crate::status::Refusal;
use crate::token::{InvocationSecret, InvocationToken};
use crate::violation::{VIOLATIONS_MAX, Violation};
use crate::work::{Acting, Answer, Work};

/// What a frame may need besides an invocation's own fields: id, token, timeout and framing.
const FRAME_OVERHEAD: usize = 256;

/// How far a session has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    /// No process has connected.
    Expected,
    /// A process has connected.
    Connected,
    /// It has said `Hello`.
    Greeted,
    /// It has registered.
    Registered,
    /// It can take startup hooks.
    Ready,
    /// It takes all work.
    Open,
    /// It takes no new work.
    Draining,
    /// It is over.
    Closed,
}

impl Stage {
    /// What is missing, for people.
    pub(crate) const fn describe(self) -> &'static str {
        match self {
            Self::Expected => "it has not connected to the socket",
            Self::Connected => "it has connected and not said Hello",
            Self::Greeted => "it has said Hello and not registered",
            Self::Registered => "it has registered and not said Ready",
            Self::Ready => "its startup hooks have not ended",
            Self::Open => "it is ready",
            Self::Draining => "it is draining",
            Self::Closed => "its session is over",
        }
    }

    /// The word for why it takes no work.
    const fn not_ready(self) -> &'static str {
        match self {
            Self::Expected | Self::Connected | Self::Greeted | Self::Registered | Self::Ready => {
                "starting"
            }
            Self::Open => "ready",
            Self::Draining => "draining",
            Self::Closed => "stopped",
        }
    }
}

/// One session.
#[derive(Debug)]
pub(crate) struct SessionCore {
    extension: ExtensionName,
    number: u64,
    limits: Limits,
    desk: Mutex<Desk>,
    stage: watch::Sender<Stage>,
    features: OnceLock<Features>,
    closed: CancellationToken,
    idle: Notify,
}

impl SessionCore {
    pub(crate) fn new(extension: ExtensionName, number: u64, limits: Limits) -> Self {
        Self {
            extension,
            number,
            limits,
            desk: Mutex::new(Desk::new(&limits)),
            stage: watch::Sender::new(Stage::Expected),
            features: OnceLock::new(),
            closed: CancellationToken::new(),
            idle: Notify::new(),
        }
    }

    pub(crate) const fn extension(&self) -> &ExtensionName {
        &self.extension
    }

    pub(crate) const fn limits(&self) -> &Limits {
        &self.limits
    }

    pub(crate) const fn closed(&self) -> &CancellationToken {
        &self.closed
    }

    pub(crate) fn stage(&self) -> Stage {
        *self.stage.borrow()
    }

    pub(crate) fn watch_stage(&self) -> watch::Receiver<Stage> {
        self.stage.subscribe()
    }

    /// Goes on to a later stage. Whether the session was at exactly the stage before.
    pub(crate) fn advance(&self, from: Stage, to: Stage) -> bool {
        self.stage.send_if_modified(|stage| {
            let fits = *stage == from;
            if fits {
                *stage = to;
            }
            fits
        })
    }

    /// Lets all work in, unless the session is over.
    pub(crate) fn open(&self) -> bool {
        self.advance(Stage::Ready, Stage::Open)
    }

    pub(crate) fn registration(&self) -> Arc<Registration> {
        Arc::clone(&self.desk().registration)
    }

    pub(crate) fn set_features(&self, features: Features) {
        // Hello comes once, so this does too.
        let _ = self.features.set(features);
    }

    /// The features in force; none before `Hello`.
    pub(crate) fn features(&self) -> Features {
        self.features.get().copied().unwrap_or_default()
    }

    /// The lock on everything that changes. Never held over an await.
    pub(crate) fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives work to the extension if the session is at that stage, and waits for its end.
    pub(crate) async fn invoke(
        self: &Arc<Self>,
        invocation: Invocation,
        stage: Stage,
    ) -> Result<Outcome, InvokeError> {
        let timeout = invocation.timeout;
        let deadline = Instant::now() + timeout;
        let (work, mut reply) = self.prepare(invocation, deadline)?;
        let id = self.submit(work, stage)?;
        let mut outstanding = Outstanding { core: self, id: Some(id) };
        let answer = timeout_at(deadline, &mut reply).await;
        if answer.is_ok() {
            outstanding.id = None;
        }
        match answer {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(InvokeError::Disconnected),
            Err(_) => {
                outstanding.give_up(CancelReason::Deadline);
                // The outcome may have come between the timer and the lock.
                reply.try_recv().unwrap_or(Err(InvokeError::TimedOut(timeout)))
            }
        }
    }

    fn prepare(
        &self,
        invocation: Invocation,
        deadline: Instant,
    ) -> Result<(Work, oneshot::Receiver<Answer>), InvokeError> {
        let (message, acting) = invocation_message(invocation, self.limits.body_bytes_max)?;
        let size = prost::Message::encoded_len(&message) + FRAME_OVERHEAD;
        if size > self.limits.message_bytes_max {
            return Err(InvokeError::TooLarge { size, limit: self.limits.message_bytes_max });
        }
        let (reply, answer) = oneshot::channel();
        let secret = InvocationSecret::random();
        Ok((Work { message: Some(message), size, deadline, reply, secret, acting }, answer))
    }

    fn submit(&self, work: Work, wanted: Stage) -> Result<WorkId, InvokeError> {
        let mut desk = self.desk();
        let stage = self.stage();
        if stage != wanted {
            return Err(InvokeError::NotReady { state: stage.not_ready() });
        }
        let (id, slot) = desk.book.submit(work).map_err(|Full(_)| InvokeError::Overloaded)?;
        let waker = slot.and_then(|slot| desk.waker(slot));
        drop(desk);
        wake(waker);
        Ok(id)
    }

    /// Takes what came up a slot: acknowledgements, then outcomes.
    pub(crate) fn take_results(
        &self,
        slot: SlotId,
        received: &[String],
        outcomes: Vec<(WorkId, Outcome)>,
    ) -> Vec<Violation> {
        let mut violations = Vec::new();
        let mut answers = Vec::with_capacity(outcomes.len());
        let mut desk = self.desk();
        desk.heard_at = Instant::now();
        for id in received {
            let known = id.parse().is_ok_and(|id| desk.book.acknowledge(slot, id));
            if !known {
                violations.push(Violation::UnknownAck { id: id.clone() });
            }
        }
        let mut late = 0;
        for (id, outcome) in outcomes {
            match desk.book.settle(slot, id) {
                Settled::InTime(work) => answers.push((work.reply, outcome)),
                Settled::Late(_) => late += 1,
                Settled::Unknown => violations.push(Violation::UnknownOutcome { id }),
                Settled::WrongSlot => violations.push(Violation::WrongSlot { id }),
            }
        }
        desk.late_outcomes += late;
        let waker = desk.waker_for_output(slot);
        let idle = desk.book.held() == 0;
        drop(desk);
        wake(waker);
        if idle {
            self.idle.notify_waiters();
        }
        if late > 0 {
            debug!(extension = %self.extension, late, "dropped outcomes that came too late");
        }
        for (reply, outcome) in answers {
            // Whoever waited may have left a moment ago; then the outcome is late.
            if reply.send(Ok(outcome)).is_err() {
                self.desk().late_outcomes += 1;
            }
        }
        violations
    }

    /// Notes a sign of life.
    pub(crate) fn hear(&self) {
        self.desk().heard_at = Instant::now();
    }

    /// Puts something on the session's own stream.
    pub(crate) fn say(&self, speak: impl FnOnce(&mut Controls)) {
        let mut desk = self.desk();
        speak(&mut desk.controls);
        let waker = desk.own_waker();
        drop(desk);
        wake(waker);
    }

    /// Puts a ping on the session's own stream; a ping that was never sent is replaced.
    pub(crate) fn ping(&self, id: u64) {
        self.say(|controls| controls.ping = Some(v1::Ping { id: id.to_string() }));
    }

    /// What is ready for a slot's stream.
    pub(crate) fn collect(&self, slot: SlotId, waker: &Waker) -> Collected {
        self.desk().collect(self.number, slot, waker)
    }

    /// For whom a call-back with this token acts.
    pub(crate) fn acting(&self, token: &InvocationToken<'_>) -> Result<Acting, Refusal> {
        if token.session != self.number {
            return Err(Refusal::denied(
                "the invocation token is of another process; send the token of the invocation \
                 that you are handling",
            ));
        }
        let desk = self.desk();
        let Some(work) = desk.book.get(token.invocation) else {
            return Err(Refusal::unauthenticated(
                "the invocation has ended, and its token with it; call back before you send its \
                 outcome, or without an invocation token",
            ));
        };
        if !work.secret.matches(token) {
            return Err(Refusal::denied("the invocation token is wrong; send it as it came"));
        }
        Ok(work.acting.clone())
    }

    /// Counts and logs breaches of the protocol, and ends the session when there were many.
    pub(crate) fn note_violations(&self, violations: Vec<Violation>) {
        for violation in violations {
            let count = {
                let mut desk = self.desk();
                desk.violations = desk.violations.saturating_add(1);
                desk.violations
            };
            warn!(extension = %self.extension, count, %violation, "protocol violation");
            if count >= VIOLATIONS_MAX {
                self.close(Ending::refused(Refusal::precondition(format!(
                    "closed after {count} protocol violations; the last was: {violation}"
                ))));
                return;
            }
        }
    }

    /// Ends the session. Only the first call has an effect.
    pub(crate) fn close(&self, ending: Ending) {
        let (lost, wakers) = {
            let mut desk = self.desk();
            if desk.ending.is_some() {
                return;
            }
            debug!(extension = %self.extension, reason = %ending.reason, "session over");
            desk.ending = Some(ending);
            self.stage.send_replace(Stage::Closed);
            (desk.book.clear(), desk.all_wakers())
        };
        drop(lost);
        self.closed.cancel();
        self.idle.notify_waiters();
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Ends one slot; work on it is lost, and its callers are told. Its stream ends like that.
    pub(crate) fn close_slot(&self, slot: SlotId, refusal: Option<Refusal>) {
        let (lost, waker) = {
            let mut desk = self.desk();
            desk.end_slot(slot, refusal);
            (desk.book.close_slot(slot), desk.waker(slot))
        };
        drop(lost);
        wake(waker);
        self.idle.notify_waiters();
    }

    /// The stream of a slot was dropped: the slot is over, and with its own stream the session.
    pub(crate) fn stream_gone(&self, slot: SlotId) {
        if self.desk().own_slot == Some(slot) {
            self.close(Ending::plain("the connection to the extension was lost"));
        }
        self.close_slot(slot, None);
        self.desk().forget_slot(slot);
    }

    /// Stops taking work, and turns away what is queued. Whether this call did.
    pub(crate) fn begin_draining(&self) -> bool {
        let mut desk = self.desk();
        if !self.advance(Stage::Open, Stage::Draining) {
            return false;
        }
        let queued = desk.book.clear_queue();
        drop(desk);
        for work in queued {
            let state = Stage::Draining.not_ready();
            // Whoever waited may have left.
            let _ = work.reply.send(Err(InvokeError::NotReady { state }));
        }
        true
    }

    /// Waits until no slot is held.
    pub(crate) async fn idle(&self) {
        loop {
            let mut change = pin!(self.idle.notified());
            change.as_mut().enable();
            if self.desk().book.held() == 0 {
                return;
            }
            change.await;
        }
    }

    /// Tells all running work to stop.
    pub(crate) fn cancel_all(&self, reason: CancelReason) {
        let wakers = {
            let mut desk = self.desk();
            desk.book.cancel_all(reason);
            desk.all_wakers()
        };
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Why the handshake failed, once the session is over.
    pub(crate) fn handshake_error(&self) -> HandshakeError {
        match &self.desk().ending {
            Some(Ending { refusal: Some(refusal), .. }) => {
                HandshakeError::Refused(refusal.message().to_owned())
            }
            Some(Ending { reason, refusal: None }) => HandshakeError::Left(reason.clone()),
            None => HandshakeError::Left("it is draining".to_owned()),
        }
    }

    fn abandon(&self, id: WorkId, reason: CancelReason) {
        let mut desk = self.desk();
        let (unsent, waker) = match desk.book.abandon(id, reason) {
            Abandoned::Unsent(work) => (Some(work), None),
            Abandoned::Held(slot) => (None, desk.waker(slot)),
            Abandoned::Gone => (None, None),
        };
        drop(desk);
        drop(unsent);
        wake(waker);
    }
}

/// Work that somebody waits for. Dropped with the waiting future, it tells the extension.
struct Outstanding<'a> {
    core: &'a SessionCore,
    id: Option<WorkId>,
}

impl Outstanding<'_> {
    fn give_up(&mut self, reason: CancelReason) {
        if let Some(id) = self.id.take() {
            self.core.abandon(id, reason);
        }
    }
}

impl Drop for Outstanding<'_> {
    fn drop(&mut self) {
        self.give_up(CancelReason::ClientGone);
    }
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

pub(crate) fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}
