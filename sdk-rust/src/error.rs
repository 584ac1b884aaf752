//! How a handler says that it won't or can't.

use std::any::Any;
use std::fmt;
use std::time::Duration;

use tinybase_proto::v1;

use crate::client::HostError;
use crate::context::CallbackError;

/// What handlers return.
pub type Result<T = (), E = Error> = std::result::Result<T, E>;

/// Why a handler didn't do what was asked.
///
/// `?` turns every [`std::error::Error`] into a fault that keeps the chain of causes. Refusals are
/// written out: [`Error::invalid`] and [`reject`].
pub struct Error(Box<Kind>);

#[derive(Debug)]
enum Kind {
    Invalid { message: String, violations: Vec<v1::FieldViolation> },
    Reject(v1::Reject),
    Fault(v1::Fault),
}

/// Refuses an operation with an HTTP status from 400 to 499 (anything else becomes 400), a short
/// machine-readable code and a sentence for the client. For before-hooks and functions.
pub fn reject(status: u16, code: impl Into<String>, message: impl Into<String>) -> Error {
    let status = if (400..500).contains(&status) { status } else { 400 };
    Error(Box::new(Kind::Reject(v1::Reject {
        status: status.into(),
        code: code.into(),
        message: message.into(),
        violations: Vec::new(),
    })))
}

impl Error {
    /// What was given is wrong. A function fails with the type `ValidationError`; a before-hook
    /// rejects with status 422.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self(Box::new(Kind::Invalid { message: message.into(), violations: Vec::new() }))
    }

    /// A failure with a type of the author's own, such as `"PaymentDeclined"`.
    pub fn fault(kind: impl Into<String>, message: impl Into<String>) -> Self {
        Self(Box::new(Kind::Fault(v1::Fault {
            r#type: kind.into(),
            message: message.into(),
            ..v1::Fault::default()
        })))
    }

    /// A failure from anything that can be shown, such as an `anyhow::Error`.
    pub fn other(error: impl fmt::Display) -> Self {
        Self::fault("Error", error.to_string())
    }

    /// Adds what is wrong with one field, named by a JSON pointer such as `/email`.
    #[must_use]
    pub fn field(mut self, pointer: impl Into<String>, message: impl Into<String>) -> Self {
        let violation = v1::FieldViolation { field: pointer.into(), message: message.into() };
        match self.0.as_mut() {
            Kind::Invalid { violations, .. } | Kind::Reject(v1::Reject { violations, .. }) => {
                violations.push(violation);
            }
            Kind::Fault(fault) => {
                fault.message =
                    format!("{}; {}: {}", fault.message, violation.field, violation.message);
            }
        }
        self
    }

    /// Asks for the delivery of an event to be tried again no earlier than this.
    #[must_use]
    pub fn retry_after(self, delay: Duration) -> Self {
        let mut fault = self.into_fault();
        fault.retry_after_ms = u32::try_from(delay.as_millis()).unwrap_or(u32::MAX).max(1);
        Self(Box::new(Kind::Fault(fault)))
    }

    /// The sentence that says what is wrong.
    pub fn message(&self) -> &str {
        match self.0.as_ref() {
            Kind::Invalid { message, .. } => message,
            Kind::Reject(reject) => &reject.message,
            Kind::Fault(fault) => &fault.message,
        }
    }

    pub(crate) fn with_stack(kind: &str, message: String, stack: String) -> Self {
        let fault = v1::Fault { r#type: kind.to_owned(), message, stack, retry_after_ms: 0 };
        Self(Box::new(Kind::Fault(fault)))
    }

    /// The outcome of a before-hook, whose refusals are answers to a client.
    pub(crate) fn into_before_result(self) -> v1::outcome::Result {
        match *self.0 {
            Kind::Invalid { message, violations } => v1::outcome::Result::Reject(v1::Reject {
                status: 422,
                code: "validation_error".to_owned(),
                message,
                violations,
            }),
            Kind::Reject(reject) => v1::outcome::Result::Reject(reject),
            Kind::Fault(fault) => v1::outcome::Result::Fault(fault),
        }
    }

    /// The outcome of a function. What it calls invalid is a failed call with a type.
    pub(crate) fn into_function_result(self) -> v1::outcome::Result {
        match *self.0 {
            Kind::Reject(reject) => v1::outcome::Result::Reject(reject),
            Kind::Invalid { .. } | Kind::Fault(_) => v1::outcome::Result::Fault(self.into_fault()),
        }
    }

    /// The outcome of an after-hook: what has happened can't be refused any more.
    pub(crate) fn into_after_result(self) -> v1::outcome::Result {
        v1::outcome::Result::Fault(self.into_fault())
    }

    fn into_fault(self) -> v1::Fault {
        let (kind, mut message, violations) = match *self.0 {
            Kind::Fault(fault) => return fault,
            Kind::Invalid { message, violations } => {
                ("ValidationError".to_owned(), message, violations)
            }
            Kind::Reject(reject) => ("Rejected".to_owned(), reject.message, reject.violations),
        };
        for violation in violations {
            message.extend(["; ", &violation.field, ": ", &violation.message]);
        }
        v1::Fault { r#type: kind, message, ..v1::Fault::default() }
    }
}

impl<E: std::error::Error + Send + Sync + 'static> From<E> for Error {
    fn from(error: E) -> Self {
        let mut stack = String::new();
        let mut source = error.source();
        while let Some(cause) = source {
            stack.extend(["caused by: ", &cause.to_string(), "\n"]);
            source = cause.source();
        }
        Self::with_stack(kind_of(&error), error.to_string(), stack)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message())
    }
}

/// The last part of the error type's path; for a call-back, what kind of failure it met.
fn kind_of<E: std::error::Error + 'static>(error: &E) -> &'static str {
    let any: &dyn Any = error;
    if let Some(error) = any.downcast_ref::<HostError>() {
        return error.kind().as_str();
    }
    if let Some(error) = any.downcast_ref::<CallbackError>() {
        return error.type_name();
    }
    let path = std::any::type_name::<E>();
    let path = path.split_once('<').map_or(path, |(outer, _)| outer);
    path.rsplit_once("::").map_or(path, |(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(result: v1::outcome::Result) -> v1::Fault {
        let v1::outcome::Result::Fault(fault) = result else { panic!("not a fault: {result:?}") };
        fault
    }

    fn rejection(result: v1::outcome::Result) -> v1::Reject {
        let v1::outcome::Result::Reject(reject) = result else { panic!("no refusal: {result:?}") };
        reject
    }

    #[test]
    fn a_standard_error_becomes_a_fault_with_its_type_and_causes() {
        let error = Error::from(CallbackError::decode(
            "a record",
            serde_json::from_str::<u8>("x").expect_err("not a number"),
        ));
        let fault = fault(error.into_function_result());
        assert_eq!(fault.r#type, "DecodeError");
        assert_eq!(fault.message, "a record is not what was expected");
        assert!(fault.stack.starts_with("caused by: expected value"), "{}", fault.stack);
        assert_eq!(kind_of(&"x".parse::<u8>().expect_err("not a number")), "ParseIntError");
    }

    #[test]
    fn invalid_is_a_refusal_before_and_a_failure_in_a_function() {
        let error = || Error::invalid("wrong").field("/name", "is empty");
        let reject = rejection(error().into_before_result());
        assert_eq!((reject.status, reject.violations.len()), (422, 1));
        let fault = fault(error().into_function_result());
        assert_eq!(fault.r#type, "ValidationError");
        assert_eq!(fault.message, "wrong; /name: is empty");
    }

    #[test]
    fn a_rejection_keeps_to_4xx_and_can_not_refuse_the_past() {
        assert_eq!(rejection(reject(503, "x", "no").into_function_result()).status, 400);
        assert_eq!(rejection(reject(409, "x", "no").into_before_result()).status, 409);
        assert_eq!(fault(reject(409, "x", "no").into_after_result()).r#type, "Rejected");
    }

    #[test]
    fn a_delay_survives_into_the_fault() {
        let error = Error::other("busy").retry_after(Duration::from_secs(3));
        assert_eq!(fault(error.into_after_result()).retry_after_ms, 3000);
    }
}
