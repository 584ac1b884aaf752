//! The statements around what is written.

use crate::StoreError;
use crate::sql::{Connection, Sql, query};

/// `PostgreSQL`'s statements see what was committed before each of them, whatever the database's
/// default is: after waiting for a lock, a row is looked at again.
pub(crate) const BEGIN: Sql =
    Sql::each("begin immediate", "begin isolation level read committed read write");
pub(crate) const COMMIT: Sql = Sql::same("commit");
pub(crate) const ROLLBACK: Sql = Sql::same("rollback");
pub(crate) const SAVEPOINT: Sql = Sql::same("savepoint command");
pub(crate) const RELEASE: Sql = Sql::same("release savepoint command");
pub(crate) const ROLLBACK_TO: Sql = Sql::same("rollback to savepoint command");

/// Around a batch, within its command's own savepoint.
pub(crate) const SAVEPOINT_BATCH: Sql = Sql::same("savepoint batch");
pub(crate) const RELEASE_BATCH: Sql = Sql::same("release savepoint batch");
pub(crate) const ROLLBACK_TO_BATCH: Sql = Sql::same("rollback to savepoint batch");

/// Fails in a transaction that has failed: there, `commit` undoes everything without a word.
pub(crate) const IS_SOUND: Sql = Sql::same("select 1");

/// Undoes the savepoint of a command.
pub(crate) async fn undo(connection: &mut Connection) -> Result<(), StoreError> {
    execute(connection, ROLLBACK_TO).await?;
    execute(connection, RELEASE).await
}

pub(crate) async fn execute(connection: &mut Connection, statement: Sql) -> Result<(), StoreError> {
    query(statement).execute(connection).await.map(drop).map_err(StoreError::commit)
}
