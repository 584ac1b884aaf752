//! Deliveries that wait for another attempt, and those of the same key behind them. Pure.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use tinybase_model::Position;
use tokio::time::Instant;

/// One delivery that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) position: Position,
    /// How many attempts were made.
    pub(super) attempt: u32,
    /// How many processes went away with it in their hands.
    pub(super) crashes: u32,
    /// When it is to be tried again, once it is the first of its key.
    pub(super) due: Instant,
}

/// All parked deliveries of one subscription.
#[derive(Debug, Default)]
pub(super) struct Parked {
    keys: HashMap<Arc<str>, VecDeque<Entry>>,
    positions: BTreeMap<Position, Arc<str>>,
    /// The first of each key, unless it is being tried.
    due: BTreeSet<(Instant, Position)>,
}

impl Parked {
    pub(super) fn len(&self) -> usize {
        self.positions.len()
    }

    /// The last event of the key that waits.
    pub(super) fn last(&self, key: &str) -> Option<Position> {
        self.keys.get(key)?.back().map(|entry| entry.position)
    }

    /// Adds a delivery behind those of its key. Positions of one key are to be added in order.
    pub(super) fn push(&mut self, key: &str, entry: Entry) {
        let name =
            self.keys.get_key_value(key).map_or_else(|| key.into(), |(key, _)| Arc::clone(key));
        let queue = self.keys.entry(Arc::clone(&name)).or_default();
        if queue.is_empty() {
            self.due.insert((entry.due, entry.position));
        }
        self.positions.insert(entry.position, name);
        queue.push_back(entry);
    }

    /// When the next delivery is due.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.due.first().map(|(due, _)| *due)
    }

    /// A delivery that is due.
    pub(super) fn start(&mut self, now: Instant) -> Option<Entry> {
        let (due, position) = *self.due.first()?;
        if due > now {
            return None;
        }
        self.due.pop_first();
        let key = self.positions.get(&position)?;
        self.keys.get(key)?.front().cloned()
    }

    /// It failed, or it wasn't the time for it: it is to be tried again. The answer is its key.
    pub(super) fn again(&mut self, entry: Entry) -> Option<&str> {
        let key = self.positions.get(&entry.position)?;
        let first = self.keys.get_mut(key)?.front_mut()?;
        self.due.insert((entry.due, entry.position));
        *first = entry;
        Some(key)
    }

    /// It needs nothing more: the next of its key may go.
    pub(super) fn finish(&mut self, position: Position) {
        let Some(key) = self.positions.remove(&position) else { return };
        let Some(queue) = self.keys.get_mut(&key) else { return };
        queue.pop_front();
        match queue.front() {
            Some(next) => {
                self.due.insert((next.due, next.position));
            }
            None => {
                self.keys.remove(&key);
            }
        }
    }
}
