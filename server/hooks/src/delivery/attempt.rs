//! One attempt to deliver one event.

use std::sync::Arc;

use tinybase_model::{Body, Identity, Invocation, InvocationTarget, LoggedEvent};

use super::book::Work;
use super::subscription::Subscription;
use super::verdict::{Failure, Verdict};

/// Hands one event to the extension and judges how that ends.
pub(super) async fn deliver(subscription: Subscription, mut work: Work) -> (Work, Verdict) {
    let event = match &work.event {
        Some(event) => Arc::clone(event),
        None => match subscription.shared.log.event(work.position).await {
            Ok(Some(event)) => Arc::new(event),
            Ok(None) => {
                let error = "the log no longer has the event".to_owned();
                return (work, Verdict::Hopeless(Failure { error, ..Failure::default() }));
            }
            Err(error) => {
                subscription.log_storage(&error);
                return (work, Verdict::NotNow);
            }
        },
    };
    work.event_id = Some(event.id);
    let invocation = invocation(&subscription, &event, work.attempt);
    let permit = subscription.gate.enter(work.is_suspect()).await;
    let extension = &subscription.hook.extension;
    let end = subscription.shared.invoker.invoke(extension, invocation).await;
    subscription.gate.learn(&end);
    drop(permit);
    (work, Verdict::of(end))
}

/// A durable delivery acts for the extension itself: whoever caused the event is long answered.
fn invocation(subscription: &Subscription, event: &LoggedEvent, attempt: u32) -> Invocation {
    let binding = &subscription.hook.binding;
    let options = &subscription.shared.options;
    Invocation {
        target: InvocationTarget::Hook {
            event: binding.event,
            phase: binding.phase,
            handler: binding.handler.clone(),
        },
        timeout: binding.timeout.unwrap_or(options.after_timeout),
        attempt,
        event_id: event.id,
        occurred_at: event.occurred_at,
        traceparent: event.traceparent.clone(),
        identity: Identity::Extension(subscription.hook.extension.clone()),
        depth: event.depth + 1,
        body: Body::from(event.event.clone()),
    }
}
