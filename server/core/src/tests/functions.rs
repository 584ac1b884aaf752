//! Calls of functions, and their records.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::Duration;

use serde_json::{Value, json};
use tinybase_model::{
    CallId, Event, EventKind, Fault, FunctionAuth, FunctionBinding, FunctionEvent, Identity,
    InvokeError, JsonBytes, Outcome, Rejection, UserId,
};
use tinybase_store::{NodeId, StartedCall};
use tokio_util::sync::CancellationToken;

use super::{TestCore, caused_by, extension, function, json_bytes, operator, rejected, user};
use crate::{
    CallFailure, CallOptions, CallOutcome, CallQuery, CallResult, CallStatus, CoreOptions,
    FunctionError, FunctionMetrics, FunctionQuery, Kind, OpenedCall, Problem, Streamed,
};

fn success(output: &Value) -> Outcome {
    Outcome::Success { output: Some(json_bytes(output)), patch: None }
}

fn typed() -> FunctionBinding {
    let schema = |field: &str| {
        let schema = json!({"type": "object", "properties": {field: {"type": "integer"}},
                            "required": [field]});
        Some(json_bytes(&schema))
    };
    let (input_schema, output_schema) = (schema("a"), schema("b"));
    FunctionBinding { input_schema, output_schema, ..function("f", FunctionAuth::Public) }
}

async fn call(test: &TestCore, input: &Value) -> Result<CallOutcome, FunctionError> {
    let cause = caused_by(Identity::Anonymous);
    test.core.functions().call(&cause, "f", json_bytes(input)).await
}

#[tokio::test]
async fn a_call_gives_its_result_and_is_recorded_with_its_event() {
    let test = TestCore::new().await;
    test.offer(typed(), |call| {
        let input: Value = call.input.parse().expect("JSON");
        Ok(success(&json!({"b": input["a"]})))
    });
    let outcome = call(&test, &json!({"a": 3})).await.expect("an outcome");
    let shape = json!({"call_id": outcome.call_id, "status": "succeeded", "result": {"b": 3},
                       "error_message": null, "error_type": null,
                       "duration_ms": outcome.duration_ms});
    assert_eq!(serde_json::to_value(&outcome).expect("JSON"), shape);
    let admin = Identity::Operator;
    let functions = test.core.functions();
    let recorded = functions.recorded_call(&admin, outcome.call_id).await.expect("a call");
    assert_eq!((recorded.status, recorded.function_name.as_str()), (CallStatus::Succeeded, "f"));
    assert!(recorded.finished_at >= Some(recorded.started_at));
    let events = test.events().await;
    let [Event::FunctionComplete(event)] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!((event.call_id, event.succeeded), (outcome.call_id, true));
    assert_eq!(test.hooks.observed.load(Ordering::Relaxed), 1);
    assert_eq!(test.hooks.wakes.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn whatever_goes_wrong_in_the_extension_is_an_outcome() {
    let cases: Vec<(Result<Outcome, CallFailure>, &str, &str)> = vec![
        (
            Ok(Outcome::Fault(Fault {
                kind: "KeyError".to_owned(),
                message: "'x'".to_owned(),
                stack: "line 1".to_owned(),
                retry_after: None,
            })),
            "KeyError",
            "'x'",
        ),
        (Ok(rejection("sold_out")), "sold_out", "No more"),
        (Ok(rejection("")), "Rejected", "No more"),
        (Ok(success(&json!({"b": "x"}))), "OutputValidationError", "/b"),
        (Ok(Outcome::Success { output: None, patch: None }), "OutputValidationError", "'one'"),
        (Err(invoke(InvokeError::TimedOut(Duration::from_secs(1)))), "TimeoutError", "1000 ms"),
        (Err(invoke(InvokeError::Disconnected)), "ExtensionExited", "'one'"),
        (Err(invoke(InvokeError::Overloaded)), "ExtensionOverloaded", "slot"),
        (
            Err(invoke(InvokeError::TooLarge { size: 2_000_000, limit: 1_048_576 })),
            "PayloadTooLarge",
            "1048576",
        ),
        (Err(CallFailure::Unknown), "FunctionNotFound", "any more"),
    ];
    for (outcome, kind, part) in cases {
        let test = TestCore::new().await;
        test.offer(typed(), move |_| outcome.clone());
        let failed = call(&test, &json!({"a": 1})).await.expect("an outcome");
        assert_eq!((failed.status, failed.result), (CallStatus::Failed, None));
        assert_eq!(failed.error_type.as_deref(), Some(kind));
        let message = failed.error_message.expect("a message");
        assert!(message.contains(part), "{message}");
        let functions = test.core.functions();
        let recorded = functions.recorded_call(&Identity::Operator, failed.call_id).await;
        let recorded = recorded.expect("a call");
        assert_eq!(recorded.error_type.as_deref(), Some(kind));
        assert_eq!(recorded.error_message, Some(message));
        assert_eq!(test.kinds().await, [EventKind::FunctionComplete]);
    }
}

fn rejection(code: &str) -> Outcome {
    Outcome::Reject(Rejection {
        status: 409,
        code: code.to_owned(),
        message: "No more".to_owned(),
        violations: Vec::new(),
    })
}

fn invoke(source: InvokeError) -> CallFailure {
    CallFailure::Invoke { extension: extension(), source }
}

#[tokio::test]
async fn what_must_not_be_called_is_refused_and_not_recorded() {
    let options = CoreOptions { function_input_max: 50, ..CoreOptions::default() };
    let test = TestCore::with(options).await;
    test.offer(typed(), |_| panic!("it must not be called"));
    let functions = test.core.functions();
    let large = call(&test, &json!({"a": 1, "x": "x".repeat(50)})).await.expect_err("too large");
    assert_eq!(large.kind(), Kind::TooLarge);
    let empty = JsonBytes::empty_object();
    let unknown = functions.call(&operator(), "g", empty).await.expect_err("no function");
    assert_eq!(unknown.kind(), Kind::NotFound);
    test.before(|_| Err(rejected("Not today")));
    let refused = call(&test, &json!({"a": 1})).await.expect_err("refused");
    assert_eq!(refused.kind(), Kind::Rejected(422));
    let page = functions.calls(&Identity::Operator, &CallQuery::default()).await.expect("calls");
    assert_eq!(page.total, 0);
    assert!(test.events().await.is_empty());
}

#[tokio::test]
async fn an_input_that_does_not_fit_is_a_recorded_failure_and_the_function_is_not_run() {
    let test = TestCore::new().await;
    test.offer(typed(), |_| panic!("it must not be called"));
    test.before(|_| panic!("nobody is asked about what can't be"));
    for (input, words) in
        [(json!({"a": "x"}), "/a"), (json!({}), "\"a\""), (json!([1]), "JSON object")]
    {
        let outcome = call(&test, &input).await.expect("an outcome");
        assert_eq!(outcome.error_type.as_deref(), Some("ValidationError"), "{input}");
        let message = outcome.error_message.expect("a message");
        assert!(message.contains(words), "{input}: {message}");
    }
    let calls = test.core.functions();
    let page = calls.calls(&Identity::Operator, &CallQuery::default()).await.expect("calls");
    assert_eq!(page.total, 3);
}

#[tokio::test]
async fn a_schema_that_cannot_be_used_blames_the_extension() {
    let test = TestCore::new().await;
    let schema = Some(json_bytes(&json!({"type": "nonsense"})));
    let binding = FunctionBinding { input_schema: schema, ..typed() };
    test.offer(binding, |_| panic!("it must not be called"));
    let refused = call(&test, &json!({"a": 1})).await.expect_err("a broken schema");
    assert_eq!(refused.kind(), Kind::Unavailable);
    assert!(refused.to_string().contains("'one'"), "{refused}");
}

#[tokio::test]
async fn a_hooks_patch_of_the_input_is_checked_and_used() {
    let test = TestCore::new().await;
    test.offer(typed(), |call| {
        let input: Value = call.input.parse().expect("JSON");
        Ok(success(&json!({"b": input["a"]})))
    });
    let patch = |value: Value| {
        move |event: Event| {
            let Event::FunctionCall(call) = event else { panic!("it is a call") };
            Ok(Event::FunctionCall(FunctionEvent { input: json_bytes(&value), ..call }))
        }
    };
    test.before(patch(json!({"a": 8})));
    let outcome = call(&test, &json!({"a": 1})).await.expect("an outcome");
    assert_eq!(outcome.result.map(|result| result.text().to_owned()).as_deref(), Some("{\"b\":8}"));
    test.before(patch(json!({"a": "x"})));
    let outcome = call(&test, &json!({"a": 1})).await.expect("an outcome");
    assert_eq!(outcome.error_type.as_deref(), Some("ValidationError"));
}

#[tokio::test]
async fn functions_are_shown_to_those_who_may_call_them() {
    let test = TestCore::new().await;
    for (name, auth) in
        [("c", FunctionAuth::Admin), ("b", FunctionAuth::Auth), ("f", FunctionAuth::Public)]
    {
        test.offer(function(name, auth), |_| Ok(success(&json!(1))));
    }
    let cases = [
        (Identity::Anonymous, vec!["f"]),
        (user(UserId::generate()), vec!["b", "f"]),
        (Identity::Operator, vec!["b", "c", "f"]),
    ];
    let functions = test.core.functions();
    for (identity, expected) in cases {
        let shown = functions.list(&identity, &FunctionQuery::default());
        let names: Vec<_> = shown.iter().map(|function| function.name.as_str()).collect();
        assert_eq!(names, expected, "{identity:?}");
        for name in ["b", "c", "f"] {
            let allowed = expected.contains(&name);
            assert_eq!(functions.schema(&identity, name).is_ok(), allowed, "{identity:?} {name}");
            let cause = caused_by(identity.clone());
            let called = functions.call(&cause, name, JsonBytes::empty_object()).await;
            assert_eq!(called.is_ok(), allowed, "{identity:?} {name}");
        }
    }
    let refused = functions.schema(&Identity::Anonymous, "c").expect_err("nobody is logged in");
    assert_eq!(refused.kind(), Kind::Unauthenticated);
    let schema = functions.schema(&Identity::Anonymous, "f").expect("a schema");
    let shape = json!({"name": "f", "has_input_model": false, "has_output_model": false,
                       "input_schema": null, "output_schema": null});
    assert_eq!(serde_json::to_value(&schema).expect("JSON"), shape);
}

#[tokio::test]
async fn records_of_calls_are_for_administrators() {
    let test = TestCore::new().await;
    test.offer(function("f", FunctionAuth::Public), |call| match call.input.text() {
        "{}" => Ok(success(&json!(1))),
        _ => Err(CallFailure::Unknown),
    });
    for input in [json!({}), json!({"fail": true}), json!({})] {
        call(&test, &input).await.expect("an outcome");
    }
    let functions = test.core.functions();
    let metrics = functions.metrics(&Identity::Operator, 24).await.expect("metrics");
    let expected = |metrics: &BTreeMap<String, FunctionMetrics>| {
        metrics.get("f").map(|m| (m.total_calls, m.succeeded, m.failed))
    };
    assert_eq!(expected(&metrics), Some((3, 2, 1)));
    let failed = CallQuery { status: Some(CallStatus::Failed), ..CallQuery::default() };
    let page = functions.calls(&Identity::Operator, &failed).await.expect("calls");
    assert_eq!((page.total, page.calls.len()), (1, 1));
    let missing = functions.recorded_call(&Identity::Operator, CallId::generate()).await;
    assert_eq!(missing.expect_err("no call").kind(), Kind::NotFound);
    let ann = user(UserId::generate());
    assert!(functions.calls(&ann, &failed).await.is_err());
    assert!(functions.recorded_call(&ann, page.calls[0].id).await.is_err());
    assert!(functions.metrics(&ann, 24).await.is_err());
}

#[tokio::test]
async fn calls_that_a_dead_server_left_open_are_ended_with_their_event() {
    let test = TestCore::new().await;
    let node = &test.core.inner.node;
    let started = |node: NodeId| StartedCall {
        id: CallId::generate(),
        function_name: "f".to_owned(),
        extension: Some(extension()),
        version: "1.0.0".to_owned(),
        trigger_id: None,
        user_id: None,
        started_at: tinybase_store::now(),
        is_async: false,
        node,
    };
    let (left, own) = (started(NodeId::from("a dead one")), started(node.clone()));
    test.store.accept_call(left.clone(), None).await.expect("a write");
    test.store.accept_call(own.clone(), None).await.expect("a write");
    test.core.show_alive().await.expect("a write");
    assert_eq!(test.core.end_abandoned_calls().await.expect("writes"), 1);
    let ended = test.store.call(left.id).await.expect("a read").expect("a call");
    assert_eq!(ended.status, CallStatus::Failed);
    assert_eq!(ended.error_type.as_deref(), Some("ServerRestarted"));
    let running = test.store.call(own.id).await.expect("a read").expect("a call");
    assert_eq!(running.status, CallStatus::Running);
    assert_eq!(test.kinds().await, [EventKind::FunctionComplete]);
    test.core.clean_up().await.expect("a clean-up");
    assert_eq!(test.kinds().await, [EventKind::FunctionComplete], "it is young");
    assert!(test.store.call(left.id).await.expect("a read").is_some(), "it is young too");
}

/// The calls of a core run beside the test, and are stopped with it.
async fn with_background<T>(test: &TestCore, work: impl Future<Output = T>) -> T {
    let stop = CancellationToken::new();
    let ((), done) = tokio::join!(test.core.run_calls(stop.clone()), async {
        let done = work.await;
        stop.cancel();
        done
    });
    done
}

async fn result_of(test: &TestCore, identity: &Identity, id: CallId) -> CallOutcome {
    loop {
        match test.core.functions().result(identity, id).await.expect("a call") {
            CallResult::Ended(outcome) => return outcome,
            CallResult::Running(_) => tokio::task::yield_now().await,
        }
    }
}

#[tokio::test]
async fn an_asynchronous_call_gives_its_result_to_whoever_made_it() {
    let test = TestCore::new().await;
    test.offer(typed(), |_| Ok(success(&json!({"b": 7}))));
    let (ann, bob) = (user(UserId::generate()), user(UserId::generate()));
    let functions = test.core.functions();
    let cause = caused_by(ann.clone());
    let accepted = functions.accept(&cause, "f", json_bytes(&json!({"a": 1})), None).await;
    let outcome = accepted.expect("it is accepted").outcome;
    assert_eq!((outcome.status, outcome.duration_ms), (CallStatus::Running, None));
    let id = outcome.call_id;
    let running = functions.own_call(&ann, id).await.expect("it is on the disk already");
    assert!(running.is_async && running.status == CallStatus::Running);
    let ended = with_background(&test, result_of(&test, &ann, id)).await;
    assert_eq!(ended.status, CallStatus::Succeeded);
    assert_eq!(ended.result, Some(json_bytes(&json!({"b": 7}))));
    for stranger in [&bob, &Identity::Anonymous] {
        assert!(functions.own_call(stranger, id).await.is_err(), "{stranger:?}");
        assert!(functions.cancel(stranger, id).await.is_err(), "{stranger:?}");
    }
    let hidden = functions.result(&bob, id).await.expect_err("it isn't bob's");
    assert_eq!(hidden.kind(), Kind::NotFound, "others don't learn that it is there");
    assert!(functions.result(&Identity::Operator, id).await.is_ok());
    let ended = functions.cancel(&ann, id).await.expect_err("it has ended");
    assert_eq!(ended.kind(), Kind::Conflict);
}

#[tokio::test]
async fn a_result_is_kept_only_for_a_while() {
    let calls = CallOptions { result_retention: Duration::ZERO, ..CallOptions::default() };
    let test = TestCore::with(CoreOptions { calls, ..CoreOptions::default() }).await;
    test.offer(typed(), |_| Ok(success(&json!({"b": 7}))));
    let ann = user(UserId::generate());
    let functions = test.core.functions();
    let cause = caused_by(ann.clone());
    let accepted = functions.accept(&cause, "f", json_bytes(&json!({"a": 1})), None).await;
    let id = accepted.expect("it is accepted").outcome.call_id;
    with_background(&test, result_of(&test, &ann, id)).await;
    test.core.clean_up().await.expect("a clean-up");
    let gone = functions.result(&ann, id).await.expect_err("it is gone");
    assert_eq!(gone.kind(), Kind::Gone);
    let call = functions.own_call(&ann, id).await.expect("the call itself is known");
    assert_eq!(call.status, CallStatus::Succeeded);
}

#[tokio::test]
async fn a_cancelled_call_ends_as_failed_and_frees_its_place() {
    let test = TestCore::new().await;
    test.offer_slow(function("f", FunctionAuth::Public));
    let ann = user(UserId::generate());
    let functions = test.core.functions();
    let cause = caused_by(ann.clone());
    let accepted = functions.accept(&cause, "f", JsonBytes::empty_object(), None).await;
    let id = accepted.expect("it is accepted").outcome.call_id;
    let ended = with_background(&test, async {
        while test.core.inner.running.is_empty() {
            tokio::task::yield_now().await;
        }
        functions.cancel(&ann, id).await.expect("it runs");
        result_of(&test, &ann, id).await
    });
    let ended = ended.await;
    assert_eq!(
        (ended.status, ended.error_type.as_deref()),
        (CallStatus::Failed, Some("Cancelled"))
    );
    assert_eq!(test.kinds().await, [EventKind::FunctionComplete]);
    assert!(test.core.inner.running.is_empty());
}

/// Polls once.
async fn is_pending(mut future: Pin<&mut impl Future>) -> bool {
    std::future::poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx).is_pending())).await
}

/// (E11)
#[tokio::test]
async fn a_call_whose_client_goes_away_is_recorded_as_failed() {
    let test = TestCore::new().await;
    test.offer_slow(function("f", FunctionAuth::Public));
    let cause = caused_by(Identity::Anonymous);
    let functions = test.core.functions();
    {
        let mut call = std::pin::pin!(functions.call(&cause, "f", JsonBytes::empty_object()));
        while test.core.inner.running.is_empty() {
            assert!(is_pending(call.as_mut()).await);
            tokio::task::yield_now().await;
        }
    }
    // An answered write means that those before it are there.
    test.collection("notes", json!({})).await;
    let page = functions.calls(&Identity::Operator, &CallQuery::default()).await.expect("calls");
    let call = page.calls.first().expect("a call");
    assert_eq!((call.status, call.error_type.as_deref()), (CallStatus::Failed, Some("ClientGone")));
    assert_eq!(test.kinds().await, [EventKind::FunctionComplete]);
}

#[tokio::test]
async fn more_calls_than_may_run_at_a_time_are_refused() {
    let test = TestCore::new().await;
    let limited = FunctionBinding { concurrency: Some(1), ..function("f", FunctionAuth::Public) };
    test.offer_slow(limited);
    let cause = caused_by(Identity::Anonymous);
    let functions = test.core.functions();
    let mut first = std::pin::pin!(functions.call(&cause, "f", JsonBytes::empty_object()));
    while test.core.inner.running.is_empty() {
        assert!(is_pending(first.as_mut()).await);
        tokio::task::yield_now().await;
    }
    let second = functions.call(&cause, "f", JsonBytes::empty_object()).await;
    assert_eq!(second.expect_err("it is refused").kind(), Kind::TooManyRequests);
    let page = functions.calls(&Identity::Operator, &CallQuery::default()).await.expect("calls");
    assert!(page.total <= 1, "a refused call isn't recorded");
}

#[tokio::test]
async fn a_result_over_the_limit_is_a_failure() {
    let calls = CallOptions { result_bytes_max: 10, ..CallOptions::default() };
    let test = TestCore::with(CoreOptions { calls, ..CoreOptions::default() }).await;
    test.offer(function("f", FunctionAuth::Public), |_| Ok(success(&json!("0123456789"))));
    let failed = call(&test, &json!({})).await.expect("an outcome");
    assert_eq!(failed.error_type.as_deref(), Some("ResultSizeError"));
}

#[tokio::test]
async fn functions_are_listed_by_tag_and_with_their_schemas() {
    let test = TestCore::new().await;
    let tagged = FunctionBinding { tags: vec!["sync".to_owned()], ..typed() };
    test.offer(tagged, |_| Ok(success(&json!(1))));
    test.offer(function("g", FunctionAuth::Public), |_| Ok(success(&json!(1))));
    let functions = test.core.functions();
    let list = |query: FunctionQuery| functions.list(&Identity::Anonymous, &query);
    let tagged = FunctionQuery { tag: Some("sync".to_owned()), ..FunctionQuery::default() };
    let shown = list(tagged);
    assert_eq!((shown.len(), shown[0].name.as_str()), (1, "f"));
    assert_eq!(shown[0].schemas, None);
    let shown = list(FunctionQuery { with_schemas: true, ..FunctionQuery::default() });
    let schemas = shown[0].schemas.clone().expect("schemas");
    assert!(schemas.input.is_some() && schemas.output.is_some());
    assert!(functions.details(&Identity::Anonymous).is_err());
    let details = functions.details(&Identity::Operator).expect("an administrator");
    assert_eq!((details[0].version.as_str(), details[0].has_input_model), ("1.0.0", true));
}

fn streaming() -> FunctionBinding {
    FunctionBinding { streams: true, input_schema: None, ..typed() }
}

fn send(test: &TestCore, chunks: &[Value]) {
    *test.hooks.chunks.lock().expect("a lock") = chunks.to_vec();
}

/// Reads everything: the chunks, and how it ended.
async fn read(test: &TestCore) -> (Vec<Value>, CallOutcome) {
    let cause = caused_by(Identity::Anonymous);
    let opened = test.core.functions().open(&cause, "f", json_bytes(&json!({}))).await;
    let Ok(OpenedCall::Streaming(mut call)) = opened else { panic!("{opened:?}") };
    let mut chunks = Vec::new();
    while let Some(next) = call.next().await {
        match next {
            Streamed::Chunk(chunk) => chunks.push(chunk.parse().expect("JSON")),
            Streamed::Ended(outcome) => {
                assert!(call.next().await.is_none(), "nothing comes after the end");
                return (chunks, outcome);
            }
        }
    }
    panic!("it never ended");
}

#[tokio::test]
async fn chunks_are_read_one_by_one_or_gathered_and_the_call_is_recorded_once() {
    let test = TestCore::new().await;
    test.offer(streaming(), |_| Ok(success(&json!("is not read"))));
    let all = [json!({"b": 1}), json!({"b": 2})];
    send(&test, &all);
    let (chunks, outcome) = read(&test).await;
    assert_eq!(chunks, all);
    assert_eq!((outcome.status, outcome.result), (CallStatus::Succeeded, Some(JsonBytes::null())));
    let gathered = call(&test, &json!({})).await.expect("an outcome");
    let result: Value = gathered.result.expect("a result").parse().expect("JSON");
    assert_eq!(result, json!(all));
    send(&test, &[]);
    let empty = call(&test, &json!({})).await.expect("an outcome");
    assert_eq!(empty.result.expect("a result").text(), "[]");
    assert_eq!(test.kinds().await, vec![EventKind::FunctionComplete; 3]);
}

#[tokio::test]
async fn a_stream_ends_with_the_first_thing_that_is_wrong() {
    let calls = CallOptions {
        stream_chunks_max: 3,
        stream_bytes_max: 20,
        result_bytes_max: 20,
        ..CallOptions::default()
    };
    let test = TestCore::with(CoreOptions { calls, ..CoreOptions::default() }).await;
    test.offer(streaming(), |_| Ok(success(&Value::Null)));
    let (good, large) = (json!({"b": 1}), json!({"b": 123_456_789}));
    for (chunks, taken, kind) in [
        (vec![good.clone(), json!({"b": "x"}), good.clone()], 1, "OutputValidationError"),
        (vec![json!(1); 4], 0, "OutputValidationError"),
        (vec![good.clone(), large.clone(), good.clone()], 1, "ResultSizeError"),
    ] {
        send(&test, &chunks);
        let (read, outcome) = read(&test).await;
        assert_eq!(read, chunks[..taken]);
        assert_eq!(outcome.error_type.as_deref(), Some(kind), "{outcome:?}");
        assert_eq!(outcome.result, None);
        let gathered = call(&test, &json!({})).await.expect("an outcome");
        assert_eq!(gathered.error_type.as_deref(), Some(kind), "{gathered:?}");
    }
    let untyped = FunctionBinding { output_schema: None, ..streaming() };
    test.hooks.functions.lock().expect("a lock").clear();
    test.offer(untyped, |_| Ok(success(&Value::Null)));
    send(&test, &[json!(1), json!(2), json!(3), json!(4)]);
    let (read, outcome) = read(&test).await;
    assert_eq!((read.len(), outcome.error_type.as_deref()), (3, Some("ResultSizeError")));
}

#[tokio::test]
async fn a_stream_that_nobody_reads_any_more_is_given_up_and_recorded() {
    let test = TestCore::new().await;
    test.offer_slow(streaming());
    let cause = caused_by(Identity::Anonymous);
    let opened = test.core.functions().open(&cause, "f", json_bytes(&json!({}))).await;
    let Ok(OpenedCall::Streaming(streamed)) = opened else { panic!("{opened:?}") };
    while test.core.inner.running.is_empty() {
        tokio::task::yield_now().await;
    }
    drop(streamed);
    let completion = loop {
        match test.events().await.into_iter().next() {
            Some(Event::FunctionComplete(completion)) => break completion,
            _ => tokio::task::yield_now().await,
        }
    };
    assert_eq!(completion.error_type.as_deref(), Some("ClientGone"));
}
