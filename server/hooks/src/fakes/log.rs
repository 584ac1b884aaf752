//! An event log in memory.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use jiff::Timestamp;
use tinybase_model::{Event, EventId, ExtensionName, LoggedEvent, Position};

use super::name;
use crate::{EventLog, Hold, LogError, ParkedDelivery, SubscriptionKey, SubscriptionState};

/// What a subscription has stored.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stored {
    pub(crate) cursor: Position,
    pub(crate) parked: BTreeMap<Position, ParkedDelivery>,
    pub(crate) dead: BTreeMap<Position, (u32, String)>,
}

/// An event log in memory.
pub(crate) struct MemoryLog {
    events: Mutex<Vec<LoggedEvent>>,
    subscriptions: Mutex<BTreeMap<SubscriptionKey, Stored>>,
    pub(crate) broken: AtomicBool,
    pub(crate) hold: Mutex<Hold>,
}

impl Default for MemoryLog {
    fn default() -> Self {
        Self {
            events: Mutex::default(),
            subscriptions: Mutex::default(),
            broken: AtomicBool::default(),
            hold: Mutex::new(Hold::Always),
        }
    }
}

impl MemoryLog {
    /// Commits an event and gives its position.
    pub(crate) fn append(&self, order_key: &str, event: Event) -> Position {
        self.append_with(order_key, event, |_| {})
    }

    pub(crate) fn append_with(
        &self,
        order_key: &str,
        event: Event,
        change: impl FnOnce(&mut LoggedEvent),
    ) -> Position {
        let mut events = self.events.lock().expect("lock");
        // Positions have gaps, as a rolled back transaction leaves them.
        let position = Position(2 * (i64::try_from(events.len()).expect("few") + 1));
        let mut event = LoggedEvent {
            position,
            id: EventId::generate(),
            order_key: order_key.to_owned(),
            occurred_at: Timestamp::UNIX_EPOCH,
            origin: None,
            depth: 0,
            traceparent: String::new(),
            event,
        };
        change(&mut event);
        events.push(event);
        position
    }

    pub(crate) fn stored(&self, extension: &str, handler: &str) -> Option<Stored> {
        let key = SubscriptionKey { extension: name(extension), handler: handler.to_owned() };
        self.subscriptions.lock().expect("lock").get(&key).cloned()
    }

    fn check(&self) -> Result<(), LogError> {
        if self.broken.load(Ordering::Relaxed) {
            return Err(LogError::new("the disk is gone"));
        }
        Ok(())
    }

    fn change(
        &self,
        key: &SubscriptionKey,
        change: impl FnOnce(&mut Stored),
    ) -> Result<(), LogError> {
        self.check()?;
        if let Some(stored) = self.subscriptions.lock().expect("lock").get_mut(key) {
            change(stored);
        }
        Ok(())
    }
}

#[async_trait]
impl EventLog for MemoryLog {
    async fn head(&self) -> Result<Position, LogError> {
        self.check()?;
        let events = self.events.lock().expect("lock");
        Ok(events.last().map_or_else(Position::default, |event| event.position))
    }

    async fn hold(&self, _: &SubscriptionKey) -> Result<Hold, LogError> {
        self.check()?;
        Ok(*self.hold.lock().expect("lock"))
    }

    async fn let_go(&self, _: &SubscriptionKey) -> Result<(), LogError> {
        self.check()
    }

    async fn subscribe(&self, key: &SubscriptionKey) -> Result<SubscriptionState, LogError> {
        let cursor = self.head().await?;
        let mut all = self.subscriptions.lock().expect("lock");
        let new = || Stored { cursor, ..Stored::default() };
        let stored = all.entry(key.clone()).or_insert_with(new);
        let parked = stored.parked.values().cloned().collect();
        Ok(SubscriptionState { cursor: stored.cursor, parked })
    }

    async fn unsubscribe(
        &self,
        extension: &ExtensionName,
        keep: &[String],
    ) -> Result<(), LogError> {
        self.check()?;
        let mut all = self.subscriptions.lock().expect("lock");
        all.retain(|key, _| key.extension != *extension || keep.contains(&key.handler));
        Ok(())
    }

    async fn read(&self, after: Position, limit: u32) -> Result<Vec<LoggedEvent>, LogError> {
        self.check()?;
        let events = self.events.lock().expect("lock");
        let wanted = events.iter().filter(|event| event.position > after);
        Ok(wanted.take(limit as usize).cloned().collect())
    }

    async fn advance(&self, key: &SubscriptionKey, cursor: Position) -> Result<(), LogError> {
        self.change(key, |stored| stored.cursor = stored.cursor.max(cursor))
    }

    async fn park(&self, key: &SubscriptionKey, parked: &[ParkedDelivery]) -> Result<(), LogError> {
        self.change(key, |stored| {
            let rows = parked.iter().map(|delivery| (delivery.position, delivery.clone()));
            stored.parked.extend(rows);
        })
    }

    async fn unpark(&self, key: &SubscriptionKey, position: Position) -> Result<(), LogError> {
        self.change(key, |stored| {
            stored.parked.remove(&position);
        })
    }

    async fn bury(
        &self,
        key: &SubscriptionKey,
        position: Position,
        attempt: u32,
        error: &str,
    ) -> Result<(), LogError> {
        self.change(key, |stored| {
            stored.parked.remove(&position);
            stored.dead.insert(position, (attempt, error.to_owned()));
        })
    }

    async fn event(&self, position: Position) -> Result<Option<LoggedEvent>, LogError> {
        self.check()?;
        let events = self.events.lock().expect("lock");
        Ok(events.iter().find(|event| event.position == position).cloned())
    }
}
