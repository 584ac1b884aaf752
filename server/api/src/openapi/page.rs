//! The interactive page: Swagger UI from files inside the program, so that it works without a
//! network.

use std::sync::{Arc, LazyLock};

use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use http::{HeaderName, header};
use utoipa_swagger_ui::Config;

use super::{NotFound, Unprocessable};
use crate::app::App;
use crate::body::Segments;
use crate::problem::{HttpProblem, Kind};

const PAGE: &str = include_str!("page/docs.html");
const START: &str = include_str!("page/start.js");

/// The files that the page loads. The others that come with Swagger UI aren't served.
const FILES: [&str; 4] =
    ["swagger-ui.css", "swagger-ui-bundle.js", "favicon-16x16.png", "favicon-32x32.png"];

/// The page loads from this server only, and nobody may put it into a frame.
const POLICY: (HeaderName, &str) = (
    header::CONTENT_SECURITY_POLICY,
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
     img-src 'self' data:; font-src 'self' data:; connect-src 'self'; base-uri 'none'; \
     form-action 'none'; frame-ancestors 'none'",
);

static CONFIG: LazyLock<Arc<Config<'static>>> = LazyLock::new(|| Arc::new(Config::default()));

/// An interactive page for this API.
#[utoipa::path(
    get, path = "/docs", operation_id = "get_docs", tag = "system",
    responses((status = 200, description = "The page", body = String, content_type = "text/html"))
)]
pub(super) async fn docs() -> Response {
    let headers = [POLICY, (header::CONTENT_TYPE, "text/html; charset=utf-8")];
    (headers, PAGE).into_response()
}

/// A file that the interactive page loads.
#[utoipa::path(
    get, path = "/docs/{file}", operation_id = "get_docs_file", tag = "system",
    params(("file" = String, Path, description = "Its name")),
    responses(
        (status = 200, description = "The file", content(
            (String = "text/css"),
            (String = "text/javascript"),
            (Vec<u8> = "image/png"),
        )),
        NotFound,
        Unprocessable,
    )
)]
pub(super) async fn asset(
    State(_app): State<App>,
    Segments(file): Segments<String>,
) -> Result<Response, HttpProblem> {
    const JAVASCRIPT: (HeaderName, &str) = (header::CONTENT_TYPE, "text/javascript; charset=utf-8");
    if file == "start.js" {
        return Ok(([JAVASCRIPT], START).into_response());
    }
    let missing = || HttpProblem::new(Kind::NotFound, "There is nothing at this path");
    if !FILES.contains(&file.as_str()) {
        return Err(missing());
    }
    let found = utoipa_swagger_ui::serve(&file, Arc::clone(&CONFIG)).ok().flatten();
    let asset = found.ok_or_else(missing)?;
    let kept = (header::CACHE_CONTROL, "public, max-age=3600".to_owned());
    let kind = (header::CONTENT_TYPE, asset.content_type);
    let bytes = asset.bytes.into_owned();
    if asset.gzpipped {
        let packed = (header::CONTENT_ENCODING, "gzip".to_owned());
        return Ok(([kind, kept, packed], bytes).into_response());
    }
    Ok(([kind, kept], bytes).into_response())
}

/// The address of another page that some clients know; leads to the interactive one.
#[utoipa::path(
    get, path = "/redoc", operation_id = "get_redoc", tag = "system",
    responses((status = 307, description = "The page is at `/docs`",
        headers(("location" = String, description = "The page"))))
)]
pub(super) async fn redoc() -> Redirect {
    Redirect::temporary("docs")
}
