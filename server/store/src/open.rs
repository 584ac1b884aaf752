//! Connecting to a database: how the writer, the readers and the migrations do it.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{Connection as _, PgConnection};
use thiserror::Error;
use tokio::time::Instant;

use crate::StoreOptions;
use crate::database::{DatabaseUrl, Place};
use crate::migration::MigrationError;
use crate::sql::{Readers, Target};

/// Why the database couldn't be opened.
#[derive(Debug, Error)]
pub enum OpenError {
    /// The file couldn't be created.
    #[error("failed to create the database file {path}")]
    Create {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file isn't a database, the server can't be reached, or it refuses.
    #[error("failed to open the database {url}")]
    Open {
        /// The database.
        url: DatabaseUrl,
        /// Why.
        #[source]
        source: sqlx::Error,
    },
    /// The schema isn't the one that this server needs.
    #[error("the database {url} can't be used as it is")]
    Schema {
        /// The database.
        url: DatabaseUrl,
        /// Why.
        #[source]
        source: MigrationError,
    },
}

/// How long it may take to connect to a server.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// How long a read may take: on a file it would keep the log from being emptied.
const READ_TIMEOUT: &str = "30s";
const FILE_READ_TIMEOUT: Duration = Duration::from_secs(30);
/// After how many steps of its machine `SQLite` asks whether it may go on; about a millisecond's worth.
const STEPS: i32 = 20_000;
const WRITE_TIMEOUT: &str = "60s";
/// How long a statement waits for a lock that another session holds. Short, since whoever shares
/// the commit waits as well.
const LOCK_TIMEOUT: &str = "2s";
/// How long a transaction may stand still: a node that hangs in the middle of one holds up others.
const IDLE_TIMEOUT: &str = "5s";
/// How long migrations wait for another node that runs them.
const MIGRATION_LOCK_TIMEOUT: &str = "300s";

/// How to connect for writing. A file is created if it isn't there.
pub(crate) fn writer(options: &StoreOptions) -> Result<Target, OpenError> {
    match &options.url.place {
        Place::File(path) => {
            create_private(path)
                .map_err(|source| OpenError::Create { path: path.clone(), source })?;
            Ok(Target::Sqlite(Box::new(file(path, options.busy_timeout))))
        }
        Place::Server(server) => Ok(Target::Postgres(Box::new(with_limits(
            server,
            "writer",
            &[
                ("statement_timeout", WRITE_TIMEOUT),
                ("lock_timeout", LOCK_TIMEOUT),
                ("idle_in_transaction_session_timeout", IDLE_TIMEOUT),
            ],
        )))),
    }
}

/// How to connect for changing the schema, which may take its time.
pub(crate) fn migrator(options: &StoreOptions) -> Result<Target, OpenError> {
    match &options.url.place {
        Place::File(_) => writer(options),
        Place::Server(server) => Ok(Target::Postgres(Box::new(with_limits(
            server,
            "migrations",
            &[("statement_timeout", "0"), ("lock_timeout", MIGRATION_LOCK_TIMEOUT)],
        )))),
    }
}

/// The connections that read.
pub(crate) async fn readers(options: &StoreOptions) -> Result<Readers, sqlx::Error> {
    match &options.url.place {
        Place::File(path) => {
            let connect = file(path, options.busy_timeout).pragma("query_only", "on");
            let pool = SqlitePoolOptions::new()
                .max_connections(options.readers)
                .min_connections(1)
                .acquire_timeout(options.busy_timeout)
                .test_before_acquire(false)
                .after_connect(|connection, _| {
                    Box::pin(end_reads_after(connection, FILE_READ_TIMEOUT))
                })
                .before_acquire(|connection, _| {
                    Box::pin(async move {
                        end_reads_after(connection, FILE_READ_TIMEOUT).await.map(|()| true)
                    })
                });
            pool.connect_with(connect).await.map(Readers::Sqlite)
        }
        Place::Server(server) => {
            let connect = with_limits(
                server,
                "reader",
                &[("statement_timeout", READ_TIMEOUT), ("default_transaction_read_only", "on")],
            );
            let pool = PgPoolOptions::new()
                .max_connections(options.readers)
                .min_connections(1)
                .acquire_timeout(options.busy_timeout)
                .test_before_acquire(false)
                // One that was used a moment ago is most likely still there; if not, the read is
                // repeated.
                .before_acquire(|connection: &mut PgConnection, meta| {
                    Box::pin(async move {
                        if meta.idle_for > Duration::from_secs(1) {
                            return Ok(connection.ping().await.is_ok());
                        }
                        Ok(true)
                    })
                });
            pool.connect_with(connect).await.map(Readers::Postgres)
        }
    }
}

/// Whatever the connection is doing when so much time has passed is ended with an error.
async fn end_reads_after(
    connection: &mut SqliteConnection,
    time: Duration,
) -> Result<(), sqlx::Error> {
    let end = Instant::now() + time;
    let mut handle = connection.lock_handle().await?;
    handle.set_progress_handler(STEPS, move || Instant::now() < end);
    Ok(())
}

fn file(path: &Path, busy_timeout: Duration) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .busy_timeout(busy_timeout)
        .foreign_keys(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
}

fn with_limits(
    server: &PgConnectOptions,
    role: &'static str,
    limits: &[(&'static str, &'static str)],
) -> PgConnectOptions {
    let name = format!("tinybase {role}");
    server.clone().application_name(&name).options(limits.iter().copied())
}

/// Creates the file for its owner only; its companions get the same mode.
fn create_private(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;

    std::fs::OpenOptions::new().create(true).append(true).mode(0o600).open(path).map(drop)
}

#[cfg(test)]
mod tests {
    use sqlx::ConnectOptions as _;

    use super::*;

    #[tokio::test]
    async fn a_read_that_never_ends_is_ended_and_the_next_one_is_not() {
        let mut connection =
            SqliteConnectOptions::new().in_memory(true).connect().await.expect("a connection");
        end_reads_after(&mut connection, Duration::from_millis(50)).await.expect("a handler");
        let endless = "with recursive n(n) as (select 1 union all select n + 1 from n) select count(*) from n";
        let ended = sqlx::query(endless).fetch_one(&mut connection).await;
        let error = ended.expect_err("it never ends by itself").to_string();
        assert!(error.contains("interrupted"), "{error}");
        end_reads_after(&mut connection, FILE_READ_TIMEOUT).await.expect("a handler");
        sqlx::query("select 1").fetch_one(&mut connection).await.expect("a row");
    }
}
