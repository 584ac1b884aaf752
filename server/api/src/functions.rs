//! Functions of extensions, and the record of their calls.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tinybase_core::{
    CallOutcome, CallPage, CallQuery, CallRecord, CallStatus, Core, FunctionInfo, FunctionMetrics,
    FunctionSchema, Trigger,
};
use tinybase_model::{CallId, JsonBytes};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::body::{Json, Params, RawBody, Segments, parse, with_failed_open};
use crate::caller::Caller;
use crate::openapi::{Forbidden, NotFound, Rejected};
use crate::problem::{HttpProblem, Kind};

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .routes(routes!(list))
        .routes(routes!(call))
        .routes(routes!(schema))
        .routes(routes!(calls))
        .routes(routes!(recorded_call))
        .routes(routes!(metrics))
}

/// The functions that whoever asks may call.
#[utoipa::path(
    get, path = "/api/functions", operation_id = "list_functions", tag = "functions",
    security((), ("bearer" = [])),
    responses((status = 200, description = "The functions by name", body = Vec<FunctionInfo>))
)]
async fn list(State(core): State<Core>, caller: Caller) -> Json<Vec<FunctionInfo>> {
    Json(core.functions().list(&caller.identity))
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
#[utoipa::path(
    post, path = "/api/functions/{name}", operation_id = "call_function", tag = "functions",
    security((), ("bearer" = [])), params(("name" = String, Path, description = "The function's name")),
    request_body(content = Option<Object>, description = "The input; nothing is `{}`"),
    responses(
        (status = 200, description = "How the call ended", body = CallOutcome),
        Forbidden, NotFound, Rejected,
    )
)]
async fn call(
    State(core): State<Core>,
    caller: Caller,
    Segments(name): Segments<String>,
    RawBody(body): RawBody,
) -> Result<Response, HttpProblem> {
    let input = if body.is_empty() {
        JsonBytes::empty_object()
    } else {
        // Only looked at: the extension gets the bytes as they came.
        parse::<BTreeMap<String, &RawValue>>(&body)?;
        JsonBytes::checked(body).map_err(|error| HttpProblem::internal(&error))?
    };
    let outcome = core.functions().call(&caller.cause(), &name, input).await?;
    let failed_open = outcome.failed_open.clone();
    Ok(with_failed_open(StatusCode::OK, outcome, &failed_open))
}

#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct CallsQuery {
    /// Only calls of this function.
    function_name: Option<String>,
    /// Only calls that stand so.
    #[param(value_type = Option<CallStatus>)]
    status: Option<String>,
    /// Only calls caused so.
    #[param(value_type = Option<Trigger>)]
    trigger_type: Option<String>,
    /// At most so many; 100 unless given.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
    /// After so many.
    offset: Option<u32>,
}

impl CallsQuery {
    fn query(self) -> Result<CallQuery, HttpProblem> {
        let default = CallQuery::default();
        let limit = self.limit.unwrap_or(default.limit);
        if !(1..=1_000).contains(&limit) {
            let detail = format!("limit has to be 1 to 1000, not {limit}");
            return Err(HttpProblem::new(Kind::Unprocessable, detail));
        }
        Ok(CallQuery {
            function_name: self.function_name,
            status: word("status", self.status, &CallStatus::ALL, CallStatus::as_str)?,
            trigger_type: word("trigger_type", self.trigger_type, &Trigger::ALL, Trigger::as_str)?,
            limit,
            offset: self.offset.unwrap_or(default.offset),
        })
    }
}

/// One of a few words.
fn word<T: Copy>(
    parameter: &str,
    text: Option<String>,
    all: &[T],
    as_str: fn(T) -> &'static str,
) -> Result<Option<T>, HttpProblem> {
    let Some(text) = text else { return Ok(None) };
    let found = all.iter().copied().find(|value| as_str(*value) == text);
    found.map(Some).ok_or_else(|| {
        let words: Vec<_> = all.iter().map(|value| as_str(*value)).collect();
        let detail = format!("{parameter} has to be one of {}, not {text:?}", words.join(", "));
        HttpProblem::new(Kind::Unprocessable, detail)
    })
}

/// Recorded calls, the newest first; administrators only.
#[utoipa::path(
    get, path = "/api/admin/functions/calls", operation_id = "list_function_calls", tag = "functions",
    security(("bearer" = [])), params(CallsQuery),
    responses((status = 200, description = "A page of calls", body = CallPage), Forbidden)
)]
async fn calls(
    State(core): State<Core>,
    caller: Caller,
    Params(query): Params<CallsQuery>,
) -> Result<Json<CallPage>, HttpProblem> {
    Ok(Json(core.functions().calls(&caller.identity, &query.query()?).await?))
}

/// One recorded call; administrators only.
#[utoipa::path(
    get, path = "/api/admin/functions/calls/{id}", operation_id = "get_function_call", tag = "functions",
    security(("bearer" = [])), params(("id" = CallId, Path, description = "The call's id")),
    responses((status = 200, description = "The call", body = CallRecord), Forbidden, NotFound)
)]
async fn recorded_call(
    State(core): State<Core>,
    caller: Caller,
    Segments(id): Segments<CallId>,
) -> Result<Json<CallRecord>, HttpProblem> {
    Ok(Json(core.functions().recorded_call(&caller.identity, id).await?))
}

#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Period {
    /// Calls of so many hours until now; 24 unless given.
    #[param(minimum = 1, maximum = 720)]
    hours: Option<u32>,
}

/// Calls by function within a period.
#[derive(Serialize, ToSchema)]
#[schema(as = FunctionMetricsAnswer)]
struct Metrics {
    period_hours: u32,
    functions: BTreeMap<String, FunctionMetrics>,
}

/// Calls of the last hours by function; administrators only.
#[utoipa::path(
    get, path = "/api/admin/functions/metrics", operation_id = "get_function_metrics", tag = "functions",
    security(("bearer" = [])), params(Period),
    responses((status = 200, description = "Calls by function", body = Metrics), Forbidden)
)]
async fn metrics(
    State(core): State<Core>,
    caller: Caller,
    Params(period): Params<Period>,
) -> Result<Json<Metrics>, HttpProblem> {
    let period_hours = period.hours.unwrap_or(24);
    if !(1..=720).contains(&period_hours) {
        let detail = format!("hours has to be 1 to 720, not {period_hours}");
        return Err(HttpProblem::new(Kind::Unprocessable, detail));
    }
    let functions = core.functions().metrics(&caller.identity, period_hours).await?;
    Ok(Json(Metrics { period_hours, functions }))
}
