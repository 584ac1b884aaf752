//! The numbers of the instance, for administrators.

use axum::extract::State;
use tinybase_core::{Core, MetricsSummary};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::body::Json;
use crate::caller::Caller;
use crate::openapi::Forbidden;
use crate::problem::HttpProblem;

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default().routes(routes!(show))
}

/// Shows how many records there are and how functions went in the last 24 hours.
#[utoipa::path(
    get, path = "/api/admin/metrics", operation_id = "get_metrics", tag = "admin",
    security(("bearer" = [])),
    responses(
        (status = 200, description = "The numbers, and when they were counted", body = MetricsSummary),
        Forbidden,
    )
)]
async fn show(
    State(core): State<Core>,
    caller: Caller,
) -> Result<Json<MetricsSummary>, HttpProblem> {
    Ok(Json(core.metrics(&caller.identity).await?))
}
