//! A process that is expected to connect, and how its handshake ends.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use tinybase_model::{EventKind, ExtensionName, JsonBytes, Outcome, Registration};
use tokio::time::{Instant, timeout_at};
use tracing::warn;

use crate::Session;
use crate::core::SessionCore;
use crate::seat::Seat;
use crate::stage::Stage;
use crate::wire::Wire;
use crate::work::lifecycle_invocation;

/// The least time that startup hooks get, however long the handshake took.
const STARTUP_HOOKS_MIN: Duration = Duration::from_secs(1);

/// A process that is about to be spawned.
pub struct Ticket {
    /// Whose process it is.
    pub extension: ExtensionName,
    /// Its configuration, a JSON object.
    pub config: JsonBytes,
    /// Who judges what it registers.
    pub registrar: Arc<dyn Registrar>,
    /// How long it may take from now until it is ready.
    pub startup_timeout: Duration,
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticket").field("extension", &self.extension).finish_non_exhaustive()
    }
}

/// Judges a registration, and takes it over what was registered before.
pub trait Registrar: Send + Sync {
    /// Puts the registration in force.
    ///
    /// # Errors
    /// If it is outside what the extension may register; the session ends with that sentence.
    fn register(
        &self,
        extension: &ExtensionName,
        registration: &Registration,
    ) -> Result<(), RegisterRefusal>;
}

/// Why a registration isn't taken.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct RegisterRefusal {
    /// A sentence that the author can act on.
    pub message: String,
}

/// Why a process didn't become a session.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum HandshakeError {
    /// The server refused it, with the sentence that went to the extension.
    #[error("{0}")]
    Refused(String),
    /// It ended its session, or the connection broke.
    #[error("the extension went away before it was ready: {0}")]
    Left(String),
    /// It took too long.
    #[error("the extension was not ready after {} s: {stage}", .after.as_secs_f32())]
    TimedOut {
        /// How long it had.
        after: Duration,
        /// How far it had come, in words.
        stage: &'static str,
    },
}

/// An announced process. Dropping it withdraws the token.
#[must_use = "dropping it withdraws the token"]
pub struct Expected {
    wire: Wire,
    seat: Arc<Seat>,
    announced_at: Instant,
    taken: bool,
}

impl fmt::Debug for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Expected").field("ticket", &self.seat.ticket).finish_non_exhaustive()
    }
}

impl Expected {
    pub(crate) fn new(wire: Wire, seat: Arc<Seat>) -> Self {
        Self { wire, seat, announced_at: Instant::now(), taken: false }
    }

    /// The token that the process has to show.
    pub fn token(&self) -> &str {
        self.seat.token.text()
    }

    /// Says which process may show it: this one, or a descendant in its process group.
    pub fn allow_process(&self, pid: u32) {
        self.seat.process.send_replace(Some(pid));
    }

    /// Waits until the process has shaken hands and run its startup hooks.
    ///
    /// A startup hook that fails or is late is logged, and the session is ready all the same.
    ///
    /// # Errors
    /// If the process is refused, leaves, or isn't ready in time.
    pub async fn session(mut self) -> Result<Session, HandshakeError> {
        let core = Arc::clone(&self.seat.core);
        let after = self.seat.ticket.startup_timeout;
        let deadline = self.announced_at + after;
        let mut stage = core.watch_stage();
        let ready = stage.wait_for(|stage| *stage >= Stage::Ready);
        let reached = timeout_at(deadline, ready).await.is_ok_and(|stage| stage.is_ok());
        if !reached {
            let stage = core.stage().describe();
            return Err(HandshakeError::TimedOut { after, stage });
        }
        if core.stage() == Stage::Ready {
            self.run_startup_hooks(&core, deadline).await;
        }
        if !core.open() {
            return Err(core.handshake_error());
        }
        self.taken = true;
        Ok(Session::new(core))
    }

    async fn run_startup_hooks(&self, core: &Arc<SessionCore>, deadline: Instant) {
        let deadline = deadline.max(Instant::now() + STARTUP_HOOKS_MIN);
        let registration = core.registration();
        for hook in registration.lifecycle(EventKind::Startup) {
            let left = deadline.saturating_duration_since(Instant::now());
            let timeout = hook.timeout.unwrap_or(left).min(left);
            let invocation = lifecycle_invocation(core.extension(), hook, timeout);
            let problem = match core.invoke(invocation, Stage::Ready).await {
                Ok(Outcome::Success { .. }) => continue,
                Ok(Outcome::Reject(rejection)) => rejection.message,
                Ok(Outcome::Fault(fault)) => format!("{}: {}", fault.kind, fault.message),
                Err(error) => error.to_string(),
            };
            warn!(
                extension = %core.extension(), handler = %hook.handler, problem,
                "a startup hook failed; the extension is used all the same"
            );
        }
    }
}

impl Drop for Expected {
    fn drop(&mut self) {
        if !self.taken {
            self.wire.withdraw(&self.seat);
        }
    }
}
