//! The event log that deliveries read, over the store.

use std::sync::Arc;

use async_trait::async_trait;
use tinybase_hooks::{EventLog, LogError, ParkedDelivery, SubscriptionKey, SubscriptionState};
use tinybase_model::{ExtensionName, LoggedEvent, Position};
use tinybase_store::{Parked, Store, StoreError, Subscriber};

/// The event log of a store.
pub fn event_log(store: Store) -> Arc<dyn EventLog> {
    Arc::new(StoreLog(store))
}

struct StoreLog(Store);

#[async_trait]
impl EventLog for StoreLog {
    async fn head(&self) -> Result<Position, LogError> {
        self.0.events_head().await.map_err(failed)
    }

    async fn subscribe(
        &self,
        subscription: &SubscriptionKey,
    ) -> Result<SubscriptionState, LogError> {
        let found = self.0.subscribe(subscriber(subscription)).await.map_err(failed)?;
        let parked = found.parked.into_iter().map(|parked| ParkedDelivery {
            position: parked.position,
            order_key: parked.order_key,
            attempt: parked.attempt,
            due_at: parked.due_at,
            last_error: parked.last_error,
        });
        Ok(SubscriptionState { cursor: found.cursor, parked: parked.collect() })
    }

    async fn unsubscribe(
        &self,
        extension: &ExtensionName,
        keep: &[String],
    ) -> Result<(), LogError> {
        self.0.unsubscribe(extension.clone(), keep).await.map_err(failed)
    }

    async fn read(&self, after: Position, limit: u32) -> Result<Vec<LoggedEvent>, LogError> {
        self.0.events_after(after, limit).await.map_err(failed)
    }

    async fn advance(
        &self,
        subscription: &SubscriptionKey,
        cursor: Position,
    ) -> Result<(), LogError> {
        self.0.advance(subscriber(subscription), cursor).await.map_err(failed)
    }

    async fn park(
        &self,
        subscription: &SubscriptionKey,
        parked: &[ParkedDelivery],
    ) -> Result<(), LogError> {
        let parked = parked.iter().map(|parked| Parked {
            position: parked.position,
            order_key: parked.order_key.clone(),
            attempt: parked.attempt,
            due_at: parked.due_at,
            last_error: parked.last_error.clone(),
        });
        self.0.park(subscriber(subscription), parked.collect()).await.map_err(failed)
    }

    async fn unpark(
        &self,
        subscription: &SubscriptionKey,
        position: Position,
    ) -> Result<(), LogError> {
        self.0.unpark(subscriber(subscription), position).await.map_err(failed)
    }

    async fn bury(
        &self,
        subscription: &SubscriptionKey,
        position: Position,
        attempt: u32,
        error: &str,
    ) -> Result<(), LogError> {
        let error = error.to_owned();
        self.0.bury(subscriber(subscription), position, attempt, error).await.map_err(failed)
    }

    async fn event(&self, position: Position) -> Result<Option<LoggedEvent>, LogError> {
        self.0.event(position).await.map_err(failed)
    }
}

fn subscriber(subscription: &SubscriptionKey) -> Subscriber {
    Subscriber { extension: subscription.extension.clone(), handler: subscription.handler.clone() }
}

fn failed(error: StoreError) -> LogError {
    LogError::new(error)
}
