//! The end of the log, kept in memory for all streams.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tinybase_model::{Event, LoggedEvent, Position};

/// How much of it is kept.
const EVENTS_MAX: usize = 1024;
const BYTES_MAX: usize = 16 << 20;

/// The end of the log.
#[derive(Debug, Default)]
pub(super) struct Tail(Mutex<Kept>);

/// All events after `low` and up to `high`; of others than records only that they were there.
#[derive(Debug, Default)]
struct Kept {
    low: Position,
    high: Position,
    events: VecDeque<Arc<LoggedEvent>>,
    bytes: usize,
}

/// Some events in order, complete after where they were asked for and up to `through`.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) events: Vec<Arc<LoggedEvent>>,
    pub(super) through: Position,
}

impl Tail {
    /// Forgets everything and begins after a position.
    pub(super) fn begin(&self, head: Position) {
        *self.lock() = Kept { low: head, high: head, ..Kept::default() };
    }

    pub(super) fn high(&self) -> Position {
        self.lock().high
    }

    pub(super) fn push(&self, events: Vec<LoggedEvent>) {
        let mut kept = self.lock();
        for event in events {
            kept.high = event.position;
            if event.event.kind().is_record() {
                kept.bytes += weight(&event);
                kept.events.push_back(Arc::new(event));
            }
        }
        while kept.events.len() > EVENTS_MAX || kept.bytes > BYTES_MAX {
            let Some(oldest) = kept.events.pop_front() else { return };
            kept.low = oldest.position;
            kept.bytes -= weight(&oldest);
        }
    }

    /// At most `limit` events after a position, if they are all still here.
    pub(super) fn after(&self, position: Position, limit: usize) -> Option<Batch> {
        let kept = self.lock();
        if position < kept.low {
            return None;
        }
        let first = kept.events.partition_point(|event| event.position <= position);
        let events: Vec<_> = kept.events.range(first..).take(limit).map(Arc::clone).collect();
        let cut = kept.events.len() - first > events.len();
        let through = match events.last() {
            Some(last) if cut => last.position,
            Some(_) | None => kept.high.max(position),
        };
        Some(Batch { events, through })
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// About how many bytes an event holds.
fn weight(event: &LoggedEvent) -> usize {
    const FIXED: usize = 512;
    match &event.event {
        Event::RecordCreate(record) | Event::RecordUpdate(record) | Event::RecordDelete(record) => {
            let old_data = record.old_data.as_ref().map_or(0, |data| data.bytes().len());
            FIXED + record.data.bytes().len() + old_data
        }
        Event::UserRegister(_)
        | Event::UserLogin(_)
        | Event::FunctionCall(_)
        | Event::FunctionComplete(_) => FIXED,
    }
}
