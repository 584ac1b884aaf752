//! What the server is and how it is.

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::body::Json;
use crate::openapi::Unavailable;
use crate::problem::{HttpProblem, Kind};

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .routes(routes!(about))
        .routes(routes!(health))
        .routes(routes!(healthz))
        .routes(routes!(live))
        .routes(routes!(ready))
}

/// What this server is, and where its pages are.
#[derive(Serialize, ToSchema)]
struct About {
    name: &'static str,
    version: &'static str,
    docs: &'static str,
    openapi: &'static str,
    admin: Option<&'static str>,
    auth: Option<&'static str>,
}

/// How the server is, in a word.
#[derive(Serialize, ToSchema)]
#[schema(as = HealthAnswer)]
struct Health {
    status: &'static str,
}

/// What this server is.
#[utoipa::path(
    get, path = "/", operation_id = "about", tag = "system",
    responses((status = 200, description = "Its name, version and pages", body = About))
)]
async fn about(State(app): State<App>) -> Json<About> {
    Json(About {
        name: "TinyBase",
        version: app.options.version,
        docs: "/docs",
        openapi: "/openapi.json",
        admin: None,
        auth: Some("/auth"),
    })
}

/// Whether the process answers.
#[utoipa::path(
    get, path = "/health", operation_id = "health", tag = "system",
    responses((status = 200, description = "It does: `healthy`", body = Health))
)]
async fn health() -> Json<Health> {
    Json(Health { status: "healthy" })
}

/// Whether the process answers, under the name that some probes use.
#[utoipa::path(
    get, path = "/healthz", operation_id = "healthz", tag = "system",
    responses((status = 200, description = "It does: `ok`", body = Health))
)]
async fn healthz() -> Json<Health> {
    Json(Health { status: "ok" })
}

/// Whether the process answers: the liveness check.
#[utoipa::path(
    get, path = "/health/live", operation_id = "live", tag = "system",
    responses((status = 200, description = "It does: `live`", body = Health))
)]
async fn live() -> Json<Health> {
    Json(Health { status: "live" })
}

/// Whether requests are taken: the readiness check. The database answers and the server isn't
/// stopping. Extensions don't count, since the server stays up whatever they do.
#[utoipa::path(
    get, path = "/health/ready", operation_id = "ready", tag = "system",
    responses((status = 200, description = "They are: `ready`", body = Health), Unavailable)
)]
async fn ready(State(app): State<App>) -> Result<Json<Health>, HttpProblem> {
    if !*app.options.ready.borrow() {
        return Err(HttpProblem::new(Kind::Unavailable, "The server is starting or stopping"));
    }
    app.core.ping().await?;
    Ok(Json(Health { status: "ready" }))
}
