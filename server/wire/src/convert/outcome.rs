//! An outcome on its way back. What an extension says is clipped and checked here.

use std::time::Duration;

use bytes::Bytes;
use tinybase_model::{Fault, FieldViolation, JsonBytes, Outcome, Rejection};
use tinybase_proto::v1;
use tinybase_proto::v1::outcome::Result as WireResult;

use crate::book::WorkId;
use crate::violation::Violation;

/// The longest message, in bytes.
const MESSAGE_MAX: usize = 16 << 10;
/// The longest stack trace, in bytes.
const STACK_MAX: usize = 64 << 10;
/// The longest type or code, in bytes.
const WORD_MAX: usize = 256;
/// The most field violations.
const VIOLATIONS_MAX: usize = 256;

/// Turns the outcomes of a frame around. One that is not as it should be becomes a fault.
pub(crate) fn outcomes(
    messages: Vec<v1::Outcome>,
    body_bytes_max: usize,
    breaches: &mut Vec<Violation>,
) -> Vec<(WorkId, Outcome)> {
    let mut outcomes = Vec::with_capacity(messages.len());
    for message in messages {
        let Ok(id) = message.invocation_id.parse() else {
            breaches.push(Violation::MalformedOutcome { id: message.invocation_id });
            continue;
        };
        if let Some(fault) = oversize(message.result.as_ref(), body_bytes_max) {
            outcomes.push((id, Outcome::Fault(fault)));
            continue;
        }
        let outcome = outcome(message.result, body_bytes_max).unwrap_or_else(|problem| {
            let message = format!("the extension's outcome {problem}");
            breaches.push(Violation::BadOutcome { id, problem });
            let kind = "ProtocolError".to_owned();
            Outcome::Fault(Fault { kind, message, stack: String::new(), retry_after: None })
        });
        outcomes.push((id, outcome));
    }
    outcomes
}

/// A result that is too large is the function's failure, not a breach of the protocol.
fn oversize(result: Option<&WireResult>, limit: usize) -> Option<Fault> {
    let Some(WireResult::Success(success)) = result else { return None };
    let size = success.output.len();
    (size > limit).then(|| Fault {
        kind: "ResultSizeError".to_owned(),
        message: format!("the result has {size} bytes; the limit is {limit}"),
        stack: String::new(),
        retry_after: None,
    })
}

fn outcome(result: Option<WireResult>, body_bytes_max: usize) -> Result<Outcome, String> {
    match result {
        None => Ok(Outcome::Success { output: None, patch: None }),
        Some(WireResult::Success(success)) => Ok(Outcome::Success {
            output: json("output", success.output, body_bytes_max)?,
            patch: json("patch", success.patch, body_bytes_max)?,
        }),
        Some(WireResult::Reject(reject)) => rejection(reject).map(Outcome::Reject),
        Some(WireResult::Fault(fault)) => Ok(Outcome::Fault(Fault {
            kind: clip(fault.r#type, WORD_MAX),
            message: clip(fault.message, MESSAGE_MAX),
            stack: clip(fault.stack, STACK_MAX),
            retry_after: (fault.retry_after_ms > 0)
                .then(|| Duration::from_millis(fault.retry_after_ms.into())),
        })),
    }
}

fn json(what: &str, bytes: Bytes, limit: usize) -> Result<Option<JsonBytes>, String> {
    if bytes.is_empty() {
        return Ok(None);
    }
    if bytes.len() > limit {
        return Err(format!("has {} bytes of {what}; the limit is {limit}", bytes.len()));
    }
    JsonBytes::checked(bytes)
        .map(Some)
        .map_err(|error| format!("has {what} that is not JSON: {error}"))
}

fn rejection(reject: v1::Reject) -> Result<Rejection, String> {
    let status = match u16::try_from(reject.status) {
        Ok(0) => 400,
        Ok(status @ 400..=499) => status,
        Ok(_) | Err(_) => {
            return Err(format!("rejects with status {}; use 400 to 499", reject.status));
        }
    };
    let violations = reject.violations.into_iter().take(VIOLATIONS_MAX).map(|violation| {
        let (field, message) = (violation.field, violation.message);
        FieldViolation { field: clip(field, WORD_MAX), message: clip(message, MESSAGE_MAX) }
    });
    Ok(Rejection {
        status,
        code: clip(reject.code, WORD_MAX),
        message: clip(reject.message, MESSAGE_MAX),
        violations: violations.collect(),
    })
}

/// Cuts a text at a character boundary, and shows that it was cut.
fn clip(mut text: String, limit: usize) -> String {
    if text.len() > limit {
        text.truncate(text.floor_char_boundary(limit));
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(result: Option<WireResult>) -> (Outcome, Vec<Violation>) {
        let mut breaches = Vec::new();
        let message = v1::Outcome { invocation_id: "3".into(), result };
        let mut outcomes = outcomes(vec![message], 10, &mut breaches);
        let (id, outcome) = outcomes.pop().expect("one outcome");
        assert_eq!(id, 3);
        (outcome, breaches)
    }

    fn output(bytes: &'static str) -> WireResult {
        WireResult::Success(v1::Success { output: bytes.into(), patch: Bytes::new() })
    }

    #[test]
    fn an_outcome_without_a_result_is_success() {
        assert_eq!(one(None), (Outcome::Success { output: None, patch: None }, vec![]));
    }

    #[test]
    fn output_that_is_too_large_becomes_a_fault() {
        let (outcome, breaches) = one(Some(output(r#""0123456789""#)));
        assert!(matches!(outcome, Outcome::Fault(fault) if fault.kind == "ResultSizeError"));
        assert!(breaches.is_empty());
    }

    #[test]
    fn output_that_is_no_json_becomes_a_fault_and_a_violation() {
        for bad in ["{", "1 2"] {
            let (outcome, breaches) = one(Some(output(bad)));
            let Outcome::Fault(fault) = outcome else { panic!("{bad}: {outcome:?}") };
            assert_eq!(fault.kind, "ProtocolError");
            assert_eq!(breaches.len(), 1, "{bad}");
        }
    }

    #[test]
    fn a_rejection_is_a_4xx_or_a_fault() {
        let reject = |status| Some(WireResult::Reject(v1::Reject { status, ..Default::default() }));
        assert!(matches!(one(reject(0)).0, Outcome::Reject(Rejection { status: 400, .. })));
        assert!(matches!(one(reject(409)).0, Outcome::Reject(Rejection { status: 409, .. })));
        for bad in [200, 399, 500, 70_000] {
            assert!(
                matches!(one(reject(bad)), (Outcome::Fault(_), breaches) if breaches.len() == 1)
            );
        }
    }

    #[test]
    fn long_texts_are_cut_at_a_character() {
        let message = "é".repeat(MESSAGE_MAX);
        let fault = v1::Fault { message, ..Default::default() };
        let (Outcome::Fault(fault), _) = one(Some(WireResult::Fault(fault))) else {
            panic!("not a fault")
        };
        assert_eq!(fault.message.len(), MESSAGE_MAX + '…'.len_utf8());
    }

    #[test]
    fn an_id_that_is_no_number_is_a_violation() {
        let mut breaches = Vec::new();
        let message = v1::Outcome { invocation_id: "x".into(), result: None };
        assert!(outcomes(vec![message], 10, &mut breaches).is_empty());
        assert_eq!(breaches, [Violation::MalformedOutcome { id: "x".into() }]);
    }
}
