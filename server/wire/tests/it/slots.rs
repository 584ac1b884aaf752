//! One stream of credit N and N streams of credit 1 carry work alike.

use tinybase_model::{InvokeError, Limits};
use tinybase_proto::v1;
use tokio::task::JoinSet;
use tonic::Code;

use crate::kit::{PATIENCE, TestWire, all_at_once, call, done, soon, until};

#[tokio::test]
async fn an_extension_that_asks_for_nothing_gets_one_at_a_time() {
    let wire = TestWire::start();
    let mut first = all_at_once(1);
    first.hello.as_mut().expect("hello").credit = None;
    let (session, _client, mut talk) = wire.session(first).await;
    assert_eq!(session.health().credit, 1);
    let mut calls = JoinSet::new();
    for _ in 0..5 {
        let session = session.clone();
        calls.spawn(async move { session.invoke(call(PATIENCE)).await });
    }
    for _ in 0..5 {
        let invocation = talk.invocation().await;
        assert_eq!(session.health().held, 1);
        talk.answer(done(&invocation)).await;
    }
    for outcome in calls.join_all().await {
        outcome.expect("an outcome");
    }
    assert_eq!(session.health().held, 0);
}

#[tokio::test]
async fn one_stream_with_credit_has_as_much_outstanding_and_answers_in_any_order() {
    let wire = TestWire::start();
    let (session, _client, mut talk) = wire.session(all_at_once(3)).await;
    let mut calls = JoinSet::new();
    for _ in 0..4 {
        let session = session.clone();
        calls.spawn(async move { session.invoke(call(PATIENCE)).await });
    }
    until("four submitted", || session.health().queued == 1).await;
    let mut outstanding = Vec::new();
    while outstanding.len() < 3 {
        outstanding.extend(talk.next().await.expect("a frame").invocations);
    }
    assert_eq!(outstanding.len(), 3, "never more than the credit");
    let outcomes = outstanding.iter().rev().map(done).collect();
    talk.say(v1::SessionRequest { outcomes, ..Default::default() }).await;
    let last = talk.invocation().await;
    talk.answer(done(&last)).await;
    for outcome in calls.join_all().await {
        outcome.expect("an outcome");
    }
}

#[tokio::test]
async fn further_slots_carry_all_work_of_a_session_without_credit() {
    let wire = TestWire::start();
    let (session, client, _talk) = wire.session(all_at_once(0)).await;
    assert_eq!(session.health().credit, 0);
    let mut lanes = Vec::new();
    for _ in 0..3 {
        lanes.push(client.attach(1).await);
    }
    until("the credit", || session.health().credit == 3).await;
    let mut calls = JoinSet::new();
    for _ in 0..9 {
        let session = session.clone();
        calls.spawn(async move { session.invoke(call(PATIENCE)).await });
    }
    let mut workers = JoinSet::new();
    for mut lane in lanes {
        workers.spawn(async move {
            for _ in 0..3 {
                let invocation = lane.invocation().await;
                lane.answer(done(&invocation)).await;
            }
            lane
        });
    }
    for outcome in soon("all outcomes", calls.join_all()).await {
        outcome.expect("an outcome");
    }
    soon("all workers", workers.join_all()).await;
}

#[tokio::test]
async fn the_end_of_a_further_slot_loses_its_own_work_only() {
    let wire = TestWire::start();
    let (session, client, mut talk) = wire.session(all_at_once(1)).await;
    let mut lane = client.attach(1).await;
    until("the credit", || session.health().credit == 2).await;
    let calls = [session.clone(), session.clone()]
        .map(|session| JoinSet::from_iter([async move { session.invoke(call(PATIENCE)).await }]));
    let on_session = talk.invocation().await;
    lane.invocation().await;
    drop(lane);
    until("the slot's end", || session.health().credit == 1).await;
    talk.answer(done(&on_session)).await;
    let mut results = Vec::new();
    for mut call in calls {
        results.push(soon("a result", call.join_next()).await.expect("one").expect("no panic"));
    }
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
    assert!(results.contains(&Err(InvokeError::Disconnected)));
    assert_eq!(session.close_reason(), None);
}

#[tokio::test]
async fn a_slot_has_to_attach_with_credit() {
    let wire = TestWire::start();
    let (_session, client, _talk) = wire.session(all_at_once(1)).await;
    let no_attach = v1::DispatchRequest::default();
    let mut lane = client.dispatch(no_attach).await.expect("a stream");
    let status = lane.try_next().await.expect_err("refused");
    assert_eq!(status.code(), Code::InvalidArgument);
    let attach = Some(v1::Attach { credit: 0 });
    let no_credit = v1::DispatchRequest { attach, ..Default::default() };
    let mut lane = client.dispatch(no_credit).await.expect("a stream");
    let status = lane.try_next().await.expect_err("refused");
    assert!(status.message().contains("at least 1"), "{}", status.message());
}

#[tokio::test]
async fn slots_and_credit_are_bounded() {
    let limits = Limits { slots_max: 2, credit_max: 5, ..Limits::default() };
    let wire = TestWire::start_with(limits);
    let (session, client, _talk) = wire.session(all_at_once(2)).await;
    let lane = client.attach(100).await;
    until("the credit", || session.health().credit == 5).await;
    let attach = Some(v1::Attach { credit: 1 });
    let third = v1::DispatchRequest { attach, ..Default::default() };
    let Err(status) = client.dispatch(third.clone()).await else { panic!("a third slot") };
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert!(status.message().contains("2 slots"), "{}", status.message());
    drop(lane);
    until("the slot's end", || session.health().credit == 2).await;
    client.dispatch(third).await.expect("there is room again");
}

#[tokio::test]
async fn a_slot_needs_a_session() {
    let wire = TestWire::start();
    let expected = wire.expect();
    let client = wire.client(expected.token()).await;
    let attach = Some(v1::Attach { credit: 1 });
    let first = v1::DispatchRequest { attach, ..Default::default() };
    let Err(status) = client.dispatch(first).await else { panic!("a slot of nothing") };
    assert_eq!(status.code(), Code::FailedPrecondition);
    assert!(status.message().contains("open Session"), "{}", status.message());
}

#[tokio::test]
async fn further_slots_end_with_the_session() {
    let wire = TestWire::start();
    let (session, client, mut talk) = wire.session(all_at_once(0)).await;
    let mut lane = client.attach(1).await;
    until("the credit", || session.health().credit == 1).await;
    talk.hang_up();
    soon("the end", session.closed()).await;
    assert_eq!(lane.try_next().await.expect("ends in peace"), None);
}
