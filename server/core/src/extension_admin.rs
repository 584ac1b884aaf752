//! What an operator does with extensions; implemented by the server over catalog and supervisor.

use async_trait::async_trait;
use jiff::Timestamp;
use serde::Serialize;
use thiserror::Error;
use tinybase_model::{ExtensionName, ExtensionStatus, LogLine};
use utoipa::ToSchema;

use crate::problem::{Kind, Problem};

/// An installed extension: what the manifest and the lock file say, and how it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[expect(clippy::struct_excessive_bools, reason = "they are facts of the JSON, not states")]
pub struct InstalledExtension {
    /// Its name.
    pub name: ExtensionName,
    /// Its version.
    pub version: String,
    /// What it does.
    pub description: Option<String>,
    /// Who made it.
    pub author: Option<String>,
    /// Where it came from: a git URL or a folder.
    pub source: String,
    /// Whether an operator wants it to run.
    pub is_enabled: bool,
    /// Whether its manifest has no permissions table, so that it has the documented powers.
    pub is_broad: bool,
    /// When it was installed.
    pub installed_at: Timestamp,
    /// When its version last changed.
    pub updated_at: Timestamp,
    /// Its state and the facts that explain it.
    pub status: ExtensionStatus,
}

/// One hook of the effective chain, in the order in which they run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct HookInfo {
    /// The event, such as `record.create`.
    pub event: String,
    /// `before` or `after`.
    pub phase: String,
    /// The collection or function that it is limited to.
    pub filter: Option<String>,
    /// The extension.
    pub extension: ExtensionName,
    /// The extension's own name for it.
    pub handler: String,
    /// Lower runs first.
    pub priority: i32,
    /// How long it may take, in milliseconds.
    pub timeout_ms: u64,
    /// Whether the request goes on when it can't be asked.
    pub fail_open: bool,
}

/// Why an operator's command wasn't done.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ExtensionError {
    /// There is no such extension.
    #[error("Extension '{0}' not found")]
    NotFound(String),
    /// It can't be done; the sentence says why and what to do.
    #[error("{0}")]
    Refused(String),
    /// The server is at fault; the cause was logged.
    #[error("the server could not do it; its log says why")]
    Internal,
}

impl Problem for ExtensionError {
    fn kind(&self) -> Kind {
        match self {
            Self::NotFound(_) => Kind::NotFound,
            Self::Refused(_) => Kind::Invalid,
            Self::Internal => Kind::Internal,
        }
    }
}

/// The commands. Whoever calls them has checked that the caller is an administrator.
#[async_trait]
pub trait ExtensionAdmin: Send + Sync {
    /// All installed extensions, by name.
    async fn list(&self) -> Result<Vec<InstalledExtension>, ExtensionError>;

    /// One of them.
    async fn get(&self, name: &str) -> Result<InstalledExtension, ExtensionError>;

    /// Installs from a folder or a git URL and starts it; `granted` says that the operator agreed
    /// to the permissions that the manifest asks for.
    async fn install(
        &self,
        source: &str,
        granted: bool,
    ) -> Result<InstalledExtension, ExtensionError>;

    /// Starts it, or stops it and takes its hooks and functions away.
    async fn set_enabled(
        &self,
        name: &str,
        enabled: bool,
    ) -> Result<InstalledExtension, ExtensionError>;

    /// Stops it and removes it with its subscriptions.
    async fn uninstall(&self, name: &str) -> Result<(), ExtensionError>;

    /// Stops its process and starts it again.
    async fn restart(&self, name: &str) -> Result<InstalledExtension, ExtensionError>;

    /// The last lines of its log, oldest first.
    async fn logs(&self, name: &str, lines: usize) -> Result<Vec<LogLine>, ExtensionError>;

    /// The version at its source, if that isn't the one that is installed.
    async fn update_available(&self, name: &str) -> Result<Option<String>, ExtensionError>;

    /// The effective chain of hooks.
    async fn hooks(&self) -> Result<Vec<HookInfo>, ExtensionError>;
}
