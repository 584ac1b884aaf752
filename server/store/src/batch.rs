//! Several writes of records that take place together or not at all.

use crate::creation::{RecordCreation, insert, row};
use crate::event::NewEvent;
use crate::group::ends_attempt;
use crate::idempotency::UsedKey;
use crate::record::{RecordChange, RecordDeletion};
use crate::reference::check_references;
use crate::search::set_terms;
use crate::sql::Connection;
use crate::transaction::{RELEASE_BATCH, ROLLBACK_TO_BATCH, SAVEPOINT_BATCH, execute};
use crate::write::Write;
use crate::{Store, StoreError, Written};

/// A write of a batch.
#[derive(Debug)]
pub enum RecordWrite {
    /// Creates a record.
    Create(Box<RecordCreation>),
    /// Changes one.
    Change(Box<RecordChange>),
    /// Deletes one.
    Delete(Box<RecordDeletion>),
}

/// How a batch ended.
#[derive(Debug)]
pub enum BatchWritten {
    /// Everything was written.
    Done,
    /// What this write rests on has changed, and nothing was written.
    Stale(usize),
    /// The key was used before, and nothing was written.
    KeyUsed,
    /// This write failed, and nothing was written.
    Failed(usize, StoreError),
}

impl Store {
    /// Writes all of it in one transaction, in this order, or nothing. It uses the key up, if it has
    /// one.
    pub async fn write_records(
        &self,
        writes: Vec<RecordWrite>,
        key: Option<UsedKey>,
    ) -> Result<BatchWritten, StoreError> {
        self.write(Batch { writes, key }).await
    }
}

struct Batch {
    writes: Vec<RecordWrite>,
    key: Option<UsedKey>,
}

impl Write for Batch {
    type Output = BatchWritten;

    async fn apply(
        &self,
        connection: &mut Connection,
        events: &mut Vec<NewEvent>,
    ) -> Result<BatchWritten, StoreError> {
        let before = events.len();
        execute(connection, SAVEPOINT_BATCH).await?;
        if let Some(key) = &self.key
            && key.apply(connection).await? == Written::Stale
        {
            execute(connection, RELEASE_BATCH).await?;
            return Ok(BatchWritten::KeyUsed);
        }
        let mut ended = BatchWritten::Done;
        for (index, write) in self.writes.iter().enumerate() {
            match write.apply(connection, events).await {
                Ok(Written::Done) => continue,
                Ok(Written::Stale) => ended = BatchWritten::Stale(index),
                Err(error) if ends_attempt(&error) => return Err(error),
                Err(error) => ended = BatchWritten::Failed(index, error),
            }
            events.truncate(before);
            execute(connection, ROLLBACK_TO_BATCH).await?;
            break;
        }
        execute(connection, RELEASE_BATCH).await?;
        Ok(ended)
    }
}

impl RecordWrite {
    async fn apply(
        &self,
        connection: &mut Connection,
        events: &mut Vec<NewEvent>,
    ) -> Result<Written, StoreError> {
        match self {
            Self::Create(creation) => {
                let row = row(creation).map_err(StoreError::corrupt("a new record"))?;
                let written = insert(connection, &row).await?;
                if written == Written::Done {
                    if creation.terms.is_some() {
                        set_terms(connection, std::iter::once(row.as_str())).await?;
                    }
                    check_references(connection, creation.references.iter()).await?;
                    events.push(creation.event.clone());
                }
                Ok(written)
            }
            Self::Change(change) => change.apply(connection, events).await,
            Self::Delete(deletion) => deletion.apply(connection, events).await,
        }
    }
}
