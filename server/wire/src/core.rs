//! A session from the inside: its stage, its desk and its end.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::Waker;

use tinybase_model::{ExtensionName, Limits, Registration};
use tinybase_proto::v1;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use crate::HandshakeError;
use crate::book::SlotId;
use crate::desk::{Collected, Controls, Desk, Ending};
use crate::handshake::Features;
use crate::stage::Stage;
use crate::status::Refusal;
use crate::token::InvocationToken;
use crate::work::Acting;

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
    /// Told whenever a slot may have become free.
    pub(crate) idle: Notify,
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
}

pub(crate) fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}
