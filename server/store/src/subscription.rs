//! A durable subscription, what waits for it and what was given up.

use std::time::Duration;

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

/// A subscription that this node delivers to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// Which it is.
    pub subscriber: Subscriber,
    /// What was written with another number than the last is ignored.
    pub fence: i64,
}

/// Whether this node delivers to a subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold {
    /// It does, and nobody else can.
    Always {
        /// The number to write with.
        fence: i64,
    },
    /// It does for so long, from when it was asked for.
    For {
        /// The number to write with.
        fence: i64,
        /// How long.
        time: Duration,
    },
    /// Another node does.
    Elsewhere,
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
