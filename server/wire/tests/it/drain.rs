//! A session that ends in order.

use std::time::Duration;

use tinybase_model::InvokeError;
use tinybase_proto::v1;

use crate::kit::{PATIENCE, TestWire, all_at_once, call, done, soon, until};

fn with_shutdown_hook() -> v1::SessionRequest {
    let (event, handler) = ("shutdown".to_owned(), "tidy_up".to_owned());
    let hook = v1::HookBinding { event, handler, ..Default::default() };
    let register = Some(v1::Register { hooks: vec![hook], functions: vec![], schedules: vec![] });
    v1::SessionRequest { register, ..all_at_once(1) }
}

#[tokio::test]
async fn the_extension_is_told_to_drain_and_its_shutdown_hook_runs_last() {
    let wire = TestWire::start();
    let (session, _client, mut talk) = wire.session(with_shutdown_hook()).await;
    let mut calls = tokio::task::JoinSet::new();
    let caller = session.clone();
    calls.spawn(async move { caller.invoke(call(PATIENCE)).await });
    let running = talk.invocation().await;
    let extension = async {
        let drain = talk.next().await.expect("a frame").drain.expect("drain");
        assert_eq!((drain.grace_ms, drain.reason.as_str()), (20_000, "upgrade"));
        let error = session.invoke(call(PATIENCE)).await.expect_err("no new work");
        assert_eq!(error, InvokeError::NotReady { state: "draining" });
        talk.answer(done(&running)).await;
        let hook = talk.invocation().await;
        assert_eq!((hook.event.as_str(), hook.handler.as_str()), ("shutdown", "tidy_up"));
        talk.answer(done(&hook)).await;
        talk.end().await.expect("ends in peace");
    };
    let drained = async { tokio::join!(session.drain(PATIENCE, "upgrade"), extension) };
    soon("the drain", drained).await;
    let outcome = calls.join_next().await.expect("one").expect("no panic");
    outcome.expect("running work may end");
    assert_eq!(session.close_reason().as_deref(), Some("drained: upgrade"));
}

#[tokio::test]
async fn queued_work_is_turned_away_when_draining_begins() {
    let wire = TestWire::start();
    let (session, _client, mut talk) = wire.session(all_at_once(1)).await;
    let extension = async {
        let running = talk.invocation().await;
        until("a queued one", || session.health().queued == 1).await;
        let drained = session.drain(PATIENCE, "stop");
        tokio::join!(drained, talk.answer(done(&running)));
    };
    let (first, second, ()) =
        tokio::join!(session.invoke(call(PATIENCE)), session.invoke(call(PATIENCE)), extension);
    first.expect("it was running");
    assert_eq!(second, Err(InvokeError::NotReady { state: "draining" }));
}

#[tokio::test]
async fn a_runaway_is_told_to_stop_and_does_not_outlast_the_grace() {
    let wire = TestWire::start();
    let (session, _client, mut talk) = wire.session(all_at_once(1)).await;
    let extension = async {
        let running = talk.invocation().await;
        let drained = session.drain(Duration::from_secs(2), "stop");
        let (cancel, ()) = tokio::join!(talk.cancel(), drained);
        assert_eq!((cancel.invocation_id, cancel.reason.as_str()), (running.id, "draining"));
    };
    let (outcome, ()) = tokio::join!(session.invoke(call(PATIENCE)), extension);
    assert_eq!(outcome, Err(InvokeError::Disconnected));
    talk.end().await.expect("ends in peace");
}

#[tokio::test]
async fn draining_twice_waits_for_the_same_end() {
    let wire = TestWire::start();
    let (session, _client, _talk) = wire.session(all_at_once(1)).await;
    let both = async { tokio::join!(session.drain(PATIENCE, "a"), session.drain(PATIENCE, "b")) };
    soon("both drains", both).await;
    assert_eq!(session.close_reason().as_deref(), Some("drained: a"));
}
