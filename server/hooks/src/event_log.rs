//! What deliveries need of the event log. `core` implements it over the store.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use thiserror::Error;
use tinybase_model::{ExtensionName, LoggedEvent, Position};

/// Names a durable subscription.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SubscriptionKey {
    /// Whose it is.
    pub extension: ExtensionName,
    /// The extension's name for the handler.
    pub handler: String,
}

impl fmt::Display for SubscriptionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.extension, self.handler)
    }
}

/// How far a subscription has come.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SubscriptionState {
    /// Everything up to here was delivered, parked or buried.
    pub cursor: Position,
    /// Deliveries that wait for another attempt, or behind one of the same key.
    pub parked: Vec<ParkedDelivery>,
}

/// Whether this node delivers to a subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold {
    /// It does, and no other node can.
    Always,
    /// It does for so long, counted from when it was asked for.
    For(Duration),
    /// Another node does.
    Elsewhere,
}

/// A delivery that waits for another attempt, or behind one of the same key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParkedDelivery {
    /// The event.
    pub position: Position,
    /// The event's order key: later events with it wait as well.
    pub order_key: String,
    /// How many attempts were made. 0 means that it only waits behind another one.
    pub attempt: u32,
    /// When the next attempt is due.
    pub due_at: Timestamp,
    /// How the last attempt failed; empty if there was none.
    pub last_error: String,
}

/// The event log couldn't be read or written.
#[derive(Debug, Error)]
#[error("the event log failed")]
pub struct LogError(#[source] Box<dyn Error + Send + Sync>);

impl LogError {
    /// Wraps what went wrong.
    pub fn new(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self(source.into())
    }
}

/// The event log with its subscriptions.
///
/// Every writing method may be repeated with the same arguments: it is, after an error, and after
/// a crash. For a subscription that doesn't exist `advance`, `park`, `unpark` and `bury` do
/// nothing.
#[async_trait]
pub trait EventLog: Send + Sync {
    /// The position of the last event; the default position if there was none yet. All events up
    /// to it can be read.
    async fn head(&self) -> Result<Position, LogError>;

    /// Takes a subscription for this node, or holds on to it. What a node stores that lost it meanwhile
    /// is ignored.
    async fn hold(&self, subscription: &SubscriptionKey) -> Result<Hold, LogError>;

    /// Lets another node take a subscription at once.
    async fn let_go(&self, subscription: &SubscriptionKey) -> Result<(), LogError>;

    /// Reads where a subscription stands; a new one is created at the head.
    async fn subscribe(
        &self,
        subscription: &SubscriptionKey,
    ) -> Result<SubscriptionState, LogError>;

    /// Ends all subscriptions of an extension but those of these handlers, with what is parked
    /// for them.
    async fn unsubscribe(&self, extension: &ExtensionName, keep: &[String])
    -> Result<(), LogError>;

    /// Reads at most `limit` events after a position, in order.
    async fn read(&self, after: Position, limit: u32) -> Result<Vec<LoggedEvent>, LogError>;

    /// Notes that everything up to the cursor was delivered, parked or buried.
    async fn advance(
        &self,
        subscription: &SubscriptionKey,
        cursor: Position,
    ) -> Result<(), LogError>;

    /// Parks deliveries, all or none; one that is parked already takes the new values.
    async fn park(
        &self,
        subscription: &SubscriptionKey,
        parked: &[ParkedDelivery],
    ) -> Result<(), LogError>;

    /// Forgets a parked delivery, because it succeeded.
    async fn unpark(
        &self,
        subscription: &SubscriptionKey,
        position: Position,
    ) -> Result<(), LogError>;

    /// Moves a delivery, parked or not, to the dead letters.
    async fn bury(
        &self,
        subscription: &SubscriptionKey,
        position: Position,
        attempt: u32,
        error: &str,
    ) -> Result<(), LogError>;

    /// Reads one event; none if the log no longer has it.
    async fn event(&self, position: Position) -> Result<Option<LoggedEvent>, LogError>;
}
