//! What core needs of the extensions, as a trait so that core is tested without processes.

use std::sync::Arc;

use async_trait::async_trait;
use thiserror::Error;
use tinybase_hooks::{
    Approval, CallError, CallTerms, Hooks, OwnSchedules, Refusal, RegisteredFunction,
};
use tinybase_model::{
    Cause, Event, ExtensionName, FieldViolation, FunctionEvent, InvokeError, Outcome, Rejection,
};
use tokio::sync::watch;

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
    /// The extensions are at odds with each other; the sentence says how.
    #[error("{sentence}")]
    AtOdds {
        /// The extension at which it showed.
        extension: ExtensionName,
        /// How, and what to do.
        sentence: String,
    },
}

impl HookRefusal {
    /// The extension at which it showed.
    pub const fn extension(&self) -> &ExtensionName {
        match self {
            Self::Rejected { extension, .. }
            | Self::Unavailable { extension, .. }
            | Self::AtOdds { extension, .. } => extension,
        }
    }

    /// The machine-readable reason of a rejection.
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Rejected { rejection, .. } if !rejection.code.is_empty() => Some(&rejection.code),
            Self::Rejected { .. } | Self::Unavailable { .. } | Self::AtOdds { .. } => None,
        }
    }
}

impl Problem for HookRefusal {
    fn kind(&self) -> Kind {
        match self {
            Self::Rejected { rejection, .. } => Kind::Rejected(rejection.status),
            Self::Unavailable { .. } => Kind::Unavailable,
            Self::AtOdds { .. } => Kind::Conflict,
        }
    }

    fn violations(&self) -> &[FieldViolation] {
        match self {
            Self::Rejected { rejection, .. } => &rejection.violations,
            Self::Unavailable { .. } | Self::AtOdds { .. } => &[],
        }
    }

    fn refusal(&self) -> Option<&HookRefusal> {
        Some(self)
    }
}

/// Why a call has no outcome.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CallFailure {
    /// No extension offers the function any more.
    #[error("no extension offers it any more")]
    Unknown,
    /// The extension gave no outcome.
    #[error("the extension '{extension}' could not run it: {source}")]
    Invoke {
        /// The extension.
        extension: ExtensionName,
        /// Why.
        source: InvokeError,
    },
    /// Extensions called each other too deeply; the sentence says so.
    #[error("{0}")]
    TooDeep(String),
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
        terms: CallTerms,
    ) -> Result<Outcome, CallFailure>;

    /// A function by its name.
    fn function(&self, name: &str) -> Option<Arc<RegisteredFunction>>;

    /// The schedules of each extension that is there.
    fn schedules(&self) -> Vec<Arc<OwnSchedules>>;

    /// Changes with every registration, and with everything else that is noted of an extension.
    fn versions(&self) -> watch::Receiver<u64>;

    /// Whether an extension takes work.
    fn is_ready(&self, extension: &ExtensionName) -> bool;

    /// All functions.
    fn functions(&self) -> Vec<Arc<RegisteredFunction>>;

    /// Wakes the delivery of events; called after each commit that appended some.
    fn events_committed(&self);
}

#[async_trait]
impl HookEngine for Hooks {
    async fn before(&self, event: Event, cause: &Cause) -> Result<Approved, HookRefusal> {
        match Self::before(self, event, cause).await {
            Ok(Approval { event, failed_open }) => Ok(Approved { event, failed_open }),
            Err(refusal) => Err(refusal.into()),
        }
    }

    async fn observe_call(&self, event: Event, cause: &Cause) {
        Self::observe_call(self, event, cause).await;
    }

    async fn call_function(
        &self,
        call: FunctionEvent,
        cause: &Cause,
        terms: CallTerms,
    ) -> Result<Outcome, CallFailure> {
        Self::call_function(self, call, cause, terms).await.map_err(CallFailure::from)
    }

    fn function(&self, name: &str) -> Option<Arc<RegisteredFunction>> {
        Self::function(self, name)
    }

    fn schedules(&self) -> Vec<Arc<OwnSchedules>> {
        Self::schedules(self)
    }

    fn versions(&self) -> watch::Receiver<u64> {
        Self::versions(self)
    }

    fn is_ready(&self, extension: &ExtensionName) -> bool {
        Self::is_ready(self, extension)
    }

    fn functions(&self) -> Vec<Arc<RegisteredFunction>> {
        Self::functions(self)
    }

    fn events_committed(&self) {
        Self::events_committed(self);
    }
}

impl From<Refusal> for HookRefusal {
    fn from(refusal: Refusal) -> Self {
        let sentence = refusal.to_string();
        match refusal {
            Refusal::Rejected { extension, rejection } => Self::Rejected { extension, rejection },
            Refusal::Unavailable { extension, failure } => {
                Self::Unavailable { extension, reason: failure.to_string() }
            }
            Refusal::Conflict { second: extension, .. } | Refusal::TooDeep { extension } => {
                Self::AtOdds { extension, sentence }
            }
        }
    }
}

impl From<CallError> for CallFailure {
    fn from(error: CallError) -> Self {
        match error {
            CallError::UnknownFunction { .. } => Self::Unknown,
            CallError::Invoke { extension, error } => Self::Invoke { extension, source: error },
            CallError::TooDeep { .. } => Self::TooDeep(error.to_string()),
        }
    }
}
