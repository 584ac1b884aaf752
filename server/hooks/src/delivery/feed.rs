//! The end of the log, read once for all consumers.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tinybase_model::{Event, LoggedEvent, Position};
use tokio::sync::{Notify, watch};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::{POLL_INTERVAL, READ_MAX};
use crate::event_log::{EventLog, LogError};
use crate::registry::Registry;

/// How much of the log's end is kept.
const EVENTS_MAX: usize = 1024;
const BYTES_MAX: usize = 16 << 20;

/// Follows the log and keeps its end, so that a commit costs one read however many subscribe.
pub(super) struct Feed {
    log: Arc<dyn EventLog>,
    registry: Arc<Registry>,
    wake: Arc<Notify>,
    tail: Mutex<Tail>,
    consumers: AtomicUsize,
}

/// Some events in order, complete after where they were asked for and up to `through`.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) events: Vec<Arc<LoggedEvent>>,
    pub(super) through: Position,
}

/// All events after `low` and up to `high`.
#[derive(Debug, Default)]
struct Tail {
    low: Position,
    high: Position,
    events: VecDeque<Arc<LoggedEvent>>,
    bytes: usize,
}

impl Feed {
    pub(super) fn new(log: Arc<dyn EventLog>, registry: Arc<Registry>, wake: Arc<Notify>) -> Self {
        let consumers = AtomicUsize::new(0);
        Self { log, registry, wake, tail: Mutex::default(), consumers }
    }

    /// Reads what is committed, as soon as there is a hint, and in any case once a second.
    pub(super) async fn follow(&self, stop: &CancellationToken) {
        let mut failed = false;
        while !stop.is_cancelled() {
            let result = self.catch_up().await;
            if let (Err(error), false) = (&result, failed) {
                let source = std::error::Error::source(error).map(ToString::to_string);
                tracing::warn!(%error, source, "events wait until the log can be read again");
            }
            failed = result.is_err();
            tokio::select! {
                () = stop.cancelled() => {}
                () = self.wake.notified(), if !failed => {}
                () = sleep(POLL_INTERVAL) => {}
            }
        }
    }

    /// Tells where the log ends, as far as it was read.
    pub(super) fn head(&self) -> watch::Receiver<Option<Position>> {
        self.registry.head().subscribe()
    }

    /// How many consumers there are: without any, only the head is looked at.
    pub(super) fn set_consumers(&self, count: usize) {
        self.consumers.store(count, Ordering::Relaxed);
    }

    /// The events after a position, if they are still in memory.
    pub(super) fn recent(&self, after: Position) -> Option<Batch> {
        let tail = self.lock();
        if after < tail.low {
            return None;
        }
        let first = tail.events.partition_point(|event| event.position <= after);
        let events: Vec<_> =
            tail.events.range(first..).take(READ_MAX as usize).map(Arc::clone).collect();
        let cut = tail.events.len() - first > events.len();
        let through = match events.last() {
            Some(last) if cut => last.position,
            Some(_) | None => tail.high.max(after),
        };
        Some(Batch { events, through })
    }

    /// Reads the events after a position from the log.
    pub(super) async fn read(&self, after: Position) -> Result<Batch, LogError> {
        let head = self.registry.head().borrow().unwrap_or_default();
        let events = self.log.read(after, READ_MAX).await?;
        let cut = events.len() >= READ_MAX as usize;
        let last = events.last().map_or(after, |event| event.position);
        let through = if cut { last } else { last.max(head) };
        Ok(Batch { events: events.into_iter().map(Arc::new).collect(), through })
    }

    async fn catch_up(&self) -> Result<(), LogError> {
        let unknown = self.registry.head().borrow().is_none();
        if unknown || self.consumers.load(Ordering::Relaxed) == 0 {
            let head = self.log.head().await?;
            *self.lock() = Tail { low: head, high: head, ..Tail::default() };
            self.publish(head);
            return Ok(());
        }
        loop {
            let high = self.lock().high;
            let batch = self.read(high).await?;
            let cut = batch.events.len() >= READ_MAX as usize;
            self.lock().push(batch.events);
            let high = self.lock().high;
            self.publish(high);
            if !cut {
                return Ok(());
            }
        }
    }

    fn publish(&self, head: Position) {
        self.registry.head().send_if_modified(|known| {
            let grew = known.is_none_or(|known| known < head);
            if grew {
                *known = Some(head);
            }
            grew
        });
    }

    fn lock(&self) -> MutexGuard<'_, Tail> {
        self.tail.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tail {
    fn push(&mut self, events: Vec<Arc<LoggedEvent>>) {
        for event in events {
            self.high = event.position;
            self.bytes += weight(&event);
            self.events.push_back(event);
        }
        while self.events.len() > EVENTS_MAX || self.bytes > BYTES_MAX {
            let Some(oldest) = self.events.pop_front() else { return };
            self.low = oldest.position;
            self.bytes -= weight(&oldest);
        }
    }
}

/// About how many bytes an event holds.
pub(super) fn weight(event: &LoggedEvent) -> usize {
    const FIXED: usize = 256;
    let body = match &event.event {
        Event::RecordCreate(record) | Event::RecordUpdate(record) | Event::RecordDelete(record) => {
            let old_data = record.old_data.as_ref().map_or(0, |data| data.bytes().len());
            record.data.bytes().len() + old_data
        }
        Event::FunctionCall(call) => call.input.bytes().len(),
        Event::FunctionComplete(completion) => {
            completion.error_message.as_ref().map_or(0, String::len)
        }
        Event::UserRegister(_) | Event::UserLogin(_) => 0,
    };
    FIXED + body
}
