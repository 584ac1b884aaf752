//! A durable subscription, what waits for it and what was given up.

use jiff::Timestamp;
use tinybase_model::{ExtensionName, Position};

/// Names a subscription: a handler of an extension.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscriber {
    /// Whose it is.
    pub extension: ExtensionName,
    /// The extension's name for the handler.
    pub handler: String,
}

/// A delivery that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parked {
    /// The event.
    pub position: Position,
    /// The event's order key.
    pub order_key: String,
    /// How many attempts were made.
    pub attempt: u32,
    /// When the next one is due.
    pub due_at: Timestamp,
    /// How the last one failed.
    pub last_error: String,
}

/// Where a subscription stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    /// Everything up to here is done with or parked.
    pub cursor: Position,
    /// What is parked, by position.
    pub parked: Vec<Parked>,
}

/// A delivery that was given up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// The event.
    pub position: Position,
    /// How many attempts were made.
    pub attempt: u32,
    /// How the last one failed.
    pub error: String,
    /// When it was given up.
    pub buried_at: Timestamp,
}
