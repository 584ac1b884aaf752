//! The bookkeeping against random weather: failures, crashes of extensions, of the server and of
//! the disk, at any moment.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use tinybase_model::{EventId, LoggedEvent, Position};
use tokio::time::Instant;

use super::{Book, Bounds, Moment, Work};
use crate::delivery::verdict::Failure;
use crate::delivery::writes::{End, Writes};
use crate::event_log::{ParkedDelivery, SubscriptionState};
use crate::fakes::created;

const WINDOW: usize = 4;

/// Something that happens.
#[derive(Debug, Clone, Copy)]
enum Step {
    Append { key: u8 },
    Read,
    Start,
    End { which: usize, how: How },
    Store { works: bool },
    Pass { seconds: u64 },
    ServerCrash,
}

#[derive(Debug, Clone, Copy)]
enum How {
    Success,
    Failure,
    Crash,
    Hopeless,
    NotNow,
}

fn step() -> impl Strategy<Value = Step> {
    let how = prop_oneof![
        5 => Just(How::Success),
        2 => Just(How::Failure),
        1 => Just(How::Crash),
        1 => Just(How::Hopeless),
        1 => Just(How::NotNow),
    ];
    prop_oneof![
        4 => (0..3_u8).prop_map(|key| Step::Append { key }),
        4 => Just(Step::Read),
        6 => Just(Step::Start),
        6 => (any::<usize>(), how).prop_map(|(which, how)| Step::End { which, how }),
        4 => prop::bool::weighted(0.8).prop_map(|works| Step::Store { works }),
        2 => (0..400_u64).prop_map(|seconds| Step::Pass { seconds }),
        1 => Just(Step::ServerCrash),
    ]
}

/// The world around a book.
struct World {
    at: Moment,
    log: Vec<Arc<LoggedEvent>>,
    cursor: Position,
    parked: BTreeMap<Position, ParkedDelivery>,
    dead: BTreeSet<Position>,
    book: Book,
    in_flight: Vec<Work>,
    /// Delivered or given up at least once.
    ended: BTreeSet<Position>,
}

impl World {
    fn new() -> Self {
        let at = Moment { now: Instant::now(), wall: Timestamp::UNIX_EPOCH };
        let book = Book::resume(SubscriptionState::default(), None, bounds(), at);
        Self {
            at,
            log: Vec::new(),
            cursor: Position::default(),
            parked: BTreeMap::new(),
            dead: BTreeSet::new(),
            book,
            in_flight: Vec::new(),
            ended: BTreeSet::new(),
        }
    }

    fn apply(&mut self, step: Step) {
        match step {
            Step::Append { key } => self.append(key),
            Step::Read => self.read(),
            Step::Start => self.start(),
            Step::End { which, how } => self.end(which, how),
            Step::Store { works } => self.store(works),
            Step::Pass { seconds } => {
                self.at.now += Duration::from_secs(seconds);
                let passed = SignedDuration::try_from(Duration::from_secs(seconds)).expect("small");
                self.at.wall += passed;
            }
            Step::ServerCrash => self.crash(),
        }
    }

    fn append(&mut self, key: u8) {
        let position = Position(i64::try_from(self.log.len()).expect("few") + 1);
        self.log.push(Arc::new(LoggedEvent {
            position,
            id: EventId::generate(),
            order_key: key.to_string(),
            occurred_at: Timestamp::UNIX_EPOCH,
            origin: None,
            depth: 0,
            traceparent: String::new(),
            event: created("orders", "{}"),
        }));
    }

    fn read(&mut self) {
        let after = self.book.read_to();
        for event in self.log.iter().filter(|event| event.position > after) {
            if !self.book.has_room() {
                return;
            }
            self.book.take(Arc::clone(event), self.at);
        }
    }

    fn key(&self, position: Position) -> String {
        let event = self.log.iter().find(|event| event.position == position);
        event.expect("in the log").order_key.clone()
    }

    fn start(&mut self) {
        let Some(work) = self.book.start(self.at.now) else { return };
        let key = self.key(work.position);
        for other in &self.in_flight {
            assert_ne!(self.key(other.position), key, "two events of one key at once");
        }
        for earlier in self.log.iter().take_while(|event| event.position < work.position) {
            let overtaken = earlier.order_key == key && !self.ended.contains(&earlier.position);
            assert!(!overtaken, "{:?} overtook {:?}", work.position, earlier.position);
        }
        assert!((1..=8).contains(&work.attempt), "attempt {}", work.attempt);
        self.in_flight.push(work);
    }

    fn end(&mut self, which: usize, how: How) {
        if self.in_flight.is_empty() {
            return;
        }
        let work = self.in_flight.swap_remove(which % self.in_flight.len());
        let failure = |crashed| Failure { crashed, ..Failure::default() };
        let given_up = match how {
            How::Success => {
                self.book.succeed(&work);
                true
            }
            How::Failure | How::Crash => {
                let failure = failure(matches!(how, How::Crash));
                self.book.fail(&work, &failure, (self.at, 0.5)) == super::Fate::Buried
            }
            How::Hopeless => {
                self.book.bury(&work, &failure(false));
                true
            }
            How::NotNow => {
                self.book.put_back(&work, self.at.now);
                false
            }
        };
        if given_up {
            self.ended.insert(work.position);
        }
    }

    fn store(&mut self, works: bool) {
        let writes = self.book.all_writes();
        if !works {
            // Some of it may have been stored all the same.
            self.park(&writes);
            self.book.not_stored(writes);
            return;
        }
        self.park(&writes);
        for end in &writes.end {
            match end {
                End::Unpark(position) => {
                    self.parked.remove(position);
                }
                End::Bury { position, .. } => {
                    self.parked.remove(position);
                    self.dead.insert(*position);
                }
            }
        }
        self.cursor = writes.advance.unwrap_or(self.cursor).max(self.cursor);
        self.book.stored(&writes);
    }

    fn park(&mut self, writes: &Writes) {
        for delivery in &writes.park {
            self.parked.insert(delivery.position, delivery.clone());
        }
    }

    fn crash(&mut self) {
        let again = self.ended.range(Position(self.cursor.0 + 1)..).filter(|position| {
            !self.parked.contains_key(position) && **position <= self.book.read_to()
        });
        assert!(again.count() <= WINDOW, "a crash redelivers more than a window");
        self.in_flight.clear();
        let parked = self.parked.values().cloned().collect();
        let state = SubscriptionState { cursor: self.cursor, parked };
        let head = self.log.last().map(|event| event.position);
        self.book = Book::resume(state, head, bounds(), self.at);
    }

    /// What is behind the stored cursor must be safe.
    fn check(&self) {
        for event in self.log.iter().take_while(|event| event.position <= self.cursor) {
            let position = event.position;
            let safe = self.ended.contains(&position)
                || self.parked.contains_key(&position)
                || self.dead.contains(&position);
            assert!(safe, "{position:?} is lost behind the cursor {:?}", self.cursor);
        }
    }

    /// Fair weather until nothing is left to do.
    fn settle(&mut self) {
        for _ in 0..10 * self.log.len() + 10 {
            while !self.in_flight.is_empty() {
                self.end(0, How::Success);
            }
            self.read();
            self.apply(Step::Pass { seconds: 100_000 });
            self.start();
            self.store(true);
        }
        for event in &self.log {
            assert!(self.ended.contains(&event.position), "{:?} is stuck", event.position);
        }
        self.store(true);
        assert!(self.parked.is_empty(), "still parked: {:?}", self.parked);
        assert_eq!(self.cursor, self.log.last().map_or(Position(0), |event| event.position));
    }
}

fn bounds() -> Bounds {
    Bounds {
        attempts_max: 8,
        retry: (Duration::from_secs(1), Duration::from_mins(5)),
        window: WINDOW,
        window_bytes_max: 1 << 20,
        parked_max: 6,
    }
}

proptest! {
    #[test]
    fn events_arrive_in_order_per_key_and_none_is_lost(
        steps in prop::collection::vec(step(), 0..120),
    ) {
        let mut world = World::new();
        for step in steps {
            world.apply(step);
            world.check();
        }
        world.settle();
    }
}
