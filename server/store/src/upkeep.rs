//! What operators do to a database as a whole: bring its schema up to date, compare it with what it
//! should be, and copy it.

mod buckets;
mod check;
mod digest;
mod inspect;
mod snapshot;
mod transfer;

use thiserror::Error;

use crate::database::{DatabaseUrl, Place};
use crate::migration::{self, MigrationError, SchemaStep};
use crate::open::{OpenError, migrator};
use crate::sql::Connection;
use crate::{StoreError, StoreOptions};

pub use self::buckets::buckets;
pub use self::check::{check, integrity};
pub use self::snapshot::{begin_epoch, snapshot};
pub use self::transfer::{Copied, copy};
#[cfg(test)]
pub(crate) use self::{
    buckets::BUCKETS,
    check::{BROKEN_INDEXES, BROKEN_POSITIONS, FOREIGN_KEYS, IN_TEMPORARY_TABLES, INTEGRITY},
    inspect::{COLUMNS, NUMBERED, NUMBERS, OBJECTS, PARENTS},
    snapshot::{BEGIN_EPOCH, VACUUM_INTO},
    transfer::{BEGIN_SNAPSHOT, INSERT_NUMBER, SET_EVENT_HEAD, SET_NUMBER},
};

/// Why something wasn't done to a database.
#[derive(Debug, Error)]
pub enum UpkeepError {
    /// It couldn't be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// There is no such file.
    #[error("there is no database {0}")]
    Missing(DatabaseUrl),
    /// Its schema isn't the one that is needed.
    #[error("the database {url} can't be used as it is")]
    Schema {
        /// The database.
        url: DatabaseUrl,
        /// Why.
        #[source]
        source: MigrationError,
    },
    /// It failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Something is there already.
    #[error("{0} isn't empty; give a database without tables")]
    NotEmpty(DatabaseUrl),
    /// A table can't be copied.
    #[error("the table {table} can't be copied: {why}")]
    Table {
        /// The table.
        table: String,
        /// Why.
        why: String,
    },
    /// What was copied isn't what was there.
    #[error("the copy of {table} differs: {there} rows were read, {here} were written{values}")]
    Differs {
        /// The table.
        table: String,
        /// How many rows there were.
        there: u64,
        /// How many there are now.
        here: u64,
        /// Says if it is the values.
        values: &'static str,
    },
}

/// The steps of a database's schema, and which of them were applied.
///
/// # Errors
/// If it can't be opened, or is of a newer server.
pub async fn status(url: &DatabaseUrl) -> Result<Vec<SchemaStep>, UpkeepError> {
    let mut connection = existing(url).await?;
    let steps = migration::status(&mut connection).await;
    close(connection).await;
    steps.map_err(|source| UpkeepError::Schema { url: url.clone(), source })
}

/// Applies the missing steps and tells which they were.
///
/// # Errors
/// If one can't be applied; what was applied before it stays.
pub async fn upgrade(url: &DatabaseUrl) -> Result<Vec<SchemaStep>, UpkeepError> {
    let schema = |source| UpkeepError::Schema { url: url.clone(), source };
    let mut connection = existing(url).await?;
    let mut steps = migration::status(&mut connection).await.map_err(schema)?;
    steps.retain(|step| !step.applied);
    migration::run(&mut connection).await.map_err(schema)?;
    close(connection).await;
    Ok(steps)
}

/// Connects to a database that is there, without limits on how long statements take.
async fn existing(url: &DatabaseUrl) -> Result<Connection, UpkeepError> {
    if let Place::File(path) = &url.place
        && !path.exists()
    {
        return Err(UpkeepError::Missing(url.clone()));
    }
    connect(url).await
}

async fn connect(url: &DatabaseUrl) -> Result<Connection, UpkeepError> {
    let target = migrator(&StoreOptions::new(url.clone()))?;
    let connected = target.connect().await;
    Ok(connected.map_err(|source| OpenError::Open { url: url.clone(), source })?)
}

async fn close(connection: Connection) {
    if let Err(error) = connection.close().await {
        tracing::warn!(%error, "the database connection did not close cleanly");
    }
}
