//! Functions of extensions, and the record of their calls.

use std::collections::BTreeMap;

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::{get, post};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tinybase_core::{
    CallPage, CallQuery, CallRecord, CallStatus, Core, FunctionInfo, FunctionMetrics,
    FunctionSchema, Trigger,
};
use tinybase_model::{CallId, JsonBytes};

use crate::app::App;
use crate::body::{Json, Params, RawBody, Segments, parse, with_failed_open};
use crate::caller::Caller;
use crate::problem::{HttpProblem, Kind};

pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/api/functions", get(list))
        .route("/api/functions/{name}", post(call))
        .route("/api/functions/{name}/schema", get(schema))
        .route("/api/admin/functions/calls", get(calls))
        .route("/api/admin/functions/calls/{id}", get(recorded_call))
        .route("/api/admin/functions/metrics", get(metrics))
}

async fn list(State(core): State<Core>, caller: Caller) -> Json<Vec<FunctionInfo>> {
    Json(core.functions().list(&caller.identity))
}

async fn schema(
    State(core): State<Core>,
    caller: Caller,
    Segments(name): Segments<String>,
) -> Result<Json<FunctionSchema>, HttpProblem> {
    Ok(Json(core.functions().schema(&caller.identity, &name)?))
}

/// Calls a function. A function that failed is an answer with `status` "failed", not a problem.
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

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CallsQuery {
    function_name: Option<String>,
    status: Option<String>,
    trigger_type: Option<String>,
    limit: Option<u32>,
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

async fn calls(
    State(core): State<Core>,
    caller: Caller,
    Params(query): Params<CallsQuery>,
) -> Result<Json<CallPage>, HttpProblem> {
    Ok(Json(core.functions().calls(&caller.identity, &query.query()?).await?))
}

async fn recorded_call(
    State(core): State<Core>,
    caller: Caller,
    Segments(id): Segments<CallId>,
) -> Result<Json<CallRecord>, HttpProblem> {
    Ok(Json(core.functions().recorded_call(&caller.identity, id).await?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Period {
    hours: Option<u32>,
}

#[derive(Serialize)]
struct Metrics {
    period_hours: u32,
    functions: BTreeMap<String, FunctionMetrics>,
}

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
