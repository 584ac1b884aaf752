//! The handle to the database: opening, closing, and handing writes to the writer.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::activity::Noting;
use crate::creation::{Creation, RecordCreation, Written};
use crate::database::DatabaseUrl;
use crate::open::{OpenError, migrator, readers, writer};
use crate::sql::{Dialect, Readers, Sql, query};
use crate::write::{Pending, Write};
use crate::writer::{Command, Counters, Writer};
use crate::{StoreError, migration};

/// Knobs of the store.
#[derive(Debug, Clone)]
pub struct StoreOptions {
    /// The database; a file is created if it isn't there.
    pub url: DatabaseUrl,
    /// Whether missing steps of the schema are applied; if not, they are an error.
    pub migrate: bool,
    /// How many connections read.
    pub readers: u32,
    /// How many writes may wait; further ones fail at once as overloaded.
    pub queue_max: usize,
    /// Which activities are noted.
    pub noting: Noting,
    /// How many writes may share a commit.
    pub group_max: usize,
    /// How long a statement waits for another process that holds the file's lock, and a read for a
    /// connection.
    pub busy_timeout: Duration,
}

impl StoreOptions {
    /// The defaults for a database.
    pub fn new(url: impl Into<DatabaseUrl>) -> Self {
        Self {
            url: url.into(),
            migrate: true,
            readers: 4,
            queue_max: 4096,
            noting: Noting::Everything,
            group_max: 512,
            busy_timeout: Duration::from_secs(5),
        }
    }
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
    readers: Readers,
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

impl Store {
    /// Opens the database, brings its schema up to date and starts the writer.
    ///
    /// # Errors
    /// If the file can't be opened as a database, the server can't be reached, or the schema is of
    /// a newer server.
    pub async fn open(options: StoreOptions) -> Result<Self, OpenError> {
        let open = |source| OpenError::Open { url: options.url.clone(), source };
        let mut connection = migrator(&options)?.connect().await.map_err(open)?;
        let ready = if options.migrate {
            migration::run(&mut connection).await
        } else {
            migration::require_all(&mut connection).await
        };
        ready.map_err(|source| OpenError::Schema { url: options.url.clone(), source })?;
        connection.close().await.map_err(open)?;
        let target = writer(&options)?;
        let connection = target.connect().await.map_err(open)?;
        let readers = readers(&options).await.map_err(open)?;
        let (queue, commands) = mpsc::channel(options.queue_max);
        let stop = CancellationToken::new();
        let tasks = TaskTracker::new();
        let counters = Arc::new(Counters::default());
        let writer = Writer {
            connection: Some(connection),
            target,
            counters: Arc::clone(&counters),
            queue: commands,
            group_max: options.group_max,
            noting: options.noting,
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
            commits: *self.inner.counters.commits.borrow(),
            commands: self.inner.counters.commands.load(Ordering::Relaxed),
            waiting: self.inner.queue.max_capacity() - self.inner.queue.capacity(),
        }
    }

    /// Changes with each commit, for whoever waits for something that is to be written.
    pub fn commits(&self) -> watch::Receiver<u64> {
        self.inner.counters.commits.subscribe()
    }

    /// Whether the database answers.
    pub async fn ping(&self) -> Result<(), StoreError> {
        if self.inner.queue.is_closed() {
            return Err(StoreError::Closed);
        }
        match query(INSTANCE_ID).fetch_one(self.reader()).await {
            Ok(_) => Ok(()),
            Err(error) => Err(StoreError::read("anything")(error)),
        }
    }

    /// A text that is another one after a restore: cursors that were given out before it are void.
    pub async fn epoch(&self) -> Result<String, StoreError> {
        let row = query(EPOCH).fetch_one(self.reader()).await;
        row.and_then(|row| row.text(0).map(str::to_owned)).map_err(StoreError::read("the epoch"))
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

    /// The connections that read.
    pub(crate) fn reader(&self) -> &Readers {
        &self.inner.readers
    }

    /// Which database it is.
    pub(crate) fn dialect(&self) -> Dialect {
        self.inner.readers.dialect()
    }
}

pub(crate) const EPOCH: Sql = Sql::same(
    "select value from meta where key in ('epoch', 'instance_id')
     order by case key when 'epoch' then 0 else 1 end limit 1",
);

pub(crate) const INSTANCE_ID: Sql = Sql::same("select value from meta where key = 'instance_id'");
