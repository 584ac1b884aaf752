//! Functions of extensions: which there are, what they take, and calling them.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use serde::Deserialize;
use serde_json::value::RawValue;
use tinybase_core::{
    AcceptedCall, CallOutcome, Claimed, Core, FunctionDetails, FunctionInfo, FunctionQuery,
    FunctionSchema, OpenedCall, Repeated,
};
use tinybase_model::JsonBytes;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::body::{Json, Params, Segments, parse, with_failed_open};
use crate::caller::Caller;
use crate::idempotency::{RepeatableBody, mark_replayed, replayed};
use crate::openapi::{Conflict, Forbidden, NotFound, Rejected};
use crate::problem::{HttpProblem, Kind};
use crate::streaming::{Form, form, streamed};

const PREFER: HeaderName = HeaderName::from_static("prefer");
const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");
/// What a client prefers that doesn't want to wait.
const RESPOND_ASYNC: &str = "respond-async";

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .routes(routes!(list))
        .routes(routes!(call))
        .routes(routes!(schema))
        .routes(routes!(admin_list))
}

#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ListQuery {
    /// Only functions with this tag.
    tag: Option<String>,
    /// Only functions of this extension.
    extension: Option<String>,
    /// What to tell beside: `schemas`.
    #[param(pattern = "^(schemas)?$")]
    include: Option<String>,
}

impl ListQuery {
    fn query(self) -> Result<FunctionQuery, HttpProblem> {
        let with_schemas = match self.include.as_deref() {
            None | Some("") => false,
            Some("schemas") => true,
            Some(other) => {
                let detail = format!("include has to be schemas, not {other:?}");
                return Err(HttpProblem::new(Kind::Unprocessable, detail));
            }
        };
        Ok(FunctionQuery { tag: self.tag, extension: self.extension, with_schemas })
    }
}

/// The functions that whoever asks may call.
#[utoipa::path(
    get, path = "/api/functions", operation_id = "list_functions", tag = "functions",
    security((), ("bearer" = [])), params(ListQuery),
    responses((status = 200, description = "The functions by name", body = Vec<FunctionInfo>))
)]
async fn list(
    State(core): State<Core>,
    caller: Caller,
    Params(query): Params<ListQuery>,
) -> Result<Json<Vec<FunctionInfo>>, HttpProblem> {
    Ok(Json(core.functions().list(&caller.identity, &query.query()?)))
}

/// All functions with what administrators want to know.
#[utoipa::path(
    get, path = "/api/functions/admin/list", operation_id = "list_functions_as_admin",
    tag = "functions", security(("bearer" = [])),
    responses((status = 200, description = "The functions by name", body = Vec<FunctionDetails>), Forbidden)
)]
async fn admin_list(
    State(core): State<Core>,
    caller: Caller,
) -> Result<Json<Vec<FunctionDetails>>, HttpProblem> {
    Ok(Json(core.functions().details(&caller.identity)?))
}

/// What a function takes and gives, for those who may call it.
#[utoipa::path(
    get, path = "/api/functions/{name}/schema", operation_id = "get_function_schema", tag = "functions",
    security((), ("bearer" = [])), params(("name" = String, Path, description = "The function's name")),
    responses((status = 200, description = "Its schemas", body = FunctionSchema), Forbidden, NotFound)
)]
async fn schema(
    State(core): State<Core>,
    caller: Caller,
    Segments(name): Segments<String>,
) -> Result<Json<FunctionSchema>, HttpProblem> {
    Ok(Json(core.functions().schema(&caller.identity, &name)?))
}

/// Calls a function. A function that failed is an answer with `status` "failed", not a problem.
/// With `prefer: respond-async`, a user gets an answer at once, and the call runs by itself.
///
/// A function that streams answers with a chunk of its result in each line, or in each event, and in
/// the last one (the event `outcome`) with how the call ended; with `accept: application/json` it
/// answers as any other, and its result is an array of the chunks.
#[utoipa::path(
    post, path = "/api/functions/{name}", operation_id = "call_function", tag = "functions",
    security((), ("bearer" = [])), params(
        ("name" = String, Path, description = "The function's name"),
        ("prefer" = Option<String>, Header, description = "`respond-async` not to wait for the end"),
        ("accept" = Option<String>, Header, description = "The form of a result that is streamed"),
        ("idempotency-key" = Option<String>, Header, description = "A key of your own: the same request with it is done once"),
    ),
    request_body(content = Option<Object>, description = "The input; nothing is `{}`"),
    responses(
        (
            status = 200, description = "How the call ended", content(
                (CallOutcome = "application/json"),
                (String = "application/x-ndjson"),
                (String = "text/event-stream"),
            ),
            headers(("idempotent-replayed" = String, description = "`true` if this was answered before")),
        ),
        (
            status = 202, description = "It was accepted and runs by itself", body = CallOutcome,
            headers(
                ("location" = String, description = "Where to ask how it stands"),
                ("preference-applied" = String, description = "`respond-async`"),
            ),
        ),
        Forbidden, NotFound, Conflict, Rejected,
    )
)]
async fn call(
    State(core): State<Core>,
    caller: Caller,
    Segments(name): Segments<String>,
    headers: HeaderMap,
    RepeatableBody { body, key }: RepeatableBody,
) -> Result<Response, HttpProblem> {
    let input = if body.is_empty() {
        JsonBytes::empty_object()
    } else {
        // Only looked at: the extension gets the bytes as they came.
        parse::<BTreeMap<String, &RawValue>>(&body)?;
        JsonBytes::checked(body).map_err(|error| HttpProblem::internal(&error))?
    };
    // Nobody could ask for the result of a call by nobody, nor of one by a program, so there the
    // preference isn't applied.
    let may_ask = caller.identity.user_id().is_some() || caller.identity.is_admin();
    let claim = match key {
        None => None,
        Some(key) => match core.claim(&caller.identity, key).await? {
            Claimed::New(claim) => Some(claim),
            Claimed::Called(call) => return repeated(core.functions().repeated(call).await?),
            done @ Claimed::Answered(_) => return replayed(done),
        },
    };
    let (functions, cause) = (core.functions(), caller.cause());
    if prefers_async(&headers) && may_ask {
        return accepted(functions.accept(&cause, &name, input, claim.as_ref()).await?);
    }
    Ok(ended(match (claim, form(&headers)) {
        // What is to be told again is told whole.
        (Some(claim), _) => functions.call_once(&cause, &name, input, claim).await?,
        (None, Form::Whole) => functions.call(&cause, &name, input).await?,
        (None, form @ (Form::Lines | Form::Events)) => {
            match functions.open(&cause, &name, input).await? {
                OpenedCall::Ended(outcome) => outcome,
                OpenedCall::Streaming(call) => return Ok(streamed(call, form)),
            }
        }
    }))
}

fn ended(outcome: CallOutcome) -> Response {
    let failed_open = outcome.failed_open.clone();
    with_failed_open(StatusCode::OK, outcome, &failed_open)
}

/// How a call went, told again.
fn repeated(call: Repeated) -> Result<Response, HttpProblem> {
    Ok(mark_replayed(match call {
        Repeated::Accepted(call) => accepted(call)?,
        Repeated::Ended(outcome) => ended(outcome),
    }))
}

/// Whether one of the preferences (RFC 7240) is not to wait.
fn prefers_async(headers: &HeaderMap) -> bool {
    headers
        .get_all(PREFER)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|preference| preference.split(';').next())
        .any(|preference| preference.trim().eq_ignore_ascii_case(RESPOND_ASYNC))
}

fn accepted(call: AcceptedCall) -> Result<Response, HttpProblem> {
    let AcceptedCall { outcome } = call;
    let location = HeaderValue::try_from(format!("/api/functions/calls/{}", outcome.call_id))
        .map_err(|error| HttpProblem::internal(&error))?;
    let failed_open = outcome.failed_open.clone();
    let mut response = with_failed_open(StatusCode::ACCEPTED, outcome, &failed_open);
    let headers = response.headers_mut();
    headers.insert(header::LOCATION, location);
    headers.insert(PREFERENCE_APPLIED, HeaderValue::from_static(RESPOND_ASYNC));
    Ok(response.into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_preference_is_found_among_others() {
        let prefer = |values: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(PREFER, HeaderValue::from_static(value));
            }
            prefers_async(&headers)
        };
        assert!(prefer(&["respond-async"]));
        assert!(prefer(&["wait=10, Respond-Async"]));
        assert!(prefer(&["handling=lenient", "respond-async; x=1"]));
        assert!(!prefer(&[]) && !prefer(&["wait=10"]) && !prefer(&["respond-async-not"]));
    }
}
