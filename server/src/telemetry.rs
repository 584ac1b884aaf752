//! Log lines of the server, on standard error, as text or as JSON.

use std::io::{self, IsTerminal as _};

use tinybase_model::LogLevel;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt;
use tracing_subscriber::util::{SubscriberInitExt as _, TryInitError};

use crate::config::{LogFormat, ServerConfig};

/// Begins logging; `RUST_LOG` wins over the level.
pub(crate) fn init(server: &ServerConfig) -> Result<(), TryInitError> {
    let ServerConfig { log_level, access_log, .. } = server;
    let filter =
        EnvFilter::try_from_default_env().unwrap_or_else(|_| filter(*log_level, *access_log));
    let lines = fmt().with_env_filter(filter).with_writer(io::stderr);
    match server.log_format {
        LogFormat::Text => lines.with_ansi(io::stderr().is_terminal()).finish().try_init(),
        LogFormat::Json => lines.json().flatten_event(true).finish().try_init(),
    }
}

/// Our own lines, and those of extensions, at the level; what libraries say only if it matters.
fn filter(level: LogLevel, access_log: bool) -> EnvFilter {
    let (own, others) = match level {
        LogLevel::Debug => ("debug", "info"),
        LogLevel::Info => ("info", "warn"),
        LogLevel::Warning => ("warn", "warn"),
        LogLevel::Error => ("error", "error"),
    };
    // Who wants the access log wants it at any level.
    let access = if access_log && own != "debug" { ",tinybase::access=info" } else { "" };
    EnvFilter::new(format!("{others},tinybase={own},extension={own}{access}"))
}
