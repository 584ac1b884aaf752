//! Records of a collection.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Map, Value};
use tinybase_core::{Core, ListQuery, RecordList};
use tinybase_model::{Record, RecordId};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::body::{Json, Params, Segments, mark_failed_open, with_failed_open};
use crate::caller::Caller;
use crate::openapi::{Conflict, Forbidden, Invalid, NotFound, Rejected};
use crate::problem::{HttpProblem, Kind};

/// The most records of one page.
const LIMIT_MAX: u32 = 1_000;

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default().routes(routes!(list, create)).routes(routes!(show, update, delete))
}

/// A record's data, as its collection's schema has it.
#[derive(Deserialize, ToSchema)]
struct RecordBody {
    #[schema(value_type = Object)]
    data: Map<String, Value>,
}

#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Page {
    /// At most so many; 100 unless given.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
    /// After so many.
    offset: Option<u32>,
    /// `created_at`, `updated_at`, `id`, `owner_id` or a field of the data.
    sort_by: Option<String>,
    /// `desc` unless given.
    #[param(inline)]
    sort_order: Option<SortOrder>,
}

#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum SortOrder {
    Asc,
    Desc,
}

impl Page {
    fn query(self) -> Result<ListQuery, HttpProblem> {
        let default = ListQuery::default();
        let limit = self.limit.unwrap_or(default.limit);
        if !(1..=LIMIT_MAX).contains(&limit) {
            let detail = format!("limit has to be 1 to {LIMIT_MAX}, not {limit}");
            return Err(HttpProblem::new(Kind::Unprocessable, detail));
        }
        Ok(ListQuery {
            limit,
            offset: self.offset.unwrap_or(default.offset),
            sort_by: self.sort_by.unwrap_or(default.sort_by),
            descending: self
                .sort_order
                .map_or(default.descending, |order| matches!(order, SortOrder::Desc)),
        })
    }
}

/// The records of a collection that its `list` rule lets through.
#[utoipa::path(
    get, path = "/api/collections/{name}/records", operation_id = "list_records", tag = "records",
    security((), ("bearer" = [])),
    params(("name" = String, Path, description = "The collection's name"), Page),
    responses((status = 200, description = "A page of records", body = RecordList), Forbidden, NotFound)
)]
async fn list(
    State(core): State<Core>,
    caller: Caller,
    Segments(name): Segments<String>,
    Params(page): Params<Page>,
) -> Result<Json<RecordList>, HttpProblem> {
    Ok(Json(core.records().list(&caller.identity, &name, &page.query()?).await?))
}

/// Creates a record. Its owner is who creates it.
#[utoipa::path(
    post, path = "/api/collections/{name}/records", operation_id = "create_record", tag = "records",
    security(("bearer" = [])), params(("name" = String, Path, description = "The collection's name")),
    responses(
        (status = 201, description = "The new record", body = Record),
        Invalid, Forbidden, NotFound, Conflict, Rejected,
    )
)]
async fn create(
    State(core): State<Core>,
    caller: Caller,
    Segments(name): Segments<String>,
    Json(body): Json<RecordBody>,
) -> Result<Response, HttpProblem> {
    let created = core.records().create(&caller.cause(), &name, body.data).await?;
    Ok(with_failed_open(StatusCode::CREATED, created.value, &created.failed_open))
}

/// One record.
#[utoipa::path(
    get, path = "/api/collections/{name}/records/{id}", operation_id = "get_record", tag = "records",
    security((), ("bearer" = [])),
    params(
        ("name" = String, Path, description = "The collection's name"),
        ("id" = RecordId, Path, description = "The record's id"),
    ),
    responses((status = 200, description = "The record", body = Record), Forbidden, NotFound)
)]
async fn show(
    State(core): State<Core>,
    caller: Caller,
    Segments((name, id)): Segments<(String, RecordId)>,
) -> Result<Json<Record>, HttpProblem> {
    Ok(Json(core.records().get(&caller.identity, &name, id).await?))
}

/// Changes a record: the data is merged over the old data.
#[utoipa::path(
    patch, path = "/api/collections/{name}/records/{id}", operation_id = "update_record", tag = "records",
    security(("bearer" = [])),
    params(
        ("name" = String, Path, description = "The collection's name"),
        ("id" = RecordId, Path, description = "The record's id"),
    ),
    responses(
        (status = 200, description = "The changed record", body = Record),
        Invalid, Forbidden, NotFound, Conflict, Rejected,
    )
)]
async fn update(
    State(core): State<Core>,
    caller: Caller,
    Segments((name, id)): Segments<(String, RecordId)>,
    Json(body): Json<RecordBody>,
) -> Result<Response, HttpProblem> {
    let updated = core.records().patch(&caller.cause(), &name, id, body.data).await?;
    Ok(with_failed_open(StatusCode::OK, updated.value, &updated.failed_open))
}

/// Deletes a record.
#[utoipa::path(
    delete, path = "/api/collections/{name}/records/{id}", operation_id = "delete_record", tag = "records",
    security(("bearer" = [])),
    params(
        ("name" = String, Path, description = "The collection's name"),
        ("id" = RecordId, Path, description = "The record's id"),
    ),
    responses((status = 204, description = "It is gone"), Forbidden, NotFound, Conflict, Rejected)
)]
async fn delete(
    State(core): State<Core>,
    caller: Caller,
    Segments((name, id)): Segments<(String, RecordId)>,
) -> Result<Response, HttpProblem> {
    let deleted = core.records().delete(&caller.cause(), &name, id).await?;
    let mut response = StatusCode::NO_CONTENT.into_response();
    mark_failed_open(&mut response, &deleted.failed_open);
    Ok(response)
}
