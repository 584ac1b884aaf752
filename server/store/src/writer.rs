//! The one task that writes: it takes all commands that wait and commits them together.
//!
//! A commit is an fsync, and an fsync takes milliseconds; how many commands share one decides how
//! many writes a second there are. Nothing is waited for: while one commit runs, the next group
//! gathers by itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection, SqliteConnection};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::StoreError;
use crate::creation::{Creation, create_all, create_one};
use crate::event::{NewEvent, append};
use crate::write::Job;

/// What the writer takes.
pub(crate) enum Command {
    /// A record; those that wait together go in as one statement.
    Create(Box<Creation>),
    /// Anything else.
    Job(Box<dyn Job>),
}

/// What the writer has done.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) commits: AtomicU64,
    pub(crate) commands: AtomicU64,
}

pub(crate) struct Writer {
    pub(crate) connection: SqliteConnection,
    pub(crate) options: SqliteConnectOptions,
    pub(crate) counters: Arc<Counters>,
    pub(crate) queue: mpsc::Receiver<Command>,
    pub(crate) group_max: usize,
    pub(crate) stop: CancellationToken,
}

impl Writer {
    /// Writes until the store is closed or dropped, then empties the queue and disconnects.
    pub(crate) async fn run(mut self) {
        let mut commands = Vec::with_capacity(self.group_max);
        loop {
            // Cancel-safe: `recv_many` takes nothing unless it completes.
            tokio::select! {
                biased;
                taken = self.queue.recv_many(&mut commands, self.group_max) => {
                    if taken == 0 {
                        break;
                    }
                    self.commit(std::mem::take(&mut commands)).await;
                }
                () = self.stop.cancelled(), if !self.queue.is_closed() => self.queue.close(),
            }
        }
        if let Err(error) = self.connection.close().await {
            tracing::warn!(%error, "the database connection did not close cleanly");
        }
    }

    async fn commit(&mut self, commands: Vec<Command>) {
        self.counters.commits.fetch_add(1, Ordering::Relaxed);
        self.counters.commands.fetch_add(commands.len() as u64, Ordering::Relaxed);
        let mut group = Group::new(commands);
        let committed = group.run(&mut self.connection).await;
        if let Err(error) = &committed {
            tracing::error!(error = error as &dyn std::error::Error, "a commit failed");
            self.recover().await;
        }
        group.answer(&committed);
    }

    /// Ends a transaction that is still open; if even that fails, connects anew.
    async fn recover(&mut self) {
        // Fails if SQLite already rolled back by itself, which is just as good.
        let rolled_back = sqlx::query("rollback").execute(&mut self.connection).await;
        if rolled_back.is_ok() || self.connection.ping().await.is_ok() {
            return;
        }
        match self.options.connect().await {
            Ok(connection) => self.connection = connection,
            Err(error) => tracing::error!(%error, "the database could not be opened again"),
        }
    }
}

/// Commands that share a commit.
struct Group {
    creations: Vec<Creation>,
    jobs: Vec<Box<dyn Job>>,
}

impl Group {
    fn new(commands: Vec<Command>) -> Self {
        let mut group = Self { creations: Vec::new(), jobs: Vec::new() };
        for command in commands {
            match command {
                Command::Create(creation) => group.creations.push(*creation),
                Command::Job(job) => group.jobs.push(job),
            }
        }
        group
    }

    async fn run(&mut self, connection: &mut SqliteConnection) -> Result<(), StoreError> {
        let mut events = Vec::new();
        execute(connection, "begin immediate").await?;
        // Alone, a command needs no savepoint: what it undoes is everything.
        match (self.creations.as_mut_slice(), self.jobs.as_mut_slice()) {
            ([creation], []) => {
                if !create_one(connection, creation, &mut events).await {
                    return execute(connection, "rollback").await;
                }
            }
            ([], [job]) => {
                if !job.apply(connection, &mut events).await {
                    return execute(connection, "rollback").await;
                }
            }
            (creations, jobs) => {
                create_all(connection, creations, &mut events).await?;
                apply_all(connection, jobs, &mut events).await?;
            }
        }
        append(connection, &events).await?;
        execute(connection, "commit").await
    }

    fn answer(self, committed: &Result<(), StoreError>) {
        for creation in self.creations {
            creation.answer(committed.clone());
        }
        for job in self.jobs {
            job.answer(committed.clone());
        }
    }
}

/// Runs each job so that its failure undoes nothing but itself.
async fn apply_all(
    connection: &mut SqliteConnection,
    jobs: &mut [Box<dyn Job>],
    events: &mut Vec<NewEvent>,
) -> Result<(), StoreError> {
    for job in jobs {
        let before = events.len();
        execute(connection, "savepoint command").await?;
        if job.apply(connection, events).await {
            execute(connection, "release command").await?;
        } else {
            events.truncate(before);
            undo(connection).await?;
        }
    }
    Ok(())
}

/// Undoes the savepoint of a command.
pub(crate) async fn undo(connection: &mut SqliteConnection) -> Result<(), StoreError> {
    execute(connection, "rollback to command").await?;
    execute(connection, "release command").await
}

pub(crate) async fn execute(
    connection: &mut SqliteConnection,
    statement: &'static str,
) -> Result<(), StoreError> {
    match sqlx::query(statement).execute(connection).await {
        Ok(_) => Ok(()),
        Err(error) => Err(StoreError::commit(error)),
    }
}
