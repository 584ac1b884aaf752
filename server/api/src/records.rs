//! Records of a collection.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};
use tinybase_core::{
    BatchOperation, BatchOutcome, Change, Claimed, Committed, Core, CountQuery, Edit, LIMIT_MAX,
    ListQuery, Once, Owner, Page, RecordAddress, RecordCount, RecordList, ViewQuery,
};
use tinybase_model::{Record, RecordId, UserId};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::body::{Json, Params, Segments, mark_failed_open, with_failed_open};
use crate::caller::Caller;
use crate::etag::{IfMatch, IfNoneMatch, tagged};
use crate::idempotency::{Answer, Repeatable, replayed};
use crate::openapi::{Conflict, Forbidden, Invalid, NotFound, PreconditionFailed, Rejected};
use crate::problem::{HttpProblem, Kind};

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .routes(routes!(list, create))
        .routes(routes!(count))
        .routes(routes!(show, replace, update, delete))
}

/// A record's data, as its collection's schema has it.
#[derive(Deserialize, ToSchema)]
struct RecordBody {
    #[schema(value_type = Object)]
    data: Map<String, Value>,
    /// To whom the record is to belong, null for nobody: for administrators. Unless given, a new
    /// one belongs to whoever creates it, and others to whom they did.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<UserId>)]
    owner_id: Owner,
}

/// Reads an owner that is given; null is nobody.
pub(crate) fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Owner, D::Error> {
    Option::deserialize(deserializer).map(Owner::Given)
}

#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ListParams {
    /// At most so many; 100 unless given.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
    /// After so many.
    offset: Option<u32>,
    /// The order: fields separated by commas, `-` before what descends; `-created_at` unless given.
    sort: Option<String>,
    /// `created_at`, `updated_at`, `id`, `owner_id` or a field of the data; not beside `sort`.
    sort_by: Option<String>,
    /// `desc` unless given.
    #[param(inline)]
    sort_order: Option<SortOrder>,
    /// The page after the one that gave this as `next_cursor`.
    cursor: Option<String>,
    /// What the records have to fulfil, such as `status == "open" && price >= 10`.
    filter: Option<String>,
    /// Words that the records have to have in fields with `search`; `*` after one lets it go on.
    search: Option<String>,
    /// Which fields to show, separated by commas, such as `id,title,author.name`.
    fields: Option<String>,
    /// Which references to follow, separated by commas, such as `author,author.team`.
    expand: Option<String>,
    /// `false` leaves the total out.
    count: Option<bool>,
}

#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum SortOrder {
    Asc,
    Desc,
}

#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct CountParams {
    /// What the records have to fulfil, as for a list.
    filter: Option<String>,
    /// Words that they have to have, as for a list.
    search: Option<String>,
}

#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ShowParams {
    /// Which fields to show, separated by commas, such as `id,title,author.name`.
    fields: Option<String>,
    /// Which references to follow, separated by commas, such as `author,author.team`.
    expand: Option<String>,
}

impl ListParams {
    fn query(self) -> Result<ListQuery, HttpProblem> {
        let Page { limit, offset, .. } = Page::default();
        let limit = self.limit.unwrap_or(limit);
        if !(1..=LIMIT_MAX).contains(&limit) {
            let detail = format!("limit has to be 1 to {LIMIT_MAX}, not {limit}");
            return Err(HttpProblem::new(Kind::Unprocessable, detail));
        }
        let offset = self.offset.unwrap_or(offset);
        Ok(ListQuery {
            page: Page { limit, offset, cursor: self.cursor },
            sort: order(self.sort, self.sort_by, self.sort_order)?,
            filter: self.filter,
            search: self.search,
            view: ViewQuery { fields: self.fields, expand: self.expand },
            without_total: self.count == Some(false),
        })
    }
}

/// The order, said in either way.
fn order(
    sort: Option<String>,
    sort_by: Option<String>,
    sort_order: Option<SortOrder>,
) -> Result<Option<String>, HttpProblem> {
    match (sort, sort_by, sort_order) {
        (sort, None, None) => Ok(sort),
        (Some(_), _, _) => {
            let detail = "sort says the order by itself; leave sort_by and sort_order out";
            Err(HttpProblem::new(Kind::Invalid, detail))
        }
        (None, sort_by, sort_order) => {
            let sort_by = sort_by.unwrap_or_else(|| "created_at".to_owned());
            if sort_by.contains(',') || sort_by.starts_with(['-', '+']) {
                let detail = "sort_by takes one field; use sort";
                return Err(HttpProblem::new(Kind::Invalid, detail));
            }
            Ok(Some(match sort_order {
                Some(SortOrder::Asc) => sort_by,
                Some(SortOrder::Desc) | None => format!("-{sort_by}"),
            }))
        }
    }
}

/// The records of a collection that its `list` rule lets through.
#[utoipa::path(
    get, path = "/api/collections/{name}/records", operation_id = "list_records", tag = "records",
    security((), ("bearer" = [])),
    params(("name" = String, Path, description = "The collection's name"), ListParams),
    responses((status = 200, description = "A page of records", body = RecordList), Invalid, Forbidden, NotFound)
)]
async fn list(
    State(core): State<Core>,
    caller: Caller,
    Segments(name): Segments<String>,
    Params(query): Params<ListParams>,
) -> Result<Json<RecordList>, HttpProblem> {
    Ok(Json(core.records().list(&caller.identity, &name, &query.query()?).await?))
}

/// How many records of a collection there are, exactly and now, as far as its `list` rule lets
/// through.
#[utoipa::path(
    get, path = "/api/collections/{name}/records/count", operation_id = "count_records", tag = "records",
    security((), ("bearer" = [])),
    params(("name" = String, Path, description = "The collection's name"), CountParams),
    responses((status = 200, description = "The number", body = RecordCount), Invalid, Forbidden, NotFound)
)]
async fn count(
    State(core): State<Core>,
    caller: Caller,
    Segments(name): Segments<String>,
    Params(CountParams { filter, search }): Params<CountParams>,
) -> Result<Json<RecordCount>, HttpProblem> {
    let query = CountQuery { filter, search };
    Ok(Json(core.records().count(&caller.identity, &name, &query).await?))
}

/// Creates a record. Its owner is who creates it, unless an administrator names another.
#[utoipa::path(
    post, path = "/api/collections/{name}/records", operation_id = "create_record", tag = "records",
    security((), ("bearer" = [])), request_body = RecordBody,
    params(
        ("name" = String, Path, description = "The collection's name"),
        ("idempotency-key" = Option<String>, Header, description = "A key of your own: the same request with it is done once"),
    ),
    responses(
        (
            status = 201, description = "The new record", body = Record,
            headers(
                ("etag" = String),
                ("idempotent-replayed" = String, description = "`true` if this was answered before"),
            ),
        ),
        Invalid, Forbidden, NotFound, Conflict, Rejected,
    )
)]
async fn create(
    State(core): State<Core>,
    caller: Caller,
    Segments(name): Segments<String>,
    Repeatable { body, key }: Repeatable<RecordBody>,
) -> Result<Response, HttpProblem> {
    let (cause, owner) = (caller.cause(), body.owner_id);
    let Some(key) = key else {
        let created = core.records().create_for(&cause, &name, body.data, owner).await?;
        return Ok(written(StatusCode::CREATED, created));
    };
    let claim = match core.claim(&caller.identity, key).await? {
        Claimed::New(claim) => claim,
        done @ (Claimed::Answered(_) | Claimed::Called(_)) => return replayed(done),
    };
    let operation = BatchOperation::Create { collection: name, data: body.data, owner };
    let answer = |made: &BatchOutcome| {
        let record = made.value.first().and_then(Option::as_ref);
        let version = record.map(|record| record.version);
        Answer::new(StatusCode::CREATED, version, &made.failed_open, &record)
    };
    let once = Once { claim: &claim, answer: &|made| answer(made).text() };
    let made = core.records().batch_once(&cause, &[operation], once).await;
    Ok(answer(&made.map_err(|failed| failed.error)?).into_response())
}

/// One record.
#[utoipa::path(
    get, path = "/api/collections/{name}/records/{id}", operation_id = "get_record", tag = "records",
    security((), ("bearer" = [])),
    params(
        ("name" = String, Path, description = "The collection's name"),
        ("id" = RecordId, Path, description = "The record's id"),
        ShowParams,
        ("if-none-match" = Option<String>, Header, description = "Tags of what is known already"),
    ),
    responses(
        (status = 200, description = "The record", body = Record, headers(("etag" = String))),
        (status = 304, description = "It is still what `if-none-match` says"),
        Invalid, Forbidden, NotFound,
    )
)]
async fn show(
    State(core): State<Core>,
    caller: Caller,
    Segments((name, id)): Segments<(String, RecordId)>,
    Params(ShowParams { fields, expand }): Params<ShowParams>,
    known: IfNoneMatch,
) -> Result<Response, HttpProblem> {
    let is_expanded = expand.is_some();
    let view = ViewQuery { fields, expand };
    let record = core.records().view(&caller.identity, &name, id, &view).await?;
    if is_expanded {
        return Ok(known.answer(&record));
    }
    let version = record.version();
    if known.has(version) {
        return Ok(tagged(StatusCode::NOT_MODIFIED.into_response(), version));
    }
    Ok(tagged(Json(record).into_response(), version))
}

/// Replaces a record's data: fields that aren't given get their defaults.
#[utoipa::path(
    put, path = "/api/collections/{name}/records/{id}", operation_id = "replace_record", tag = "records",
    security((), ("bearer" = [])),
    params(
        ("name" = String, Path, description = "The collection's name"),
        ("id" = RecordId, Path, description = "The record's id"),
        ("if-match" = Option<String>, Header, description = "The tag that it must have"),
    ),
    responses(
        (status = 200, description = "The new record", body = Record, headers(("etag" = String))),
        Invalid, Forbidden, NotFound, Conflict, PreconditionFailed, Rejected,
    )
)]
async fn replace(
    State(core): State<Core>,
    caller: Caller,
    Segments((name, id)): Segments<(String, RecordId)>,
    IfMatch(expected): IfMatch,
    Json(body): Json<RecordBody>,
) -> Result<Response, HttpProblem> {
    let address = RecordAddress { collection: Some(&name), id, expected };
    let change = Change::Replace(body.data);
    edit(&core, &caller, &address, Edit { change, owner: body.owner_id }).await
}

/// Changes a record: the data is merged over the old data.
#[utoipa::path(
    patch, path = "/api/collections/{name}/records/{id}", operation_id = "update_record", tag = "records",
    security((), ("bearer" = [])),
    params(
        ("name" = String, Path, description = "The collection's name"),
        ("id" = RecordId, Path, description = "The record's id"),
        ("if-match" = Option<String>, Header, description = "The tag that it must have"),
    ),
    responses(
        (status = 200, description = "The changed record", body = Record, headers(("etag" = String))),
        Invalid, Forbidden, NotFound, Conflict, PreconditionFailed, Rejected,
    )
)]
async fn update(
    State(core): State<Core>,
    caller: Caller,
    Segments((name, id)): Segments<(String, RecordId)>,
    IfMatch(expected): IfMatch,
    Json(body): Json<RecordBody>,
) -> Result<Response, HttpProblem> {
    let address = RecordAddress { collection: Some(&name), id, expected };
    let change = Change::Merge(body.data);
    edit(&core, &caller, &address, Edit { change, owner: body.owner_id }).await
}

async fn edit(
    core: &Core,
    caller: &Caller,
    address: &RecordAddress<'_>,
    edit: Edit,
) -> Result<Response, HttpProblem> {
    let changed = core.records().change(&caller.cause(), address, edit).await?;
    Ok(written(StatusCode::OK, changed))
}

/// Deletes a record.
#[utoipa::path(
    delete, path = "/api/collections/{name}/records/{id}", operation_id = "delete_record", tag = "records",
    security((), ("bearer" = [])),
    params(
        ("name" = String, Path, description = "The collection's name"),
        ("id" = RecordId, Path, description = "The record's id"),
        ("if-match" = Option<String>, Header, description = "The tag that it must have"),
    ),
    responses(
        (status = 204, description = "It is gone"),
        Forbidden, NotFound, Conflict, PreconditionFailed, Rejected,
    )
)]
async fn delete(
    State(core): State<Core>,
    caller: Caller,
    Segments((name, id)): Segments<(String, RecordId)>,
    IfMatch(expected): IfMatch,
) -> Result<Response, HttpProblem> {
    let address = RecordAddress { collection: Some(&name), id, expected };
    let deleted = core.records().remove(&caller.cause(), &address).await?;
    let mut response = StatusCode::NO_CONTENT.into_response();
    mark_failed_open(&mut response, &deleted.failed_open);
    Ok(response)
}

/// The answer to a write: the record with its tag.
fn written(status: StatusCode, written: Committed<Record>) -> Response {
    let version = written.value.version;
    tagged(with_failed_open(status, written.value, &written.failed_open), version)
}
