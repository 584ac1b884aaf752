//! What a connection hands its work to.

use std::time::Duration;

use tinybase_proto::v1;

use super::Outcomes;

/// Takes invocations and sees to it that each gets exactly one outcome.
///
/// The methods are called on the connection's own thread, in the order of the core's frames.
/// While one runs, nothing is read or written and no ping is answered, so they return soon.
pub trait Dispatcher: Send + Sync {
    /// Begins on invocations that came in one frame.
    fn invoke(&self, batch: Vec<v1::Invocation>, outcomes: &Outcomes);

    /// The outcome of an invocation is no longer wanted. One is sent all the same.
    fn cancel(&self, invocation_id: &str, reason: &str);

    /// No new work comes but the shutdown hook, and the core ends the session soon.
    fn drain(&self, grace: Duration);
}
