//! The one task that writes: it takes all commands that wait and commits them together.
//!
//! A commit is an fsync, and an fsync takes milliseconds; how many commands share one decides how
//! many writes a second there are. Nothing is waited for: while one commit runs, the next group
//! gathers by itself.
//!
//! What certainly wasn't committed is tried again for a short while, as after a lost connection or a
//! collision with another node. What may have been committed never is.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::StoreError;
use crate::activity::Noting;
use crate::creation::Creation;
use crate::error::Fault;
use crate::group::{Failure, Group};
use crate::open::CONNECT_TIMEOUT;
use crate::sql::{Connection, Target, query};
use crate::transaction::ROLLBACK;
use crate::write::Job;

/// How long a group is tried again. Whoever waits for an answer waits as long.
const PATIENCE: Duration = Duration::from_secs(3);
/// How often it is tried at most.
const ATTEMPTS_MAX: u32 = 12;
/// The longest pause between attempts.
const PAUSE_MAX: Duration = Duration::from_millis(500);
/// After this time without an answer a connection counts as lost. Longer than the limits that the
/// server itself keeps.
const GROUP_TIMEOUT: Duration = Duration::from_mins(2);

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
    pub(crate) commits: watch::Sender<u64>,
    pub(crate) commands: AtomicU64,
}

pub(crate) struct Writer {
    /// None after it was lost.
    pub(crate) connection: Option<Connection>,
    pub(crate) target: Target,
    pub(crate) counters: Arc<Counters>,
    pub(crate) queue: mpsc::Receiver<Command>,
    pub(crate) group_max: usize,
    pub(crate) noting: Noting,
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
        if let Some(connection) = self.connection
            && let Err(error) = connection.close().await
        {
            tracing::warn!(%error, "the database connection did not close cleanly");
        }
    }

    async fn commit(&mut self, commands: Vec<Command>) {
        self.counters.commands.fetch_add(commands.len() as u64, Ordering::Relaxed);
        let mut group = Group::new(commands);
        let committed = self.with_patience(&mut group).await;
        if let Err(error) = &committed {
            tracing::error!(error = error as &dyn std::error::Error, "a commit failed");
        }
        self.counters.commits.send_modify(|commits| *commits += 1);
        group.answer(&committed);
    }

    /// Tries until it is committed, refused, uncertain, or has taken too long.
    async fn with_patience(&mut self, group: &mut Group) -> Result<(), StoreError> {
        let end = Instant::now() + PATIENCE;
        for attempt in 1.. {
            let Err(failure) = self.attempt(group).await else { return Ok(()) };
            self.recover(&failure).await;
            let pause = pause(attempt);
            if !failure.may_be_repeated() || attempt == ATTEMPTS_MAX || Instant::now() + pause > end
            {
                return Err(failure.into_error());
            }
            sleep(pause).await;
            group.forget();
        }
        unreachable!("the last attempt returns")
    }

    async fn attempt(&mut self, group: &mut Group) -> Result<(), Failure> {
        let connection = match &mut self.connection {
            Some(connection) => connection,
            lost => {
                let connected = timeout(CONNECT_TIMEOUT, self.target.connect()).await;
                let connected = connected.unwrap_or_else(|_| Err(timed_out("connecting")));
                lost.insert(connected.map_err(StoreError::commit).map_err(Failure::before)?)
            }
        };
        match timeout(GROUP_TIMEOUT, group.run(connection, self.noting)).await {
            Ok(done) => done,
            Err(_) => Err(Failure::committing(StoreError::commit(timed_out("a transaction")))),
        }
    }

    /// Ends a transaction that is still open; if even that fails, the next attempt connects anew.
    async fn recover(&mut self, failure: &Failure) {
        let lost = failure.fault() == Fault::Lost;
        let Some(connection) = self.connection.as_mut().filter(|_| !lost) else {
            self.connection = None;
            return;
        };
        // Fails if SQLite already rolled back by itself, which is just as good.
        let rolled_back = query(ROLLBACK).execute(&mut *connection).await;
        if rolled_back.is_err() && connection.ping().await.is_err() {
            self.connection = None;
        }
    }
}

/// Full jitter, so that nodes that collided don't do so again.
fn pause(attempt: u32) -> Duration {
    let most = PAUSE_MAX.min(Duration::from_millis(10) * 2_u32.saturating_pow(attempt.min(10)));
    most.mul_f64(rand::random())
}

fn timed_out(what: &str) -> sqlx::Error {
    let message = format!("{what} took too long");
    sqlx::Error::Io(std::io::Error::new(std::io::ErrorKind::TimedOut, message))
}
