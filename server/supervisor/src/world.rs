//! What an owner task needs of the outside: processes, and sessions with them.
//!
//! The real ones are in [`crate::launch`]; tests of the owner bring their own and pause the clock.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tinybase_model::ExtensionSpec;

use crate::failure::{Exit, HandshakeFault};
use crate::lifecycle::Health;
use crate::log::Log;

/// Starts processes.
pub(crate) trait World: Send + Sync + 'static {
    /// A process.
    type Process: Process;
    /// A session with one.
    type Session: Link;

    /// Starts a process. The error is a sentence for people.
    fn launch(
        &self,
        spec: &Arc<ExtensionSpec>,
        log: &Arc<Log>,
    ) -> impl Future<Output = Result<Launched<Self::Process, Self::Session>, String>> + Send;
}

/// A process that was just started.
pub(crate) struct Launched<P, S> {
    /// The process.
    pub(crate) process: P,
    /// Resolves to the session, or says why there is none.
    pub(crate) handshake: Handshake<S>,
}

/// A handshake under way.
pub(crate) type Handshake<S> = Pin<Box<dyn Future<Output = Result<S, HandshakeFault>> + Send>>;

/// A process and its group. Dropping it kills the group and reaps the process.
pub(crate) trait Process: Send + 'static {
    /// Its number.
    fn pid(&self) -> u32;
    /// Resolves once it has ended. It stays unreaped, so its number isn't given away.
    fn ended(&self) -> impl Future<Output = ()> + Send + 'static;
    /// Sends SIGTERM to the group.
    fn terminate(&self);
    /// Sends SIGKILL to the group.
    fn kill(&self);
    /// Kills what is left of the group of an ended process, reaps it and reads its last words,
    /// without waiting long for them.
    fn reap(self) -> impl Future<Output = Exit> + Send;
}

/// A session with a process.
pub(crate) trait Link: Clone + Send + Sync + 'static {
    /// What is registered.
    fn bindings(&self) -> Bindings;
    /// How it is.
    fn health(&self) -> Health;
    /// Lets it end what it has begun, and ends it.
    fn drain(&self, grace: Duration) -> impl Future<Output = ()> + Send + 'static;
    /// Resolves when it is over, with the reason if one is known.
    fn closed(&self) -> impl Future<Output = Option<String>> + Send + 'static;
}

/// What an extension has registered, for people.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Bindings {
    /// Hooks, as "record.create orders".
    pub(crate) hooks: Vec<String>,
    /// Functions.
    pub(crate) functions: Vec<String>,
}
