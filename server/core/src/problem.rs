//! What every error of this crate tells the API: which kind it is and what is wrong with which field.

use tinybase_model::{ExtensionName, FieldViolation};
use tinybase_store::{Refusal, StoreError};

use crate::hook_engine::HookRefusal;

/// The kinds of errors, each with one answer over HTTP and over gRPC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// There is no such thing.
    NotFound,
    /// The input is wrong; [`Problem::violations`] may say where.
    Invalid,
    /// The input is of the wrong shape, whatever the data is; [`Problem::violations`] may say where.
    Unprocessable,
    /// Somebody has to log in first.
    Unauthenticated,
    /// Whoever acts may not do this.
    Forbidden,
    /// It collides with what is there, or with somebody who was faster.
    Conflict,
    /// It isn't any more what whoever asks says it must be.
    PreconditionFailed,
    /// The input is larger than the limit.
    TooLarge,
    /// It was there and isn't kept any more.
    Gone,
    /// Whoever asks has asked for too much at a time; try again later.
    TooManyRequests,
    /// The request's key is of one that is still being served; try again later.
    KeyInUse,
    /// The request's key stands for another request.
    KeyReused,
    /// Too much is waiting; try again later.
    Overloaded,
    /// Something that is needed can't be reached; try again later.
    Unavailable,
    /// An extension refused, with this HTTP status (400 to 499).
    Rejected(u16),
    /// The server is at fault.
    Internal,
}

/// An error that can be shown to a client: its `Display` is the sentence, without internals.
pub trait Problem: std::error::Error + Send + Sync + 'static {
    /// Which kind it is.
    fn kind(&self) -> Kind;

    /// Whether the sentence says what to do, and is to be shown also where it usually isn't: if
    /// something can't be reached.
    fn is_explained(&self) -> bool {
        false
    }

    /// What is wrong with which field.
    fn violations(&self) -> &[FieldViolation] {
        &[]
    }

    /// The extension's refusal, if one is the cause.
    fn refusal(&self) -> Option<&HookRefusal> {
        None
    }

    /// A short machine-readable reason that an extension gave.
    fn code(&self) -> Option<&str> {
        self.refusal().and_then(HookRefusal::code)
    }

    /// The extension that is the cause.
    fn extension(&self) -> Option<&ExtensionName> {
        self.refusal().map(HookRefusal::extension)
    }
}

impl Problem for StoreError {
    fn kind(&self) -> Kind {
        match self {
            Self::Overloaded => Kind::Overloaded,
            Self::Closed
            | Self::Unreachable { .. }
            | Self::Read { .. }
            | Self::Write { .. }
            | Self::Commit { .. }
            | Self::Unknown { .. } => Kind::Unavailable,
            Self::Unstorable { .. }
            | Self::Refused(Refusal::Duplicate(_) | Refusal::NoTarget(_)) => Kind::Invalid,
            Self::Refused(Refusal::Referenced { .. } | Refusal::CascadeTooLarge(_)) => {
                Kind::Conflict
            }
            Self::Corrupt { .. } => Kind::Internal,
        }
    }
}
