//! How one invocation ends: outcome, deadline, cancel, overload, size, loss.

use std::time::Duration;

use tinybase_model::{FieldViolation, InvokeError, JsonBytes, Limits, Outcome};
use tinybase_proto::v1;
use tinybase_proto::v1::outcome::Result as WireResult;

use crate::kit::{PATIENCE, TestWire, all_at_once, call, done, record_hook, soon, until};

fn json(text: &'static str) -> JsonBytes {
    JsonBytes::checked(text.into()).expect("JSON")
}

/// What a caller gets for a result of the extension.
async fn outcome_of(result: Option<WireResult>) -> Outcome {
    let wire = TestWire::start();
    let (session, _client, mut talk) = wire.session(all_at_once(1)).await;
    let extension = async {
        let invocation_id = talk.invocation().await.id;
        talk.answer(v1::Outcome { invocation_id, result }).await;
    };
    let (outcome, ()) = tokio::join!(session.invoke(call(PATIENCE)), extension);
    outcome.expect("an outcome")
}

#[tokio::test]
async fn an_invocation_carries_everything_and_the_time_that_is_left() {
    let wire = TestWire::start();
    let (session, _client, mut talk) = wire.session(all_at_once(1)).await;
    let sent = call(Duration::from_secs(15));
    let event_id = sent.event_id.to_string();
    let extension = async {
        let invocation = talk.invocation().await;
        assert_eq!(invocation.event, "function.invoke");
        assert_eq!(invocation.handler, "work");
        assert_eq!(invocation.attempt, 1);
        assert_eq!(invocation.event_id, event_id);
        assert!(invocation.timeout_ms > 0 && invocation.timeout_ms <= 15_000);
        assert!(invocation.traceparent.starts_with("00-0af7"));
        assert!(invocation.occurred_at.ends_with('Z'), "{}", invocation.occurred_at);
        let Some(v1::invocation::Body::Function(body)) = &invocation.body else { panic!("body") };
        assert_eq!((body.name.as_str(), &body.input[..]), ("work", br#"{"n":1}"#.as_slice()));
        assert_eq!((body.trigger_type.as_str(), body.is_admin), ("manual", true));
        talk.answer(done(&invocation)).await;
    };
    let (outcome, ()) = tokio::join!(session.invoke(sent), extension);
    assert_eq!(outcome, Ok(Outcome::Success { output: None, patch: None }));
}

#[tokio::test]
async fn success_brings_output_and_patch() {
    let success = v1::Success { output: "[1]".into(), patch: r#"{"a":2}"#.into() };
    let outcome = outcome_of(Some(WireResult::Success(success))).await;
    assert_eq!(
        outcome,
        Outcome::Success { output: Some(json("[1]")), patch: Some(json(r#"{"a":2}"#)) }
    );
}

#[tokio::test]
async fn a_rejection_brings_its_words() {
    let (field, message) = ("/total".to_owned(), "is negative".to_owned());
    let reject = v1::Reject {
        status: 422,
        code: "bad_total".to_owned(),
        message: "no".to_owned(),
        violations: vec![v1::FieldViolation { field: field.clone(), message: message.clone() }],
    };
    let Outcome::Reject(rejection) = outcome_of(Some(WireResult::Reject(reject))).await else {
        panic!("not rejected")
    };
    assert_eq!((rejection.status, rejection.code.as_str()), (422, "bad_total"));
    assert_eq!(rejection.violations, [FieldViolation { field, message }]);
}

#[tokio::test]
async fn output_that_is_not_json_is_a_fault_of_the_extension() {
    let success = v1::Success { output: "{".into(), patch: bytes::Bytes::new() };
    let outcome = outcome_of(Some(WireResult::Success(success))).await;
    assert!(matches!(outcome, Outcome::Fault(fault) if fault.kind == "ProtocolError"));
}

#[tokio::test]
async fn past_its_deadline_the_slot_stays_held_until_the_late_outcome() {
    let wire = TestWire::start();
    let (session, _client, mut talk) = wire.session(all_at_once(1)).await;
    let timeout = Duration::from_millis(500);
    let error = session.invoke(call(timeout)).await.expect_err("nobody answers");
    assert_eq!(error, InvokeError::TimedOut(timeout));
    let invocation = talk.invocation().await;
    let cancel = talk.cancel().await;
    assert_eq!((cancel.invocation_id, cancel.reason.as_str()), (invocation.id.clone(), "deadline"));
    let health = session.health();
    assert_eq!((health.held, health.held_past_deadline), (1, 1));
    talk.answer(done(&invocation)).await;
    until("the slot", || session.health().held == 0).await;
    let health = session.health();
    assert_eq!((health.held_past_deadline, health.late_outcomes, health.violations), (0, 1, 0));
}

#[tokio::test]
async fn time_in_the_queue_counts_and_what_was_never_sent_is_never_cancelled() {
    let wire = TestWire::start();
    let (session, _client, mut talk) = wire.session(all_at_once(1)).await;
    let busy = session.invoke(call(PATIENCE));
    let test = async {
        let first = talk.invocation().await;
        let timeout = Duration::from_millis(30);
        let error = session.invoke(call(timeout)).await.expect_err("no slot in time");
        assert_eq!(error, InvokeError::TimedOut(timeout));
        assert_eq!(session.health().queued, 0);
        talk.answer(done(&first)).await;
    };
    let (outcome, ()) = tokio::join!(busy, test);
    outcome.expect("an outcome");
    let extension = async {
        let frame = talk.next().await.expect("a frame");
        assert_eq!(frame.cancels, [], "the extension never heard of the second");
        talk.answer(done(&frame.invocations[0])).await;
    };
    let (outcome, ()) = tokio::join!(session.invoke(call(PATIENCE)), extension);
    outcome.expect("an outcome");
}

#[tokio::test]
async fn a_caller_that_leaves_cancels_its_invocation() {
    let wire = TestWire::start();
    let (session, _client, mut talk) = wire.session(all_at_once(1)).await;
    let mut calls = tokio::task::JoinSet::new();
    let caller = session.clone();
    calls.spawn(async move { caller.invoke(call(PATIENCE)).await });
    let invocation = talk.invocation().await;
    calls.shutdown().await;
    let cancel = talk.cancel().await;
    assert_eq!(
        (cancel.invocation_id, cancel.reason.as_str()),
        (invocation.id.clone(), "client_gone")
    );
    assert_eq!((session.health().held, session.health().held_past_deadline), (1, 0));
    talk.answer(done(&invocation)).await;
    until("the slot", || session.health().held == 0).await;
    assert_eq!(session.health().late_outcomes, 1);
}

#[tokio::test]
async fn a_full_queue_fails_at_once() {
    let wire = TestWire::start_with(Limits { queue_max: 2, ..Limits::default() });
    let (session, _client, _talk) = wire.session(all_at_once(1)).await;
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..3 {
        let session = session.clone();
        calls.spawn(async move { session.invoke(call(PATIENCE)).await });
    }
    until("a full queue", || session.health().queued == 2).await;
    let error = session.invoke(call(PATIENCE)).await.expect_err("full");
    assert_eq!(error, InvokeError::Overloaded);
    calls.shutdown().await;
    assert_eq!(session.health().queued, 0, "whoever leaves the queue leaves room");
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_and_nothing_is_sent() {
    let wire = TestWire::start();
    let (session, _client, mut talk) = wire.session(all_at_once(1)).await;
    let limit = 1 << 20;
    let error = session.invoke(record_hook(limit + 1)).await.expect_err("too large");
    assert_eq!(error, InvokeError::TooLarge { size: limit + 1, limit });
    let extension = async {
        let invocation = talk.invocation().await;
        let Some(v1::invocation::Body::Record(body)) = &invocation.body else { panic!("body") };
        assert_eq!(body.data.len(), limit, "a body of just the limit is sent");
        assert_eq!(invocation.phase(), v1::Phase::Before);
        talk.answer(done(&invocation)).await;
    };
    let (outcome, ()) = tokio::join!(session.invoke(record_hook(limit)), extension);
    outcome.expect("an outcome");
}

#[tokio::test]
async fn large_bodies_share_no_frame_that_is_over_the_limit() {
    let wire = TestWire::start();
    let (session, _client, mut talk) = wire.session(all_at_once(8)).await;
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let session = session.clone();
        calls.spawn(async move { session.invoke(record_hook(1 << 20)).await });
    }
    let mut answered = 0;
    while answered < 8 {
        for invocation in talk.next().await.expect("a frame").invocations {
            talk.answer(done(&invocation)).await;
            answered += 1;
        }
    }
    for outcome in soon("all outcomes", calls.join_all()).await {
        outcome.expect("an outcome");
    }
}

#[tokio::test]
async fn large_outcomes_get_through_while_the_extension_does_not_read() {
    let wire = TestWire::start();
    let (session, _client, mut talk) = wire.session(all_at_once(8)).await;
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let session = session.clone();
        calls.spawn(async move { session.invoke(record_hook(1 << 20)).await });
    }
    let first = talk.next().await.expect("a frame").invocations.remove(0);
    let text = serde_json::to_vec(&"y".repeat((1 << 20) - 2)).expect("JSON");
    let success = v1::Success { output: text.into(), patch: bytes::Bytes::new() };
    let result = Some(WireResult::Success(success));
    talk.answer(v1::Outcome { invocation_id: first.id, result }).await;
    let outcome = soon("the large outcome", calls.join_next()).await.expect("one");
    outcome.expect("no panic").expect("an outcome");
}

#[tokio::test]
async fn a_message_over_the_limit_ends_the_session_and_says_so() {
    let wire = TestWire::start_with(Limits { message_bytes_max: 100_000, ..Limits::default() });
    let (session, _client, mut talk) = wire.session(all_at_once(1)).await;
    let extension = async {
        let invocation = talk.invocation().await;
        let fault = v1::Fault { message: "x".repeat(200_000), ..Default::default() };
        let result = Some(WireResult::Fault(fault));
        talk.answer(v1::Outcome { invocation_id: invocation.id, result }).await;
    };
    let (outcome, ()) = tokio::join!(session.invoke(call(PATIENCE)), extension);
    assert_eq!(outcome, Err(InvokeError::Disconnected));
    let reason = session.close_reason().expect("closed");
    assert!(reason.contains("over the size limit"), "{reason}");
}

#[tokio::test]
async fn a_process_that_goes_away_fails_what_it_had_in_hand() {
    let wire = TestWire::start();
    let (session, client, mut talk) = wire.session(all_at_once(1)).await;
    let extension = async {
        talk.invocation().await;
        until("a queued one", || session.health().queued == 1).await;
        drop((client, talk));
    };
    let (first, second, ()) =
        tokio::join!(session.invoke(call(PATIENCE)), session.invoke(call(PATIENCE)), extension);
    assert_eq!((first, second), (Err(InvokeError::Disconnected), Err(InvokeError::Disconnected)));
    soon("the end", session.closed()).await;
    let error = session.invoke(call(PATIENCE)).await.expect_err("over");
    assert_eq!(error, InvokeError::NotReady { state: "stopped" });
}
