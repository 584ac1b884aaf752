//! Reading bodies, queries and path segments, with problems that say what is wrong.

use axum::extract::rejection::{BytesRejection, FailedToBufferBody};
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::StatusCode;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::error::Category;
use tinybase_model::{ExtensionName, FieldViolation};

use crate::app::App;
use crate::problem::{HttpProblem, Kind};

/// A body that is JSON of a type; or an answer.
#[derive(Debug)]
pub(crate) struct Json<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<App> for Json<T> {
    type Rejection = HttpProblem;

    async fn from_request(request: Request, app: &App) -> Result<Self, HttpProblem> {
        let RawBody(bytes) = RawBody::from_request(request, app).await?;
        parse(&bytes).map(Self)
    }
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        axum::Json(self.0).into_response()
    }
}

/// Reads JSON of a type.
pub(crate) fn parse<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, HttpProblem> {
    serde_json::from_slice(bytes).map_err(|error| match error.classify() {
        Category::Data => {
            let message = error.to_string();
            HttpProblem::new(
                Kind::Unprocessable,
                format!("The body has the wrong shape: {message}"),
            )
            .with_errors(vec![FieldViolation { field: String::new(), message }])
        }
        Category::Syntax | Category::Eof | Category::Io => {
            HttpProblem::new(Kind::Malformed, format!("The body is not JSON: {error}"))
        }
    })
}

/// A body as it came, within the limit.
#[derive(Debug)]
pub(crate) struct RawBody(pub(crate) Bytes);

impl FromRequest<App> for RawBody {
    type Rejection = HttpProblem;

    async fn from_request(request: Request, app: &App) -> Result<Self, HttpProblem> {
        match Bytes::from_request(request, app).await {
            Ok(bytes) => Ok(Self(bytes)),
            Err(BytesRejection::FailedToBufferBody(FailedToBufferBody::LengthLimitError(_))) => {
                let limit = app.options.body_bytes_max;
                Err(HttpProblem::new(
                    Kind::TooLarge,
                    format!("The body has more than {limit} bytes"),
                ))
            }
            Err(rejection) => {
                Err(HttpProblem::new(Kind::Malformed, format!("The body broke off: {rejection}")))
            }
        }
    }
}

/// A query of a type.
#[derive(Debug)]
pub(crate) struct Params<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequestParts<App> for Params<T> {
    type Rejection = HttpProblem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, HttpProblem> {
        match Query::<T>::from_request_parts(parts, app).await {
            Ok(Query(value)) => Ok(Self(value)),
            Err(rejection) => Err(HttpProblem::new(Kind::Unprocessable, rejection.body_text())),
        }
    }
}

/// Segments of the path of a type.
#[derive(Debug)]
pub(crate) struct Segments<T>(pub(crate) T);

impl<T: DeserializeOwned + Send> FromRequestParts<App> for Segments<T> {
    type Rejection = HttpProblem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, HttpProblem> {
        match Path::<T>::from_request_parts(parts, app).await {
            Ok(Path(value)) => Ok(Self(value)),
            Err(rejection) => Err(HttpProblem::new(Kind::Unprocessable, rejection.body_text())),
        }
    }
}

/// An answer beside which before-hooks could not be asked and let it pass.
pub(crate) fn with_failed_open(
    status: StatusCode,
    body: impl Serialize,
    failed_open: &[ExtensionName],
) -> Response {
    let mut response = (status, axum::Json(body)).into_response();
    mark_failed_open(&mut response, failed_open);
    response
}

/// Names the extensions that failed open in the response's header.
pub(crate) fn mark_failed_open(response: &mut Response, failed_open: &[ExtensionName]) {
    if failed_open.is_empty() {
        return;
    }
    let names: Vec<_> = failed_open.iter().map(ExtensionName::as_str).collect();
    // A name is letters, digits and '-', which every header takes.
    if let Ok(value) = names.join(", ").parse() {
        response.headers_mut().insert("tinybase-failed-open", value);
    }
}
