//! How to reach the core and how to introduce oneself.

use std::env;
use std::fmt;
use std::path::PathBuf;

use super::ConnectError;

/// How many invocations an extension takes at once unless it says otherwise.
pub const DEFAULT_CREDIT: u32 = 64;

/// Where the core is and what [`super::Connection::open`] says in `Hello`.
#[derive(Clone)]
pub struct Options {
    /// The core's Unix socket.
    pub socket: PathBuf,
    /// The extension's name, as in its manifest.
    pub extension: String,
    /// The token that the core put into the process's environment.
    pub token: String,
    /// The extension's version; empty if unknown.
    pub version: String,
    /// The SDK's name and version, for support.
    pub sdk: String,
    /// How many invocations may be outstanding.
    pub credit: u32,
    /// The optional behaviours to ask for.
    pub features: Vec<String>,
}

impl Options {
    /// Reads what the core put into the environment and fills the rest with defaults.
    ///
    /// # Errors
    /// If a variable is missing, which means that the core didn't start this process.
    pub fn from_env() -> Result<Self, ConnectError> {
        Ok(Self {
            socket: PathBuf::from(variable("TINYBASE_SOCKET")?),
            extension: variable("TINYBASE_EXTENSION")?,
            token: variable("TINYBASE_TOKEN")?,
            version: String::new(),
            sdk: format!("tinybase-sdk-rust {}", env!("CARGO_PKG_VERSION")),
            credit: DEFAULT_CREDIT,
            features: ["ack", "heartbeat", "stream"].map(str::to_owned).into(),
        })
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("socket", &self.socket)
            .field("extension", &self.extension)
            .field("version", &self.version)
            .field("sdk", &self.sdk)
            .field("credit", &self.credit)
            .field("features", &self.features)
            .finish_non_exhaustive()
    }
}

fn variable(name: &'static str) -> Result<String, ConnectError> {
    match env::var(name) {
        Ok(value) if !value.is_empty() => Ok(value),
        _ => Err(ConnectError::Environment { name }),
    }
}
