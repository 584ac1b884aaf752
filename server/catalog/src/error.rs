//! What can go wrong with what is installed.

use std::io;
use std::path::PathBuf;

use thiserror::Error;
use tinybase_model::ExtensionName;

use crate::checked::Mistake;
use crate::files::FilesError;
use crate::lock::LockError;
use crate::process::CommandError;
use crate::source::InvalidSource;

/// Why an extension was not installed. Nothing is left behind.
#[derive(Debug, Error)]
pub enum InstallError {
    /// The source can't be one.
    #[error(transparent)]
    Source(#[from] InvalidSource),
    /// A tool failed.
    #[error("{step} failed")]
    Step {
        /// What was being done.
        step: String,
        /// How it failed.
        #[source]
        failure: CommandError,
    },
    /// The source holds no extension.
    #[error("there is no extension.toml in {0}")]
    NoManifest(String),
    /// The manifest can't be taken.
    #[error(transparent)]
    Manifest(#[from] Mistake),
    /// The extension can't be taken, for a reason that its author or the operator can act on.
    #[error("{0}")]
    Refused(String),
    /// There is one of that name.
    #[error(
        "{name} v{version} is already installed; uninstall it first \
         (tinybase extensions uninstall {name})"
    )]
    AlreadyInstalled {
        /// The name.
        name: ExtensionName,
        /// The version that is installed.
        version: String,
    },
    /// The files can't be taken.
    #[error(transparent)]
    Files(#[from] FilesError),
    /// The lock file can't be read or written.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// A file operation failed.
    #[error("{action} {path:?} failed")]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// Somebody stopped it.
    #[error("stopped; nothing was installed")]
    Stopped,
}

impl InstallError {
    pub(crate) fn step(step: impl Into<String>) -> impl FnOnce(CommandError) -> Self {
        let step = step.into();
        |failure| match failure {
            CommandError::Stopped => Self::Stopped,
            failure @ (CommandError::NotFound { .. }
            | CommandError::Spawn { .. }
            | CommandError::Failed { .. }
            | CommandError::TimedOut { .. }) => Self::Step { step, failure },
        }
    }

    pub(crate) fn io(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { action, path, source }
    }
}

/// Why a change of what is installed was refused.
#[derive(Debug, Error)]
pub enum CatalogError {
    /// There is no extension of that name.
    #[error("there is no extension {0}; tinybase extensions list shows what is installed")]
    NotFound(ExtensionName),
    /// The lock file can't be read or written.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The files can't be read.
    #[error(transparent)]
    Files(#[from] FilesError),
    /// The manifest can't be taken.
    #[error(transparent)]
    Manifest(#[from] Mistake),
    /// A file operation failed.
    #[error("{action} {path:?} failed")]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
}

impl CatalogError {
    pub(crate) fn io(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { action, path, source }
    }
}
