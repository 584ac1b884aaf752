//! Recorded calls: those that nobody waits for, with their results, and all of them for
//! administrators.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde::{Deserialize, Serialize};
use tinybase_core::{
    CallOutcome, CallPage, CallQuery, CallRecord, CallResult, CallStatus, Core, FunctionMetrics,
    Trigger,
};
use tinybase_model::{CallId, ExtensionName, ScheduleId};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::body::{Json, Params, Segments};
use crate::caller::Caller;
use crate::openapi::{Conflict, Forbidden, Gone, NotFound};
use crate::problem::{HttpProblem, Kind};

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .routes(routes!(own_call, cancel_by_deleting))
        .routes(routes!(result))
        .routes(routes!(cancel))
        .routes(routes!(calls))
        .routes(routes!(recorded_call))
        .routes(routes!(metrics))
}

/// How a call stands, for whoever made it and for administrators.
#[utoipa::path(
    get, path = "/api/functions/calls/{id}", operation_id = "get_own_function_call",
    tag = "functions", security(("bearer" = [])),
    params(("id" = CallId, Path, description = "The call's id")),
    responses((status = 200, description = "The call", body = CallRecord), NotFound)
)]
async fn own_call(
    State(core): State<Core>,
    caller: Caller,
    Segments(id): Segments<CallId>,
) -> Result<Json<CallRecord>, HttpProblem> {
    Ok(Json(core.functions().own_call(&caller.identity, id).await?))
}

/// The result of an asynchronous call, in the shape that a synchronous one would have had.
#[utoipa::path(
    get, path = "/api/functions/calls/{id}/result", operation_id = "get_function_call_result",
    tag = "functions", security(("bearer" = [])),
    params(("id" = CallId, Path, description = "The call's id")),
    responses(
        (status = 200, description = "How the call ended", body = CallOutcome),
        (status = 202, description = "It is still running", body = CallRecord),
        NotFound, Gone,
    )
)]
async fn result(
    State(core): State<Core>,
    caller: Caller,
    Segments(id): Segments<CallId>,
) -> Result<Response, HttpProblem> {
    Ok(match core.functions().result(&caller.identity, id).await? {
        CallResult::Ended(outcome) => Json(outcome).into_response(),
        CallResult::Running(call) => {
            let again = [(header::RETRY_AFTER, HeaderValue::from_static("1"))];
            (StatusCode::ACCEPTED, again, Json(call)).into_response()
        }
    })
}

/// Tells a running call to stop; it ends as failed, `Cancelled`.
#[utoipa::path(
    post, path = "/api/functions/calls/{id}/cancel", operation_id = "cancel_function_call",
    tag = "functions", security(("bearer" = [])),
    params(("id" = CallId, Path, description = "The call's id")),
    responses(
        (status = 202, description = "It was told; so it stood before", body = CallRecord),
        NotFound, Conflict,
    )
)]
async fn cancel(
    State(core): State<Core>,
    caller: Caller,
    Segments(id): Segments<CallId>,
) -> Result<Response, HttpProblem> {
    let call = core.functions().cancel(&caller.identity, id).await?;
    Ok((StatusCode::ACCEPTED, Json(call)).into_response())
}

/// The same as `cancel`, for clients that think of a call as a thing.
#[utoipa::path(
    delete, path = "/api/functions/calls/{id}", operation_id = "delete_function_call",
    tag = "functions", security(("bearer" = [])),
    params(("id" = CallId, Path, description = "The call's id")),
    responses(
        (status = 202, description = "It was told; so it stood before", body = CallRecord),
        NotFound, Conflict,
    )
)]
async fn cancel_by_deleting(
    core: State<Core>,
    caller: Caller,
    id: Segments<CallId>,
) -> Result<Response, HttpProblem> {
    cancel(core, caller, id).await
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
    /// Only calls caused by this schedule.
    trigger_id: Option<ScheduleId>,
    /// Only calls of this extension's functions.
    extension: Option<ExtensionName>,
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
            trigger_id: self.trigger_id,
            extension: self.extension,
            limit,
            offset: self.offset.unwrap_or(default.offset),
        })
    }
}

/// One of a few words.
pub(crate) fn word<T: Copy>(
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
