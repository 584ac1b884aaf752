//! What core needs of the extensions, as a trait so that core is tested without processes.

use std::sync::Arc;

use async_trait::async_trait;
use thiserror::Error;
use tinybase_model::{
    Cause, Event, ExtensionName, FieldViolation, FunctionBinding, FunctionEvent, InvokeError,
    Outcome, Rejection,
};

use crate::problem::{Kind, Problem};

/// What the before-hooks made of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approved {
    /// The event, patched.
    pub event: Event,
    /// Extensions that couldn't be asked and whose manifest lets the request go on.
    pub failed_open: Vec<ExtensionName>,
}

/// Why the before-hooks didn't let an operation through.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum HookRefusal {
    /// An extension said no.
    #[error("{}", .rejection.message)]
    Rejected {
        /// The extension.
        extension: ExtensionName,
        /// Its words.
        rejection: Rejection,
    },
    /// An extension that has to agree couldn't be asked.
    #[error("the extension '{extension}' has to agree to this and could not: {reason}")]
    Unavailable {
        /// The extension.
        extension: ExtensionName,
        /// Why.
        reason: String,
    },
    /// Two extensions want different things of one field.
    #[error("the extensions '{first}' and '{second}' both change {field}")]
    Conflict {
        /// The one that came first in the chain.
        first: ExtensionName,
        /// The one that came later.
        second: ExtensionName,
        /// The field, as a JSON pointer.
        field: String,
    },
}

impl Problem for HookRefusal {
    fn kind(&self) -> Kind {
        match self {
            Self::Rejected { rejection, .. } => Kind::Rejected(rejection.status),
            Self::Unavailable { .. } => Kind::Unavailable,
            Self::Conflict { .. } => Kind::Internal,
        }
    }

    fn violations(&self) -> &[FieldViolation] {
        match self {
            Self::Rejected { rejection, .. } => &rejection.violations,
            Self::Unavailable { .. } | Self::Conflict { .. } => &[],
        }
    }

    fn code(&self) -> Option<&str> {
        match self {
            Self::Rejected { rejection, .. } if !rejection.code.is_empty() => Some(&rejection.code),
            Self::Rejected { .. } | Self::Unavailable { .. } | Self::Conflict { .. } => None,
        }
    }

    fn extension(&self) -> Option<&ExtensionName> {
        match self {
            Self::Rejected { extension, .. } | Self::Unavailable { extension, .. } => {
                Some(extension)
            }
            Self::Conflict { second, .. } => Some(second),
        }
    }
}

/// A function and the extension that offers it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfferedFunction {
    /// The extension.
    pub extension: ExtensionName,
    /// The function.
    pub binding: FunctionBinding,
}

/// Why a call has no outcome.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CallFailure {
    /// No extension offers the function any more.
    #[error("no extension offers it any more")]
    Unknown,
    /// The extension gave no outcome.
    #[error("the extension '{extension}': {source}")]
    Invoke {
        /// The extension.
        extension: ExtensionName,
        /// Why.
        source: InvokeError,
    },
}

/// The extensions, as core sees them.
#[async_trait]
pub trait HookEngine: Send + Sync {
    /// Asks the before-hooks.
    async fn before(&self, event: Event, cause: &Cause) -> Result<Approved, HookRefusal>;

    /// Tells the hooks that watch calls, before the function runs.
    async fn observe_call(&self, event: Event, cause: &Cause);

    /// Runs a function.
    async fn call_function(
        &self,
        call: FunctionEvent,
        cause: &Cause,
    ) -> Result<Outcome, CallFailure>;

    /// A function by its name.
    fn function(&self, name: &str) -> Option<Arc<OfferedFunction>>;

    /// All functions.
    fn functions(&self) -> Vec<Arc<OfferedFunction>>;

    /// Wakes the delivery of events; called after each commit that appended some.
    fn events_committed(&self);
}
