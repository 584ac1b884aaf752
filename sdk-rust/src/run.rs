//! From an extension to a running process.

use std::io::Write;
use std::process::ExitCode;

use thiserror::Error;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::JoinSet;

use crate::client::{ConnectError, Connection, Options, RunError};
use crate::context::Surroundings;
use crate::extension::SetupError;
use crate::worker::{Placement, Worker};
use crate::{Extension, log};

/// Why an extension doesn't run, or no longer.
#[derive(Debug, Error)]
pub enum ExtensionError {
    /// It is put together wrongly.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// There is no session with the server.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The session broke off.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The system refuses threads or an event queue.
    #[error("no runtime could be started")]
    Runtime(#[source] std::io::Error),
}

impl Extension {
    /// Runs until the server ends the session, on a runtime of its own with one thread, which is
    /// the fastest. Prints an error and turns it into the process's exit code.
    #[must_use]
    pub fn main(self) -> ExitCode {
        match self.run_blocking() {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                complain(&error);
                ExitCode::FAILURE
            }
        }
    }

    /// Runs until the server ends the session, on a runtime of its own with one thread.
    ///
    /// # Errors
    /// If there is no session with the server, or it breaks off.
    pub fn run_blocking(self) -> Result<(), ExtensionError> {
        let runtime =
            Builder::new_current_thread().enable_all().build().map_err(ExtensionError::Runtime)?;
        let result = runtime.block_on(self.run());
        // A thread that an author left blocked is no reason to stay.
        runtime.shutdown_background();
        result
    }

    /// Runs until the server ends the session, on the caller's runtime.
    ///
    /// # Errors
    /// If there is no session with the server, or it breaks off.
    ///
    /// # Cancel safety
    /// Not cancel-safe: dropping the future closes the session.
    pub async fn run(self) -> Result<(), ExtensionError> {
        log::install();
        let mut options = Options::from_env()?;
        if options.extension != self.name {
            let (code, manifest) = (self.name, options.extension);
            return Err(SetupError::Name { code, manifest }.into());
        }
        options.version.clone_from(&self.version);
        options.credit = self.credit;
        self.run_with(options).await
    }

    /// Runs against a server that the options name.
    ///
    /// # Errors
    /// If there is no session with the server, or it breaks off.
    ///
    /// # Cancel safety
    /// Not cancel-safe: dropping the future closes the session.
    pub async fn run_with(self, options: Options) -> Result<(), ExtensionError> {
        let pool = Pool::new(self.worker_threads)?;
        let (register, handlers) = self.into_parts()?;
        let connection = Connection::open(options, register).await?;
        let mut logging = JoinSet::new();
        log::attach(&connection.welcome().log_level);
        logging.spawn(log::pump(connection.host()));
        let surroundings = Surroundings {
            callbacks: std::sync::Arc::new(connection.host()),
            config: connection.welcome().config.clone(),
        };
        let placement = pool.handle().map_or(Placement::Here, Placement::On);
        let result = connection.run(Worker::new(handlers, surroundings, placement)).await;
        logging.shutdown().await;
        log::detach();
        Ok(result?)
    }
}

/// The threads for handlers, if there are any. They are let go, not waited for: dropping a
/// runtime the usual way would block, and panics within another runtime.
struct Pool(Option<Runtime>);

impl Pool {
    fn new(threads: usize) -> Result<Self, ExtensionError> {
        if threads == 0 {
            return Ok(Self(None));
        }
        let mut builder = Builder::new_multi_thread();
        builder.worker_threads(threads).thread_name("handler").enable_all();
        builder.build().map(|runtime| Self(Some(runtime))).map_err(ExtensionError::Runtime)
    }

    fn handle(&self) -> Option<Handle> {
        self.0.as_ref().map(|runtime| runtime.handle().clone())
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

fn complain(error: &ExtensionError) {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    // There is nobody left to tell if this fails.
    drop(writeln!(std::io::stderr(), "error: {text}"));
}
