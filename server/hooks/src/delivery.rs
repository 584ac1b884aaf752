//! Durable after-hooks: from the event log to extensions, at least once and in order per key.
//!
//! One [`consumer`] a subscription. What it has to remember is pure bookkeeping in [`book`]; all
//! consumers read through one [`feed`].

mod attempt;
mod backoff;
mod book;
mod consumer;
mod engine;
mod feed;
mod gate;
mod lease;
mod parked;
mod subscription;
mod verdict;
mod window;
mod writes;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use self::feed::Feed;
use crate::event_log::EventLog;
use crate::invoker::Invoker;
use crate::options::HooksOptions;

pub(crate) use engine::Engine;

/// How long anything waits for a hint before it looks for itself.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// The most events that are read from the log at once.
const READ_MAX: u32 = 256;

/// What all consumers share.
struct Shared {
    invoker: Arc<dyn Invoker>,
    log: Arc<dyn EventLog>,
    feed: Feed,
    options: HooksOptions,
    /// Whether the last write failed, so that each row of failures is told once.
    storage_failed: AtomicBool,
}

#[cfg(test)]
mod tests;
