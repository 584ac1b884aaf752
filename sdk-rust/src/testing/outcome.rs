//! How a handler ended, as a test wants to see it.

use std::time::Duration;

use serde_json::Value;
use tinybase_proto::v1;

/// Why a handler didn't do what was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// It refused.
    #[error("rejected with {status} {code}: {message}")]
    Rejected {
        /// The HTTP status.
        status: u32,
        /// The short reason.
        code: String,
        /// The sentence for the client.
        message: String,
        /// The fields that are wrong, as JSON pointers, with what is wrong with them.
        violations: Vec<(String, String)>,
    },
    /// It failed.
    #[error("{error_type}: {message}")]
    Failed {
        /// The error's type.
        error_type: String,
        /// What went wrong.
        message: String,
        /// When to try again at the earliest, if it said so.
        retry_after: Option<Duration>,
    },
}

impl Failure {
    /// The sentence that says what is wrong.
    pub fn message(&self) -> &str {
        match self {
            Self::Rejected { message, .. } | Self::Failed { message, .. } => message,
        }
    }
}

/// What a handler brought: a function's output, a before-hook's patch, or nothing.
pub(super) fn read(outcome: v1::Outcome) -> Result<v1::Success, Failure> {
    match outcome.result {
        None => Ok(v1::Success::default()),
        Some(v1::outcome::Result::Success(success)) => Ok(success),
        Some(v1::outcome::Result::Reject(reject)) => {
            let violations = reject.violations.into_iter();
            Err(Failure::Rejected {
                status: reject.status,
                code: reject.code,
                message: reject.message,
                violations: violations.map(|v| (v.field, v.message)).collect(),
            })
        }
        Some(v1::outcome::Result::Fault(fault)) => {
            let delay = Duration::from_millis(fault.retry_after_ms.into());
            Err(Failure::Failed {
                error_type: fault.r#type,
                message: fault.message,
                retry_after: (!delay.is_zero()).then_some(delay),
            })
        }
    }
}

/// Reads JSON that this crate has written itself; empty means null.
pub(super) fn json(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap_or(Value::Null)
}

/// Applies a JSON merge patch of one level and below, as the server does.
pub(super) fn merge(data: &mut Value, patch: &Value) {
    let (Value::Object(data), Value::Object(patch)) = (&mut *data, patch) else {
        data.clone_from(patch);
        return;
    };
    for (field, value) in patch {
        if value.is_null() {
            data.remove(field);
        } else {
            merge(data.entry(field.clone()).or_insert(Value::Null), value);
        }
    }
}
