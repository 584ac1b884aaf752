//! A session from Python's side: open it, run it, close it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use pyo3::exceptions::PyConnectionError;
use pyo3::prelude::*;
use tinybase_sdk::client::{Connection, Options};
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;

use crate::binding::{self, Function, Hook, Schedule};
use crate::callbacks::Host;
use crate::dispatcher::{Clerk, Desk};
use crate::lines::{Line, Lines};
use crate::pool::{Driven, Pool};
use crate::roles::{End, Roles};
use crate::wire::Wire;

/// How long the end waits for handlers and for the last log lines.
const LAST_TICKS: u32 = 100;
const LAST_LINES: Duration = Duration::from_millis(500);

/// A session that the server accepted.
#[pyclass(frozen, module = "tinybase._native")]
#[derive(Debug)]
pub(crate) struct Session {
    pool: Arc<Pool>,
    sender: JoinHandle<()>,
    log_level: String,
}

/// Dials the server, introduces the extension and registers what it handles.
#[pyfunction]
pub(crate) fn open(
    py: Python<'_>,
    hooks: Vec<Hook>,
    functions: Vec<Function>,
    schedules: Vec<Schedule>,
    version: String,
) -> PyResult<Session> {
    let (register, handlers) = binding::read(hooks, functions, schedules);
    let options = options(version).map_err(|error| refused(&error))?;
    let runtime = Arc::new(Builder::new_current_thread().enable_all().build()?);
    let connection = py
        .detach(|| runtime.block_on(Connection::open(options, register)))
        .map_err(|error| refused(&error))?;
    let log_level = connection.welcome().log_level.clone();
    let wire = Arc::new(wire(&runtime, &connection));
    let desk = Arc::new(Desk::default());
    let clerk = Clerk { desk: Arc::clone(&desk), outcomes: wire.outcomes.clone() };
    let driven = {
        let _guard = runtime.enter();
        Driven {
            signals: [signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?],
            session: Box::pin(connection.run(Arc::new(clerk))),
        }
    };
    let sender = send_lines(&runtime, &wire);
    let pool = Pool {
        wire,
        desk,
        handlers,
        roles: Roles::default(),
        driven: Mutex::new(driven),
        threads: Mutex::default(),
    };
    Ok(Session { pool: Arc::new(pool), sender, log_level })
}

#[pymethods]
impl Session {
    #[getter]
    fn log_level(&self) -> &str {
        &self.log_level
    }

    #[getter]
    fn host(&self) -> Host {
        Host::new(Arc::clone(&self.pool.wire))
    }

    #[getter]
    fn drained(&self) -> bool {
        self.pool.desk.drained()
    }

    fn log(&self, line: Line) {
        self.pool.wire.lines.push(line);
    }

    fn run(&self, py: Python<'_>) -> PyResult<(&'static str, String)> {
        let term = self.pool.roles.begin();
        self.pool.spawn(Some(term))?;
        let end = py.detach(|| self.pool.roles.wait_for_end());
        Ok(match end {
            End::Ended => ("ended", String::new()),
            End::Refused(why) => ("refused", why),
            End::Lost(why) => ("lost", why),
            End::Terminated => ("terminated", String::new()),
        })
    }

    fn close(&self, py: Python<'_>) -> bool {
        py.detach(|| {
            let wire = &self.pool.wire;
            let free = self.pool.roles.wait_for_threads(LAST_TICKS);
            if free {
                let threads = std::mem::take(
                    &mut *self.pool.threads.lock().unwrap_or_else(PoisonError::into_inner),
                );
                for thread in threads {
                    // A panic was already reported where it happened.
                    drop(thread.join());
                }
            }
            wire.runtime.block_on(async {
                let flush = wire.lines.flush(&wire.host);
                drop(tokio::time::timeout(LAST_LINES, flush).await);
            });
            self.sender.abort();
            free
        })
    }
}

fn options(version: String) -> Result<Options, tinybase_sdk::client::ConnectError> {
    let mut options = Options::from_env()?;
    options.version = version;
    options.sdk = format!("tinybase-sdk-python {}", env!("CARGO_PKG_VERSION"));
    Ok(options)
}

fn wire(runtime: &Arc<Runtime>, connection: &Connection) -> Wire {
    Wire {
        runtime: Arc::clone(runtime),
        host: connection.host(),
        outcomes: connection.outcomes(),
        lines: Arc::new(Lines::default()),
        config: String::from_utf8_lossy(&connection.welcome().config).into_owned(),
    }
}

fn send_lines(runtime: &Runtime, wire: &Wire) -> JoinHandle<()> {
    let (lines, host) = (Arc::clone(&wire.lines), wire.host.clone());
    runtime.spawn(async move { lines.send(&host).await })
}

/// The sentence with its causes.
fn refused(error: &dyn std::error::Error) -> PyErr {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    PyConnectionError::new_err(text)
}
