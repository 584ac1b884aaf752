//! Records: reading and writing them as a client.

use serde::Serialize;
use serde_json::{Map, Value};
use thiserror::Error;
use tinybase_model::{Cause, FieldViolation, Identity, Record, RecordId};
use tinybase_store::StoreError;

use crate::access::AccessDenied;
use crate::hook_engine::HookRefusal;
use crate::problem::{Kind, Problem};
use crate::{Committed, Core};

/// Which records of a collection to list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListQuery {
    /// At most so many, 1 to 1,000.
    pub limit: u32,
    /// After so many.
    pub offset: u32,
    /// `created_at`, `updated_at`, `id`, `owner_id` or a field of the data.
    pub sort_by: String,
    /// Whether the largest comes first.
    pub descending: bool,
}

impl Default for ListQuery {
    fn default() -> Self {
        Self { limit: 100, offset: 0, sort_by: "created_at".to_owned(), descending: true }
    }
}

/// A part of a collection's records.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RecordList {
    /// The records.
    pub records: Vec<Record>,
    /// How many there are without limit and offset.
    pub total: u64,
    /// The limit that was asked for.
    pub limit: u32,
    /// The offset that was asked for.
    pub offset: u32,
}

/// Why something about records wasn't done.
#[derive(Debug, Clone, Error)]
pub enum RecordError {
    /// There is no such collection.
    #[error("Collection '{0}' not found")]
    NoCollection(String),
    /// There is no such record.
    #[error("Record '{0}' not found")]
    NotFound(RecordId),
    /// The data doesn't fit the schema.
    #[error("Validation error: {}", crate::collection::summary(.0))]
    Invalid(Vec<FieldViolation>),
    /// The query can't be answered.
    #[error("{0}")]
    Query(String),
    /// The data is too large.
    #[error("the record has {size} bytes; the limit is {limit}")]
    TooLarge {
        /// Its size in bytes of JSON.
        size: usize,
        /// The limit.
        limit: usize,
    },
    /// Others kept changing the same thing at the same time.
    #[error("somebody else changed the record or its collection at the same time; try again")]
    Changed,
    /// The chain of invocations that led here is too long.
    #[error("extensions have triggered each other {0} times in a row; this looks like a loop")]
    TooDeep(u32),
    /// Who acts may not do it.
    #[error(transparent)]
    Denied(#[from] AccessDenied),
    /// An extension refused.
    #[error(transparent)]
    Refused(#[from] HookRefusal),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Problem for RecordError {
    fn kind(&self) -> Kind {
        match self {
            Self::NoCollection(_) | Self::NotFound(_) => Kind::NotFound,
            Self::Invalid(_) | Self::Query(_) => Kind::Invalid,
            Self::TooLarge { .. } => Kind::TooLarge,
            Self::Changed | Self::TooDeep(_) => Kind::Conflict,
            Self::Denied(denied) => denied.kind(),
            Self::Refused(refusal) => refusal.kind(),
            Self::Store(error) => error.kind(),
        }
    }
}

/// Records.
#[derive(Debug, Clone, Copy)]
pub struct Records<'a> {
    pub(crate) core: &'a Core,
}

impl Records<'_> {
    /// Creates a record that belongs to whoever acts.
    pub async fn create(
        &self,
        cause: &Cause,
        collection: &str,
        data: Map<String, Value>,
    ) -> Result<Committed<Record>, RecordError> {
        todo!()
    }

    /// One record.
    pub async fn get(
        &self,
        identity: &Identity,
        collection: &str,
        id: RecordId,
    ) -> Result<Record, RecordError> {
        todo!()
    }

    /// Records of a collection. Under the rule `owner` these are only one's own.
    pub async fn list(
        &self,
        identity: &Identity,
        collection: &str,
        query: &ListQuery,
    ) -> Result<RecordList, RecordError> {
        todo!()
    }

    /// Merges fields into a record and checks the whole again.
    pub async fn patch(
        &self,
        cause: &Cause,
        collection: &str,
        id: RecordId,
        data: Map<String, Value>,
    ) -> Result<Committed<Record>, RecordError> {
        todo!()
    }

    /// Deletes a record.
    pub async fn delete(
        &self,
        cause: &Cause,
        collection: &str,
        id: RecordId,
    ) -> Result<Committed<()>, RecordError> {
        todo!()
    }
}
