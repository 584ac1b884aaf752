//! Errors as RFC 9457 problems. HTTP meets errors here and nowhere else; `docs/problems.md` is the
//! table for clients.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tinybase_core::Problem;
use tinybase_model::FieldViolation;
use utoipa::ToSchema;

/// Which problem it is; the last part of its `type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Malformed,
    Unprocessable,
    Invalid,
    Unauthenticated,
    Forbidden,
    NotFound,
    MethodNotAllowed,
    Conflict,
    PreconditionFailed,
    NoSuchRange,
    TooLarge,
    AddressTooLong,
    HeaderTooLarge,
    TooSlow,
    RateLimited,
    UnsupportedMediaType,
    Gone,
    TooManyRequests,
    KeyInUse,
    KeyReused,
    /// A before-hook refused, with its own status.
    Rejected(StatusCode),
    ConflictOfHooks,
    Overloaded,
    HookUnavailable,
    Unavailable,
    Internal,
}

impl Kind {
    const fn parts(self) -> (&'static str, &'static str, StatusCode) {
        match self {
            Self::Malformed => ("malformed", "Malformed request", StatusCode::BAD_REQUEST),
            Self::Unprocessable => {
                ("unprocessable", "Wrong shape", StatusCode::UNPROCESSABLE_ENTITY)
            }
            Self::Invalid => ("invalid", "Invalid data", StatusCode::BAD_REQUEST),
            Self::Unauthenticated => ("unauthenticated", "Not logged in", StatusCode::UNAUTHORIZED),
            Self::Forbidden => ("forbidden", "Not allowed", StatusCode::FORBIDDEN),
            Self::NotFound => ("not-found", "Not found", StatusCode::NOT_FOUND),
            Self::MethodNotAllowed => {
                ("method-not-allowed", "Method not allowed", StatusCode::METHOD_NOT_ALLOWED)
            }
            Self::Conflict => ("conflict", "Conflict", StatusCode::CONFLICT),
            Self::PreconditionFailed => {
                ("precondition-failed", "It has changed", StatusCode::PRECONDITION_FAILED)
            }
            Self::NoSuchRange => {
                ("no-such-range", "No such part", StatusCode::RANGE_NOT_SATISFIABLE)
            }
            Self::UnsupportedMediaType => (
                "unsupported-media-type",
                "Unsupported media type",
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
            ),
            Self::TooLarge => ("too-large", "Too large", StatusCode::PAYLOAD_TOO_LARGE),
            Self::AddressTooLong => ("address-too-long", "Too long", StatusCode::URI_TOO_LONG),
            Self::HeaderTooLarge => {
                ("header-too-large", "Too large", StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE)
            }
            Self::TooSlow => ("too-slow", "Too slow", StatusCode::REQUEST_TIMEOUT),
            Self::Gone => ("gone", "No longer there", StatusCode::GONE),
            Self::TooManyRequests => {
                ("too-many-requests", "Too many at a time", StatusCode::TOO_MANY_REQUESTS)
            }
            Self::KeyInUse => ("key-in-use", "Still being served", StatusCode::CONFLICT),
            Self::KeyReused => {
                ("key-reused", "Another request's key", StatusCode::UNPROCESSABLE_ENTITY)
            }
            Self::RateLimited => {
                ("rate-limited", "Too many requests", StatusCode::TOO_MANY_REQUESTS)
            }
            Self::Rejected(status) => ("rejected", "Rejected by an extension", status),
            Self::ConflictOfHooks => {
                ("conflict-of-hooks", "Extensions disagree", StatusCode::INTERNAL_SERVER_ERROR)
            }
            Self::Overloaded => ("overloaded", "Overloaded", StatusCode::SERVICE_UNAVAILABLE),
            Self::HookUnavailable => {
                ("hook-unavailable", "A hook can't be asked", StatusCode::SERVICE_UNAVAILABLE)
            }
            Self::Unavailable => ("unavailable", "Unavailable", StatusCode::SERVICE_UNAVAILABLE),
            Self::Internal => ("internal", "Internal error", StatusCode::INTERNAL_SERVER_ERROR),
        }
    }
}

/// An answer that isn't a success.
#[derive(Debug)]
pub(crate) struct HttpProblem {
    kind: Kind,
    detail: String,
    errors: Vec<FieldViolation>,
    code: Option<String>,
    extension: Option<String>,
}

/// The body of a problem; the request's id is put in on its way out.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Problem)]
pub(crate) struct ProblemBody {
    /// Which problem it is; stable.
    #[schema(format = "uri")]
    r#type: String,
    /// The same for all problems of a type.
    title: &'static str,
    /// The HTTP status again.
    status: u16,
    /// A sentence about this case, for people.
    detail: String,
    /// What to look for in the server's log; also the header `x-request-id`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) request_id: Option<String>,
    /// The extension's own word.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<String>,
    /// The extension that decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    extension: Option<String>,
    /// What is wrong with which field.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    errors: Vec<FieldViolation>,
}

impl HttpProblem {
    /// A problem with a sentence about this case.
    pub(crate) fn new(kind: Kind, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into(), errors: Vec::new(), code: None, extension: None }
    }

    /// With what is wrong with which field.
    pub(crate) fn with_errors(self, errors: Vec<FieldViolation>) -> Self {
        Self { errors, ..self }
    }

    /// As a part of something: what is wrong is within this place.
    pub(crate) fn within(mut self, place: &str) -> Self {
        for error in &mut self.errors {
            error.field.insert_str(0, place);
        }
        if self.errors.is_empty() {
            let message = self.detail.clone();
            self.errors.push(FieldViolation { field: place.to_owned(), message });
        }
        self
    }

    /// Our own fault. The cause goes into the log, not to the client.
    pub(crate) fn internal(cause: &(dyn std::error::Error + 'static)) -> Self {
        tracing::error!(error = %chain(cause), "a request failed");
        Self::new(Kind::Internal, "something went wrong in the server; its log has the cause")
    }

    /// Puts headers and body together.
    fn response(self) -> Response {
        let (word, title, status) = self.kind.parts();
        let body = ProblemBody {
            r#type: format!("https://tinybase.dev/problems/{word}"),
            title,
            status: status.as_u16(),
            detail: self.detail,
            request_id: None,
            code: self.code,
            extension: self.extension,
            errors: self.errors,
        };
        let mut response = (status, Json(&body)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        match self.kind {
            Kind::Unauthenticated => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            Kind::Overloaded
            | Kind::HookUnavailable
            | Kind::Unavailable
            | Kind::KeyInUse
            | Kind::TooManyRequests => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            }
            Kind::TooSlow => {
                headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            Kind::Malformed
            | Kind::Unprocessable
            | Kind::Invalid
            | Kind::Forbidden
            | Kind::NotFound
            | Kind::MethodNotAllowed
            | Kind::Conflict
            | Kind::PreconditionFailed
            | Kind::NoSuchRange
            | Kind::TooLarge
            | Kind::AddressTooLong
            | Kind::HeaderTooLarge
            | Kind::RateLimited
            | Kind::UnsupportedMediaType
            | Kind::Gone
            | Kind::KeyReused
            | Kind::Rejected(_)
            | Kind::ConflictOfHooks
            | Kind::Internal => {}
        }
        // The request's id is known to a layer further out, which writes the body again.
        response.extensions_mut().insert(body);
        response
    }
}

impl IntoResponse for HttpProblem {
    fn into_response(self) -> Response {
        self.response()
    }
}

impl<E: Problem> From<E> for HttpProblem {
    fn from(error: E) -> Self {
        let kind = match error.kind() {
            tinybase_core::Kind::NotFound => Kind::NotFound,
            tinybase_core::Kind::Invalid => Kind::Invalid,
            tinybase_core::Kind::Unprocessable => Kind::Unprocessable,
            tinybase_core::Kind::Unauthenticated => Kind::Unauthenticated,
            tinybase_core::Kind::Forbidden => Kind::Forbidden,
            tinybase_core::Kind::Conflict => Kind::Conflict,
            tinybase_core::Kind::PreconditionFailed => Kind::PreconditionFailed,
            tinybase_core::Kind::TooLarge => Kind::TooLarge,
            tinybase_core::Kind::Gone => Kind::Gone,
            tinybase_core::Kind::TooManyRequests => Kind::TooManyRequests,
            tinybase_core::Kind::KeyInUse => Kind::KeyInUse,
            tinybase_core::Kind::KeyReused => Kind::KeyReused,
            tinybase_core::Kind::Overloaded => Kind::Overloaded,
            tinybase_core::Kind::Unavailable if error.extension().is_some() => {
                Kind::HookUnavailable
            }
            tinybase_core::Kind::Unavailable if error.is_explained() => Kind::Unavailable,
            tinybase_core::Kind::Unavailable => {
                tracing::error!(error = %chain(&error), "a request could not be served");
                return Self::new(Kind::Unavailable, "the server can't do this now; try again");
            }
            tinybase_core::Kind::Rejected(status) => {
                Kind::Rejected(StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST))
            }
            tinybase_core::Kind::Internal if error.extension().is_some() => Kind::ConflictOfHooks,
            tinybase_core::Kind::Internal => return Self::internal(&error),
        };
        Self {
            kind,
            detail: error.to_string(),
            errors: error.violations().to_vec(),
            code: error.code().map(str::to_owned),
            extension: error.extension().map(ToString::to_string),
        }
    }
}

/// An error with its causes, as one line for the log.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
