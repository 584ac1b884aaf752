//! What has to be done now and then: ending what dead servers left open, and cleaning up.

use std::time::Duration;

use tinybase_model::{Cause, Identity};
use tinybase_store::{StoreError, now};
use tokio_util::sync::CancellationToken;

use crate::Core;
use crate::function_call::Failure;
use crate::idempotency::KEYS_BYTES_MAX;
use crate::running_call::{completion, finished};

/// How often it is cleaned up.
const PERIOD: Duration = Duration::from_mins(10);
/// How often this server shows that it is alive, and looks for what dead ones left open.
const ALIVE_PERIOD: Duration = Duration::from_secs(10);
/// How long a server may be silent on a database that it shares.
const SILENCE_MAX: Duration = Duration::from_mins(1);
/// How much is deleted by one command, so that other writes get their turn.
const BATCH: u32 = 1000;
/// How often it is looked whether another server on the same database changed the settings.
const SETTINGS_PERIOD: Duration = Duration::from_secs(3);
/// How long collections and their rules are remembered where other servers may change them.
const COLLECTIONS_PERIOD: Duration = Duration::from_secs(2);

impl Core {
    /// Shows that this server is alive, ends calls that dead ones left open, and cleans up, again
    /// and again until `stop`. The server runs it beside everything else.
    pub async fn maintain(&self, stop: CancellationToken) {
        let work = async {
            let mut alive = tokio::time::interval(ALIVE_PERIOD);
            let mut clean = tokio::time::interval(PERIOD);
            loop {
                tokio::select! {
                    biased;
                    _ = alive.tick() => self.look_after_nodes().await,
                    _ = clean.tick() => {
                        if let Err(error) = self.clean_up().await {
                            tracing::warn!(
                                error = &error as &dyn std::error::Error,
                                "cleaning up failed and is tried again later"
                            );
                        }
                    }
                }
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = work => {}
            () = self.follow_settings() => {}
            () = self.follow_collections() => {}
            () = self.look_after_files() => {}
        }
    }

    /// What another server changed of a collection holds here as soon as it is read again.
    async fn follow_collections(&self) {
        if !self.inner.store.is_shared() {
            return std::future::pending().await;
        }
        let mut period = tokio::time::interval(COLLECTIONS_PERIOD);
        loop {
            period.tick().await;
            self.inner.shelf.forget_all();
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

    async fn look_after_nodes(&self) {
        let looked = async {
            self.show_alive().await?;
            self.end_abandoned_calls().await
        };
        match looked.await {
            Ok(0) => {}
            Ok(ended) => tracing::warn!(ended, "ended calls that a dead server left open"),
            Err(error) => tracing::error!(
                error = &error as &dyn std::error::Error,
                "calls that a dead server left open could not be ended"
            ),
        }
    }

    /// Notes in the database that this server is alive. The server does it before it takes
    /// requests, so that no other one thinks that its calls were left open.
    pub async fn show_alive(&self) -> Result<(), StoreError> {
        let (node, home) = (self.inner.node.clone(), &self.inner.options.home);
        self.inner.store.note_node(node, home, SILENCE_MAX).await
    }

    /// Marks calls as failed that ran on a server that is gone, each with its event.
    pub(crate) async fn end_abandoned_calls(&self) -> Result<u64, StoreError> {
        let cause = Cause::request(Identity::Operator, String::new());
        let failure = Failure::new("ServerRestarted", "the server stopped while the function ran");
        let mut ended = 0;
        loop {
            let calls = self.inner.store.abandoned_calls(&self.inner.node, BATCH).await?;
            if calls.is_empty() {
                return Ok(ended);
            }
            for call in calls {
                let completion = completion(&call, Some(&failure), 0);
                let call = finished(call, completion, &cause, None);
                ended += u64::from(self.inner.store.finish_call(call).await?);
                self.inner.hooks.events_committed();
            }
        }
    }

    /// Deletes events that nobody needs any more, tokens that have expired, keys of requests, old
    /// records of calls with their results, and old activities.
    pub(crate) async fn clean_up(&self) -> Result<(), StoreError> {
        let before = now() - self.inner.options.event_retention;
        while self.inner.store.clean_up_events(before, BATCH).await? == u64::from(BATCH) {}
        while self.inner.store.clean_up_tokens(now(), BATCH).await? == u64::from(BATCH) {}
        while self.inner.store.clean_up_resets(now(), BATCH).await? == u64::from(BATCH) {}
        while self.inner.store.clean_up_keys(now(), BATCH).await? == u64::from(BATCH) {}
        self.inner.store.trim_keys(KEYS_BYTES_MAX).await?;
        let calls = &self.inner.options.calls;
        self.inner.store.clean_up_results(now(), calls.results_bytes_max).await?;
        let oldest = self.inner.store.call_start_at(calls.records_max).await?;
        let before = (now() - calls.record_retention).max(oldest.unwrap_or_default());
        self.inner.store.clean_up_runs(before).await?;
        while self.inner.store.clean_up_calls(before, BATCH).await? == u64::from(BATCH) {}
        self.clean_up_activities(BATCH).await?;
        Ok(())
    }
}
