//! What every request passes: its id, the access log, panics as problems.

use std::any::Any;

use axum::extract::{MatchedPath, Request};
use axum::http::{HeaderName, HeaderValue};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use http::header;
use tokio::time::Instant;
use tower_http::catch_panic::CatchPanicLayer;
use uuid::Uuid;

use crate::problem::{HttpProblem, Kind, ProblemBody};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The longest request id that is taken over from a client.
const REQUEST_ID_MAX: usize = 128;

/// The routes with everything around them.
pub(crate) fn around(routes: Router) -> Router {
    routes.layer(CatchPanicLayer::custom(panicked)).layer(middleware::from_fn(account))
}

/// Gives a request its id and writes it down.
async fn account(request: Request, next: Next) -> Response {
    let id = request
        .headers()
        .get(REQUEST_ID)
        .filter(|value| value.len() <= REQUEST_ID_MAX && value.to_str().is_ok())
        .cloned()
        .unwrap_or_else(fresh_id);
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let begun = Instant::now();
    let mut response = next.run(request).await;
    if let Some(body) = response.extensions_mut().remove::<ProblemBody>() {
        response = with_id(response, body, &id);
    }
    // At debug, since a line for each request is what a busy server spends most on.
    tracing::debug!(
        target: "tinybase::access",
        request_id = id.to_str().unwrap_or_default(),
        %method,
        // The pattern, not the path: ids and names of data don't belong into the log.
        route = route.as_deref().unwrap_or("none"),
        status = response.status().as_u16(),
        duration_us = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX),
        "request"
    );
    response.headers_mut().insert(REQUEST_ID, id);
    response
}

fn fresh_id() -> HeaderValue {
    HeaderValue::try_from(Uuid::now_v7().to_string())
        .unwrap_or_else(|_| unreachable!("a UUID is a header value"))
}

/// Writes a problem's body again, now with the request's id.
fn with_id(response: Response, mut body: ProblemBody, id: &HeaderValue) -> Response {
    body.request_id = id.to_str().ok().map(str::to_owned);
    let (mut parts, _) = response.into_parts();
    parts.headers.remove(header::CONTENT_LENGTH);
    let (_, body) = Json(body).into_response().into_parts();
    Response::from_parts(parts, body)
}

#[expect(clippy::needless_pass_by_value, reason = "tower-http gives the payload so")]
fn panicked(payload: Box<dyn Any + Send + 'static>) -> Response {
    let words = payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no words");
    tracing::error!(panic = words, "a request's handler panicked");
    HttpProblem::new(Kind::Internal, "something went wrong in the server; its log has the cause")
        .into_response()
}
