//! Where a subscription begins and ends, and what a restart does to it.

use std::time::Duration;

use tinybase_model::{HookBinding, HookFilter, Permissions, Position, Registration};
use tokio::time::sleep;

use super::{Stage, after, until};
use crate::fakes::{Call, declares, done, fault, name};

#[tokio::test(start_paused = true)]
async fn a_new_subscription_begins_at_the_head() {
    let stage = Stage::new(|_| done()).await;
    let before = stage.commit("1", r#"{"n":1}"#);
    let known = || *stage.hooks.inner.registry.head().borrow() == Some(before);
    until("the event is known", known).await;
    stage.start(vec![after()]).await;
    stage.commit("1", r#"{"n":2}"#);
    stage.calls(1).await;
    assert_eq!(stage.invoker.bodies(), [r#"{"n":2}"#]);
    assert_eq!(stage.invoker.calls()[0].attempt, 1);
}

#[tokio::test(start_paused = true)]
async fn an_event_right_after_the_registration_is_not_lost() {
    let stage = Stage::new(|_| done()).await;
    let registration = Registration::new(vec![after()], vec![]).expect("distinct names");
    let taken = stage.hooks.inner.registry.register(&name("shop"), &registration);
    taken.expect("it is taken");
    // The subscription can't have been created yet: nothing else ran in between.
    stage.commit("1", r#"{"n":1}"#);
    stage.invoker.set_ready("shop", true);
    stage.calls(1).await;
    assert_eq!(stage.invoker.bodies(), [r#"{"n":1}"#]);
}

#[tokio::test(start_paused = true)]
async fn a_killed_server_delivers_again_at_most_a_window_and_says_so() {
    let stage = Stage::new(|_| done()).await;
    stage.start(vec![after()]).await;
    let bodies: Vec<_> = (0..600).map(|n| format!("{{\"n\":{n}}}")).collect();
    for (n, body) in bodies.iter().enumerate() {
        stage.commit(&n.to_string(), body);
    }
    stage.calls(500).await;
    let first = stage.invoker.calls();
    let log = stage.kill().await;

    let stage = Stage::over(log, |_| done()).await;
    stage.start(vec![after()]).await;
    let last = Position(1200);
    stage.stored(last).await;
    let second = stage.invoker.calls();
    let known = |call: &&Call| first.iter().any(|earlier| earlier.body == call.body);
    let again: Vec<_> = second.iter().filter(known).collect();
    assert!(again.len() <= 256, "{} were delivered again", again.len());
    assert!(again.iter().all(|call| call.attempt == 2));
    for body in &bodies {
        let got = first.iter().chain(&second).any(|call| call.body == *body);
        assert!(got, "{body} is lost");
    }
}

#[tokio::test(start_paused = true)]
async fn a_stopped_server_delivers_nothing_again() {
    let stage =
        Stage::new(|call| if call.body == r#"{"n":1}"# { fault("no") } else { done() }).await;
    stage.start(vec![after()]).await;
    for n in 0..5 {
        stage.commit(&n.to_string(), &format!("{{\"n\":{n}}}"));
    }
    stage.calls(5).await;
    let log = stage.end().await;
    let stage = Stage::over(log, |_| done()).await;
    stage.start(vec![after()]).await;
    stage.commit("9", r#"{"n":9}"#);
    stage.calls(2).await;
    let mut calls: Vec<_> =
        stage.invoker.calls().into_iter().map(|call| (call.body, call.attempt)).collect();
    calls.sort();
    assert_eq!(calls, [(r#"{"n":1}"#.to_owned(), 2), (r#"{"n":9}"#.to_owned(), 1)]);
}

#[tokio::test(start_paused = true)]
async fn a_subscription_outlives_a_restart_and_ends_when_it_is_left_out() {
    let stage = Stage::new(|_| done()).await;
    let other = HookBinding { handler: "other".to_owned(), ..after() };
    stage.start(vec![after(), other.clone()]).await;
    stage.invoker.set_ready("shop", false);
    stage.commit("1", r#"{"n":1}"#);
    // The next process registers one of both, with another filter and timeout.
    let filter = HookFilter::Named("orders".to_owned());
    let timeout = Some(Duration::from_secs(9));
    stage.start(vec![HookBinding { filter, timeout, ..after() }]).await;
    stage.calls(1).await;
    until("the other one has ended", || stage.log.stored("shop", "other").is_none()).await;
    let calls = stage.invoker.calls();
    assert_eq!(calls.len(), 1);
    assert_eq!(calls[0].timeout, Duration::from_secs(9));
    // What it left out begins anew, at the head.
    stage.start(vec![after(), other]).await;
    stage.commit("1", r#"{"n":2}"#);
    stage.calls(3).await;
    assert_eq!(stage.invoker.bodies()[1..], [r#"{"n":2}"#, r#"{"n":2}"#]);
}

#[tokio::test(start_paused = true)]
async fn a_forgotten_extension_gets_nothing_more() {
    let stage = Stage::new(|_| done().after(Duration::from_secs(5))).await;
    stage.start(vec![after()]).await;
    stage.commit_many(100);
    stage.calls(16).await;
    stage.hooks.forget(&name("shop")).await.expect("the log works");
    assert!(stage.invoker.running().is_empty(), "what was under way is cancelled");
    assert!(stage.log.stored("shop", "h").is_none());
    sleep(Duration::from_mins(5)).await;
    assert_eq!(stage.invoker.calls().len(), 16);
    assert!(stage.log.stored("shop", "h").is_none(), "no consumer brought it back");
}

#[tokio::test(start_paused = true)]
async fn a_permission_that_is_taken_and_given_back_delivers_nothing_again() {
    let stage = Stage::new(|_| done()).await;
    stage.start(vec![after()]).await;
    let last = stage.commit_many(5);
    stage.stored(last).await;
    stage.hooks.permit(&name("shop"), &declares(&[], false));
    sleep(Duration::from_mins(1)).await;
    stage.commit("x", r#"{"n":1}"#);
    sleep(Duration::from_mins(1)).await;
    assert_eq!(stage.invoker.calls().len(), 5, "it isn't permitted");
    stage.hooks.permit(&name("shop"), &Permissions::Broad);
    sleep(Duration::from_mins(1)).await;
    assert_eq!(stage.invoker.bodies()[5..], [r#"{"n":1}"#]);
}
