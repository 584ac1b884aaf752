//! The event log that deliveries read, over the store.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use tinybase_hooks::{
    EventLog, Hold, LogError, ParkedDelivery, SubscriptionKey, SubscriptionState,
};
use tinybase_model::{ExtensionName, LoggedEvent, Position};
use tinybase_store::{Held, Hold as StoreHold, Parked, Store, StoreError, Subscriber};
use uuid::Uuid;

/// The event log of a store.
pub fn event_log(store: Store) -> Arc<dyn EventLog> {
    let node = Uuid::now_v7().to_string();
    Arc::new(StoreLog { store, node, fences: Mutex::default() })
}

struct StoreLog {
    store: Store,
    /// This run of this server, among those that share the database.
    node: String,
    /// With which number each subscription is held that this node delivers to.
    fences: Mutex<HashMap<SubscriptionKey, i64>>,
}

impl StoreLog {
    fn held(&self, subscription: &SubscriptionKey) -> Held {
        let fence = self.fences().get(subscription).copied().unwrap_or(NEVER_HELD);
        Held { subscriber: subscriber(subscription), fence }
    }

    fn fences(&self) -> MutexGuard<'_, HashMap<SubscriptionKey, i64>> {
        self.fences.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A number that no subscription has.
const NEVER_HELD: i64 = -1;

#[async_trait]
impl EventLog for StoreLog {
    async fn head(&self) -> Result<Position, LogError> {
        self.store.events_head().await.map_err(failed)
    }

    async fn hold(&self, subscription: &SubscriptionKey) -> Result<Hold, LogError> {
        let taken = self.store.hold(subscriber(subscription), &self.node).await.map_err(failed)?;
        let (fence, hold) = match taken {
            StoreHold::Always { fence } => (fence, Hold::Always),
            StoreHold::For { fence, time } => (fence, Hold::For(time)),
            StoreHold::Elsewhere => return Ok(Hold::Elsewhere),
        };
        self.fences().insert(subscription.clone(), fence);
        Ok(hold)
    }

    async fn let_go(&self, subscription: &SubscriptionKey) -> Result<(), LogError> {
        let held = self.held(subscription);
        self.fences().remove(subscription);
        self.store.let_go(held).await.map_err(failed)
    }

    async fn subscribe(
        &self,
        subscription: &SubscriptionKey,
    ) -> Result<SubscriptionState, LogError> {
        let found = self.store.subscribe(subscriber(subscription)).await.map_err(failed)?;
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
        self.store.unsubscribe(extension.clone(), keep).await.map_err(failed)
    }

    async fn read(&self, after: Position, limit: u32) -> Result<Vec<LoggedEvent>, LogError> {
        self.store.events_after(after, limit).await.map_err(failed)
    }

    async fn advance(
        &self,
        subscription: &SubscriptionKey,
        cursor: Position,
    ) -> Result<(), LogError> {
        self.store.advance(self.held(subscription), cursor).await.map_err(failed)
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
        self.store.park(self.held(subscription), parked.collect()).await.map_err(failed)
    }

    async fn unpark(
        &self,
        subscription: &SubscriptionKey,
        position: Position,
    ) -> Result<(), LogError> {
        self.store.unpark(self.held(subscription), position).await.map_err(failed)
    }

    async fn bury(
        &self,
        subscription: &SubscriptionKey,
        position: Position,
        attempt: u32,
        error: &str,
    ) -> Result<(), LogError> {
        let error = error.to_owned();
        self.store.bury(self.held(subscription), position, attempt, error).await.map_err(failed)
    }

    async fn event(&self, position: Position) -> Result<Option<LoggedEvent>, LogError> {
        self.store.event(position).await.map_err(failed)
    }
}

fn subscriber(subscription: &SubscriptionKey) -> Subscriber {
    Subscriber { extension: subscription.extension.clone(), handler: subscription.handler.clone() }
}

fn failed(error: StoreError) -> LogError {
    LogError::new(error)
}
