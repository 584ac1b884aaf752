//! What led to an operation: who acts, through which extension, and how deep in a chain.

use std::net::IpAddr;

use crate::{ExtensionName, Identity};

/// Why an operation happens. It travels with every event, so that loops end and call-backs act
/// for the right person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    /// On whose behalf.
    pub identity: Identity,
    /// The extension whose call-back asked for it; none for a client's request.
    pub origin: Option<ExtensionName>,
    /// How many invocations led to it; 0 for a client's request.
    pub depth: u32,
    /// The W3C trace context; empty if there is none.
    pub traceparent: String,
    /// Where the client's request came from, if it came over the network.
    pub address: Option<IpAddr>,
}

impl Cause {
    /// A client's own request.
    pub const fn request(identity: Identity, traceparent: String) -> Self {
        Self { identity, origin: None, depth: 0, traceparent, address: None }
    }

    /// The same from an address.
    #[must_use]
    pub fn from_address(self, address: Option<IpAddr>) -> Self {
        Self { address, ..self }
    }
}
