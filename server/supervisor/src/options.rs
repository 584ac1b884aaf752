//! What a supervisor is made of.

use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::path::PathBuf;

use thiserror::Error;
use tinybase_model::{ExtensionName, LogLevel};
use tinybase_wire::Wire;

use crate::lifecycle::HealthPolicy;

/// What a supervisor is made of.
pub struct SupervisorOptions {
    /// Where processes connect.
    pub wire: Wire,
    /// The socket file of the wire.
    pub socket: PathBuf,
    /// The program that runs [`crate::shim::run`] if its first argument is `__shim`: the server's
    /// own binary.
    pub shim: PathBuf,
    /// A folder of this server alone, in which it remembers its processes.
    pub run_folder: PathBuf,
    /// The folder for the extensions' logs.
    pub log_folder: PathBuf,
    /// Lines below it that extensions write through the host aren't kept.
    pub log_level: LogLevel,
    /// Names of environment variables that no extension gets to see.
    pub server_secrets: BTreeSet<String>,
    /// When a session counts as wedged.
    pub health: HealthPolicy,
}

impl fmt::Debug for SupervisorOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SupervisorOptions")
            .field("socket", &self.socket)
            .field("shim", &self.shim)
            .field("run_folder", &self.run_folder)
            .field("log_folder", &self.log_folder)
            .finish_non_exhaustive()
    }
}

/// Why there is no supervisor.
#[derive(Debug, Error)]
pub enum SetupError {
    /// Another server uses the run folder.
    #[error("another server runs on {} as process {pid}; stop it first", .folder.display())]
    InUse {
        /// The run folder.
        folder: PathBuf,
        /// The other server's process.
        pid: u32,
    },
    /// The list of running extensions can't be kept.
    #[error("failed to write the list of running extensions in {}", .folder.display())]
    RunFolder {
        /// The run folder.
        folder: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// There can be no logs.
    #[error("failed to open the log folder {}", .folder.display())]
    LogFolder {
        /// The log folder.
        folder: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A path can't be made absolute.
    #[error("failed to resolve {}", .path.display())]
    Path {
        /// The path.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The thread that starts processes can't be started.
    #[error("failed to start the thread that starts processes")]
    Thread(#[source] io::Error),
}

/// There is no such extension here.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("no extension {0} is running or was started; see: tinybase extensions list")]
pub struct NotSupervised(pub ExtensionName);
