//! Calls of functions, and their records.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::{Value, json};
use tinybase_model::{
    CallId, Event, EventKind, Fault, FunctionAuth, FunctionBinding, FunctionEvent, Identity,
    InvokeError, JsonBytes, Outcome, Rejection, UserId,
};
use tinybase_store::{StartedCall, Trigger};

use super::{TestCore, caused_by, extension, function, json_bytes, operator, rejected, user};
use crate::{
    CallFailure, CallOutcome, CallQuery, CallStatus, CoreOptions, FunctionError, FunctionMetrics,
    Kind, Problem,
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
        let shown = functions.list(&identity);
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
async fn calls_that_a_former_run_left_open_are_ended_with_their_event() {
    let test = TestCore::new().await;
    let started = |started_at| StartedCall {
        id: CallId::generate(),
        function_name: "f".to_owned(),
        extension: extension(),
        trigger_type: Trigger::Manual,
        user_id: None,
        started_at,
    };
    let old = started(tinybase_store::now() - Duration::from_mins(1));
    let young = started(tinybase_store::now());
    test.store.start_call(old.clone()).expect("room in the queue");
    test.store.start_call(young.clone()).expect("room in the queue");
    // An answered write means that those before it are there.
    test.collection("notes", json!({})).await;
    assert_eq!(test.core.end_abandoned_calls().await.expect("writes"), 1);
    let ended = test.store.call(old.id).await.expect("a read").expect("a call");
    assert_eq!(ended.status, CallStatus::Failed);
    assert_eq!(ended.error_type.as_deref(), Some("ServerStopped"));
    let running = test.store.call(young.id).await.expect("a read").expect("a call");
    assert_eq!(running.status, CallStatus::Running);
    assert_eq!(test.kinds().await, [EventKind::FunctionComplete]);
    test.core.clean_up().await.expect("a clean-up");
    assert_eq!(test.kinds().await, [EventKind::FunctionComplete], "it is young");
}
