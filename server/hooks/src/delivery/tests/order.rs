//! Who gets which events.

use std::time::Duration;

use tinybase_model::{HookBinding, HookFilter, LoggedEvent, Permissions};
use tokio::time::Instant;

use super::{Stage, after, until};
use crate::fakes::{created, done, name};

#[tokio::test(start_paused = true)]
async fn every_subscription_gets_each_event_once() {
    let stage = Stage::new(|_| done()).await;
    stage.hooks.permit(&name("mail"), &Permissions::Broad);
    stage.register("mail", vec![after()]).await;
    stage.invoker.set_ready("mail", true);
    let other = HookBinding { handler: "other".to_owned(), ..after() };
    stage.start(vec![after(), other]).await;
    let last = stage.commit_many(1000);
    stage.stored(last).await;
    stage.calls(3000).await;
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn events_of_other_collections_and_of_its_own_are_not_sent() {
    let stage = Stage::new(|_| done()).await;
    let filter = HookFilter::Named("orders".to_owned());
    let reentrant = HookBinding { handler: "r".to_owned(), reentrant: true, ..after() };
    stage.start(vec![HookBinding { filter, ..after() }, reentrant]).await;
    stage.log.append("1", created("users", r#"{"n":1}"#));
    let own = |event: &mut LoggedEvent| event.origin = Some(name("shop"));
    stage.log.append_with("2", created("orders", r#"{"n":2}"#), own);
    stage.commit("3", r#"{"n":3}"#);
    stage.calls(4).await;
    let of = |handler: &str| {
        let calls = stage.invoker.calls().into_iter().filter(|call| call.handler == handler);
        calls.map(|call| call.body).collect::<Vec<_>>()
    };
    assert_eq!(of("h"), [r#"{"n":3}"#]);
    assert_eq!(of("r"), [r#"{"n":1}"#, r#"{"n":2}"#, r#"{"n":3}"#]);
}

#[tokio::test(start_paused = true)]
async fn a_circle_of_after_hooks_ends() {
    let stage = Stage::new(|_| done()).await;
    stage.start(vec![after()]).await;
    for depth in [7, 8] {
        let deep = |event: &mut LoggedEvent| event.depth = depth;
        stage.log.append_with("1", created("orders", "{}"), deep);
    }
    let last = stage.commit("2", "{}");
    stage.stored(last).await;
    let depths: Vec<_> = stage.invoker.calls().iter().map(|call| call.depth).collect();
    assert_eq!(depths, [8, 1]);
}

#[tokio::test(start_paused = true)]
async fn a_slow_subscriber_holds_back_no_other() {
    let stage = Stage::new(|call| match call.extension.as_str() {
        "shop" => done().after(Duration::from_secs(29)),
        _ => done(),
    })
    .await;
    stage.start(vec![after()]).await;
    stage.hooks.permit(&name("mail"), &Permissions::Broad);
    stage.register("mail", vec![after()]).await;
    stage.invoker.set_ready("mail", true);
    let start = Instant::now();
    stage.commit_many(2000);
    let mails =
        || stage.invoker.calls().iter().filter(|call| call.extension == name("mail")).count();
    until("mail has all", || mails() == 2000).await;
    assert!(start.elapsed() < Duration::from_secs(29), "it waited for the slow one");
    let shop = stage.invoker.calls().len() - mails();
    assert!(shop <= 16, "{shop} at once");
}
