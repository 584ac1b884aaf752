use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tinybase_model::{EventId, LoggedEvent, Position};

use super::{Book, Bounds, Moment};
use crate::delivery::verdict::Failure;
use crate::event_log::{ParkedDelivery, SubscriptionState};
use crate::fakes::created;

const BOUNDS: Bounds = Bounds {
    attempts_max: 8,
    retry: (Duration::from_secs(1), Duration::from_mins(5)),
    window: 4,
    window_bytes_max: 10_000,
    parked_max: 3,
};

fn event(position: i64, data: &str) -> Arc<LoggedEvent> {
    Arc::new(LoggedEvent {
        position: Position(position),
        id: EventId::generate(),
        order_key: position.to_string(),
        occurred_at: Timestamp::UNIX_EPOCH,
        origin: None,
        depth: 0,
        traceparent: String::new(),
        event: created("orders", data),
    })
}

fn empty() -> Book {
    Book::resume(SubscriptionState::default(), None, BOUNDS, Moment::now())
}

/// How many events are taken before there is no room.
fn taken(book: &mut Book, data: &str) -> usize {
    let after = book.read_to().0;
    let positions = (after + 1..).take_while(|position| {
        let room = book.has_room();
        if room {
            book.take(event(*position, data), Moment::now());
        }
        room
    });
    positions.count()
}

#[test]
fn no_more_events_are_taken_than_the_window_has_places() {
    assert_eq!(taken(&mut empty(), "{}"), 4);
}

#[test]
fn no_more_events_are_taken_than_the_window_may_have_bytes() {
    let large = format!("\"{}\"", "x".repeat(6000));
    assert_eq!(taken(&mut empty(), &large), 2);
}

#[test]
fn a_place_is_free_again_once_the_cursor_behind_it_is_stored() {
    let mut book = empty();
    taken(&mut book, "{}");
    let now = Moment::now().now;
    let first = book.start(now).expect("one is ready");
    book.succeed(&first);
    assert!(!book.has_room(), "a crash would still deliver it again");
    let writes = book.all_writes();
    assert_eq!(writes.advance, Some(Position(1)));
    book.stored(&writes);
    assert_eq!(taken(&mut book, "{}"), 1);
}

#[test]
fn when_too_many_are_parked_no_more_events_are_taken() {
    let mut book = empty();
    let mut parked = 0;
    while taken(&mut book, "{}") > 0 {
        let at = Moment::now();
        while let Some(work) = book.start(at.now) {
            book.fail(&work, &Failure::default(), (at, 1.0));
            parked += 1;
        }
        let writes = book.all_writes();
        book.stored(&writes);
        let writes = book.all_writes();
        book.stored(&writes);
    }
    assert_eq!(parked, 4, "a window's worth, and then no more");
    assert_eq!(book.unstored(), (0, false));
}

#[test]
fn a_parked_event_that_is_read_again_keeps_its_place_in_the_window() {
    let parked = |position| ParkedDelivery {
        position: Position(position),
        order_key: position.to_string(),
        attempt: 1,
        due_at: Timestamp::UNIX_EPOCH,
        last_error: String::new(),
    };
    // The cursor didn't pass over them before the server was killed.
    let state = SubscriptionState { cursor: Position(0), parked: vec![parked(2), parked(3)] };
    let mut book = Book::resume(state, None, BOUNDS, Moment::now());
    assert_eq!(taken(&mut book, "{}"), 4);
    let now = Moment::now().now;
    let started: Vec<_> = std::iter::from_fn(|| book.start(now)).collect();
    let of: Vec<_> = started.iter().map(|work| (work.position.0, work.attempt)).collect();
    assert_eq!(of, [(2, 2), (3, 2), (1, 1), (4, 1)]);
    // All but the first end: were the server killed now, they would come again, so no more go.
    for work in &started {
        if work.position != Position(1) {
            book.succeed(work);
        }
    }
    let writes = book.all_writes();
    assert_eq!(writes.advance, None);
    book.stored(&writes);
    assert!(!book.has_room());
}
