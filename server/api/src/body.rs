//! Reading bodies, queries and path segments, with problems that say what is wrong.

use std::fmt;
use std::marker::PhantomData;

use axum::extract::rejection::{BytesRejection, FailedToBufferBody};
use axum::extract::{FromRequest, FromRequestParts, Path, Query, RawPathParams, Request};
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeOwned, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::error::Category;
use tinybase_model::{ExtensionName, FieldViolation, JsonFaultAt, check_json};

use crate::app::App;
use crate::patience::TooSlow;
use crate::problem::{HttpProblem, Kind};

/// A body that is JSON of a type; or an answer.
#[derive(Debug)]
pub(crate) struct Json<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<App> for Json<T> {
    type Rejection = HttpProblem;

    async fn from_request(request: Request, app: &App) -> Result<Self, HttpProblem> {
        check_media_type(request.headers())?;
        let RawBody(bytes) = RawBody::from_request(request, app).await?;
        parse::<Object<T>>(&bytes).map(|Object(value)| Self(value))
    }
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        axum::Json(self.0).into_response()
    }
}

/// What is written as an object. Derived types would also take a list of their fields' values.
#[derive(Debug)]
pub(crate) struct Object<T>(pub(crate) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor(PhantomData)).map(Self)
    }
}

struct ObjectVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
    type Value = T;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map))
    }
}

/// Lets through what says that it is JSON, and what says nothing.
pub(crate) fn check_media_type(headers: &HeaderMap) -> Result<(), HttpProblem> {
    let Some(value) = headers.get(header::CONTENT_TYPE) else { return Ok(()) };
    let text = value.to_str().unwrap_or_default();
    let media_type = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let is_json = media_type == "application/json"
        || media_type
            .strip_prefix("application/")
            .is_some_and(|subtype| subtype.ends_with("+json"));
    if is_json {
        return Ok(());
    }
    let detail = format!("The body has to be application/json, not {text:?}");
    Err(HttpProblem::new(Kind::UnsupportedMediaType, detail))
}

/// The longest place that an answer names.
const POINTER_MAX: usize = 500;

/// What is wrong with JSON that doesn't survive being read and stored.
fn unkept(found: JsonFaultAt) -> HttpProblem {
    let JsonFaultAt { fault, mut pointer, offset } = found;
    pointer.truncate(pointer.floor_char_boundary(POINTER_MAX));
    if fault.is_malformed() {
        let detail = format!("The body {fault}, at byte {offset}");
        let errors = vec![FieldViolation { field: pointer, message: fault.to_string() }];
        return HttpProblem::new(Kind::Malformed, detail).with_errors(errors);
    }
    let detail = format!("The body can't be kept as it is: {pointer} {fault}");
    let errors = vec![FieldViolation { field: pointer, message: fault.to_string() }];
    HttpProblem::new(Kind::Unprocessable, detail).with_errors(errors)
}

/// Reads JSON of a type, strictly: what the library would take and change is refused.
pub(crate) fn parse<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, HttpProblem> {
    check_json(bytes).map_err(unkept)?;
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
        if let Some(encoding) = encoding(request.headers()) {
            let detail =
                format!("Bodies are taken as they are, without content-encoding {encoding:?}");
            return Err(HttpProblem::new(Kind::UnsupportedMediaType, detail));
        }
        match Bytes::from_request(request, app).await {
            Ok(bytes) => Ok(Self(bytes)),
            Err(BytesRejection::FailedToBufferBody(FailedToBufferBody::LengthLimitError(_))) => {
                let limit = app.options.body_bytes_max;
                Err(HttpProblem::new(
                    Kind::TooLarge,
                    format!("The body has more than {limit} bytes"),
                ))
            }
            Err(rejection) if TooSlow::is_behind(&rejection) => {
                Err(HttpProblem::new(Kind::TooSlow, "The body came too slowly"))
            }
            Err(rejection) => {
                Err(HttpProblem::new(Kind::Malformed, format!("The body broke off: {rejection}")))
            }
        }
    }
}

/// How the body is encoded, if it is. Nothing is inflated: a small body could become a huge one.
fn encoding(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::CONTENT_ENCODING)?;
    let text = value.to_str().unwrap_or("?").trim();
    (!text.eq_ignore_ascii_case("identity")).then_some(text)
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
        // What decodes to a path or to control characters names nothing, whatever the type.
        let raw = RawPathParams::from_request_parts(parts, app).await.map_err(|rejection| {
            HttpProblem::new(Kind::NotFound, format!("There is nothing here: {rejection}"))
        })?;
        if raw.iter().any(|(_, segment)| !is_name(segment)) {
            return Err(HttpProblem::new(Kind::NotFound, "There is nothing at this path"));
        }
        match Path::<T>::from_request_parts(parts, app).await {
            Ok(Path(value)) => Ok(Self(value)),
            Err(rejection) => Err(HttpProblem::new(Kind::Unprocessable, rejection.body_text())),
        }
    }
}

/// Whether a decoded segment can be the name of anything.
fn is_name(segment: &str) -> bool {
    !matches!(segment, "" | "." | "..")
        && !segment.contains(|c: char| matches!(c, '/' | '\\') || c.is_control())
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
