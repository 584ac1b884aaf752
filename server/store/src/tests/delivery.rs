//! Subscriptions, and what the clean-up leaves to them.

use jiff::Timestamp;
use tinybase_model::{ExtensionName, Position};

use super::TestStore;
use crate::testing::TestDatabase;
use crate::{Held, Hold, Parked, Subscriber, now};

fn subscriber(handler: &str) -> Subscriber {
    Subscriber { extension: extension(), handler: handler.to_owned() }
}

/// As the one node that there is.
fn by(subscriber: &Subscriber) -> Held {
    Held { subscriber: subscriber.clone(), fence: 0 }
}

fn held(handler: &str) -> Held {
    by(&subscriber(handler))
}

fn extension() -> ExtensionName {
    "one".parse().expect("a name")
}

fn parked(position: i64, attempt: u32) -> Parked {
    let order_key = format!("key {position}");
    let last_error = format!("failed {attempt}");
    Parked { position: Position(position), order_key, attempt, due_at: now(), last_error }
}

/// Appends events: one for each user that registers.
async fn events(test: &TestStore, count: usize) -> Position {
    let head = test.store.events_head().await.expect("a read").0;
    for n in 0..count {
        test.user(&format!("{head}-{n}@example.com")).await;
    }
    test.store.events_head().await.expect("a read")
}

#[tokio::test]
async fn a_subscription_begins_at_the_head_and_stays_where_it_was() {
    let test = TestStore::open().await;
    assert_eq!(test.store.events_head().await.expect("a read"), Position(0));
    let head = events(&test, 3).await;
    assert_eq!(head, Position(3));
    let found = test.store.subscribe(subscriber("a")).await.expect("a write");
    assert_eq!((found.cursor, found.parked), (head, Vec::new()));
    let head = events(&test, 3).await;
    test.store.advance(held("a"), Position(5)).await.expect("a write");
    test.store.advance(held("a"), Position(4)).await.expect("a write");
    assert_eq!(test.store.subscribe(subscriber("a")).await.expect("a write").cursor, Position(5));
    assert_eq!(test.store.subscribe(subscriber("b")).await.expect("a write").cursor, head);
    let after = test.store.events_after(Position(5), 10).await.expect("a read");
    assert_eq!(after.iter().map(|event| event.position).collect::<Vec<_>>(), [Position(6)]);
    let first = test.store.event(Position(1)).await.expect("a read").expect("an event");
    assert_eq!(first.position, Position(1));
    assert_eq!(test.store.event(Position(7)).await.expect("a read"), None);
}

#[tokio::test]
async fn what_is_parked_and_buried_may_be_repeated() {
    let test = TestStore::open().await;
    events(&test, 4).await;
    let (a, b) = (subscriber("a"), subscriber("b"));
    test.store.subscribe(a.clone()).await.expect("a write");
    let (one, two, three) = (parked(1, 1), parked(2, 0), parked(3, 5));
    for _ in 0..2 {
        let all = vec![one.clone(), two.clone(), three.clone()];
        test.store.park(by(&a), all).await.expect("a write");
    }
    let again = parked(1, 2);
    test.store.park(by(&a), vec![again.clone()]).await.expect("a write");
    for _ in 0..2 {
        test.store.unpark(by(&a), Position(2)).await.expect("a write");
        let error = "gave up".to_owned();
        test.store.bury(by(&a), Position(3), 8, error.clone()).await.expect("a write");
        test.store.bury(by(&a), Position(4), 1, error).await.expect("a write");
    }
    let found = test.store.subscribe(a.clone()).await.expect("a write");
    assert_eq!(found.parked, [again]);
    let letters = test.store.dead_letters(&a, 10).await.expect("a read");
    let letters: Vec<_> = letters.iter().map(|l| (l.position.0, l.attempt)).collect();
    assert_eq!(letters, [(3, 8), (4, 1)]);
    // Nobody is called b, so nothing happens.
    test.store.advance(by(&b), Position(1)).await.expect("a write");
    test.store.park(by(&b), vec![one]).await.expect("a write");
    test.store.bury(by(&b), Position(1), 1, String::new()).await.expect("a write");
    assert!(test.store.dead_letters(&b, 10).await.expect("a read").is_empty());
    assert!(test.store.subscribe(b).await.expect("a write").parked.is_empty());
}

#[tokio::test]
async fn unsubscribing_keeps_what_is_named_and_the_dead_letters() {
    let test = TestStore::open().await;
    events(&test, 1).await;
    let (a, b) = (subscriber("a"), subscriber("b"));
    let other = Subscriber { extension: "two".parse().expect("a name"), handler: "a".to_owned() };
    for subscriber in [&a, &b, &other] {
        test.store.subscribe(subscriber.clone()).await.expect("a write");
        test.store.park(by(subscriber), vec![parked(1, 1)]).await.expect("a write");
        let error = "gave up".to_owned();
        test.store.bury(by(subscriber), Position(1), 8, error).await.expect("a write");
        test.store.park(by(subscriber), vec![parked(1, 1)]).await.expect("a write");
    }
    test.store.unsubscribe(extension(), &["b".to_owned()]).await.expect("a write");
    let counts = |subscriber: Subscriber| {
        let store = test.store.clone();
        async move {
            let letters = store.dead_letters(&subscriber, 10).await.expect("a read").len();
            (store.subscribe(subscriber).await.expect("a write").parked.len(), letters)
        }
    };
    assert_eq!(counts(a).await, (0, 1));
    assert_eq!(counts(b).await, (1, 1));
    assert_eq!(counts(other).await, (1, 1));
}

#[tokio::test]
async fn the_clean_up_leaves_what_somebody_still_needs() {
    let test = TestStore::open().await;
    let (a, b) = (subscriber("a"), subscriber("b"));
    test.store.subscribe(a.clone()).await.expect("a write");
    test.store.subscribe(b.clone()).await.expect("a write");
    events(&test, 8).await;
    test.store.park(by(&a), vec![parked(2, 1)]).await.expect("a write");
    test.store.bury(by(&a), Position(3), 8, String::new()).await.expect("a write");
    test.store.advance(by(&a), Position(7)).await.expect("a write");
    test.store.advance(by(&b), Position(5)).await.expect("a write");
    let clean_up = |before: Timestamp| test.store.clean_up_events(before, 2);
    assert_eq!(clean_up(Timestamp::UNIX_EPOCH).await.expect("a write"), 0, "all are young");
    let later = Timestamp::MAX;
    assert_eq!(clean_up(later).await.expect("a write"), 2, "the limit");
    assert_eq!(clean_up(later).await.expect("a write"), 1);
    assert_eq!(clean_up(later).await.expect("a write"), 0);
    let left = test.store.events_after(Position(0), 10).await.expect("a read");
    let left: Vec<_> = left.iter().map(|event| event.position.0).collect();
    assert_eq!(left, [2, 3, 6, 7, 8]);
    test.store.unsubscribe(extension(), &[]).await.expect("a write");
    while clean_up(later).await.expect("a write") > 0 {}
    let left = test.store.events_after(Position(0), 10).await.expect("a read");
    assert_eq!(left.len(), 1, "the dead letter's");
    assert_eq!(test.store.events_head().await.expect("a read"), Position(8));
    assert_eq!(events(&test, 1).await, Position(9), "no position is used twice");
}

#[tokio::test]
async fn a_subscription_is_held_by_one_node_and_an_earlier_one_stores_nothing_more() {
    let Some(database) = TestDatabase::on_postgres().await else { return };
    let test = TestStore::on(database).await;
    let a = subscriber("a");
    let held = test.store.hold(a.clone(), "one").await.expect("a write");
    let Hold::For { fence, .. } = held else { panic!("{held:?}") };
    assert_eq!(test.store.hold(a.clone(), "two").await.expect("a read"), Hold::Elsewhere);
    assert_eq!(test.store.hold(a.clone(), "one").await.expect("a write"), held, "it holds on");
    let last = events(&test, 3).await;
    let one = Held { subscriber: a.clone(), fence };
    test.store.advance(one.clone(), Position(1)).await.expect("a write");
    test.store.let_go(one.clone()).await.expect("a write");
    let held = test.store.hold(a.clone(), "two").await.expect("a write");
    let Hold::For { fence: later, .. } = held else { panic!("{held:?}") };
    assert!(later > fence);
    test.store.advance(one.clone(), last).await.expect("a write");
    test.store.park(one.clone(), vec![parked(2, 1)]).await.expect("a write");
    test.store.bury(one.clone(), Position(3), 8, String::new()).await.expect("a write");
    let found = test.store.subscribe(a.clone()).await.expect("a write");
    assert_eq!((found.cursor, found.parked), (Position(1), Vec::new()));
    assert!(test.store.dead_letters(&a, 10).await.expect("a read").is_empty());
    let two = Held { subscriber: a.clone(), fence: later };
    test.store.advance(two, last).await.expect("a write");
    assert_eq!(test.store.subscribe(a).await.expect("a write").cursor, last);
}
