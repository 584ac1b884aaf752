//! Events of one subscription between the log and the stored cursor: in order per key, answered in
//! any order. Pure.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use tinybase_model::{LoggedEvent, Position};

use super::feed::weight;

/// The events that a crash of the server would deliver again, and what is known of each.
#[derive(Debug)]
pub(super) struct Window {
    capacity: usize,
    bytes_max: usize,
    bytes: usize,
    read_to: Position,
    stored: Position,
    slots: BTreeMap<Position, Slot>,
    /// For each key the events that aren't answered, in order; the first is ready or in flight.
    keys: HashMap<String, VecDeque<Position>>,
    ready: BTreeSet<Position>,
}

#[derive(Debug)]
enum Slot {
    /// Waits for its turn.
    Waiting(Arc<LoggedEvent>),
    /// Is with the extension.
    InFlight(Arc<LoggedEvent>),
    /// Is on its way to the parked ones or the dead letters; the key no longer waits for it here.
    Leaving,
    /// Needs nothing more.
    Done,
}

impl Window {
    pub(super) fn new(cursor: Position, capacity: usize, bytes_max: usize) -> Self {
        Self {
            capacity: capacity.max(1),
            bytes_max,
            bytes: 0,
            read_to: cursor,
            stored: cursor,
            slots: BTreeMap::new(),
            keys: HashMap::new(),
            ready: BTreeSet::new(),
        }
    }

    /// Up to where the log was read.
    pub(super) const fn read_to(&self) -> Position {
        self.read_to
    }

    /// Up to where the log was looked at without a wanted event.
    pub(super) fn skip_to(&mut self, position: Position) {
        self.read_to = self.read_to.max(position);
    }

    pub(super) fn has_room(&self) -> bool {
        self.slots.len() < self.capacity && self.bytes < self.bytes_max
    }

    /// Takes an event that is to be delivered.
    pub(super) fn take(&mut self, event: Arc<LoggedEvent>) {
        let position = event.position;
        self.skip_to(position);
        let waiting = self.keys.entry(event.order_key.clone()).or_default();
        if waiting.is_empty() {
            self.ready.insert(position);
        }
        waiting.push_back(position);
        self.bytes += weight(&event);
        self.slots.insert(position, Slot::Waiting(event));
    }

    /// Takes the place of an event that goes straight to the parked ones.
    pub(super) fn take_leaving(&mut self, position: Position) {
        self.skip_to(position);
        self.slots.insert(position, Slot::Leaving);
    }

    /// Takes the place of an event that needs nothing more.
    pub(super) fn take_done(&mut self, position: Position) {
        self.skip_to(position);
        self.slots.insert(position, Slot::Done);
    }

    /// The first event that may be delivered now.
    pub(super) fn start(&mut self) -> Option<Arc<LoggedEvent>> {
        let position = self.ready.pop_first()?;
        let slot = self.slots.get_mut(&position)?;
        let Slot::Waiting(event) = slot else { unreachable!("only a waiting event is ready") };
        let event = Arc::clone(event);
        *slot = Slot::InFlight(Arc::clone(&event));
        Some(event)
    }

    /// It wasn't the time for it: it is the first of its key again.
    pub(super) fn put_back(&mut self, position: Position) {
        if let Some(slot) = self.slots.get_mut(&position)
            && let Slot::InFlight(event) = slot
        {
            *slot = Slot::Waiting(Arc::clone(event));
            self.ready.insert(position);
        }
    }

    /// It was delivered: the next of its key may go.
    pub(super) fn finish(&mut self, position: Position) {
        self.release(position, Slot::Done);
    }

    /// It goes to the dead letters: the next of its key may go.
    pub(super) fn bury(&mut self, position: Position) {
        self.release(position, Slot::Leaving);
    }

    /// It goes to the parked ones, and with it all others of its key, which are the answer.
    pub(super) fn park(&mut self, position: Position) -> Vec<Position> {
        let Some(key) = self.replace(position, Slot::Leaving) else { return Vec::new() };
        let mut behind = self.keys.remove(&key).unwrap_or_default();
        behind.retain(|other| *other != position);
        for other in &behind {
            self.ready.remove(other);
            self.replace(*other, Slot::Leaving);
        }
        behind.into()
    }

    /// What left for the parked ones or the dead letters is stored there.
    pub(super) fn left(&mut self, position: Position) {
        if let Some(slot) = self.slots.get_mut(&position)
            && matches!(slot, Slot::Leaving)
        {
            *slot = Slot::Done;
        }
    }

    /// Everything up to here needs nothing more.
    pub(super) fn cursor(&self) -> Position {
        let open = self.slots.iter().find(|(_, slot)| !matches!(slot, Slot::Done));
        open.map_or(self.read_to, |(position, _)| Position(position.0 - 1))
    }

    /// The cursor that is stored.
    pub(super) const fn stored(&self) -> Position {
        self.stored
    }

    /// How many events the cursor would leave behind if it were stored.
    pub(super) fn behind_cursor(&self) -> usize {
        self.slots.range(..=self.cursor()).count()
    }

    /// The cursor was stored: what is behind it can't come again.
    pub(super) fn store(&mut self, cursor: Position) {
        self.stored = self.stored.max(cursor);
        self.slots = self.slots.split_off(&Position(cursor.0 + 1));
    }

    fn release(&mut self, position: Position, end: Slot) {
        let Some(key) = self.replace(position, end) else { return };
        let Some(waiting) = self.keys.get_mut(&key) else { return };
        waiting.pop_front();
        match waiting.front() {
            Some(next) => {
                self.ready.insert(*next);
            }
            None => {
                self.keys.remove(&key);
            }
        }
    }

    /// Lets go of the event and tells its key.
    fn replace(&mut self, position: Position, end: Slot) -> Option<String> {
        let slot = self.slots.get_mut(&position)?;
        match std::mem::replace(slot, end) {
            Slot::Waiting(event) | Slot::InFlight(event) => {
                self.bytes -= weight(&event);
                Some(event.order_key.clone())
            }
            before @ (Slot::Leaving | Slot::Done) => {
                *slot = before;
                None
            }
        }
    }
}
