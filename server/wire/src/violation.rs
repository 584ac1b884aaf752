//! Breaches of the protocol that a session survives, up to a number.

use thiserror::Error;

/// After this many the session is closed.
pub(crate) const VIOLATIONS_MAX: u32 = 16;

/// One breach, in words for the log.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum Violation {
    #[error(
        "an outcome names invocation {id}, which is not outstanding: send exactly one for each"
    )]
    UnknownOutcome { id: u64 },
    #[error("an outcome names {id:?}, which is no invocation's id: send the id as it came")]
    MalformedOutcome { id: String },
    #[error("the outcome of invocation {id} came up another stream than the invocation came down")]
    WrongSlot { id: u64 },
    #[error("the outcome of invocation {id} {problem}")]
    BadOutcome { id: u64, problem: String },
    #[error("a chunk names {id:?}, which is no invocation outstanding on this stream that streams")]
    UnknownChunk { id: String },
    #[error("a chunk of invocation {id} {problem}")]
    BadChunk { id: u64, problem: String },
    #[error("an acknowledgement names {id:?}, which is not outstanding or was acknowledged before")]
    UnknownAck { id: String },
    #[error("an acknowledgement came, and the feature \"ack\" is not in force")]
    AckNotNegotiated,
    #[error("a Pong came for {id:?}, which no Ping had")]
    UnknownPong { id: String },
    #[error("Ready came again")]
    ReadyAgain,
}
