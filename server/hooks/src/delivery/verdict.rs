//! What the end of an invocation means for a durable delivery. Pure.

use std::time::Duration;

use tinybase_model::{InvokeError, Outcome};

/// The most of an error's text that is stored.
const ERROR_LENGTH_MAX: usize = 1000;

/// What the end of an invocation means for a durable delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The handler did its work.
    Delivered,
    /// It wasn't the event's turn: the extension isn't there or is busy.
    NotNow,
    /// It failed and may succeed later.
    Failed(Failure),
    /// It will never succeed.
    Hopeless(Failure),
}

/// How a delivery failed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Failure {
    /// In a sentence.
    pub(super) error: String,
    /// The earliest time to try again.
    pub(super) retry_after: Option<Duration>,
    /// Whether the process went away with the event in its hands.
    pub(super) crashed: bool,
}

impl Verdict {
    pub(super) fn of(end: Result<Outcome, InvokeError>) -> Self {
        match end {
            Ok(Outcome::Success { .. }) => Self::Delivered,
            Ok(Outcome::Reject(rejection)) => {
                let words = format!("refused: {} {}", rejection.code, rejection.message);
                Self::Hopeless(Failure { error: shortened(words), ..Failure::default() })
            }
            Ok(Outcome::Fault(fault)) => Self::Failed(Failure {
                error: shortened(format!("{}: {}", fault.kind, fault.message)),
                retry_after: fault.retry_after,
                crashed: false,
            }),
            Err(InvokeError::NotReady { .. } | InvokeError::Overloaded) => Self::NotNow,
            Err(error @ InvokeError::TooLarge { .. }) => {
                Self::Hopeless(Failure { error: error.to_string(), ..Failure::default() })
            }
            Err(error @ (InvokeError::TimedOut(_) | InvokeError::Disconnected)) => {
                let crashed = error == InvokeError::Disconnected;
                Self::Failed(Failure { error: error.to_string(), crashed, ..Failure::default() })
            }
        }
    }
}

fn shortened(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(ERROR_LENGTH_MAX));
    text
}
