//! Batches: several operations on records that take place together or not at all.
//!
//! Each is checked, authorized and shown to the before-hooks as it would be alone, in order, and an
//! operation sees what those before it in the batch make of its record. Then one transaction writes
//! all of them. If something that was read has changed meanwhile, everything is done again.

use std::collections::HashMap;
use std::fmt;

use serde_json::{Map, Value};
use thiserror::Error;
use tinybase_model::{
    Cause, Event, ExtensionName, FieldViolation, Record, RecordEvent, RecordId, ReferenceTarget,
};
use tinybase_store::{
    BatchWritten, KeptAnswer, NewEvent, RecordChange, RecordCreation, RecordDeletion, RecordWrite,
    StoreError, now,
};

use crate::access::{Operation, authorize};
use crate::acting::Acting;
use crate::collection::TRIES_MAX;
use crate::hook_engine::HookRefusal;
use crate::idempotency::{Claim, KeyError};
use crate::problem::{Kind, Problem};
use crate::record::{Found, RecordError, Records};
use crate::record_change::{Change, FIRST_VERSION, RecordAddress, event_of, new_record, object};
use crate::relations::refused;
use crate::{Committed, Core};

/// The most operations of a batch.
pub const BATCH_MAX: usize = 1000;

/// An operation of a batch.
#[derive(Debug, Clone, PartialEq)]
pub enum BatchOperation {
    /// Creates a record in a collection.
    Create {
        /// The collection.
        collection: String,
        /// The data.
        data: Map<String, Value>,
    },
    /// Changes a record.
    Change {
        /// The collection.
        collection: String,
        /// The record.
        id: RecordId,
        /// How.
        change: Change,
        /// In which version.
        expected: crate::Expected,
    },
    /// Deletes a record.
    Delete {
        /// The collection.
        collection: String,
        /// The record.
        id: RecordId,
        /// In which version.
        expected: crate::Expected,
    },
}

/// What a batch came to: the records, in the order of the operations; none for a deletion.
pub type BatchOutcome = Committed<Vec<Option<Record>>>;

/// Why nothing of a batch took place.
#[derive(Debug, Clone, Error)]
#[error("operation {index}: {error}")]
pub struct BatchError {
    /// The operation at fault, counted from 0.
    pub index: usize,
    /// What is wrong with it.
    pub error: RecordError,
}

impl Problem for BatchError {
    fn kind(&self) -> Kind {
        self.error.kind()
    }

    fn violations(&self) -> &[FieldViolation] {
        self.error.violations()
    }

    fn refusal(&self) -> Option<&HookRefusal> {
        self.error.refusal()
    }
}

impl Records<'_> {
    /// Does all of it or nothing.
    pub async fn batch(
        &self,
        cause: &Cause,
        operations: &[BatchOperation],
    ) -> Result<BatchOutcome, BatchError> {
        self.write(cause, operations, None).await
    }

    /// The same, once: together with it the key is used up and the answer is kept.
    pub async fn batch_once(
        &self,
        cause: &Cause,
        operations: &[BatchOperation],
        once: Once<'_>,
    ) -> Result<BatchOutcome, BatchError> {
        self.write(cause, operations, Some(once)).await
    }

    async fn write(
        &self,
        cause: &Cause,
        operations: &[BatchOperation],
        once: Option<Once<'_>>,
    ) -> Result<BatchOutcome, BatchError> {
        let acting = Acting::client(cause);
        match self.core.write_batch(acting, operations, once).await {
            Ok(written) => Ok(written),
            Err(BatchError { index, error }) => {
                let collection = operations.get(index).map(BatchOperation::collection);
                let error = self.core.told(acting.actor(), None, collection, error).await;
                Err(BatchError { index, error })
            }
        }
    }
}

/// What makes a request happen once.
#[derive(Clone, Copy)]
pub struct Once<'a> {
    /// Its key.
    pub claim: &'a Claim,
    /// What is to be answered when it is sent again.
    pub answer: &'a (dyn Fn(&BatchOutcome) -> String + Send + Sync),
}

impl fmt::Debug for Once<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Once").field("claim", self.claim).finish_non_exhaustive()
    }
}

/// What a batch has come to so far.
#[derive(Default)]
struct Plan {
    writes: Vec<RecordWrite>,
    records: Vec<Option<Record>>,
    failed_open: Vec<ExtensionName>,
    /// Records as the operations so far leave them; none if they delete it.
    left: HashMap<RecordId, Option<(Record, i64)>>,
}

impl Core {
    async fn write_batch(
        &self,
        acting: Acting<'_>,
        operations: &[BatchOperation],
        once: Option<Once<'_>>,
    ) -> Result<BatchOutcome, BatchError> {
        let mut last = 0;
        for _ in 0..TRIES_MAX {
            let mut plan = Plan::default();
            for (index, operation) in operations.iter().enumerate() {
                let planned = self.plan(&mut plan, acting, operation).await;
                planned.map_err(|error| BatchError { index, error })?;
            }
            let Plan { writes, records, failed_open, .. } = plan;
            let planned = Committed { value: records, failed_open };
            let key =
                once.map(|Once { claim, answer }| claim.used(KeptAnswer::Text(answer(&planned))));
            let written = self.inner.store.write_records(writes, key).await;
            match written.map_err(|error| BatchError { index: last, error: error.into() })? {
                BatchWritten::Done => {
                    self.events_committed();
                    return Ok(planned);
                }
                BatchWritten::KeyUsed => {
                    // Another server was faster; its answer is there the next time.
                    return Err(BatchError { index: 0, error: KeyError::InUse.into() });
                }
                BatchWritten::Failed(index, error) => {
                    let error = self.refused(operations.get(index), error).await;
                    return Err(BatchError { index, error });
                }
                BatchWritten::Stale(index) => {
                    last = index;
                    if let Some(operation) = operations.get(index) {
                        self.inner.shelf.forget(operation.collection());
                    }
                }
            }
        }
        Err(BatchError { index: last, error: RecordError::Changed })
    }

    /// What the database says about an operation, in the words of its collection.
    async fn refused(&self, operation: Option<&BatchOperation>, error: StoreError) -> RecordError {
        let Some(operation) = operation else { return error.into() };
        match self.find_collection(operation.collection()).await {
            Ok(shelved) => refused(&shelved, error),
            Err(error) => error,
        }
    }

    async fn plan(
        &self,
        plan: &mut Plan,
        acting: Acting<'_>,
        operation: &BatchOperation,
    ) -> Result<(), RecordError> {
        match operation {
            BatchOperation::Create { collection, data } => {
                self.plan_creation(plan, acting, collection, data.clone()).await
            }
            BatchOperation::Change { collection, id, change, expected } => {
                let expected = expected.clone();
                let address = RecordAddress { collection: Some(collection), id: *id, expected };
                self.plan_change(plan, acting, &address, change).await
            }
            BatchOperation::Delete { collection, id, expected } => {
                let expected = expected.clone();
                let address = RecordAddress { collection: Some(collection), id: *id, expected };
                self.plan_deletion(plan, acting, &address).await
            }
        }
    }

    async fn plan_creation(
        &self,
        plan: &mut Plan,
        acting: Acting<'_>,
        collection: &str,
        mut data: Map<String, Value>,
    ) -> Result<(), RecordError> {
        let shelved = self.find_collection(collection).await?;
        authorize(acting.actor(), shelved.attempt(Operation::Create, None))?;
        let unseen = shelved.unseen(acting.actor());
        data.retain(|name, _| !unseen.contains(&name.as_str()));
        let data = self.checked(&shelved.schema, data)?;
        let draft = RecordEvent {
            collection: collection.to_owned(),
            record_id: None,
            owner_id: acting.cause.identity.user_id(),
            data: data.clone(),
            old_data: None,
            version: FIRST_VERSION,
        };
        let (mut draft, failed_open) = self.approve(Event::RecordCreate(draft), acting).await?;
        if draft.data != data {
            draft.data = self.checked(&shelved.schema, object(&draft.data)?)?;
        }
        let id = RecordId::generate();
        draft.record_id = Some(id);
        let record = new_record(id, &shelved.collection, &draft);
        authorize(acting.actor(), shelved.attempt(Operation::Create, Some(&record)))?;
        let event = Event::RecordCreate(draft);
        plan.writes.push(RecordWrite::Create(Box::new(RecordCreation {
            references: self.references(&shelved.schema, &record.data).await?,
            terms: shelved.terms(&record.data),
            event: NewEvent::new(&event, acting.cause, record.created_at),
            collection_version: shelved.version,
            record: record.clone(),
        })));
        plan.add(Some(shelved.shown(acting.actor(), record)), failed_open);
        Ok(())
    }

    async fn plan_change(
        &self,
        plan: &mut Plan,
        acting: Acting<'_>,
        address: &RecordAddress<'_>,
        change: &Change,
    ) -> Result<(), RecordError> {
        let mut found = self.reach_left(plan, acting, Operation::Update, address).await?;
        found.expect(&address.expected)?;
        let kept = found.shelved.unseen(acting.actor());
        let data = change.applied_to(&found.record.data, &kept)?;
        let data = self.checked(&found.shelved.schema, data)?;
        let event = Event::RecordUpdate(RecordEvent {
            data: data.clone(),
            old_data: Some(found.record.data.clone()),
            ..event_of(&found.record)
        });
        let (mut draft, failed_open) = self.approve(event, acting).await?;
        if draft.data != data {
            draft.data = self.checked(&found.shelved.schema, object(&draft.data)?)?;
        }
        let updated_at = now();
        found.record.data = draft.data.clone();
        found.record.updated_at = updated_at;
        found.record.version = draft.version;
        plan.writes.push(RecordWrite::Change(Box::new(RecordChange {
            id: address.id,
            version: found.version,
            collection_version: found.shelved.version,
            data: draft.data.clone(),
            references: self.references(&found.shelved.schema, &draft.data).await?,
            terms: found.shelved.terms(&draft.data),
            updated_at,
            event: NewEvent::new(&Event::RecordUpdate(draft), acting.cause, updated_at),
        })));
        let left = (found.record.clone(), found.record.version);
        plan.left.insert(address.id, Some(left));
        plan.add(Some(found.shelved.shown(acting.actor(), found.record)), failed_open);
        Ok(())
    }

    async fn plan_deletion(
        &self,
        plan: &mut Plan,
        acting: Acting<'_>,
        address: &RecordAddress<'_>,
    ) -> Result<(), RecordError> {
        let found = self.reach_left(plan, acting, Operation::Delete, address).await?;
        found.expect(&address.expected)?;
        let event = Event::RecordDelete(event_of(&found.record));
        let (draft, failed_open) = self.approve(event, acting).await?;
        plan.writes.push(RecordWrite::Delete(Box::new(RecordDeletion {
            id: address.id,
            version: found.version,
            collection_version: found.shelved.version,
            cascade: self
                .relations()
                .await?
                .cascade(ReferenceTarget::Record(found.record.collection_id), acting.cause),
            event: NewEvent::new(&Event::RecordDelete(draft), acting.cause, now()),
        })));
        plan.left.insert(address.id, None);
        plan.add(None, failed_open);
        Ok(())
    }

    /// A record as the batch so far leaves it, with which an actor may do something.
    async fn reach_left(
        &self,
        plan: &Plan,
        acting: Acting<'_>,
        operation: Operation,
        address: &RecordAddress<'_>,
    ) -> Result<Found, RecordError> {
        let (actor, collection) = (acting.actor(), address.collection);
        let found = match plan.left.get(&address.id) {
            None => return self.reach(actor, operation, address).await,
            Some(Some((record, version)))
                if collection.is_none_or(|name| name == record.collection.as_str()) =>
            {
                let shelved = self.find_collection(record.collection.as_str()).await?;
                Found { record: record.clone(), version: *version, shelved }
            }
            Some(_) => {
                self.approach(actor, operation, collection).await?;
                return Err(RecordError::NotFound(address.id));
            }
        };
        found.authorize(actor, operation)?;
        Ok(found)
    }
}

impl Plan {
    fn add(&mut self, record: Option<Record>, failed_open: Vec<ExtensionName>) {
        self.records.push(record);
        for extension in failed_open {
            if !self.failed_open.contains(&extension) {
                self.failed_open.push(extension);
            }
        }
    }
}

impl BatchOperation {
    fn collection(&self) -> &str {
        match self {
            Self::Create { collection, .. }
            | Self::Change { collection, .. }
            | Self::Delete { collection, .. } => collection,
        }
    }
}
