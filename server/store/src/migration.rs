//! The schema's steps: running those that are missing, and telling which there are.

use std::collections::BTreeMap;

use sqlx::migrate::{MigrateError, Migrator};
use thiserror::Error;

use crate::sql::{Connection, Dialect, Sql, query};

static SQLITE: Migrator = sqlx::migrate!("migrations/sqlite");
static POSTGRES: Migrator = sqlx::migrate!("migrations/postgres");

/// Why a schema couldn't be brought up to date.
#[derive(Debug, Error)]
pub enum MigrationError {
    /// A newer server has been there.
    #[error(
        "a newer TinyBase made its schema: it has step {0}, which this one doesn't know; start that \
         version or a newer one"
    )]
    Newer(i64),
    /// A step that was applied is no longer what it was.
    #[error(
        "step {0} of its schema was applied in another form than this TinyBase has it; start the \
         version that made the database"
    )]
    Changed(i64),
    /// Steps are missing, and weren't to be applied.
    #[error("its schema lacks {0} step(s) that this TinyBase needs; run `tinybase db upgrade`")]
    Pending(usize),
    /// The database doesn't tell which steps were applied.
    #[error("it doesn't tell which steps of its schema were applied")]
    Unreadable(#[source] sqlx::Error),
    /// A step failed. What was applied before stays; the step itself was undone.
    #[error("a step of its schema could not be applied")]
    Failed(#[source] Box<MigrateError>),
}

impl From<MigrateError> for MigrationError {
    fn from(error: MigrateError) -> Self {
        #[expect(clippy::wildcard_enum_match_arm, reason = "the enum is another crate's, and open")]
        match error {
            MigrateError::VersionMissing(version) => Self::Newer(version),
            MigrateError::VersionMismatch(version) => Self::Changed(version),
            other => Self::Failed(Box::new(other)),
        }
    }
}

/// Applies the steps that are missing, each in a transaction of its own. Of several nodes that do
/// so at once, one does it, and the others wait for it.
pub(crate) async fn run(connection: &mut Connection) -> Result<(), MigrationError> {
    match connection {
        Connection::Sqlite(connection) => SQLITE.run_direct(None, &mut **connection, false).await?,
        Connection::Postgres(connection) => {
            POSTGRES.run_direct(None, &mut **connection, false).await?;
        }
    }
    Ok(())
}

/// A step of the schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaStep {
    /// Its number; steps are applied in this order.
    pub version: i64,
    /// What it is about.
    pub description: String,
    /// Whether it was applied.
    pub applied: bool,
}

pub(crate) const HAS_STEPS: Sql = Sql::each(
    "select count(*) from sqlite_schema where type = 'table' and name = '_sqlx_migrations'",
    "select count(*) from information_schema.tables
     where table_schema = current_schema() and table_name = '_sqlx_migrations'",
);

// The table is there only after the first step, so that this can't be prepared on its own.
const APPLIED_STEPS: Sql =
    Sql::same("select version, checksum from _sqlx_migrations where success order by version");

/// All steps that this server knows, and which of them were applied.
pub(crate) async fn status(connection: &mut Connection) -> Result<Vec<SchemaStep>, MigrationError> {
    let mut applied = BTreeMap::new();
    let read = async {
        let known = query(HAS_STEPS).fetch_one(&mut *connection).await?.count(0)?;
        if known > 0 {
            for row in query(APPLIED_STEPS).fetch_all(&mut *connection).await? {
                applied.insert(row.integer(0)?, row.blob(1)?.to_vec());
            }
        }
        Ok(())
    };
    read.await.map_err(MigrationError::Unreadable)?;
    let mut known = Vec::new();
    for step in steps(connection.dialect()).iter() {
        let checksum = applied.remove(&step.version);
        if checksum.as_ref().is_some_and(|checksum| **checksum != *step.checksum) {
            return Err(MigrationError::Changed(step.version));
        }
        known.push(SchemaStep {
            version: step.version,
            description: step.description.to_string(),
            applied: checksum.is_some(),
        });
    }
    match applied.keys().next() {
        Some(newer) => Err(MigrationError::Newer(*newer)),
        None => Ok(known),
    }
}

/// Makes sure that no step is missing.
pub(crate) async fn require_all(connection: &mut Connection) -> Result<(), MigrationError> {
    let steps = status(connection).await?;
    match steps.iter().filter(|step| !step.applied).count() {
        0 => Ok(()),
        missing => Err(MigrationError::Pending(missing)),
    }
}

/// All steps for a database.
const fn steps(dialect: Dialect) -> &'static Migrator {
    match dialect {
        Dialect::Sqlite => &SQLITE,
        Dialect::Postgres => &POSTGRES,
    }
}
