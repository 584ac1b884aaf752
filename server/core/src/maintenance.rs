//! What has to be done now and then: ending what a former run left open, and cleaning up.

use std::time::Duration;

use tinybase_model::{Cause, CompletionEvent, Identity};
use tinybase_store::{StoreError, now};
use tokio_util::sync::CancellationToken;

use crate::Core;
use crate::acting::Acting;

/// How often it is cleaned up.
const PERIOD: Duration = Duration::from_mins(10);
/// How much is deleted by one command, so that other writes get their turn.
const BATCH: u32 = 1000;
/// How often it is looked whether another server on the same database changed the settings.
const SETTINGS_PERIOD: Duration = Duration::from_secs(3);

impl Core {
    /// Ends calls that a former run of the server left open, then cleans up now and then, until
    /// `stop`. The server runs it beside everything else.
    pub async fn maintain(&self, stop: CancellationToken) {
        let work = async {
            if let Err(error) = self.end_abandoned_calls().await {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "calls that a former run left open could not be ended"
                );
            }
            let mut period = tokio::time::interval(PERIOD);
            loop {
                period.tick().await;
                if let Err(error) = self.clean_up().await {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "cleaning up failed and is tried again later"
                    );
                }
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = work => {}
            () = self.follow_settings() => {}
        }
    }

    async fn follow_settings(&self) {
        let mut period = tokio::time::interval(SETTINGS_PERIOD);
        loop {
            period.tick().await;
            if let Err(error) = self.refresh_settings().await {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "the settings could not be read and stay as they are"
                );
            }
        }
    }

    /// Marks calls as failed that were running when the server stopped, each with its event.
    pub(crate) async fn end_abandoned_calls(&self) -> Result<u64, StoreError> {
        let cause = Cause::request(Identity::Operator, String::new());
        let mut ended = 0;
        loop {
            let calls = self.inner.store.running_calls(self.inner.started_at, BATCH).await?;
            if calls.is_empty() {
                return Ok(ended);
            }
            for call in calls {
                let completion = CompletionEvent {
                    name: call.function_name.clone(),
                    call_id: call.id,
                    user_id: call.user_id,
                    succeeded: false,
                    duration_ms: 0,
                    error_message: Some("the server stopped while the function ran".to_owned()),
                    error_type: Some("ServerStopped".to_owned()),
                };
                self.record_end(call, completion, Acting::client(&cause)).await?;
                ended += 1;
            }
        }
    }

    /// Deletes events that nobody needs any more, and tokens that have expired.
    pub(crate) async fn clean_up(&self) -> Result<(), StoreError> {
        let before = now() - self.inner.options.event_retention;
        while self.inner.store.clean_up_events(before, BATCH).await? == u64::from(BATCH) {}
        while self.inner.store.clean_up_tokens(now(), BATCH).await? == u64::from(BATCH) {}
        while self.inner.store.clean_up_resets(now(), BATCH).await? == u64::from(BATCH) {}
        Ok(())
    }
}
