//! Records of a collection.

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Map, Value};
use tinybase_core::{Core, ListQuery, RecordList};
use tinybase_model::{Record, RecordId};

use crate::app::App;
use crate::body::{Json, Params, Segments, mark_failed_open, with_failed_open};
use crate::caller::Caller;
use crate::problem::{HttpProblem, Kind};

/// The most records of one page.
const LIMIT_MAX: u32 = 1_000;

pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/api/collections/{name}/records", get(list).post(create))
        .route("/api/collections/{name}/records/{id}", get(show).patch(update).delete(delete))
}

#[derive(Deserialize)]
struct RecordBody {
    data: Map<String, Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Page {
    limit: Option<u32>,
    offset: Option<u32>,
    sort_by: Option<String>,
    sort_order: Option<SortOrder>,
}

#[derive(Deserialize)]
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

async fn list(
    State(core): State<Core>,
    caller: Caller,
    Segments(name): Segments<String>,
    Params(page): Params<Page>,
) -> Result<Json<RecordList>, HttpProblem> {
    Ok(Json(core.records().list(&caller.identity, &name, &page.query()?).await?))
}

async fn create(
    State(core): State<Core>,
    caller: Caller,
    Segments(name): Segments<String>,
    Json(body): Json<RecordBody>,
) -> Result<Response, HttpProblem> {
    let created = core.records().create(&caller.cause(), &name, body.data).await?;
    Ok(with_failed_open(StatusCode::CREATED, created.value, &created.failed_open))
}

async fn show(
    State(core): State<Core>,
    caller: Caller,
    Segments((name, id)): Segments<(String, RecordId)>,
) -> Result<Json<Record>, HttpProblem> {
    Ok(Json(core.records().get(&caller.identity, &name, id).await?))
}

async fn update(
    State(core): State<Core>,
    caller: Caller,
    Segments((name, id)): Segments<(String, RecordId)>,
    Json(body): Json<RecordBody>,
) -> Result<Response, HttpProblem> {
    let updated = core.records().patch(&caller.cause(), &name, id, body.data).await?;
    Ok(with_failed_open(StatusCode::OK, updated.value, &updated.failed_open))
}

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
