//! What fails, and what that holds back.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tinybase_model::{Fault, InvokeError, Outcome, Rejection};
use tokio::time::{Instant, sleep};

use super::{Stage, after, until};
use crate::fakes::{done, fault};

#[tokio::test(start_paused = true)]
async fn a_failing_event_holds_back_its_own_record_only() {
    let failures = AtomicU32::new(3);
    let stage = Stage::new(move |call| {
        let again = call.body == r#"{"n":1}"#
            && failures
                .try_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1))
                .is_ok();
        if again { fault("not yet") } else { done() }
    })
    .await;
    stage.start(vec![after()]).await;
    for (key, data) in [("a", r#"{"n":1}"#), ("b", r#"{"n":2}"#), ("a", r#"{"n":3}"#)] {
        stage.commit(key, data);
    }
    // The cursor passes over what is parked, and a later event of the record waits behind it.
    let last = stage.commit("b", r#"{"n":4}"#);
    stage.stored(last).await;
    let stored = stage.log.stored("shop", "h").expect("it is there");
    assert_eq!(stored.parked.len(), 2);
    stage.commit("a", r#"{"n":5}"#);
    stage.calls(8).await;
    let bodies = stage.invoker.bodies();
    assert_eq!(bodies[1..3], [r#"{"n":2}"#, r#"{"n":4}"#]);
    let of_a: Vec<_> = stage
        .invoker
        .calls()
        .into_iter()
        .filter(|call| call.body != bodies[1] && call.body != bodies[2])
        .map(|call| (call.body, call.attempt))
        .collect();
    let first = |attempt| (r#"{"n":1}"#.to_owned(), attempt);
    let later = [(r#"{"n":3}"#.to_owned(), 1), (r#"{"n":5}"#.to_owned(), 1)];
    assert_eq!(of_a[..4], [first(1), first(2), first(3), first(4)]);
    assert_eq!(of_a[4..], later);
    let empty = || stage.log.stored("shop", "h").is_some_and(|known| known.parked.is_empty());
    until("nothing is parked any more", empty).await;
}

#[tokio::test(start_paused = true)]
async fn an_event_that_never_succeeds_goes_to_the_dead_letters_and_its_record_goes_on() {
    let stage =
        Stage::new(|call| if call.body == r#"{"n":1}"# { fault("no") } else { done() }).await;
    stage.start(vec![after()]).await;
    let first = stage.commit("a", r#"{"n":1}"#);
    stage.commit("a", r#"{"n":2}"#);
    stage.calls(9).await;
    let bodies = stage.invoker.bodies();
    assert!(bodies[..8].iter().all(|body| body == r#"{"n":1}"#), "{bodies:?}");
    assert_eq!(bodies[8], r#"{"n":2}"#);
    until("it is buried", || stage.dead(first).is_some()).await;
    assert_eq!(stage.dead(first), Some((8, "KeyError: no".to_owned())));
}

#[tokio::test(start_paused = true)]
async fn what_can_never_succeed_is_not_tried_again() {
    let stage = Stage::new(|call| {
        let rejection = Rejection {
            status: 400,
            code: "no".to_owned(),
            message: "Not this one.".to_owned(),
            violations: vec![],
        };
        match call.body.as_str() {
            r#"{"n":1}"# => Ok(Outcome::Reject(rejection)).into(),
            r#"{"n":2}"# => Err(InvokeError::TooLarge { size: 2, limit: 1 }).into(),
            _ => done(),
        }
    })
    .await;
    stage.start(vec![after()]).await;
    let positions = ["1", "2", "3"].map(|n| stage.commit("a", &format!("{{\"n\":{n}}}")));
    stage.stored(positions[2]).await;
    assert_eq!(stage.invoker.calls().len(), 3);
    assert_eq!(stage.dead(positions[0]), Some((1, "refused: no Not this one.".to_owned())));
    let too_large = "the body has 2 bytes; the limit is 1".to_owned();
    assert_eq!(stage.dead(positions[1]), Some((1, too_large)));
    assert_eq!(stage.dead(positions[2]), None);
}

#[tokio::test(start_paused = true)]
async fn an_extension_chooses_when_an_event_is_tried_again() {
    let hour = Duration::from_hours(1);
    let times = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&times);
    let stage = Stage::new(move |call| {
        seen.lock().expect("lock").push(Instant::now());
        if call.attempt > 1 {
            return done();
        }
        Ok(Outcome::Fault(Fault {
            kind: "Quota".to_owned(),
            message: "used up".to_owned(),
            stack: String::new(),
            retry_after: Some(hour),
        }))
        .into()
    })
    .await;
    stage.start(vec![after()]).await;
    stage.commit("a", "{}");
    stage.calls(2).await;
    let times = times.lock().expect("lock").clone();
    assert!(times[1] - times[0] >= hour, "{times:?}");
}

#[tokio::test(start_paused = true)]
async fn events_wait_for_an_extension_that_is_not_there_without_an_attempt_being_counted() {
    let busy = AtomicU32::new(5);
    let stage = Stage::new(move |_| {
        let busy = busy.try_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1));
        if busy.is_ok() { Err(InvokeError::Overloaded).into() } else { done() }
    })
    .await;
    stage.start(vec![after()]).await;
    stage.invoker.set_ready("shop", false);
    let last = stage.commit_many(100);
    sleep(Duration::from_mins(30)).await;
    assert!(stage.invoker.calls().is_empty());
    stage.invoker.set_ready("shop", true);
    stage.stored(last).await;
    let calls = stage.invoker.calls();
    assert_eq!(calls.len(), 105);
    assert!(calls.iter().all(|call| call.attempt == 1));
}

#[tokio::test(start_paused = true)]
async fn an_event_that_ends_each_process_is_given_up_and_takes_no_other_with_it() {
    // The process dies of the poisoned event, with all that it has in hand then.
    let stage = Stage::new(|call| {
        let poisoned = call.body == r#"{"n":7}"#;
        let end =
            if poisoned || call.attempt == 1 { Err(InvokeError::Disconnected) } else { Ok(()) };
        end.map_or_else(|error| Err(error).into(), |()| done())
    })
    .await;
    stage.start(vec![after()]).await;
    let positions: Vec<_> =
        (0..16).map(|n| stage.commit(&format!("{n}"), &format!("{{\"n\":{n}}}"))).collect();
    until("the poisoned one is buried", || stage.dead(positions[7]).is_some()).await;
    let empty = || stage.log.stored("shop", "h").is_some_and(|known| known.parked.is_empty());
    until("nothing is parked any more", empty).await;
    let stored = stage.log.stored("shop", "h").expect("it is there");
    assert_eq!(stored.dead.keys().collect::<Vec<_>>(), [&positions[7]]);
    assert_eq!(stored.dead[&positions[7]].0, 3);
}

#[tokio::test(start_paused = true)]
async fn a_suspect_is_delivered_alone() {
    let slow = Duration::from_secs(1);
    let stage = Stage::new(move |call| match (call.body.as_str(), call.attempt) {
        (r#"{"n":1}"#, 1) => Err(InvokeError::Disconnected).into(),
        _ => done().after(slow),
    })
    .await;
    stage.start(vec![after()]).await;
    stage.commit("1", r#"{"n":1}"#);
    stage.calls(1).await;
    for n in 2..200 {
        stage.commit(&n.to_string(), &format!("{{\"n\":{n}}}"));
    }
    let running = || stage.invoker.running();
    until("the suspect runs", || running().contains(&r#"{"n":1}"#.to_owned())).await;
    assert_eq!(running().len(), 1);
    until("the others go on", || running().len() > 1).await;
}

#[tokio::test(start_paused = true)]
async fn a_slow_extension_gets_fewer_events_at_once() {
    let stage = Stage::new(|_| done().after(Duration::from_mins(1))).await;
    stage.start(vec![after()]).await;
    stage.commit_many(100);
    until("many at first", || stage.invoker.running().len() == 16).await;
    until("one at last", || stage.invoker.running().len() == 1).await;
}

#[tokio::test(start_paused = true)]
async fn deliveries_go_on_when_the_log_works_again() {
    let stage = Stage::new(|call| if call.attempt == 1 { fault("no") } else { done() }).await;
    stage.start(vec![after()]).await;
    stage.log.broken.store(true, Ordering::Relaxed);
    let last = stage.commit_many(20);
    sleep(Duration::from_mins(1)).await;
    assert!(stage.invoker.calls().is_empty(), "no event can be read");
    stage.log.broken.store(false, Ordering::Relaxed);
    stage.calls(20).await;
    stage.log.broken.store(true, Ordering::Relaxed);
    sleep(Duration::from_mins(1)).await;
    stage.log.broken.store(false, Ordering::Relaxed);
    stage.stored(last).await;
    let empty = || stage.log.stored("shop", "h").is_some_and(|known| known.parked.is_empty());
    until("all were tried again", empty).await;
    assert_eq!(stage.invoker.calls().len(), 40);
}
