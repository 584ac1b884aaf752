//! What every request passes: its id, the access log, other origins, panics as problems.

use std::any::Any;

use axum::extract::{MatchedPath, Request};
use axum::http::{HeaderName, HeaderValue};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use http::{Method, StatusCode, header};
use tokio::time::Instant;
use tower_http::catch_panic::CatchPanicLayer;
use uuid::Uuid;

use crate::app::ApiOptions;
use crate::cors;
use crate::problem::{HttpProblem, Kind, ProblemBody};
use crate::readable;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The longest request id that is taken over from a client.
const REQUEST_ID_MAX: usize = 128;

/// The routes with everything around them.
pub(crate) fn around(routes: Router, options: &ApiOptions) -> Router {
    let routes = routes.layer(CatchPanicLayer::custom(panicked));
    let routes = match cors::layer(&options.allow_origins) {
        Some(cors) => routes.layer(cors),
        None => routes,
    };
    let is_logged = options.access_log;
    routes.layer(middleware::from_fn(move |request, next| account(is_logged, request, next)))
}

/// Gives a request its id and writes it down.
async fn account(is_logged: bool, request: Request, next: Next) -> Response {
    let id = request
        .headers()
        .get(REQUEST_ID)
        .filter(|value| value.len() <= REQUEST_ID_MAX && value.to_str().is_ok())
        .cloned()
        .unwrap_or_else(fresh_id);
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let begun = Instant::now();
    let mut response = match readable::refusal(&request) {
        Some(refusal) => refusal,
        None => next.run(request).await,
    };
    if let Some(body) = response.extensions_mut().remove::<ProblemBody>() {
        response = with_id(response, body, &id);
    }
    let line = Line { id: &id, method, route: route.as_deref(), status: response.status(), begun };
    line.write(is_logged);
    let headers = response.headers_mut();
    headers.insert(REQUEST_ID, id);
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if route.is_some_and(|route| route.starts_with("/api/auth/")) {
        // Tokens are in there.
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    response
}

/// One line for a request. The route's pattern, not the path: ids, names of data and tokens don't
/// belong into the log.
struct Line<'a> {
    id: &'a HeaderValue,
    method: Method,
    route: Option<&'a str>,
    status: StatusCode,
    begun: Instant,
}

impl Line<'_> {
    /// At debug unless it was asked for, since it is what a busy server spends most on.
    fn write(&self, is_asked_for: bool) {
        macro_rules! line {
            ($level:ident) => {
                tracing::$level!(
                    target: "tinybase::access",
                    request_id = self.id.to_str().unwrap_or_default(),
                    method = %self.method,
                    route = self.route.unwrap_or("none"),
                    status = self.status.as_u16(),
                    duration_us =
                        u64::try_from(self.begun.elapsed().as_micros()).unwrap_or(u64::MAX),
                    "request"
                )
            };
        }
        if is_asked_for {
            line!(info);
        } else {
            line!(debug);
        }
    }
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
