//! What a handler knows about the work in its hands, and its way to call the core.

mod activity;
mod error;
mod functions;
mod records;
mod users;
mod values;

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use serde::de::DeserializeOwned;
use tinybase_proto::v1;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::callbacks::Callbacks;
use crate::client::{CallScope, ChunkSender};
use crate::event::optional;

pub use activity::Activity;
pub use error::CallbackError;
pub use functions::Functions;
pub use records::{Comparison, Page, Query, Record, Records};
pub use users::{User, Users};
pub use values::Values;

/// Who called a function.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Identity {
    /// The user's id; none if nobody is logged in.
    pub user_id: Option<String>,
    /// Whether the user is an administrator.
    pub is_admin: bool,
}

/// One invocation, as its handler sees it. Cheap to clone.
#[derive(Clone)]
pub struct Context {
    inner: Arc<Inner>,
}

struct Inner {
    invocation: v1::Invocation,
    identity: Identity,
    deadline: Instant,
    cancelled: CancellationToken,
    cancel_reason: OnceLock<String>,
    /// The way for chunks, if the result is to have any.
    chunks: Option<ChunkSender>,
    surroundings: Arc<Surroundings>,
}

/// What all invocations of a process share.
pub(crate) struct Surroundings {
    pub(crate) callbacks: Arc<dyn Callbacks>,
    pub(crate) config: bytes::Bytes,
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("invocation_id", &self.invocation_id())
            .field("event", &self.event())
            .field("attempt", &self.attempt())
            .finish_non_exhaustive()
    }
}

impl Context {
    /// Makes one from an invocation whose body has been taken out.
    pub(crate) fn new(
        invocation: v1::Invocation,
        identity: Identity,
        chunks: Option<ChunkSender>,
        surroundings: Arc<Surroundings>,
    ) -> Self {
        let timeout = Duration::from_millis(invocation.timeout_ms.into());
        let inner = Inner {
            deadline: Instant::now() + timeout,
            cancelled: CancellationToken::new(),
            cancel_reason: OnceLock::new(),
            invocation,
            identity,
            chunks,
            surroundings,
        };
        Self { inner: Arc::new(inner) }
    }

    /// The invocation's id, which also marks its log lines.
    pub fn invocation_id(&self) -> &str {
        &self.inner.invocation.id
    }

    /// The event, such as `record.create`; `function.invoke` for a function's call.
    pub fn event(&self) -> &str {
        &self.inner.invocation.event
    }

    /// The event's id, the same at every attempt: the key to do something only once.
    pub fn event_id(&self) -> &str {
        &self.inner.invocation.event_id
    }

    /// The delivery's count, from 1. More means that an earlier one may have had an effect.
    pub fn attempt(&self) -> u32 {
        self.inner.invocation.attempt
    }

    /// When it happened, as an RFC 3339 time.
    pub fn occurred_at(&self) -> &str {
        &self.inner.invocation.occurred_at
    }

    /// The W3C trace context, to be passed on; empty if there is none.
    pub fn traceparent(&self) -> &str {
        &self.inner.invocation.traceparent
    }

    /// Who called the function. For hooks, nobody: their events say whom they are about.
    pub fn identity(&self) -> &Identity {
        &self.inner.identity
    }

    /// When the time for this invocation is over.
    pub fn deadline(&self) -> Instant {
        self.inner.deadline
    }

    /// How much time is left.
    pub fn remaining(&self) -> Duration {
        self.inner.deadline.saturating_duration_since(Instant::now())
    }

    /// Fires when the answer is no longer wanted. A handler that goes on all the same is dropped
    /// at its next `.await` a second later.
    pub fn cancelled(&self) -> &CancellationToken {
        &self.inner.cancelled
    }

    /// Why the answer is no longer wanted: `deadline`, `client_gone` or `draining`.
    pub fn cancel_reason(&self) -> Option<&str> {
        self.inner.cancel_reason.get().map(String::as_str)
    }

    /// The extension's configuration, as the operator wrote it.
    ///
    /// # Errors
    /// If it doesn't fit the type.
    pub fn config<T: DeserializeOwned>(&self) -> Result<T, CallbackError> {
        let json: &[u8] = &self.inner.surroundings.config;
        serde_json::from_slice(if json.is_empty() { b"{}" } else { json })
            .map_err(|error| CallbackError::decode("the extension's configuration", error))
    }

    /// Records, read and written on behalf of whoever caused this invocation.
    pub fn records(&self) -> Records<'_> {
        Records::new(self)
    }

    /// Users.
    pub fn users(&self) -> Users<'_> {
        Users::new(self)
    }

    /// Functions, of this extension and of others.
    pub fn functions(&self) -> Functions<'_> {
        Functions::new(self)
    }

    /// Something that was done, for the server's activity log; to be ended by `note()`.
    pub fn activity(&self, action: impl Into<String>) -> Activity<'_> {
        Activity::new(self, action.into())
    }

    /// Values that this extension keeps in the core.
    pub fn values(&self) -> Values<'_> {
        Values::new(self)
    }

    pub(crate) fn chunk_sender(&self) -> Option<ChunkSender> {
        self.inner.chunks.clone()
    }

    pub(crate) fn cancel(&self, reason: &str) {
        self.inner.cancel_reason.get_or_init(|| reason.to_owned());
        self.inner.cancelled.cancel();
    }

    pub(crate) fn callbacks(&self) -> &dyn Callbacks {
        self.inner.surroundings.callbacks.as_ref()
    }

    pub(crate) fn scope(&self) -> CallScope<'_> {
        let token = self.inner.invocation.token.as_str();
        CallScope {
            token: (!token.is_empty()).then_some(token),
            deadline: Some(self.inner.deadline),
            traceparent: self.traceparent(),
        }
    }
}

impl Identity {
    pub(crate) fn of(body: Option<&v1::invocation::Body>) -> Self {
        match body {
            Some(v1::invocation::Body::Function(call)) => {
                Self { user_id: optional(call.user_id.clone()), is_admin: call.is_admin }
            }
            _ => Self::default(),
        }
    }
}
