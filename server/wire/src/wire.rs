//! The server's end of the protocol: who is expected, and the tasks that read.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tinybase_model::{Limits, LogLevel};
use tokio::sync::watch;
use tokio_util::task::TaskTracker;

use crate::HostApi;
use crate::bind::{BindError, BoundWire};
use crate::core::SessionCore;
use crate::desk::Ending;
use crate::router::Router;
use crate::seat::Seat;
use crate::status::Refusal;
use crate::ticket::{Expected, Ticket};
use crate::token::SessionToken;

/// What the server tells extensions and holds them to.
#[derive(Debug, Clone)]
pub struct WireOptions {
    /// Sizes and times.
    pub limits: Limits,
    /// The version of the server, for `Welcome`.
    pub server_version: String,
    /// The level from which log lines are kept, for `Welcome`.
    pub log_level: LogLevel,
}

/// The gRPC server on a Unix socket, and the sessions that it holds.
#[derive(Clone)]
pub struct Wire {
    shared: Arc<Shared>,
}

struct Shared {
    options: Arc<WireOptions>,
    host: Arc<dyn HostApi>,
    seats: Mutex<HashMap<u64, Arc<Seat>>>,
    sessions: AtomicU64,
    tasks: TaskTracker,
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wire").field("options", &self.shared.options).finish_non_exhaustive()
    }
}

impl Wire {
    /// A server that nobody can reach yet.
    pub fn new(options: WireOptions, host: Arc<dyn HostApi>) -> Self {
        let shared = Shared {
            options: Arc::new(options),
            host,
            seats: Mutex::default(),
            sessions: AtomicU64::new(1),
            tasks: TaskTracker::new(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Binds the socket file with mode 0600, in place of a stale one.
    ///
    /// The folder is the caller's, and has mode 0700.
    ///
    /// # Errors
    /// If another server listens there, or the file can't be made.
    pub fn bind(&self, path: &Path) -> Result<BoundWire, BindError> {
        BoundWire::bind(self.clone(), path)
    }

    /// Announces a process that is about to be spawned.
    pub fn expect(&self, ticket: Ticket) -> Expected {
        let number = self.shared.sessions.fetch_add(1, Ordering::Relaxed);
        let core = SessionCore::new(ticket.extension.clone(), number, self.shared.options.limits);
        let seat = Arc::new(Seat {
            token: SessionToken::random(),
            ticket,
            process: watch::Sender::new(None),
            core: Arc::new(core),
        });
        self.seats().insert(seat.token.lookup_key(), Arc::clone(&seat));
        Expected::new(self.clone(), seat)
    }

    pub(crate) fn options(&self) -> &WireOptions {
        &self.shared.options
    }

    pub(crate) fn router(&self) -> Router {
        Router::new(self, &self.shared.host)
    }

    pub(crate) fn tasks(&self) -> &TaskTracker {
        &self.shared.tasks
    }

    /// The seat that a token is for.
    pub(crate) fn find(&self, token: &str) -> Result<Arc<Seat>, Refusal> {
        let seat = SessionToken::lookup(token).and_then(|key| self.seats().get(&key).cloned());
        seat.filter(|seat| seat.token.matches(token)).ok_or_else(|| {
            Refusal::unauthenticated(
                "the token is unknown or its session is over; a process gets a token from the \
                 server when it is started, and the token ends with its session",
            )
        })
    }

    /// Takes a token back. A session that it led to ends.
    pub(crate) fn withdraw(&self, seat: &Seat) {
        self.seats().remove(&seat.token.lookup_key());
        seat.core.close(Ending::refused(Refusal::unavailable(
            "the server gave this process up; it was not ready in time, or is to be stopped",
        )));
    }

    /// Ends all sessions.
    pub(crate) fn close_all(&self) {
        let seats: Vec<_> = self.seats().drain().map(|(_, seat)| seat).collect();
        for seat in seats {
            seat.core.close(Ending::refused(Refusal::unavailable("the server is stopping")));
        }
    }

    /// Runs a task that the server waits for when it stops.
    pub(crate) fn run(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.shared.tasks.spawn(task);
    }

    /// Runs the reader of a session; the token ends with it.
    pub(crate) fn read<F: Future<Output = ()> + Send + 'static>(
        &self,
        seat: Arc<Seat>,
        reader: impl FnOnce(Arc<WireOptions>) -> F,
    ) {
        let reading = reader(Arc::clone(&self.shared.options));
        let wire = self.clone();
        self.run(async move {
            reading.await;
            wire.withdraw(&seat);
        });
    }

    fn seats(&self) -> MutexGuard<'_, HashMap<u64, Arc<Seat>>> {
        self.shared.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
