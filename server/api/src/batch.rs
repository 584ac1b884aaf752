//! Batches of operations on records.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tinybase_core::{
    BATCH_MAX, BatchError, BatchOperation, BatchOutcome, Change, Claimed, Core, Edit, Expected,
    Once, Owner, RecordError,
};
use tinybase_model::{FieldViolation, Record, RecordId};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::batch_shape::{BatchBody, CollectionBatchBody};
use crate::body::{Object, Segments, with_failed_open};
use crate::caller::Caller;
use crate::idempotency::{Answer, Repeatable, replayed};
use crate::openapi::{Conflict, Forbidden, Invalid, NotFound, PreconditionFailed, Rejected};
use crate::problem::{HttpProblem, Kind};
use crate::records::given;

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default().routes(routes!(batch)).routes(routes!(batch_of_one))
}

/// Operations that take place together or not at all.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    operations: Vec<Object<OperationBody>>,
}

/// One operation of a batch, before it is known whether it has what it needs.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OperationBody {
    op: Op,
    collection: Option<String>,
    id: Option<RecordId>,
    data: Option<Map<String, Value>>,
    #[serde(default, deserialize_with = "given")]
    owner_id: Owner,
    if_match: Option<String>,
}

#[derive(Deserialize, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum Op {
    Create,
    Update,
    Replace,
    Delete,
}

/// What a batch came to.
#[derive(Serialize, ToSchema)]
struct BatchAnswer {
    /// For each operation the record; null for a deletion.
    results: Vec<Option<Record>>,
}

/// Does several operations on records of any collections, or none of them.
///
/// Each is checked as it would be alone, and sees what those before it do. If one can't be done,
/// nothing is, and `errors` names it: its `field` begins with `/operations/` and its number.
#[utoipa::path(
    post, path = "/api/batch", operation_id = "write_batch", tag = "records",
    security((), ("bearer" = [])), request_body = BatchBody,
    params(("idempotency-key" = Option<String>, Header, description = "A key of your own: the same request with it is done once")),
    responses(
        (
            status = 200, description = "All of it took place", body = BatchAnswer,
            headers(("idempotent-replayed" = String, description = "`true` if this was answered before")),
        ),
        Invalid, Forbidden, NotFound, Conflict, PreconditionFailed, Rejected,
    )
)]
async fn batch(
    State(core): State<Core>,
    caller: Caller,
    request: Repeatable<Body>,
) -> Result<Response, HttpProblem> {
    run(&core, caller, None, request).await
}

/// Does several operations on records of a collection, or none of them.
#[utoipa::path(
    post, path = "/api/collections/{name}/records/batch", operation_id = "write_records_batch", tag = "records",
    security((), ("bearer" = [])), request_body = CollectionBatchBody,
    params(
        ("name" = String, Path, description = "The collection's name"),
        ("idempotency-key" = Option<String>, Header, description = "A key of your own: the same request with it is done once"),
    ),
    responses(
        (
            status = 200, description = "All of it took place", body = BatchAnswer,
            headers(("idempotent-replayed" = String, description = "`true` if this was answered before")),
        ),
        Invalid, Forbidden, NotFound, Conflict, PreconditionFailed, Rejected,
    )
)]
async fn batch_of_one(
    State(core): State<Core>,
    caller: Caller,
    Segments(name): Segments<String>,
    request: Repeatable<Body>,
) -> Result<Response, HttpProblem> {
    run(&core, caller, Some(&name), request).await
}

async fn run(
    core: &Core,
    caller: Caller,
    collection: Option<&str>,
    Repeatable { body, key }: Repeatable<Body>,
) -> Result<Response, HttpProblem> {
    let count = body.operations.len();
    if !(1..=BATCH_MAX).contains(&count) {
        let detail = format!("A batch has 1 to {BATCH_MAX} operations, not {count}");
        return Err(HttpProblem::new(Kind::Unprocessable, detail));
    }
    let operations: Vec<_> = body
        .operations
        .into_iter()
        .enumerate()
        .map(|(index, Object(operation))| {
            operation.read(collection).map_err(|wrong| wrong.at(index))
        })
        .collect::<Result<_, _>>()?;
    let cause = caller.cause();
    let Some(key) = key else {
        let written = core.records().batch(&cause, &operations).await.map_err(failed)?;
        let answer = BatchAnswer { results: written.value };
        return Ok(with_failed_open(StatusCode::OK, answer, &written.failed_open));
    };
    let claim = match core.claim(&caller.identity, key).await? {
        Claimed::New(claim) => claim,
        done @ (Claimed::Answered(_) | Claimed::Called(_)) => return replayed(done),
    };
    let answer = |written: &BatchOutcome| {
        let body = BatchAnswer { results: written.value.clone() };
        Answer::new(StatusCode::OK, None, &written.failed_open, &body)
    };
    let once = Once { claim: &claim, answer: &|written| answer(written).text() };
    let written = core.records().batch_once(&cause, &operations, once).await.map_err(failed)?;
    Ok(answer(&written).into_response())
}

/// Why there is nothing of a batch, with the operation at fault if one is.
fn failed(error: BatchError) -> HttpProblem {
    if let RecordError::Key(error) = error.error {
        return error.into();
    }
    let index = error.index;
    HttpProblem::from(error).within(&format!("/operations/{index}"))
}

/// A key that is missing or too much.
struct Wrong {
    key: &'static str,
    message: &'static str,
}

impl Wrong {
    fn at(&self, index: usize) -> HttpProblem {
        let field = format!("/operations/{index}/{}", self.key);
        let detail = format!("{field} {}", self.message);
        let errors = vec![FieldViolation { field, message: self.message.to_owned() }];
        HttpProblem::new(Kind::Unprocessable, detail).with_errors(errors)
    }
}

impl OperationBody {
    fn read(self, collection: Option<&str>) -> Result<BatchOperation, Wrong> {
        let wrong = |key, message| Wrong { key, message };
        let collection = match (collection, self.collection) {
            (Some(name), None) => name.to_owned(),
            (Some(name), Some(other)) if other == name => other,
            (Some(_), Some(_)) => return Err(wrong("collection", "is not the path's")),
            (None, Some(name)) => name,
            (None, None) => return Err(wrong("collection", "is missing")),
        };
        let id = || self.id.ok_or(wrong("id", "is missing"));
        let data = self.data.ok_or(wrong("data", "is missing"));
        let owner = self.owner_id;
        if self.op == Op::Create {
            if self.id.is_some() {
                return Err(wrong("id", "is the server's to choose"));
            }
            if self.if_match.is_some() {
                return Err(wrong("if_match", "is for records that are there"));
            }
            return Ok(BatchOperation::Create { collection, data: data?, owner });
        }
        let expected = match self.if_match.as_deref() {
            None | Some("*") => Expected::Any,
            Some(tag) => {
                let inner = tag.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
                let version = inner.unwrap_or(tag).parse().ok();
                Expected::OneOf(version.into_iter().collect())
            }
        };
        let id = id()?;
        let change = match self.op {
            Op::Update => Change::Merge(data?),
            Op::Replace => Change::Replace(data?),
            Op::Create | Op::Delete => {
                if data.is_ok() {
                    return Err(wrong("data", "is not for a deletion"));
                }
                if owner != Owner::Same {
                    return Err(wrong("owner_id", "is not for a deletion"));
                }
                return Ok(BatchOperation::Delete { collection, id, expected });
            }
        };
        let edit = Edit { change, owner };
        Ok(BatchOperation::Change { collection, id, edit, expected })
    }
}
