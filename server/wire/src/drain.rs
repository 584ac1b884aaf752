//! Ends a session in order.

use std::pin::pin;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use tinybase_model::{EventKind, InvokeError, Outcome};
use tinybase_proto::v1;
use tokio::time::{Instant, timeout_at};
use tracing::warn;

use crate::book::CancelReason;
use crate::core::SessionCore;
use crate::desk::Ending;
use crate::stage::Stage;
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

impl SessionCore {
    /// Stops taking work, and turns away what is queued. Whether this call did.
    fn begin_draining(&self) -> bool {
        let mut desk = self.desk();
        if !self.advance(Stage::Open, Stage::Draining) {
            return false;
        }
        let queued = desk.book.clear_queue();
        drop(desk);
        for work in queued {
            let state = Stage::Draining.not_ready();
            // Whoever waited may have left.
            let _ = work.reply.send(Err(InvokeError::NotReady { state }));
        }
        true
    }

    /// Waits until no slot is held.
    async fn idle(&self) {
        loop {
            let mut change = pin!(self.idle.notified());
            change.as_mut().enable();
            if self.desk().book.held() == 0 {
                return;
            }
            change.await;
        }
    }

    /// Tells all running work to stop.
    fn cancel_all(&self, reason: CancelReason) {
        let wakers = {
            let mut desk = self.desk();
            desk.book.cancel_all(reason);
            desk.all_wakers()
        };
        wakers.into_iter().for_each(Waker::wake);
    }
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
