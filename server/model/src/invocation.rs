//! One piece of work for an extension, and how it ends.

use std::time::Duration;

use jiff::Timestamp;
use thiserror::Error;

use crate::{
    CallId, CompletionEvent, Event, EventId, EventKind, FunctionEvent, Identity, JsonBytes, Phase,
    RecordEvent, UserEvent, UserId,
};

/// What is invoked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InvocationTarget {
    /// A hook.
    Hook {
        /// The event.
        event: EventKind,
        /// When it runs.
        phase: Phase,
        /// The handler's name.
        handler: String,
    },
    /// A function, by its name.
    Function(String),
}

/// What an invocation is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// Startup and shutdown have none.
    Nothing,
    /// A record event.
    Record(RecordEvent),
    /// A user event.
    User(UserEvent),
    /// A call to be run, or about to be.
    Function(FunctionEvent),
    /// A call that ended.
    Completion(CompletionEvent),
}

impl From<Event> for Body {
    fn from(event: Event) -> Self {
        match event {
            Event::UserRegister(user) | Event::UserLogin(user) => Self::User(user),
            Event::RecordCreate(record)
            | Event::RecordUpdate(record)
            | Event::RecordDelete(record) => Self::Record(record),
            Event::FunctionCall(call) => Self::Function(call),
            Event::FunctionComplete(completion) => Self::Completion(completion),
        }
    }
}

/// One piece of work for an extension.
#[derive(Debug, Clone)]
pub struct Invocation {
    /// What is invoked.
    pub target: InvocationTarget,
    /// How long it may take, from being handed over; the time queued for a slot counts.
    pub timeout: Duration,
    /// The delivery's count, from 1.
    pub attempt: u32,
    /// The event's id, the same at every attempt.
    pub event_id: EventId,
    /// When it happened.
    pub occurred_at: Timestamp,
    /// W3C trace context; empty if there is none.
    pub traceparent: String,
    /// For whom call-backs act.
    pub identity: Identity,
    /// How many invocations led to it, from 1 for one caused by a client.
    pub depth: u32,
    /// What it is about.
    pub body: Body,
}

/// How an invocation ends, in the extension's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It did what was asked.
    Success {
        /// A function's result.
        output: Option<JsonBytes>,
        /// A before-hook's JSON merge patch.
        patch: Option<JsonBytes>,
    },
    /// It refused, as a matter of policy.
    Reject(Rejection),
    /// It failed.
    Fault(Fault),
}

/// A refusal with words for the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// The HTTP status, always 400 to 499.
    pub status: u16,
    /// A short machine-readable reason; empty if there is none.
    pub code: String,
    /// A sentence for the client.
    pub message: String,
    /// What is wrong with which field.
    pub violations: Vec<FieldViolation>,
}

/// One field that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
pub struct FieldViolation {
    /// The field, as a JSON pointer.
    pub field: String,
    /// What is wrong with it.
    pub message: String,
}

/// A handler's failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The error's type in the extension's language.
    pub kind: String,
    /// What went wrong.
    pub message: String,
    /// Where; for the log only.
    pub stack: String,
    /// For a durable event, the earliest time to try again.
    pub retry_after: Option<Duration>,
}

/// Why there is no outcome.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvokeError {
    /// No process of the extension is ready.
    #[error("the extension is not running ({state})")]
    NotReady {
        /// Its state, in a word.
        state: &'static str,
    },
    /// All slots are held and the queue for them is full.
    #[error("the extension has no free slot and its queue is full")]
    Overloaded,
    /// The deadline passed. The slot stays held until the late outcome comes.
    #[error("no answer within {} ms", .0.as_millis())]
    TimedOut(Duration),
    /// The process went away with the work in its hands.
    #[error("the extension went away before it answered")]
    Disconnected,
    /// The work doesn't fit into a message.
    #[error("the body has {size} bytes; the limit is {limit}")]
    TooLarge {
        /// The body's size in bytes.
        size: usize,
        /// The limit in bytes.
        limit: usize,
    },
}

impl InvokeError {
    /// The word for it in a recorded call's `error_type`.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::NotReady { .. } => "ExtensionNotReady",
            Self::Overloaded => "ExtensionOverloaded",
            Self::TimedOut(_) => "TimeoutError",
            Self::Disconnected => "ExtensionExited",
            Self::TooLarge { .. } => "PayloadTooLarge",
        }
    }
}

impl FunctionEvent {
    /// A call by an identity.
    pub fn new(name: String, call_id: CallId, caller: &Identity, input: JsonBytes) -> Self {
        let user_id: Option<UserId> = caller.user_id();
        Self { name, call_id, user_id, is_admin: caller.is_admin(), input, schedule: None }
    }
}
