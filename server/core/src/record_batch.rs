//! Batches: several operations on records that take place together or not at all.
//!
//! Each is checked, authorized and shown to the before-hooks as it would be alone, in order, and an
//! operation sees what those before it in the batch make of its record. Then one transaction writes
//! all of them. If something that was read has changed meanwhile, everything is done again.

use std::collections::HashMap;
use std::fmt;

use serde_json::{Map, Value};
use thiserror::Error;
use tinybase_model::{Cause, ExtensionName, FieldViolation, Record, RecordId};
use tinybase_store::{BatchWritten, KeptAnswer, RecordWrite, StoreError};

use crate::access::Operation;
use crate::acting::Acting;
use crate::collection::TRIES_MAX;
use crate::hook_engine::HookRefusal;
use crate::idempotency::{Claim, KeyError};
use crate::problem::{Kind, Problem};
use crate::record::{Found, RecordError, Records};
use crate::record_change::{Edit, Expected, Owner, RecordAddress};
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
        /// To whom it is to belong.
        owner: Owner,
    },
    /// Changes a record.
    Change {
        /// The collection.
        collection: String,
        /// The record.
        id: RecordId,
        /// How.
        edit: Edit,
        /// In which version.
        expected: Expected,
    },
    /// Deletes a record.
    Delete {
        /// The collection.
        collection: String,
        /// The record.
        id: RecordId,
        /// In which version.
        expected: Expected,
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
            BatchOperation::Create { collection, data, owner } => {
                let draft = self.draft(acting, collection, data.clone(), *owner).await?;
                let creation = self.creation(acting, &draft).await?;
                let shown = draft.shelved.shown(acting.actor(), creation.record.clone());
                plan.writes.push(RecordWrite::Create(Box::new(creation)));
                plan.add(Some(shown), draft.failed_open);
            }
            BatchOperation::Change { collection, id, edit, expected } => {
                let place = (collection.as_str(), *id, expected);
                let mut found = self.reach_left(plan, acting, Operation::Update, place).await?;
                let (change, failed_open) = self.change_of(acting, &mut found, edit).await?;
                plan.writes.push(RecordWrite::Change(Box::new(change)));
                let left = (found.record.clone(), found.record.version);
                plan.left.insert(*id, Some(left));
                let shown = found.shelved.shown(acting.actor(), found.record);
                plan.add(Some(shown), failed_open);
            }
            BatchOperation::Delete { collection, id, expected } => {
                let place = (collection.as_str(), *id, expected);
                let found = self.reach_left(plan, acting, Operation::Delete, place).await?;
                let (deletion, failed_open) = self.deletion_of(acting, &found).await?;
                plan.writes.push(RecordWrite::Delete(Box::new(deletion)));
                plan.left.insert(*id, None);
                plan.add(None, failed_open);
            }
        }
        Ok(())
    }

    /// A record as the batch so far leaves it, with which an actor may do something, if it is in the
    /// version that is expected.
    async fn reach_left(
        &self,
        plan: &Plan,
        acting: Acting<'_>,
        operation: Operation,
        (collection, id, expected): (&str, RecordId, &Expected),
    ) -> Result<Found, RecordError> {
        let actor = acting.actor();
        let found = match plan.left.get(&id) {
            None => {
                let address = RecordAddress::any(Some(collection), id);
                self.reach(actor, operation, &address).await?
            }
            Some(Some((record, version))) if record.collection.as_str() == collection => {
                let shelved = self.find_collection(collection).await?;
                let found = Found { record: record.clone(), version: *version, shelved };
                found.authorize(actor, operation)?;
                found
            }
            Some(_) => {
                self.approach(actor, operation, Some(collection)).await?;
                return Err(RecordError::NotFound(id));
            }
        };
        found.expect(expected)?;
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
