//! One durable subscription: whose it is, what it wants, and what the log says of it.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tinybase_model::LoggedEvent;

use super::Shared;
use super::book::{Fate, Work};
use super::gate::Gate;
use super::verdict::Failure;
use crate::event_log::{LogError, SubscriptionKey};
use crate::options::DEPTH_MAX;
use crate::registry::DurableHook;

/// A subscription: which handler gets which events, and through what.
#[derive(Clone)]
pub(super) struct Subscription {
    pub(super) key: SubscriptionKey,
    pub(super) hook: Arc<DurableHook>,
    pub(super) gate: Arc<Gate>,
    pub(super) shared: Arc<Shared>,
}

impl Subscription {
    /// Whether an event of the log is to be delivered.
    pub(super) fn wants(&self, event: &LoggedEvent) -> bool {
        let DurableHook { extension, binding, .. } = &*self.hook;
        let own = event.origin.as_ref() == Some(extension) && !binding.reentrant;
        let listed = event.event.kind() == binding.event && binding.filter.matches(&event.event);
        if own || !listed {
            return false;
        }
        if event.depth >= DEPTH_MAX {
            tracing::warn!(
                %extension,
                handler = binding.handler,
                event_id = %event.id,
                "an event isn't delivered: {DEPTH_MAX} invocations already led to one another; \
                 look for extensions that cause each other's events in a circle"
            );
            return false;
        }
        true
    }

    /// Writes into the server's log what becomes of a failed attempt. What the extension had to say
    /// about it is in its own log.
    pub(super) fn log_failure(&self, work: &Work, failure: &Failure, fate: Fate) {
        let retry_ms = match fate {
            Fate::Retry(delay) => Some(delay.as_millis()),
            Fate::Buried => None,
        };
        tracing::warn!(
            extension = %self.key.extension,
            handler = self.key.handler,
            event = %self.hook.binding.event,
            event_id = work.event_id.map(tracing::field::display),
            position = work.position.0,
            attempt = work.attempt,
            error = failure.error,
            retry_ms,
            dead_letter = fate == Fate::Buried,
            "a hook failed"
        );
    }

    /// Writes into the log that a read or a write failed: the first of a row for all to see.
    pub(super) fn log_storage(&self, error: &LogError) {
        let source = std::error::Error::source(error).map(ToString::to_string);
        if self.shared.storage_failed.swap(true, Ordering::Relaxed) {
            tracing::debug!(subscription = %self.key, %error, source, "the log still fails");
        } else {
            tracing::warn!(
                subscription = %self.key,
                %error,
                source,
                "subscriptions wait until the log works again"
            );
        }
    }

    /// Notes that a write worked.
    pub(super) fn storage_works(&self) {
        self.shared.storage_failed.store(false, Ordering::Relaxed);
    }
}
