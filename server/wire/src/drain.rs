//! Ends a session in order.

use std::sync::Arc;
use std::time::Duration;

use tinybase_model::{EventKind, Outcome};
use tinybase_proto::v1;
use tokio::time::{Instant, timeout_at};
use tracing::warn;

use crate::book::CancelReason;
use crate::core::{SessionCore, Stage};
use crate::desk::Ending;
use crate::work::lifecycle_invocation;

/// Stops taking work, waits for what runs, runs the shutdown hooks and ends the streams.
pub(crate) async fn drain(core: &Arc<SessionCore>, grace: Duration, reason: &str) {
    if !core.begin_draining() {
        // Another call drains it, or it is over.
        core.closed().cancelled().await;
        return;
    }
    let deadline = Instant::now() + grace;
    let grace_ms = u32::try_from(grace.as_millis()).unwrap_or(u32::MAX);
    let message = v1::Drain { grace_ms, reason: reason.to_owned() };
    core.say(|controls| controls.drain = Some(message));
    let unharried = core.closed().run_until_cancelled(core.idle());
    if timeout_at(deadline - grace / 4, unharried).await.is_err() {
        core.cancel_all(CancelReason::Draining);
    }
    run_shutdown_hooks(core, deadline).await;
    let rest = core.closed().run_until_cancelled(core.idle());
    if timeout_at(deadline, rest).await.is_err() {
        let held = core.desk().book.held();
        warn!(extension = %core.extension(), held, "ended with work that did not end in time");
    }
    core.close(Ending::plain(format!("drained: {reason}")));
}

async fn run_shutdown_hooks(core: &Arc<SessionCore>, deadline: Instant) {
    let registration = core.registration();
    for hook in registration.lifecycle(EventKind::Shutdown) {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = hook.timeout.unwrap_or(left).min(left);
        let invocation = lifecycle_invocation(core.extension(), hook, timeout);
        let problem = match core.invoke(invocation, Stage::Draining).await {
            Ok(Outcome::Success { .. }) => continue,
            Ok(Outcome::Reject(rejection)) => rejection.message,
            Ok(Outcome::Fault(fault)) => format!("{}: {}", fault.kind, fault.message),
            Err(error) => error.to_string(),
        };
        warn!(extension = %core.extension(), handler = %hook.handler, problem, "a shutdown hook failed");
    }
}
