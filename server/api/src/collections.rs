//! Collections and their schemas.

use axum::extract::State;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tinybase_core::{
    ChangeReport, CollectionChange, CollectionStatus, CollectionsStatus, Core, NewCollection,
};
use tinybase_model::Collection;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::body::{Json, Params, Segments};
use crate::caller::Caller;
use crate::openapi::{Conflict, Forbidden, Invalid, NotFound};
use crate::problem::HttpProblem;

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .routes(routes!(list, create))
        .routes(routes!(show, update, delete))
        .routes(routes!(status_of_all))
        .routes(routes!(status))
}

/// A new collection.
#[derive(Deserialize, ToSchema)]
struct CollectionCreate {
    #[schema(max_length = 100, pattern = "^[a-z][a-z0-9_]*$")]
    name: String,
    #[schema(min_length = 1, max_length = 200)]
    label: String,
    /// `{"fields": [{"name", "type", …}]}`.
    #[schema(value_type = Object)]
    schema: Value,
    /// `{"access": {…}}`.
    #[schema(value_type = Option<Object>)]
    options: Option<Value>,
}

/// A changed collection, or what a change would do.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
enum Changed {
    Collection(Collection),
    Report(ChangeReport),
}

/// What of a collection changes.
#[derive(Deserialize, ToSchema)]
struct CollectionUpdate {
    #[schema(min_length = 1, max_length = 200)]
    label: Option<String>,
    #[schema(value_type = Option<Object>)]
    schema: Option<Value>,
    #[schema(value_type = Option<Object>)]
    options: Option<Value>,
}

/// Whether something is only tried.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Trial {
    /// With true nothing changes, and the answer says what would.
    #[serde(default)]
    dry_run: bool,
}

/// All collections.
#[utoipa::path(
    get, path = "/api/collections", operation_id = "list_collections", tag = "collections",
    security((), ("bearer" = [])),
    responses((status = 200, description = "The collections", body = Vec<Collection>))
)]
async fn list(
    State(core): State<Core>,
    caller: Caller,
) -> Result<Json<Vec<Collection>>, HttpProblem> {
    Ok(Json(core.collections().list(&caller.identity).await?))
}

/// Creates a collection; administrators only.
#[utoipa::path(
    post, path = "/api/collections", operation_id = "create_collection", tag = "collections",
    security(("bearer" = [])), params(Trial),
    responses(
        (status = 200, description = "With `dry_run`: it could be created", body = Collection),
        (status = 201, description = "The new collection", body = Collection),
        Invalid, Forbidden, Conflict,
    )
)]
async fn create(
    State(core): State<Core>,
    caller: Caller,
    Params(trial): Params<Trial>,
    Json(new): Json<CollectionCreate>,
) -> Result<(StatusCode, Json<Collection>), HttpProblem> {
    let CollectionCreate { name, label, schema, options } = new;
    let new = NewCollection { name, label, schema, options };
    if trial.dry_run {
        let collection = core.collections().try_create(&caller.cause(), new).await?;
        return Ok((StatusCode::OK, Json(collection)));
    }
    let collection = core.collections().create(&caller.cause(), new).await?;
    Ok((StatusCode::CREATED, Json(collection)))
}

/// One collection.
#[utoipa::path(
    get, path = "/api/collections/{name}", operation_id = "get_collection", tag = "collections",
    security((), ("bearer" = [])), params(("name" = String, Path, description = "The collection's name")),
    responses((status = 200, description = "The collection", body = Collection), NotFound)
)]
async fn show(
    State(core): State<Core>,
    caller: Caller,
    Segments(name): Segments<String>,
) -> Result<Json<Collection>, HttpProblem> {
    Ok(Json(core.collections().get(&caller.identity, &name).await?))
}

/// Changes a collection; administrators only. Records that don't fit are a conflict, with what is
/// wrong and in how many. With `dry_run` the answer is that report.
#[utoipa::path(
    patch, path = "/api/collections/{name}", operation_id = "update_collection", tag = "collections",
    security(("bearer" = [])), params(("name" = String, Path, description = "The collection's name"), Trial),
    responses(
        (status = 200, description = "The changed collection, or the report", body = Changed),
        Invalid, Forbidden, NotFound, Conflict,
    )
)]
async fn update(
    State(core): State<Core>,
    caller: Caller,
    Segments(name): Segments<String>,
    Params(trial): Params<Trial>,
    Json(change): Json<CollectionUpdate>,
) -> Result<Json<Changed>, HttpProblem> {
    let CollectionUpdate { label, schema, options } = change;
    let change = CollectionChange { label, schema, options };
    if trial.dry_run {
        let report = core.collections().try_update(&caller.cause(), &name, change).await?;
        return Ok(Json(Changed::Report(report)));
    }
    let collection = core.collections().update(&caller.cause(), &name, change).await?;
    Ok(Json(Changed::Collection(collection)))
}

/// Deletes a collection with its records; administrators only.
#[utoipa::path(
    delete, path = "/api/collections/{name}", operation_id = "delete_collection", tag = "collections",
    security(("bearer" = [])), params(("name" = String, Path, description = "The collection's name")),
    responses((status = 204, description = "It is gone"), Forbidden, NotFound, Conflict)
)]
async fn delete(
    State(core): State<Core>,
    caller: Caller,
    Segments(name): Segments<String>,
) -> Result<StatusCode, HttpProblem> {
    core.collections().delete(&caller.cause(), &name).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// How all collections are doing; administrators only.
#[utoipa::path(
    get, path = "/api/admin/collections/status", operation_id = "get_collections_status",
    tag = "collections", security(("bearer" = [])),
    responses((status = 200, description = "Their status", body = CollectionsStatus), Forbidden)
)]
async fn status_of_all(
    State(core): State<Core>,
    caller: Caller,
) -> Result<Json<CollectionsStatus>, HttpProblem> {
    Ok(Json(core.collections().status_of_all(&caller.identity).await?))
}

/// How a collection is doing: its records, indexes and references; administrators only.
#[utoipa::path(
    get, path = "/api/admin/collections/{name}/status", operation_id = "get_collection_status",
    tag = "collections", security(("bearer" = [])),
    params(("name" = String, Path, description = "The collection's name")),
    responses(
        (status = 200, description = "Its status", body = CollectionStatus), Forbidden, NotFound,
    )
)]
async fn status(
    State(core): State<Core>,
    caller: Caller,
    Segments(name): Segments<String>,
) -> Result<Json<CollectionStatus>, HttpProblem> {
    Ok(Json(core.collections().status(&caller.identity, &name).await?))
}
