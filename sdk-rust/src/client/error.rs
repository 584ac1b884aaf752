//! What can go wrong between an extension and the core.

use std::io;
use std::path::PathBuf;

use thiserror::Error;
use tonic::{Code, Status};

/// Why there is no connection.
#[derive(Debug, Error)]
pub enum ConnectError {
    /// The process wasn't started by a server.
    #[error(
        "{name} is not set: this program is an extension and TinyBase starts it; \
         install its folder with `tinybase extensions install DIR`"
    )]
    Environment {
        /// The variable.
        name: &'static str,
    },
    /// The token can't be sent.
    #[error("TINYBASE_TOKEN is not a token: it has characters other than visible ASCII")]
    Token,
    /// Nobody listens on the socket.
    #[error("nobody answers on the socket {}; is the server running?", path.display())]
    Dial {
        /// The socket.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// The connection failed before the handshake ended.
    #[error("the connection failed during the handshake: {message}")]
    Handshake {
        /// What the transport says.
        message: String,
    },
    /// The core doesn't take this extension, and says why.
    #[error("the server refused the extension: {message}")]
    Refused {
        /// The gRPC status code.
        code: Code,
        /// A sentence that a person can act on.
        message: String,
    },
}

impl ConnectError {
    pub(crate) fn from_status(status: &Status) -> Self {
        if is_transport(status.code()) {
            Self::Handshake { message: text(status) }
        } else {
            Self::Refused { code: status.code(), message: text(status) }
        }
    }
}

/// Why a session ended other than by the core's will.
#[derive(Debug, Error)]
pub enum RunError {
    /// The server went away.
    #[error("the connection to the server broke: {message}")]
    Lost {
        /// What the transport says.
        message: String,
    },
    /// The core ended the session for a reason.
    #[error("the server ended the session: {message}")]
    Ended {
        /// The gRPC status code.
        code: Code,
        /// A sentence that a person can act on.
        message: String,
    },
}

impl RunError {
    pub(crate) fn from_status(status: &Status) -> Self {
        if is_transport(status.code()) {
            Self::Lost { message: text(status) }
        } else {
            Self::Ended { code: status.code(), message: text(status) }
        }
    }
}

/// What kind of failure a call-back met, and so what to do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HostErrorKind {
    /// There is no such record, user, collection or function. Don't try again.
    NotFound,
    /// The extension or whom it acts for may not do that. Ask the operator to grant it.
    PermissionDenied,
    /// The request is wrong, such as data that doesn't fit the collection. Mend it.
    InvalidArgument,
    /// The state doesn't allow it, such as a value that is taken. Read again, then decide.
    FailedPrecondition,
    /// A limit is reached. Try again later, with less.
    ResourceExhausted,
    /// The core can't right now, such as while it stops. Try again later.
    Unavailable,
    /// The invocation's time is over. Stop.
    DeadlineExceeded,
    /// The token is unknown, such as one of an invocation that has ended. Stop.
    Unauthenticated,
    /// The call was withdrawn. Stop.
    Cancelled,
    /// The core failed. Its log tells why.
    Internal,
}

impl HostErrorKind {
    /// Its name, as it appears in a fault's type.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotFound => "NotFound",
            Self::PermissionDenied => "PermissionDenied",
            Self::InvalidArgument => "InvalidArgument",
            Self::FailedPrecondition => "FailedPrecondition",
            Self::ResourceExhausted => "ResourceExhausted",
            Self::Unavailable => "Unavailable",
            Self::DeadlineExceeded => "DeadlineExceeded",
            Self::Unauthenticated => "Unauthenticated",
            Self::Cancelled => "Cancelled",
            Self::Internal => "Internal",
        }
    }

    /// Whether the same call may succeed a little later.
    pub const fn is_retryable(self) -> bool {
        matches!(self, Self::ResourceExhausted | Self::Unavailable)
    }
}

impl From<Code> for HostErrorKind {
    fn from(code: Code) -> Self {
        match code {
            Code::NotFound => Self::NotFound,
            Code::PermissionDenied => Self::PermissionDenied,
            Code::InvalidArgument | Code::OutOfRange => Self::InvalidArgument,
            Code::FailedPrecondition | Code::AlreadyExists | Code::Aborted => {
                Self::FailedPrecondition
            }
            Code::ResourceExhausted => Self::ResourceExhausted,
            Code::Unavailable => Self::Unavailable,
            Code::DeadlineExceeded => Self::DeadlineExceeded,
            Code::Unauthenticated => Self::Unauthenticated,
            Code::Cancelled => Self::Cancelled,
            Code::Ok | Code::Unknown | Code::Unimplemented | Code::Internal | Code::DataLoss => {
                Self::Internal
            }
        }
    }
}

/// A call-back that failed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct HostError {
    kind: HostErrorKind,
    message: String,
}

impl HostError {
    /// A failure of a kind, with a sentence.
    pub fn new(kind: HostErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    /// What kind of failure it is.
    pub const fn kind(&self) -> HostErrorKind {
        self.kind
    }

    /// The core's sentence.
    pub fn message(&self) -> &str {
        &self.message
    }

    pub(crate) fn from_status(status: &Status) -> Self {
        Self { kind: status.code().into(), message: text(status) }
    }
}

/// Whether a code comes from a broken connection and not from the core.
fn is_transport(code: Code) -> bool {
    matches!(code, Code::Unavailable | Code::Unknown | Code::Cancelled)
}

/// A status's message, and if it is empty its code's description; with what caused it.
fn text(status: &Status) -> String {
    let mut message = match status.message() {
        "" => status.code().description().to_owned(),
        message => message.to_owned(),
    };
    let mut source = std::error::Error::source(status);
    while let Some(error) = source {
        let cause = error.to_string();
        if !message.contains(&cause) {
            message.push_str(": ");
            message.push_str(&cause);
        }
        source = error.source();
    }
    message
}
