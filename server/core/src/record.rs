//! Records: reading and writing them as a client.

use std::sync::Arc;

use serde_json::{Map, Value};
use thiserror::Error;
use tinybase_model::{Cause, CollectionName, FieldViolation, Identity, Record, RecordId};
use tinybase_store::{ListError, StoreError, StoredRecord};

use crate::access::{AccessDenied, Actor, Operation, authorize};
use crate::acting::Acting;
use crate::hook_engine::HookRefusal;
use crate::idempotency::KeyError;
use crate::problem::{Kind, Problem};
use crate::record_change::{Change, Edit, Expected, Owner, RecordAddress};
use crate::shelf::Shelved;
use crate::{Committed, Core};

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
    /// Another record has the same values where only one may.
    #[error("Field '{fields}' must be unique: another record has the same value")]
    NotUnique {
        /// The fields.
        fields: String,
        /// The same for each field.
        violations: Vec<FieldViolation>,
    },
    /// Another record refers to it.
    #[error(
        "the record can't be deleted: the field '{field}' of a record of '{collection}' refers to it"
    )]
    Referenced {
        /// The collection of the other record.
        collection: CollectionName,
        /// Its field.
        field: String,
    },
    /// Something refers to it that isn't for whoever acts.
    #[error("the record can't be deleted: another record refers to it")]
    ReferencedElsewhere,
    /// Too many records would go or change with it.
    #[error(
        "more than {0} records refer to it, directly or through others; delete some of them first"
    )]
    CascadeTooLarge(usize),
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
    /// The record isn't of the expected version.
    #[error("the record has changed: its version is {0}; read it again")]
    Precondition(i64),
    /// Others kept changing the same thing at the same time.
    #[error("somebody else changed the record or its collection at the same time; try again")]
    Changed,
    /// The request's key can't be used.
    #[error(transparent)]
    Key(#[from] KeyError),
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
            Self::Invalid(_) | Self::NotUnique { .. } | Self::Query(_) => Kind::Invalid,
            Self::TooLarge { .. } => Kind::TooLarge,
            Self::Precondition(_) => Kind::PreconditionFailed,
            Self::Referenced { .. }
            | Self::ReferencedElsewhere
            | Self::CascadeTooLarge(_)
            | Self::Changed => Kind::Conflict,
            Self::Key(error) => error.kind(),
            Self::Denied(denied) => denied.kind(),
            Self::Refused(refusal) => refusal.kind(),
            Self::Store(error) => error.kind(),
        }
    }

    fn violations(&self) -> &[FieldViolation] {
        match self {
            Self::Invalid(violations) | Self::NotUnique { violations, .. } => violations,
            Self::Refused(refusal) => refusal.violations(),
            Self::NoCollection(_)
            | Self::NotFound(_)
            | Self::Query(_)
            | Self::TooLarge { .. }
            | Self::Referenced { .. }
            | Self::ReferencedElsewhere
            | Self::CascadeTooLarge(_)
            | Self::Precondition(_)
            | Self::Changed
            | Self::Key(_)
            | Self::Denied(_)
            | Self::Store(_) => &[],
        }
    }

    fn refusal(&self) -> Option<&HookRefusal> {
        if let Self::Refused(refusal) = self { Some(refusal) } else { None }
    }
}

impl From<ListError> for RecordError {
    fn from(error: ListError) -> Self {
        match error {
            ListError::Field(_) | ListError::Value { .. } => Self::Query(error.to_string()),
            ListError::Store(error) => Self::Store(error),
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
        self.create_for(cause, collection, data, Owner::Same).await
    }

    /// Creates a record that belongs to whom it is given.
    pub async fn create_for(
        &self,
        cause: &Cause,
        collection: &str,
        data: Map<String, Value>,
        owner: Owner,
    ) -> Result<Committed<Record>, RecordError> {
        let acting = Acting::client(cause);
        match self.core.create_record(acting, collection, data, owner).await {
            Ok(created) => Ok(created),
            Err(error) => Err(self.core.told(acting.actor(), None, Some(collection), error).await),
        }
    }

    /// One record.
    pub async fn get(
        &self,
        identity: &Identity,
        collection: &str,
        id: RecordId,
    ) -> Result<Record, RecordError> {
        let (actor, address) = (Actor::client(identity), RecordAddress::any(Some(collection), id));
        let found = self.core.reach(actor, Operation::Read, &address).await?;
        Ok(found.shelved.shown(actor, found.record))
    }

    /// Merges fields into a record and checks the whole again.
    pub async fn patch(
        &self,
        cause: &Cause,
        collection: &str,
        id: RecordId,
        data: Map<String, Value>,
    ) -> Result<Committed<Record>, RecordError> {
        let address = RecordAddress::any(Some(collection), id);
        self.change(cause, &address, Change::Merge(data)).await
    }

    /// Changes a record and checks the whole again.
    pub async fn change(
        &self,
        cause: &Cause,
        address: &RecordAddress<'_>,
        edit: impl Into<Edit>,
    ) -> Result<Committed<Record>, RecordError> {
        let acting = Acting::client(cause);
        match self.core.change_record(acting, address, edit.into()).await {
            Ok(changed) => Ok(changed),
            Err(error) => Err(self.core.told(acting.actor(), Some(address), None, error).await),
        }
    }

    /// Deletes a record.
    pub async fn delete(
        &self,
        cause: &Cause,
        collection: &str,
        id: RecordId,
    ) -> Result<Committed<()>, RecordError> {
        self.remove(cause, &RecordAddress::any(Some(collection), id)).await
    }

    /// Deletes a record if it is what is expected.
    pub async fn remove(
        &self,
        cause: &Cause,
        address: &RecordAddress<'_>,
    ) -> Result<Committed<()>, RecordError> {
        let acting = Acting::client(cause);
        match self.core.delete_record(acting, address).await {
            Ok(deleted) => Ok(deleted),
            Err(error) => Err(self.core.told(acting.actor(), Some(address), None, error).await),
        }
    }
}

/// The most records of a page.
pub const LIMIT_MAX: u32 = 1000;

/// A record that was found, with its collection.
pub(crate) struct Found {
    pub(crate) record: Record,
    pub(crate) version: i64,
    pub(crate) shelved: Arc<Shelved>,
}

impl Found {
    /// Whether an actor may do something with it. To whoever may not even read it, it isn't there.
    pub(crate) fn authorize(
        &self,
        actor: Actor<'_>,
        operation: Operation,
    ) -> Result<(), RecordError> {
        let decide = |actor, operation| {
            authorize(actor, self.shelved.attempt(operation, Some(&self.record))).map(drop)
        };
        let Err(denied) = decide(actor, operation) else { return Ok(()) };
        // What is missing of these isn't about the record, and somebody has to learn what to grant.
        let is_of_record =
            !matches!(denied, AccessDenied::Capability(_) | AccessDenied::Scope { .. });
        let is_seen = || {
            operation != Operation::Read
                && decide(Actor::client(actor.identity), Operation::Read).is_ok()
        };
        if is_of_record && !is_seen() {
            return Err(RecordError::NotFound(self.record.id));
        }
        Err(denied.into())
    }

    /// Whether it is what somebody expects.
    pub(crate) fn expect(&self, expected: &Expected) -> Result<(), RecordError> {
        if expected.admits(self.version) {
            return Ok(());
        }
        Err(RecordError::Precondition(self.version))
    }
}

impl Core {
    /// A collection, or the error that there is none.
    pub(crate) async fn find_collection(&self, name: &str) -> Result<Arc<Shelved>, RecordError> {
        let shelved = self.inner.shelf.get(&self.inner.store, name).await?;
        shelved.ok_or_else(|| RecordError::NoCollection(name.to_owned()))
    }

    /// A record with which an actor may do something.
    pub(crate) async fn reach(
        &self,
        actor: Actor<'_>,
        operation: Operation,
        address: &RecordAddress<'_>,
    ) -> Result<Found, RecordError> {
        self.approach(actor, operation, address.collection).await?;
        let found = self.find_record(address.collection, address.id).await?;
        found.authorize(actor, operation)?;
        Ok(found)
    }

    /// A record of a collection, or of any, whoever may see it.
    pub(crate) async fn find_record(
        &self,
        collection: Option<&str>,
        id: RecordId,
    ) -> Result<Found, RecordError> {
        let missing = || RecordError::NotFound(id);
        let stored = self.inner.store.record(id).await?.ok_or_else(missing)?;
        let StoredRecord { record, version } = stored;
        if collection.is_some_and(|name| name != record.collection.as_str()) {
            return Err(missing());
        }
        let shelved = self.find_collection(record.collection.as_str()).await?;
        Ok(Found { record, version, shelved })
    }

    /// Refuses what no record of the collection could allow, so that it is refused whether or not
    /// there is the record.
    pub(crate) async fn approach(
        &self,
        actor: Actor<'_>,
        operation: Operation,
        collection: Option<&str>,
    ) -> Result<(), RecordError> {
        if let Some(collection) = collection {
            let shelved = self.find_collection(collection).await?;
            authorize(actor, shelved.attempt(operation, None))?;
        }
        Ok(())
    }
}
