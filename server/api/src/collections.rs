//! Collections and their schemas.

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use http::StatusCode;
use serde::Deserialize;
use serde_json::Value;
use tinybase_core::{CollectionChange, Core, NewCollection};
use tinybase_model::Collection;

use crate::app::App;
use crate::body::{Json, Segments};
use crate::caller::Caller;
use crate::problem::HttpProblem;

pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/api/collections", get(list).post(create))
        .route("/api/collections/{name}", get(show).patch(update).delete(delete))
}

#[derive(Deserialize)]
struct CollectionCreate {
    name: String,
    label: String,
    schema: Value,
    options: Option<Value>,
}

#[derive(Deserialize)]
struct CollectionUpdate {
    label: Option<String>,
    schema: Option<Value>,
    options: Option<Value>,
}

async fn list(
    State(core): State<Core>,
    caller: Caller,
) -> Result<Json<Vec<Collection>>, HttpProblem> {
    Ok(Json(core.collections().list(&caller.identity).await?))
}

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

async fn show(
    State(core): State<Core>,
    caller: Caller,
    Segments(name): Segments<String>,
) -> Result<Json<Collection>, HttpProblem> {
    Ok(Json(core.collections().get(&caller.identity, &name).await?))
}

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

async fn delete(
    State(core): State<Core>,
    caller: Caller,
    Segments(name): Segments<String>,
) -> Result<StatusCode, HttpProblem> {
    core.collections().delete(&caller.cause(), &name).await?;
    Ok(StatusCode::NO_CONTENT)
}
