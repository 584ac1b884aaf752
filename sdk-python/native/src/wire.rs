//! What all threads share of the connection.

use std::fmt;
use std::sync::Arc;

use tinybase_sdk::client::{Host, Outcomes};
use tokio::runtime::Runtime;

use crate::lines::Lines;

/// The runtime that drives the connection, and the ways to the core.
pub(crate) struct Wire {
    /// Driven by whoever leads, or by whoever waits for a call-back meanwhile.
    pub(crate) runtime: Arc<Runtime>,
    pub(crate) host: Host,
    pub(crate) outcomes: Outcomes,
    pub(crate) lines: Arc<Lines>,
    /// The extension's configuration as JSON.
    pub(crate) config: String,
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wire").finish_non_exhaustive()
    }
}
