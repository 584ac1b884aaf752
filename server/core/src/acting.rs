//! Who asks for an operation: a client, or an extension within its granted capabilities.

use tinybase_model::Cause;

use crate::access::Actor;
use crate::capability::Capabilities;

/// The cause of an operation, and for a call-back also what the extension was granted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Acting<'a> {
    pub(crate) cause: &'a Cause,
    pub(crate) capabilities: Option<&'a Capabilities>,
}

impl<'a> Acting<'a> {
    pub(crate) const fn client(cause: &'a Cause) -> Self {
        Self { cause, capabilities: None }
    }

    pub(crate) const fn actor(self) -> Actor<'a> {
        Actor { identity: &self.cause.identity, capabilities: self.capabilities }
    }
}
