//! Breaches of the protocol are counted, and in the end close the session.

use tinybase_proto::v1;
use tonic::Code;

use crate::kit::{PATIENCE, TestWire, all_at_once, call, done, soon, until};

fn stray(id: &str) -> v1::Outcome {
    v1::Outcome { invocation_id: id.to_owned(), result: None }
}

#[tokio::test]
async fn an_outcome_that_comes_twice_is_a_violation_and_hurts_nobody() {
    let wire = TestWire::start();
    let (session, _client, mut talk) = wire.session(all_at_once(1)).await;
    let extension = async {
        let invocation = talk.invocation().await;
        let outcomes = vec![done(&invocation), done(&invocation)];
        talk.say(v1::SessionRequest { outcomes, ..Default::default() }).await;
    };
    let (outcome, ()) = tokio::join!(session.invoke(call(PATIENCE)), extension);
    outcome.expect("an outcome");
    until("the count", || session.health().violations == 1).await;
    assert_eq!(session.close_reason(), None);
}

#[tokio::test]
async fn each_kind_of_breach_is_counted() {
    let wire = TestWire::start();
    let (session, _client, talk) = wire.session(all_at_once(1)).await;
    let breaches = [
        v1::SessionRequest { outcomes: vec![stray("99")], ..Default::default() },
        v1::SessionRequest { outcomes: vec![stray("not a number")], ..Default::default() },
        v1::SessionRequest { received: vec!["1".to_owned()], ..Default::default() },
        v1::SessionRequest { pong: Some(v1::Pong { id: "1".to_owned() }), ..Default::default() },
        v1::SessionRequest { ready: Some(v1::Ready {}), ..Default::default() },
    ];
    for (breach, count) in breaches.into_iter().zip(1..) {
        talk.say(breach).await;
        until("the count", || session.health().violations == count).await;
    }
    assert_eq!(session.close_reason(), None);
}

#[tokio::test]
async fn an_outcome_on_another_stream_than_the_invocations_is_not_taken() {
    let wire = TestWire::start();
    let (session, client, mut talk) = wire.session(all_at_once(1)).await;
    let extension = async {
        let invocation = talk.invocation().await;
        let lane = client.attach(1).await;
        lane.answer(done(&invocation)).await;
        until("the count", || session.health().violations == 1).await;
        talk.answer(done(&invocation)).await;
    };
    let (outcome, ()) = tokio::join!(session.invoke(call(PATIENCE)), extension);
    outcome.expect("the outcome on the right stream counts");
}

#[tokio::test]
async fn an_acknowledgement_is_apart_from_the_outcome() {
    let wire = TestWire::start();
    let mut first = all_at_once(1);
    first.hello.as_mut().expect("hello").features = vec!["ack".to_owned()];
    let (session, _client, mut talk) = wire.session(first).await;
    let extension = async {
        let invocation = talk.invocation().await;
        assert_eq!(session.health().unacknowledged, Some(1));
        let received = vec![invocation.id.clone()];
        talk.say(v1::SessionRequest { received, ..Default::default() }).await;
        until("the acknowledgement", || session.health().unacknowledged == Some(0)).await;
        assert_eq!(session.health().held, 1);
        talk.answer(done(&invocation)).await;
    };
    let (outcome, ()) = tokio::join!(session.invoke(call(PATIENCE)), extension);
    outcome.expect("an outcome");
    assert_eq!(session.health().violations, 0);
}

#[tokio::test]
async fn sixteen_violations_close_the_session() {
    let wire = TestWire::start();
    let (session, _client, mut talk) = wire.session(all_at_once(1)).await;
    for _ in 0..15 {
        talk.answer(stray("99")).await;
    }
    until("fifteen", || session.health().violations == 15).await;
    assert_eq!(session.close_reason(), None);
    talk.answer(stray("99")).await;
    soon("the end", session.closed()).await;
    let status = talk.end().await.expect_err("closed");
    assert_eq!(status.code(), Code::FailedPrecondition);
    assert!(status.message().contains("16 protocol violations"), "{}", status.message());
    assert_eq!(session.close_reason().as_deref(), Some(status.message()));
}
