//! Collections and their schemas.

use axum::extract::State;
use http::StatusCode;
use serde::Deserialize;
use serde_json::Value;
use tinybase_core::{CollectionChange, Core, NewCollection};
use tinybase_model::Collection;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::body::{Json, Segments};
use crate::caller::Caller;
use crate::openapi::{Conflict, Forbidden, Invalid, NotFound};
use crate::problem::HttpProblem;

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default().routes(routes!(list, create)).routes(routes!(show, update, delete))
}

/// A new collection.
#[derive(Deserialize, ToSchema)]
struct CollectionCreate {
    #[schema(max_length = 100, pattern = "^[a-z][a-z0-9_]*$")]
    name: String,
    label: String,
    /// `{"fields": [{"name", "type", …}]}`.
    #[schema(value_type = Object)]
    schema: Value,
    /// `{"access": {…}}`.
    #[schema(value_type = Option<Object>)]
    options: Option<Value>,
}

/// What of a collection changes.
#[derive(Deserialize, ToSchema)]
struct CollectionUpdate {
    label: Option<String>,
    #[schema(value_type = Option<Object>)]
    schema: Option<Value>,
    #[schema(value_type = Option<Object>)]
    options: Option<Value>,
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
    security(("bearer" = [])),
    responses((status = 201, description = "The new collection", body = Collection), Invalid, Forbidden)
)]
async fn create(
    State(core): State<Core>,
    caller: Caller,
    Json(new): Json<CollectionCreate>,
) -> Result<(StatusCode, Json<Collection>), HttpProblem> {
    let CollectionCreate { name, label, schema, options } = new;
    let new = NewCollection { name, label, schema, options };
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

/// Changes a collection; administrators only.
#[utoipa::path(
    patch, path = "/api/collections/{name}", operation_id = "update_collection", tag = "collections",
    security(("bearer" = [])), params(("name" = String, Path, description = "The collection's name")),
    responses(
        (status = 200, description = "The changed collection", body = Collection),
        Invalid, Forbidden, NotFound, Conflict,
    )
)]
async fn update(
    State(core): State<Core>,
    caller: Caller,
    Segments(name): Segments<String>,
    Json(change): Json<CollectionUpdate>,
) -> Result<Json<Collection>, HttpProblem> {
    let CollectionUpdate { label, schema, options } = change;
    let change = CollectionChange { label, schema, options };
    Ok(Json(core.collections().update(&caller.cause(), &name, change).await?))
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
