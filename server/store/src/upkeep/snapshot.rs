//! A consistent copy as a file, while others write.

use std::path::Path;

use uuid::Uuid;

use super::{Copied, UpkeepError, close, copy, existing, transfer};
use crate::StoreError;
use crate::database::{DatabaseUrl, Place};
use crate::migration;
use crate::sql::{Sql, query};

/// One read of the whole file, at one moment; copying page by page would begin again with every
/// write.
pub(crate) const VACUUM_INTO: Sql = Sql::each("vacuum into $1", "select 1 where $1::text is null");

pub(crate) const BEGIN_EPOCH: Sql = Sql::same(
    "insert into meta (key, value) values ('epoch', $1)
     on conflict (key) do update set value = excluded.value",
);

/// Copies a database into a new `SQLite` file and tells what is in it.
///
/// # Errors
/// If the database isn't up to date, or the file can't be written.
pub async fn snapshot(
    url: &DatabaseUrl,
    file: &Path,
    progress: &mut (dyn FnMut(&str, u64) + Send),
) -> Result<Vec<Copied>, UpkeepError> {
    let copied = DatabaseUrl::file(file);
    if let Place::Server(_) = url.place {
        let rows = copy(url, &copied, progress).await?;
        return Ok(rows);
    }
    let mut connection = existing(url).await?;
    migration::require_all(&mut connection)
        .await
        .map_err(|source| UpkeepError::Schema { url: url.clone(), source })?;
    progress("the database", 0);
    query(VACUUM_INTO)
        .bind(file.display().to_string())
        .execute(&mut connection)
        .await
        .map_err(StoreError::write("a copy of the database"))?;
    close(connection).await;
    transfer::count(&copied).await
}

/// Begins a new epoch: what was numbered in the one before may be numbered again, with other things.
/// After a restore, cursors that somebody kept must not go on as if nothing had happened.
///
/// # Errors
/// If it can't be written.
pub async fn begin_epoch(url: &DatabaseUrl) -> Result<(), UpkeepError> {
    let mut connection = existing(url).await?;
    query(BEGIN_EPOCH)
        .bind(Uuid::now_v7().simple().to_string())
        .execute(&mut connection)
        .await
        .map_err(StoreError::write("the epoch"))?;
    close(connection).await;
    Ok(())
}
