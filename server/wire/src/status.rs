//! Errors meet gRPC here, once.
//!
//! | code | means | what the extension should do |
//! |---|---|---|
//! | `UNAUTHENTICATED` | the session's token or the invocation's token is missing, unknown or over | stop; a handler that outlived its invocation gives up |
//! | `PERMISSION_DENIED` | the acting identity or the extension may not do that, or a token of somebody else was shown | tell the user, or ask the operator for the permission |
//! | `INVALID_ARGUMENT` | the request makes no sense, whatever the state | mend the extension |
//! | `NOT_FOUND` | what was asked for isn't there | go on without it |
//! | `ALREADY_EXISTS` | the process has a session already | open `Dispatch` for more slots |
//! | `FAILED_PRECONDITION` | not in this state: version gap, refused registration, frames out of order | mend the extension or its manifest |
//! | `RESOURCE_EXHAUSTED` | a limit was met: size, rate, slots | send less, or later |
//! | `UNAVAILABLE` | the server is stopping, or something it needs is away | try again with backoff |
//! | `INTERNAL` | the server failed | report it |

use tonic::{Code, Status};

use crate::HostError;

/// Why the server ends a stream of an extension, or doesn't begin one.
///
/// The same sentence goes to the extension, into the log and into `extensions list`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    code: Code,
    message: String,
}

impl Refusal {
    /// The token is missing, unknown or over.
    pub(crate) fn unauthenticated(message: impl Into<String>) -> Self {
        Self { code: Code::Unauthenticated, message: message.into() }
    }

    /// Somebody else's token, process or name.
    pub(crate) fn denied(message: impl Into<String>) -> Self {
        Self { code: Code::PermissionDenied, message: message.into() }
    }

    /// A frame that makes no sense.
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self { code: Code::InvalidArgument, message: message.into() }
    }

    /// Not in this state.
    pub(crate) fn precondition(message: impl Into<String>) -> Self {
        Self { code: Code::FailedPrecondition, message: message.into() }
    }

    /// There is one already.
    pub(crate) fn exists(message: impl Into<String>) -> Self {
        Self { code: Code::AlreadyExists, message: message.into() }
    }

    /// A limit was met.
    pub(crate) fn exhausted(message: impl Into<String>) -> Self {
        Self { code: Code::ResourceExhausted, message: message.into() }
    }

    /// Not now.
    pub(crate) fn unavailable(message: impl Into<String>) -> Self {
        Self { code: Code::Unavailable, message: message.into() }
    }

    /// The sentence.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }
}

impl From<Refusal> for Status {
    fn from(refusal: Refusal) -> Self {
        Self::new(refusal.code, refusal.message)
    }
}

impl From<HostError> for Status {
    fn from(error: HostError) -> Self {
        let (code, message) = match error {
            HostError::NotFound(message) => (Code::NotFound, message),
            HostError::PermissionDenied(message) => (Code::PermissionDenied, message),
            HostError::InvalidArgument(message) => (Code::InvalidArgument, message),
            HostError::FailedPrecondition(message) => (Code::FailedPrecondition, message),
            HostError::ResourceExhausted(message) => (Code::ResourceExhausted, message),
            HostError::Unavailable(message) => (Code::Unavailable, message),
            HostError::Internal(message) => (Code::Internal, message),
        };
        Self::new(code, message)
    }
}

/// Says in a sentence why reading from an extension failed.
pub(crate) fn describe_read_failure(status: &Status) -> String {
    if status.code() == Code::OutOfRange {
        format!("the extension sent a message over the size limit ({})", status.message())
    } else if status.message().contains("failed to decode") {
        format!("the extension sent a frame that is not of the protocol ({})", status.message())
    } else {
        "the connection to the extension was lost".to_owned()
    }
}
