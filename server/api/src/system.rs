//! What the server is and how it is.

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use serde_json::{Value, json};

use crate::app::App;
use crate::body::Json;
use crate::problem::{HttpProblem, Kind};

pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/", get(about))
        .route("/health", get(async || Json(json!({ "status": "healthy" }))))
        .route("/healthz", get(async || Json(json!({ "status": "ok" }))))
        .route("/health/live", get(async || Json(json!({ "status": "live" }))))
        .route("/health/ready", get(ready))
}

async fn about(State(app): State<App>) -> Json<Value> {
    Json(json!({
        "name": "TinyBase",
        "version": app.options.version,
        "docs": null,
        "openapi": null,
        "admin": null,
        "auth": null,
    }))
}

/// Whether requests are taken: the database answers and the server isn't stopping. Extensions don't
/// count, since the server stays up whatever they do.
async fn ready(State(app): State<App>) -> Result<Json<Value>, HttpProblem> {
    if !*app.options.ready.borrow() {
        return Err(HttpProblem::new(Kind::Unavailable, "The server is starting or stopping"));
    }
    app.core.ping().await?;
    Ok(Json(json!({ "status": "ready" })))
}
