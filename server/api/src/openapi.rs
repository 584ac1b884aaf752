//! The OpenAPI document: what every operation shares, and the routes that serve it.

mod answers;
mod document;
mod page;

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;

use answers::Unprocessable;
pub(crate) use answers::{
    Conflict, Forbidden, Gone, Invalid, NotFound, PreconditionFailed, Rejected, Unauthenticated,
    Unavailable,
};
pub(crate) use document::{base, finished};

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .routes(routes!(document))
        .routes(routes!(page::docs))
        .routes(routes!(page::asset))
        .routes(routes!(page::redoc))
}

/// The document as it is served.
#[derive(Debug, Clone)]
pub(crate) struct Document(Arc<Bytes>);

impl Document {
    pub(crate) fn new(api: &OpenApi) -> Self {
        let json = serde_json::to_vec(api)
            .unwrap_or_else(|_| unreachable!("the document's keys are texts"));
        Self(Arc::new(json.into()))
    }
}

/// The OpenAPI 3.1 document of this server.
#[utoipa::path(
    get, path = "/openapi.json", operation_id = "get_openapi", tag = "system",
    responses((status = 200, description = "The document", body = Value))
)]
async fn document(State(app): State<App>) -> Response {
    let json = Bytes::clone(&app.document.0);
    ([(header::CONTENT_TYPE, "application/json")], json).into_response()
}
