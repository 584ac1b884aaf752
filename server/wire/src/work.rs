//! One invocation while it is in the hands of a session.

use std::time::Duration;

use jiff::Timestamp;
use tinybase_model::{
    Body, EventId, ExtensionName, Fault, HookBinding, Identity, Invocation, InvocationTarget,
    InvokeError, JsonBytes, Outcome,
};
use tinybase_proto::v1;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use crate::token::InvocationSecret;

/// What a caller waits for.
pub(crate) type Answer = Result<Outcome, InvokeError>;

/// A chunk of a result, or why there is none that could be taken.
pub(crate) type ChunkOrFault = Result<JsonBytes, Fault>;

/// One invocation: what is to be sent, who waits, and for whom its call-backs act.
#[derive(Debug)]
pub(crate) struct Work {
    /// What is to be sent; taken when it is.
    pub(crate) message: Option<v1::Invocation>,
    /// How many bytes of a frame it takes, at most.
    pub(crate) size: usize,
    /// When it is no longer wanted.
    pub(crate) deadline: Instant,
    /// Who waits. Dropping it tells them that the extension went away.
    pub(crate) reply: oneshot::Sender<Answer>,
    /// Where its chunks go; none if it isn't to send any. There is one place more than chunks are
    /// granted, for the fault of whoever sends more.
    pub(crate) chunks: Option<mpsc::Sender<ChunkOrFault>>,
    /// Proves that a call-back belongs to it.
    pub(crate) secret: InvocationSecret,
    /// For whom its call-backs act.
    pub(crate) acting: Acting,
}

/// For whom call-backs act.
#[derive(Debug, Clone)]
pub(crate) struct Acting {
    pub(crate) identity: Identity,
    pub(crate) depth: u32,
    pub(crate) traceparent: String,
}

/// The invocation of a startup or shutdown hook.
pub(crate) fn lifecycle_invocation(
    extension: &ExtensionName,
    hook: &HookBinding,
    timeout: Duration,
) -> Invocation {
    Invocation {
        target: InvocationTarget::Hook {
            event: hook.event,
            phase: hook.phase,
            handler: hook.handler.clone(),
        },
        timeout,
        attempt: 1,
        event_id: EventId::generate(),
        occurred_at: Timestamp::now(),
        traceparent: String::new(),
        identity: Identity::Extension(extension.clone()),
        depth: 1,
        body: Body::Nothing,
    }
}
