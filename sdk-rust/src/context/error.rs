//! What a call-back can meet.

use thiserror::Error;

use crate::client::{HostError, HostErrorKind};
use crate::event::FunctionFailure;

/// Why a call-back brought nothing.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CallbackError {
    /// The core refused it or couldn't do it.
    #[error(transparent)]
    Host(#[from] HostError),
    /// What came back doesn't fit the type that was asked for.
    #[error("{what} is not what was expected")]
    Decode {
        /// What came back.
        what: &'static str,
        /// In which way it doesn't fit.
        #[source]
        source: serde_json::Error,
    },
    /// What was to be sent can't be written as JSON.
    #[error("{what} can't be written as JSON")]
    Encode {
        /// What was to be sent.
        what: &'static str,
        /// Why not.
        #[source]
        source: serde_json::Error,
    },
    /// The function that was called failed.
    #[error("the function {name:?} failed")]
    Function {
        /// Its name.
        name: String,
        /// How it failed.
        #[source]
        source: FunctionFailure,
    },
}

impl CallbackError {
    /// What kind of refusal of the core's it is, if it is one.
    pub const fn kind(&self) -> Option<HostErrorKind> {
        match self {
            Self::Host(error) => Some(error.kind()),
            Self::Decode { .. } | Self::Encode { .. } | Self::Function { .. } => None,
        }
    }

    /// Whether there is no such thing.
    pub fn is_not_found(&self) -> bool {
        self.kind() == Some(HostErrorKind::NotFound)
    }

    pub(crate) const fn decode(what: &'static str, source: serde_json::Error) -> Self {
        Self::Decode { what, source }
    }

    pub(crate) const fn encode(what: &'static str, source: serde_json::Error) -> Self {
        Self::Encode { what, source }
    }

    /// The name of the failure, for a fault's type.
    pub(crate) const fn type_name(&self) -> &'static str {
        match self {
            Self::Host(error) => error.kind().as_str(),
            Self::Decode { .. } => "DecodeError",
            Self::Encode { .. } => "EncodeError",
            Self::Function { .. } => "FunctionFailed",
        }
    }
}
