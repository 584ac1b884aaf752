//! Requests that may be sent again: their key, and their answer in a form that can be kept.

use axum::extract::{FromRequest, Request};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};
use tinybase_core::{Claimed, KeyError, SentKey};
use tinybase_model::ExtensionName;

use crate::app::App;
use crate::body::{Object, RawBody, check_media_type, mark_failed_open, parse};
use crate::etag::tagged;
use crate::problem::{HttpProblem, Kind};

const KEY: HeaderName = HeaderName::from_static("idempotency-key");
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// A body as it came, of a request that may have a key.
#[derive(Debug)]
pub(crate) struct RepeatableBody {
    pub(crate) body: Bytes,
    pub(crate) key: Option<SentKey>,
}

impl FromRequest<App> for RepeatableBody {
    type Rejection = HttpProblem;

    async fn from_request(request: Request, app: &App) -> Result<Self, HttpProblem> {
        let (parts, body) = request.into_parts();
        let mut values = parts.headers.get_all(KEY).iter();
        let text = values.next().map(|value| value.to_str().unwrap_or_default().to_owned());
        if values.next().is_some() {
            let detail = "there is more than one idempotency-key";
            return Err(HttpProblem::new(Kind::Malformed, detail));
        }
        let Some(text) = text else {
            let RawBody(body) =
                RawBody::from_request(Request::from_parts(parts, body), app).await?;
            return Ok(Self { body, key: None });
        };
        // What has to be the same beside the body.
        let (method, uri) = (parts.method.clone(), parts.uri.clone());
        let preference = parts.headers.get_all("prefer").iter();
        let preference = preference.map(HeaderValue::as_bytes).collect::<Vec<_>>().join(&b","[..]);
        let RawBody(body) = RawBody::from_request(Request::from_parts(parts, body), app).await?;
        let path = uri.path_and_query().map_or("", |path| path.as_str());
        let request = [method.as_str().as_bytes(), path.as_bytes(), &preference, &body];
        let key = SentKey::read(&text, &request)?;
        Ok(Self { body, key: Some(key) })
    }
}

/// A JSON body of a type, of a request that may have a key.
#[derive(Debug)]
pub(crate) struct Repeatable<T> {
    pub(crate) body: T,
    pub(crate) key: Option<SentKey>,
}

impl<T: DeserializeOwned> FromRequest<App> for Repeatable<T> {
    type Rejection = HttpProblem;

    async fn from_request(request: Request, app: &App) -> Result<Self, HttpProblem> {
        check_media_type(request.headers())?;
        let RepeatableBody { body, key } = RepeatableBody::from_request(request, app).await?;
        let Object(body) = parse(&body)?;
        Ok(Self { body, key })
    }
}

/// An answer in a form that can be kept.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Answer {
    status: u16,
    /// The record's version, if it is about one.
    version: Option<i64>,
    failed_open: Vec<ExtensionName>,
    body: Box<RawValue>,
}

impl Answer {
    /// An answer with a body.
    pub(crate) fn new(
        status: StatusCode,
        version: Option<i64>,
        failed_open: &[ExtensionName],
        body: &impl Serialize,
    ) -> Self {
        let body = to_raw_value(body).unwrap_or_else(|_| unreachable!("answers are JSON"));
        Self { status: status.as_u16(), version, failed_open: failed_open.to_vec(), body }
    }

    /// As it is kept.
    pub(crate) fn text(&self) -> String {
        serde_json::to_string(self).unwrap_or_else(|_| unreachable!("answers are JSON"))
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::OK);
        let json = [(header::CONTENT_TYPE, "application/json")];
        let mut response = (status, json, self.body.get().to_owned()).into_response();
        mark_failed_open(&mut response, &self.failed_open);
        match self.version {
            Some(version) => tagged(response, version),
            None => response,
        }
    }
}

/// The answer to a request that was served before.
pub(crate) fn replayed(claimed: Claimed) -> Result<Response, HttpProblem> {
    // Those that make calls of functions have another path, which is a part of what a key is for.
    let Claimed::Answered(text) = claimed else { return Err(KeyError::Reused.into()) };
    let answer: Answer =
        serde_json::from_str(&text).map_err(|error| HttpProblem::internal(&error))?;
    Ok(mark_replayed(answer.into_response()))
}

/// Says of an answer that it was given before.
pub(crate) fn mark_replayed(mut response: Response) -> Response {
    response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    response
}
