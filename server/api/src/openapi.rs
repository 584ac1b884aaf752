//! The OpenAPI document: what every operation shares, and the routes that serve it.

mod answers;
mod collection;
mod document;
mod function;
mod page;
mod served;
mod tidy;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::caller::Caller;
use crate::problem::HttpProblem;

pub(crate) use answers::{
    Conflict, Forbidden, Gone, Invalid, NotFound, PreconditionFailed, Rejected, Unauthenticated,
    Unavailable,
};
use answers::{Internal, Unprocessable};
pub(crate) use document::{base, finished};
pub(crate) use served::Document;

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .routes(routes!(document))
        .routes(routes!(page::docs))
        .routes(routes!(page::asset))
        .routes(routes!(page::redoc))
}

/// The OpenAPI 3.1 document of this server, with what whoever asks may use.
#[utoipa::path(
    get, path = "/openapi.json", operation_id = "get_openapi", tag = "system",
    security((), ("bearer" = [])),
    responses((status = 200, description = "The document", body = Value), Unavailable, Internal)
)]
async fn document(State(app): State<App>, caller: Caller) -> Result<Response, HttpProblem> {
    let json = app.document.for_identity(&app.core, &caller.identity).await?;
    let headers = [
        (header::CONTENT_TYPE, "application/json"),
        // What is in it depends on who asks, and on now.
        (header::CACHE_CONTROL, "private, no-cache"),
        (header::VARY, "authorization"),
    ];
    Ok((headers, json).into_response())
}
