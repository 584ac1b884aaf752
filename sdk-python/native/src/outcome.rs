//! From what Python's `_dispatch` returns to the protocol's outcome.

use pyo3::prelude::*;
use pyo3::types::PyTuple;
use tinybase_sdk::client::v1;
use tinybase_sdk::client::v1::outcome::Result as Ending;

type Rejected = (String, u32, String, String, Vec<(String, String)>);
type Faulted = (String, String, String, String, u32);

/// Reads what a handler's entry returned; see `Outcome` in `_invocation.py`.
pub(crate) fn read(id: &str, value: &Bound<'_, PyAny>) -> v1::Outcome {
    if value.is_none() {
        return v1::Outcome { invocation_id: id.to_owned(), result: None };
    }
    match ending(value) {
        Ok(ending) => v1::Outcome { invocation_id: id.to_owned(), result: Some(ending) },
        Err(error) => failed(id, &error, value.py()),
    }
}

/// The outcome of an entry that raised, which only a broken interpreter makes it do.
pub(crate) fn failed(id: &str, error: &PyErr, py: Python<'_>) -> v1::Outcome {
    let kind = error.get_type(py).qualname().map_or_else(|_| String::new(), |it| it.to_string());
    fault(id, &kind, &error.value(py).to_string())
}

/// A failure in our own words.
pub(crate) fn fault(id: &str, kind: &str, message: &str) -> v1::Outcome {
    let fault =
        v1::Fault { r#type: kind.to_owned(), message: message.to_owned(), ..v1::Fault::default() };
    v1::Outcome { invocation_id: id.to_owned(), result: Some(Ending::Fault(fault)) }
}

fn ending(value: &Bound<'_, PyAny>) -> PyResult<Ending> {
    let tuple = value.cast::<PyTuple>()?;
    let kind = tuple.get_item(0)?;
    match kind.extract::<&str>()? {
        "success" => {
            let (_, output, patch) = tuple.extract::<(String, Option<String>, Option<String>)>()?;
            Ok(Ending::Success(v1::Success {
                output: output.unwrap_or_default().into(),
                patch: patch.unwrap_or_default().into(),
            }))
        }
        "reject" => {
            let (_, status, code, message, violations) = tuple.extract::<Rejected>()?;
            let violations = violations
                .into_iter()
                .map(|(field, message)| v1::FieldViolation { field, message })
                .collect();
            Ok(Ending::Reject(v1::Reject { status, code, message, violations }))
        }
        _ => {
            let (_, kind, message, stack, retry_after_ms) = tuple.extract::<Faulted>()?;
            Ok(Ending::Fault(v1::Fault { r#type: kind, message, stack, retry_after_ms }))
        }
    }
}
