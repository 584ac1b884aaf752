//! What one subscription has to remember: which event may go, and what to store. Pure.

mod bounds;

use std::sync::Arc;
use std::time::Duration;

use tinybase_model::{EventId, LoggedEvent, Position};
use tokio::time::Instant;

use super::backoff;
use super::parked::{Entry, Parked};
use super::verdict::Failure;
use super::window::Window;
use super::writes::{End, Writes};
use crate::event_log::{ParkedDelivery, SubscriptionState};

pub(super) use bounds::{Bounds, Moment};

/// How many processes may go away with one event in their hands before it counts as the cause.
/// After the first such end an event is delivered alone, so that it can't take others with it.
const CRASHES_MAX: u32 = 3;

/// One delivery to be made.
#[derive(Debug, Clone)]
pub(super) struct Work {
    pub(super) position: Position,
    /// The event; for one that was parked it has to be read again.
    pub(super) event: Option<Arc<LoggedEvent>>,
    /// The count of this attempt, from 1.
    pub(super) attempt: u32,
    crashes: u32,
    /// The event's id, once it is known, for the log.
    pub(super) event_id: Option<EventId>,
}

impl Work {
    /// Whether it has to be delivered alone, as it may be what ends the process.
    pub(super) const fn is_suspect(&self) -> bool {
        self.crashes > 0
    }

    const fn was_parked(&self) -> bool {
        self.event.is_none()
    }
}

/// What became of a delivery that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is tried again after this delay.
    Retry(Duration),
    /// It went to the dead letters.
    Buried,
}

/// The bookkeeping of one subscription.
#[derive(Debug)]
pub(super) struct Book {
    bounds: Bounds,
    window: Window,
    parked: Parked,
    writes: Writes,
    earlier: Earlier,
}

/// The events that an earlier server may have delivered without storing that: a window's worth
/// after the cursor, of those that were there.
#[derive(Debug, Clone, Copy)]
struct Earlier {
    head: Position,
    left: usize,
    through: Position,
}

impl Earlier {
    /// To be told each event that is taken.
    fn note(&mut self, position: Position) {
        if self.left > 0 && position <= self.head {
            self.left -= 1;
            self.through = position;
        }
    }
}

impl Book {
    /// Goes on where a subscription stands. Events up to `since` may have been delivered before.
    pub(super) fn resume(
        state: SubscriptionState,
        since: Option<Position>,
        bounds: Bounds,
        at: Moment,
    ) -> Self {
        let cursor = since.map_or(state.cursor, |since| since.min(state.cursor));
        let mut waiting = state.parked;
        waiting.sort_by_key(|delivery| delivery.position);
        let mut parked = Parked::default();
        for delivery in waiting {
            let ParkedDelivery { position, order_key, attempt, due_at, .. } = delivery;
            let due = at.until(due_at).min(at.now + bounds.retry.1.max(Duration::from_hours(24)));
            parked.push(&order_key, Entry { position, attempt, crashes: 0, due });
        }
        Self {
            bounds,
            window: Window::new(cursor, bounds.window, bounds.window_bytes_max),
            parked,
            writes: Writes::default(),
            earlier: Earlier {
                head: since.unwrap_or_default(),
                left: bounds.window,
                through: Position::default(),
            },
        }
    }

    /// Up to where the log was read.
    pub(super) const fn read_to(&self) -> Position {
        self.window.read_to()
    }

    /// Whether further events may be taken.
    pub(super) fn has_room(&self) -> bool {
        self.window.has_room() && self.parked.len() < self.bounds.parked_max
    }

    /// Notes that the log has no wanted event up to here but those that were taken.
    pub(super) fn skip_to(&mut self, position: Position) {
        self.window.skip_to(position);
    }

    /// Takes the next event that is to be delivered. Only while there is room.
    pub(super) fn take(&mut self, event: Arc<LoggedEvent>, at: Moment) {
        let position = event.position;
        if position <= self.read_to() {
            return;
        }
        self.earlier.note(position);
        match self.parked.last(&event.order_key) {
            None => self.window.take(event),
            Some(last) if last < position => {
                self.window.take_leaving(position);
                self.wait_behind(&event.order_key, position, at);
            }
            // It is parked, or a later one of its key is: then it was delivered before that. It
            // has its place in the window all the same, as it must not come again and again.
            Some(_) => self.window.take_done(position),
        }
    }

    /// The next delivery that may be made.
    pub(super) fn start(&mut self, now: Instant) -> Option<Work> {
        if let Some(entry) = self.parked.start(now) {
            let Entry { position, attempt, crashes, .. } = entry;
            return Some(Work {
                position,
                event: None,
                attempt: attempt + 1,
                crashes,
                event_id: None,
            });
        }
        let event = self.window.start()?;
        let position = event.position;
        let may_have_been = position <= self.earlier.through;
        let attempt = if may_have_been { 2 } else { 1 };
        let event_id = Some(event.id);
        Some(Work { position, event: Some(event), attempt, crashes: 0, event_id })
    }

    /// When a parked delivery is due next.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.parked.next_due()
    }

    /// It wasn't the time for a delivery; it counts as not made.
    pub(super) fn put_back(&mut self, work: &Work, now: Instant) {
        if work.was_parked() {
            let Work { position, attempt, crashes, .. } = *work;
            self.parked.again(Entry { position, attempt: attempt - 1, crashes, due: now });
        } else {
            self.window.put_back(work.position);
        }
    }

    /// A delivery succeeded.
    pub(super) fn succeed(&mut self, work: &Work) {
        if work.was_parked() {
            self.parked.finish(work.position);
            self.writes.end.push(End::Unpark(work.position));
        } else {
            self.window.finish(work.position);
        }
    }

    /// A delivery failed: its event, and its key with it, waits for another attempt.
    pub(super) fn fail(
        &mut self,
        work: &Work,
        failure: &Failure,
        (at, random): (Moment, f64),
    ) -> Fate {
        let crashes = work.crashes + u32::from(failure.crashed);
        if work.attempt >= self.bounds.attempts_max || crashes >= CRASHES_MAX {
            return self.bury(work, failure);
        }
        let delay = backoff::delay(work.attempt, self.bounds.retry, random, failure.retry_after);
        let Work { position, attempt, .. } = *work;
        let entry = Entry { position, attempt, crashes, due: at.now + delay };
        let order_key = match &work.event {
            Some(event) => {
                self.parked.push(&event.order_key, entry);
                for behind in self.window.park(position) {
                    self.wait_behind(&event.order_key, behind, at);
                }
                event.order_key.clone()
            }
            None => self.parked.again(entry).unwrap_or_default().to_owned(),
        };
        self.writes.park(ParkedDelivery {
            position,
            order_key,
            attempt,
            due_at: at.wall_after(delay),
            last_error: failure.error.clone(),
        });
        Fate::Retry(delay)
    }

    /// A delivery will never succeed: it goes to the dead letters and its key goes on.
    pub(super) fn bury(&mut self, work: &Work, failure: &Failure) -> Fate {
        let Work { position, attempt, .. } = *work;
        if work.was_parked() {
            self.parked.finish(position);
        } else {
            self.window.bury(position);
        }
        self.writes.end.push(End::Bury { position, attempt, error: failure.error.clone() });
        Fate::Buried
    }

    /// What is to be stored at once: deliveries that were parked or ended, and the cursor when
    /// enough is behind it.
    pub(super) fn urgent_writes(&mut self) -> Option<Writes> {
        let behind = self.window.behind_cursor();
        let enough = behind >= self.bounds.window.div_ceil(4) || (behind > 0 && !self.has_room());
        if !enough && self.writes.is_empty() {
            return None;
        }
        Some(self.all_writes())
    }

    /// All that can be stored now.
    pub(super) fn all_writes(&mut self) -> Writes {
        let mut writes = std::mem::take(&mut self.writes);
        let cursor = self.window.cursor();
        if cursor > self.window.stored() {
            writes.advance = writes.advance.max(Some(cursor));
        }
        writes
    }

    /// How many events and whether any progress at all a late write of the cursor would store.
    pub(super) fn unstored(&self) -> (usize, bool) {
        (self.window.behind_cursor(), self.window.cursor() > self.window.stored())
    }

    /// These were stored.
    pub(super) fn stored(&mut self, writes: &Writes) {
        for delivery in &writes.park {
            self.window.left(delivery.position);
        }
        for end in &writes.end {
            match end {
                End::Unpark(_) => {}
                End::Bury { position, .. } => self.window.left(*position),
            }
        }
        if let Some(cursor) = writes.advance {
            self.window.store(cursor);
        }
    }

    /// These couldn't be stored and go before what came after them.
    pub(super) fn not_stored(&mut self, writes: Writes) {
        self.writes = writes.followed_by(std::mem::take(&mut self.writes));
    }

    fn wait_behind(&mut self, order_key: &str, position: Position, at: Moment) {
        let entry = Entry { position, attempt: 0, crashes: 0, due: at.now };
        self.parked.push(order_key, entry);
        self.writes.park(ParkedDelivery {
            position,
            order_key: order_key.to_owned(),
            attempt: 0,
            due_at: at.wall,
            last_error: String::new(),
        });
    }
}

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;
