//! From an event to verdicts, and from the event log to extensions.
//!
//! [`Hooks`] knows who listens to what. It asks before-hooks inside a request, finds the owner of
//! a function, and delivers durable after-hooks from an [`EventLog`] without ever being in the way
//! of a request. It knows no SQL, no HTTP and no protobuf.

mod before;
mod call;
mod delivery;
mod event_log;
#[cfg(test)]
mod fakes;
mod hooks;
mod invoker;
mod options;
mod registry;
mod supervised;

pub use before::{Approval, HookFailure, Refusal};
pub use call::{CallError, CallTerms};
pub use event_log::{EventLog, Hold, LogError, ParkedDelivery, SubscriptionKey, SubscriptionState};
pub use hooks::Hooks;
pub use invoker::Invoker;
pub use options::HooksOptions;
pub use registry::{EffectiveHook, FailurePolicy, OwnSchedules, RegisteredFunction};
pub use tinybase_supervisor::ChunkSink;
