//! Schedules, for administrators.

use std::time::Duration;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use tinybase_core::{
    Core, NewSchedule, RunPage, Schedule, ScheduleChange, SchedulePage, ScheduleQuery,
};
use tinybase_model::{
    ExtensionName, JsonBytes, MissedPolicy, OverlapPolicy, RunPolicy, SCHEDULE_NAME_MAX,
    ScheduleId, TimingSpec,
};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::body::{Json, Params, Segments};
use crate::caller::Caller;
use crate::openapi::{Conflict, Forbidden, Invalid, NotFound};
use crate::problem::{HttpProblem, Kind};

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .routes(routes!(list, create))
        .routes(routes!(preview))
        .routes(routes!(get, change, delete))
        .routes(routes!(run_now))
        .routes(routes!(runs))
}

/// How many ticks a preview shows at most.
const PREVIEW_MAX: u32 = 100;

#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ListQuery {
    /// Only schedules that call this function.
    function_name: Option<String>,
    /// Only schedules that tick, or don't.
    is_active: Option<bool>,
    /// Only schedules of this extension.
    extension: Option<ExtensionName>,
    /// At most so many; 100 unless given.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
    /// After so many.
    offset: Option<u32>,
}

/// A schedule to be created.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ScheduleCreate {
    /// Its name, 1 to 200 characters.
    #[schema(min_length = 1, max_length = 200)]
    name: String,
    /// The function that it calls.
    function_name: String,
    /// When.
    #[schema(value_type = TimingSpec)]
    schedule: Value,
    /// With which input; `{}` unless given.
    #[schema(value_type = Option<Object>)]
    input_data: Option<Box<RawValue>>,
    /// Whether it ticks; true unless given.
    is_active: Option<bool>,
    /// What becomes of ticks that passed while nobody could run them; `run_once` unless given.
    missed: Option<MissedPolicy>,
    /// What becomes of a tick while an earlier run goes on; `skip` unless given.
    overlap: Option<OverlapPolicy>,
    /// How long a run may take.
    #[schema(minimum = 1, maximum = 86400)]
    timeout_seconds: Option<u64>,
    /// By how much a run is delayed at most.
    #[schema(maximum = 3600)]
    jitter_seconds: Option<u64>,
}

/// A change of a schedule; what isn't given stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(clippy::option_option, reason = "null takes a limit away, nothing leaves it")]
struct ScheduleUpdate {
    /// Its name, 1 to 200 characters.
    #[schema(min_length = 1, max_length = 200)]
    name: Option<String>,
    /// When.
    #[schema(value_type = Option<TimingSpec>)]
    schedule: Option<Value>,
    /// With which input.
    #[schema(value_type = Option<Object>)]
    input_data: Option<Box<RawValue>>,
    /// False pauses it, true resumes it.
    is_active: Option<bool>,
    /// What becomes of ticks that passed while nobody could run them.
    missed: Option<MissedPolicy>,
    /// What becomes of a tick while an earlier run goes on.
    overlap: Option<OverlapPolicy>,
    /// How long a run may take; null takes the limit away.
    #[serde(default, deserialize_with = "given")]
    #[schema(minimum = 1, maximum = 86400, value_type = Option<u64>)]
    timeout_seconds: Option<Option<u64>>,
    /// By how much a run is delayed at most.
    #[schema(maximum = 3600)]
    jitter_seconds: Option<u64>,
}

/// Tells null from what isn't there.
#[expect(clippy::option_option, reason = "null and nothing are different answers")]
fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<u64>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// A timing that isn't a schedule yet.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SchedulePreview {
    /// When.
    #[schema(value_type = TimingSpec)]
    schedule: Value,
    /// How many ticks to show; 10 unless given.
    #[schema(minimum = 1, maximum = 100)]
    count: Option<u32>,
}

/// The next ticks.
#[derive(Serialize, ToSchema)]
struct NextRuns {
    /// The ticks, the first one first.
    next_runs: Vec<Timestamp>,
}

/// A run that was asked for.
#[derive(Serialize, ToSchema)]
struct RunRequested {
    /// The schedule.
    schedule_id: ScheduleId,
    /// Names the run in the schedule's history.
    scheduled_for: Timestamp,
    /// Always `queued`.
    status: &'static str,
}

#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct RunsQuery {
    /// At most so many; 100 unless given.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
    /// After so many.
    offset: Option<u32>,
}

/// Schedules, the newest first.
#[utoipa::path(
    get, path = "/api/admin/schedules", operation_id = "list_schedules", tag = "schedules",
    security(("bearer" = [])), params(ListQuery),
    responses((status = 200, description = "A page of schedules", body = SchedulePage), Forbidden)
)]
async fn list(
    State(core): State<Core>,
    caller: Caller,
    Params(query): Params<ListQuery>,
) -> Result<Json<SchedulePage>, HttpProblem> {
    let query = ScheduleQuery {
        function_name: query.function_name,
        is_active: query.is_active,
        extension: query.extension,
        limit: limit(query.limit)?,
        offset: query.offset.unwrap_or(0),
    };
    Ok(Json(core.schedules().list(&caller.identity, &query).await?))
}

/// Creates a schedule.
#[utoipa::path(
    post, path = "/api/admin/schedules", operation_id = "create_schedule", tag = "schedules",
    security(("bearer" = [])), request_body = ScheduleCreate,
    responses((status = 201, description = "The schedule", body = Schedule), Forbidden, Invalid)
)]
async fn create(
    State(core): State<Core>,
    caller: Caller,
    Json(new): Json<ScheduleCreate>,
) -> Result<Response, HttpProblem> {
    let new = NewSchedule {
        name: name(new.name)?,
        function_name: new.function_name,
        schedule: new.schedule,
        input_data: input(new.input_data)?.unwrap_or(JsonBytes::empty_object()),
        is_active: new.is_active.unwrap_or(true),
        policy: RunPolicy {
            missed: new.missed.unwrap_or_default(),
            overlap: new.overlap.unwrap_or_default(),
            timeout: new.timeout_seconds.map(Duration::from_secs),
            jitter: Duration::from_secs(new.jitter_seconds.unwrap_or(0)),
        },
    };
    let created = core.schedules().create(&caller.identity, new).await?;
    caller.note(&core, "schedule.create", "schedule", created.id);
    Ok((StatusCode::CREATED, Json(created)).into_response())
}

/// The next ticks of a timing, without creating anything.
#[utoipa::path(
    post, path = "/api/admin/schedules/preview", operation_id = "preview_schedule",
    tag = "schedules", security(("bearer" = [])), request_body = SchedulePreview,
    responses((status = 200, description = "The ticks", body = NextRuns), Forbidden, Invalid)
)]
async fn preview(
    State(core): State<Core>,
    caller: Caller,
    Json(wanted): Json<SchedulePreview>,
) -> Result<Json<NextRuns>, HttpProblem> {
    let count = within("count", wanted.count.unwrap_or(10), PREVIEW_MAX)?;
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    let next_runs = core.schedules().preview(&caller.identity, &wanted.schedule, count)?;
    Ok(Json(NextRuns { next_runs }))
}

/// One schedule, with its next ticks.
#[utoipa::path(
    get, path = "/api/admin/schedules/{id}", operation_id = "get_schedule", tag = "schedules",
    security(("bearer" = [])), params(("id" = ScheduleId, Path, description = "The schedule's id")),
    responses((status = 200, description = "The schedule", body = Schedule), Forbidden, NotFound)
)]
async fn get(
    State(core): State<Core>,
    caller: Caller,
    Segments(id): Segments<ScheduleId>,
) -> Result<Json<Schedule>, HttpProblem> {
    Ok(Json(core.schedules().get(&caller.identity, id).await?))
}

/// Changes, pauses or resumes a schedule. Its next tick is found anew.
#[utoipa::path(
    patch, path = "/api/admin/schedules/{id}", operation_id = "update_schedule", tag = "schedules",
    security(("bearer" = [])), params(("id" = ScheduleId, Path, description = "The schedule's id")),
    request_body = ScheduleUpdate,
    responses(
        (status = 200, description = "The schedule", body = Schedule),
        Forbidden, NotFound, Invalid, Conflict,
    )
)]
async fn change(
    State(core): State<Core>,
    caller: Caller,
    Segments(id): Segments<ScheduleId>,
    Json(update): Json<ScheduleUpdate>,
) -> Result<Json<Schedule>, HttpProblem> {
    let change = ScheduleChange {
        name: update.name.map(name).transpose()?,
        schedule: update.schedule,
        input_data: input(update.input_data)?,
        is_active: update.is_active,
        missed: update.missed,
        overlap: update.overlap,
        timeout: update.timeout_seconds.map(|timeout| timeout.map(Duration::from_secs)),
        jitter: update.jitter_seconds.map(Duration::from_secs),
    };
    let changed = core.schedules().change(&caller.identity, id, change).await?;
    caller.note(&core, "schedule.update", "schedule", id);
    Ok(Json(changed))
}

/// Deletes a schedule. Runs that go on end as they would have.
#[utoipa::path(
    delete, path = "/api/admin/schedules/{id}", operation_id = "delete_schedule", tag = "schedules",
    security(("bearer" = [])), params(("id" = ScheduleId, Path, description = "The schedule's id")),
    responses((status = 204, description = "It is gone"), Forbidden, NotFound, Conflict)
)]
async fn delete(
    State(core): State<Core>,
    caller: Caller,
    Segments(id): Segments<ScheduleId>,
) -> Result<StatusCode, HttpProblem> {
    core.schedules().delete(&caller.identity, id).await?;
    caller.note(&core, "schedule.delete", "schedule", id);
    Ok(StatusCode::NO_CONTENT)
}

/// Has a schedule run now, beside its ticks.
#[utoipa::path(
    post, path = "/api/admin/schedules/{id}/run", operation_id = "run_schedule", tag = "schedules",
    security(("bearer" = [])), params(("id" = ScheduleId, Path, description = "The schedule's id")),
    responses(
        (status = 202, description = "It is run as soon as there is room", body = RunRequested),
        Forbidden, NotFound, Conflict,
    )
)]
async fn run_now(
    State(core): State<Core>,
    caller: Caller,
    Segments(id): Segments<ScheduleId>,
) -> Result<Response, HttpProblem> {
    let scheduled_for = core.schedules().run_now(&caller.identity, id).await?;
    caller.note(&core, "schedule.run", "schedule", id);
    let requested = RunRequested { schedule_id: id, scheduled_for, status: "queued" };
    Ok((StatusCode::ACCEPTED, Json(requested)).into_response())
}

/// What became of a schedule's ticks, the latest first.
#[utoipa::path(
    get, path = "/api/admin/schedules/{id}/runs", operation_id = "list_schedule_runs",
    tag = "schedules", security(("bearer" = [])),
    params(("id" = ScheduleId, Path, description = "The schedule's id"), RunsQuery),
    responses((status = 200, description = "A page of runs", body = RunPage), Forbidden, NotFound)
)]
async fn runs(
    State(core): State<Core>,
    caller: Caller,
    Segments(id): Segments<ScheduleId>,
    Params(query): Params<RunsQuery>,
) -> Result<Json<RunPage>, HttpProblem> {
    let (limit, offset) = (limit(query.limit)?, query.offset.unwrap_or(0));
    Ok(Json(core.schedules().runs(&caller.identity, id, limit, offset).await?))
}

fn limit(limit: Option<u32>) -> Result<u32, HttpProblem> {
    within("limit", limit.unwrap_or(100), 1_000)
}

fn within(parameter: &str, number: u32, most: u32) -> Result<u32, HttpProblem> {
    if (1..=most).contains(&number) {
        return Ok(number);
    }
    let detail = format!("{parameter} has to be 1 to {most}, not {number}");
    Err(HttpProblem::new(Kind::Unprocessable, detail))
}

fn name(name: String) -> Result<String, HttpProblem> {
    let length = name.chars().count();
    if (1..=SCHEDULE_NAME_MAX).contains(&length) && !name.contains('\0') {
        return Ok(name);
    }
    let detail = format!("name has to have 1 to {SCHEDULE_NAME_MAX} characters, not {length}");
    Err(HttpProblem::new(Kind::Unprocessable, detail))
}

fn input(input: Option<Box<RawValue>>) -> Result<Option<JsonBytes>, HttpProblem> {
    let Some(input) = input else { return Ok(None) };
    let text: Box<str> = input.into();
    let bytes = String::from(text).into();
    JsonBytes::checked(bytes).map(Some).map_err(|error| HttpProblem::internal(&error))
}
