//! A process that has shaken hands and takes work.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tinybase_model::{Invocation, InvokeError, Outcome, Registration};
use tokio::time::Instant;

use crate::ChunkSink;
use crate::core::SessionCore;
use crate::drain::drain;
use crate::handshake::Feature;
use crate::stage::Stage;

/// A process that has shaken hands and takes work. Clones are the same session.
#[derive(Clone)]
pub struct Session {
    core: Arc<SessionCore>,
}

/// How a session is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionHealth {
    /// How many invocations may be outstanding, over all slots.
    pub credit: u32,
    /// How many are, those that nobody waits for any more included.
    pub held: u32,
    /// How many of those are past their deadlines.
    pub held_past_deadline: u32,
    /// How many wait for a slot.
    pub queued: usize,
    /// How many were sent and not acknowledged; none if the extension doesn't acknowledge.
    pub unacknowledged: Option<usize>,
    /// How many outcomes came when nobody waited any more, and were dropped.
    pub late_outcomes: u64,
    /// How often the protocol was breached.
    pub violations: u32,
    /// When anything was last heard.
    pub last_heard: Instant,
    /// Whether the extension answers pings, so that silence means something.
    pub heartbeat: bool,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("extension", self.core.extension())
            .field("stage", &self.core.stage())
            .finish_non_exhaustive()
    }
}

impl Session {
    pub(crate) const fn new(core: Arc<SessionCore>) -> Self {
        Self { core }
    }

    /// Gives work to the extension and waits for its end.
    ///
    /// The time waited for a slot counts. Past its deadline the extension is told to stop, and the
    /// slot stays held until it does.
    ///
    /// # Errors
    /// If there is no outcome: too slow, too much, too large, or the process is gone.
    ///
    /// # Cancel safety
    /// Dropping the future tells the extension that nobody waits any more.
    pub async fn invoke(&self, invocation: Invocation) -> Result<Outcome, InvokeError> {
        self.core.invoke(invocation, Stage::Open).await
    }

    /// The same for a function whose result comes in chunks, which go to the sink one by one.
    ///
    /// While the sink waits, the extension is held up once it has sent what it was granted; the time
    /// counts.
    ///
    /// # Errors
    /// As for [`Self::invoke`].
    ///
    /// # Cancel safety
    /// Dropping the future tells the extension that nobody waits any more.
    pub async fn invoke_streaming(
        &self,
        invocation: Invocation,
        sink: &dyn ChunkSink,
    ) -> Result<Outcome, InvokeError> {
        self.core.invoke_streaming(invocation, sink).await
    }

    /// What is registered now.
    pub fn registration(&self) -> Arc<Registration> {
        self.core.registration()
    }

    /// How it is doing.
    pub fn health(&self) -> SessionHealth {
        let features = self.core.features();
        let acks = features.has(Feature::Ack);
        let desk = self.core.desk();
        SessionHealth {
            credit: desk.book.credit(),
            held: desk.book.held(),
            held_past_deadline: desk.book.held_past_deadline(),
            queued: desk.book.queued(),
            unacknowledged: acks.then(|| desk.book.unacknowledged()),
            late_outcomes: desk.late_outcomes,
            violations: desk.violations,
            last_heard: desk.heard_at,
            heartbeat: features.has(Feature::Heartbeat),
        }
    }

    /// Ends the session in order: no new work, outcomes, shutdown hooks, end of the streams.
    ///
    /// The last quarter of the grace is for what has to be told to stop, and for shutdown hooks.
    pub async fn drain(&self, grace: Duration, reason: &str) {
        drain(&self.core, grace, reason).await;
    }

    /// Waits until the session is over, for whatever reason.
    pub async fn closed(&self) {
        self.core.closed().cancelled().await;
    }

    /// Why the session is over; none while it isn't.
    pub fn close_reason(&self) -> Option<String> {
        self.core.desk().ending.as_ref().map(|ending| ending.reason.clone())
    }
}
