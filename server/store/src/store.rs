//! The handle to the database: opening, closing, and handing writes to the writer.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{ConnectOptions, Row};
use thiserror::Error;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::StoreError;
use crate::creation::{Creation, RecordCreation, Written};
use crate::write::{Pending, Write};
use crate::writer::{Command, Counters, Writer};

/// Knobs of the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreOptions {
    /// The database file; it is created if it isn't there.
    pub path: PathBuf,
    /// How many connections read.
    pub readers: u32,
    /// How many writes may wait; further ones fail at once as overloaded.
    pub queue_max: usize,
    /// How many writes may share a commit.
    pub group_max: usize,
    /// How long a statement waits for another process that holds the database's lock.
    pub busy_timeout: Duration,
}

impl StoreOptions {
    /// The defaults for a file.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            readers: 4,
            queue_max: 4096,
            group_max: 512,
            busy_timeout: Duration::from_secs(5),
        }
    }
}

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
    /// The file isn't a database, or can't be read.
    #[error("failed to open the database {path}")]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: sqlx::Error,
    },
    /// The schema couldn't be brought up to date.
    #[error("failed to bring the schema of {path} up to date")]
    Migrate {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: sqlx::migrate::MigrateError,
    },
}

/// What the writer has done, and what waits for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WriterStatistics {
    /// Commits.
    pub commits: u64,
    /// Commands that were part of them.
    pub commands: u64,
    /// Commands that wait.
    pub waiting: usize,
}

/// The database. Cloning is cheap and shares everything.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    readers: SqlitePool,
    counters: Arc<Counters>,
    queue: mpsc::Sender<Command>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").finish_non_exhaustive()
    }
}

static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("migrations/sqlite");

impl Store {
    /// Opens the database, brings its schema up to date and starts the writer.
    ///
    /// # Errors
    /// If the file can't be opened as a database, or is of a newer server.
    pub async fn open(options: StoreOptions) -> Result<Self, OpenError> {
        let path = options.path.clone();
        create_private(&path).map_err(|source| OpenError::Create { path: path.clone(), source })?;
        let open = |source| OpenError::Open { path: path.clone(), source };
        let connect = SqliteConnectOptions::new()
            .filename(&path)
            .busy_timeout(options.busy_timeout)
            .foreign_keys(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full);
        let mut connection = connect.connect().await.map_err(open)?;
        MIGRATIONS
            .run(&mut connection)
            .await
            .map_err(|source| OpenError::Migrate { path: path.clone(), source })?;
        let readers = SqlitePoolOptions::new()
            .max_connections(options.readers)
            .min_connections(1)
            .acquire_timeout(options.busy_timeout)
            .test_before_acquire(false)
            .connect_with(connect.clone().pragma("query_only", "on"))
            .await
            .map_err(open)?;
        let (queue, commands) = mpsc::channel(options.queue_max);
        let stop = CancellationToken::new();
        let tasks = TaskTracker::new();
        let counters = Arc::new(Counters::default());
        let writer = Writer {
            connection,
            counters: Arc::clone(&counters),
            options: connect,
            queue: commands,
            group_max: options.group_max,
            stop: stop.clone(),
        };
        tasks.spawn(writer.run());
        tasks.close();
        Ok(Self { inner: Arc::new(Inner { readers, counters, queue, stop, tasks }) })
    }

    /// Refuses further writes, commits those that wait, and disconnects.
    pub async fn close(&self) {
        self.inner.stop.cancel();
        self.inner.tasks.wait().await;
        self.inner.readers.close().await;
    }

    /// What the writer has done since the store was opened.
    pub fn statistics(&self) -> WriterStatistics {
        WriterStatistics {
            commits: self.inner.counters.commits.load(Ordering::Relaxed),
            commands: self.inner.counters.commands.load(Ordering::Relaxed),
            waiting: self.inner.queue.max_capacity() - self.inner.queue.capacity(),
        }
    }

    /// Whether the database answers.
    pub async fn ping(&self) -> Result<(), StoreError> {
        if self.inner.queue.is_closed() {
            return Err(StoreError::Closed);
        }
        match sqlx::query(INSTANCE_ID).fetch_one(self.readers()).await {
            Ok(_) => Ok(()),
            Err(error) => Err(StoreError::read("anything")(error)),
        }
    }

    /// A random id that this database got when it was made.
    pub async fn instance_id(&self) -> Result<String, StoreError> {
        let row = sqlx::query(INSTANCE_ID).fetch_one(self.readers()).await;
        row.and_then(|row| row.try_get(0)).map_err(StoreError::read("the instance's id"))
    }

    /// Creates a record, together with all others that wait to be created.
    ///
    /// [`Written::Stale`] means that the collection was changed or deleted since it was read.
    pub async fn create_record(&self, creation: RecordCreation) -> Result<Written, StoreError> {
        let (reply, answer) = oneshot::channel();
        let creation =
            Creation::new(creation, reply).map_err(StoreError::corrupt("a new record"))?;
        self.submit(Command::Create(Box::new(creation)))?;
        answer.await.unwrap_or(Err(StoreError::Closed))
    }

    /// Hands a write over and waits until it is committed.
    pub(crate) async fn write<W: Write>(&self, write: W) -> Result<W::Output, StoreError> {
        let answer = self.enqueue(write)?;
        answer.await.unwrap_or(Err(StoreError::Closed))
    }

    /// Hands a write over. It takes place whether or not somebody waits for the answer.
    pub(crate) fn enqueue<W: Write>(
        &self,
        write: W,
    ) -> Result<oneshot::Receiver<Result<W::Output, StoreError>>, StoreError> {
        let (reply, answer) = oneshot::channel();
        self.submit(Command::Job(Box::new(Pending::new(write, reply))))?;
        Ok(answer)
    }

    fn submit(&self, command: Command) -> Result<(), StoreError> {
        self.inner.queue.try_send(command).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => StoreError::Overloaded,
            mpsc::error::TrySendError::Closed(_) => StoreError::Closed,
        })
    }

    pub(crate) fn readers(&self) -> &SqlitePool {
        &self.inner.readers
    }
}

pub(crate) const INSTANCE_ID: &str = "select value from meta where key = 'instance_id'";

/// Creates the file for its owner only; its companions get the same mode.
fn create_private(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;

    std::fs::OpenOptions::new().create(true).append(true).mode(0o600).open(path).map(drop)
}
