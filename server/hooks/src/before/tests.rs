use std::time::Duration;

use tinybase_model::{
    CallId, Cause, Event, EventKind, FieldViolation, FunctionEvent, HookBinding, Identity,
    InvokeError, Outcome, Permissions, Phase, Registration, Rejection, UserEvent,
};
use tokio::time::Instant;

use crate::fakes::{
    Answer, Call, FakeInvoker, MemoryLog, created, declares, done, fault, hook, hooks, json, name,
    patch,
};
use crate::{Approval, HookFailure, Hooks, Refusal};

const EVENTS: [EventKind; 4] = [
    EventKind::RecordCreate,
    EventKind::RecordDelete,
    EventKind::UserRegister,
    EventKind::FunctionCall,
];

/// Extensions that hook everything before it happens.
fn chain(
    extensions: &[&str],
    fail_open: bool,
    script: impl Fn(&Call) -> Answer + Send + Sync + 'static,
) -> (Hooks, std::sync::Arc<FakeInvoker>) {
    let invoker = FakeInvoker::new(script);
    let hooks = hooks(&invoker, &std::sync::Arc::default());
    for extension in extensions {
        hooks.permit(&name(extension), &declares(&EVENTS, fail_open));
        let bindings = EVENTS.map(|event| hook(event, Phase::Before, event.as_str()));
        register(&hooks, extension, bindings.into());
        invoker.set_ready(extension, true);
    }
    (hooks, invoker)
}

fn register(hooks: &Hooks, extension: &str, bindings: Vec<HookBinding>) {
    let registration = Registration::new(bindings, vec![]).expect("distinct names");
    let taken = hooks.inner.registry.register(&name(extension), &registration);
    taken.expect("it is taken");
}

fn client() -> Cause {
    Cause::request(Identity::Anonymous, String::new())
}

fn by(extension: &str, depth: u32) -> Cause {
    Cause { origin: Some(name(extension)), depth, ..client() }
}

fn data(approval: &Approval) -> &str {
    match &approval.event {
        Event::RecordCreate(record) | Event::RecordUpdate(record) | Event::RecordDelete(record) => {
            record.data.text()
        }
        Event::FunctionCall(call) => call.input.text(),
        Event::UserRegister(user) | Event::UserLogin(user) => &user.email,
        Event::FunctionComplete(completion) => &completion.name,
    }
}

#[tokio::test]
async fn nobody_listening_means_nobody_is_asked() {
    let invoker = FakeInvoker::new(|_| done());
    let hooks = hooks(&invoker, &std::sync::Arc::default());
    let event = created("orders", "{}");
    let approval = hooks.before(event.clone(), &client()).await.expect("approved");
    assert_eq!(approval, Approval { event, failed_open: vec![] });
}

#[tokio::test]
async fn each_extension_sees_what_those_before_it_patched() {
    let (hooks, invoker) = chain(&["b", "a"], false, |call| match call.extension.as_str() {
        "a" => patch(r#"{"total":3,"note":null,"deep":{"x":1}}"#),
        _ => patch(r#"{"deep":{"y":2}}"#),
    });
    let event = created("orders", r#"{"note":"old","id":9007199254740993}"#);
    let approval = hooks.before(event, &client()).await.expect("approved");
    let patched = r#"{"deep":{"x":1},"id":9007199254740993,"total":3}"#;
    assert_eq!(invoker.bodies()[1], patched);
    assert_eq!(data(&approval), r#"{"deep":{"x":1,"y":2},"id":9007199254740993,"total":3}"#);
}

#[tokio::test]
async fn two_extensions_that_want_different_values_are_both_named() {
    let (hooks, _) = chain(&["a", "b"], false, |call| match call.extension.as_str() {
        "a" => patch(r#"{"price":{"net/eur":1}}"#),
        _ => patch(r#"{"price":{"net/eur":2}}"#),
    });
    let refusal = hooks.before(created("orders", "{}"), &client()).await.expect_err("refused");
    let field = "/price/net~1eur".to_owned();
    assert_eq!(refusal, Refusal::Conflict { first: name("a"), second: name("b"), field });
}

#[tokio::test]
async fn two_extensions_may_write_the_same_value() {
    let (hooks, _) = chain(&["a", "b"], false, |_| patch(r#"{"price":1,"gone":null}"#));
    let approval = hooks.before(created("orders", r#"{"gone":1}"#), &client()).await;
    assert_eq!(data(&approval.expect("approved")), r#"{"price":1}"#);
}

#[tokio::test]
async fn a_rejection_ends_the_chain_whatever_the_failure_policy_says() {
    let rejection = Rejection {
        status: 409,
        code: "out_of_stock".to_owned(),
        message: "None left.".to_owned(),
        violations: vec![FieldViolation { field: "/n".to_owned(), message: "0".to_owned() }],
    };
    let refused = rejection.clone();
    let (hooks, invoker) =
        chain(&["a", "b"], true, move |_| Ok(Outcome::Reject(refused.clone())).into());
    let refusal = hooks.before(created("orders", "{}"), &client()).await.expect_err("refused");
    assert_eq!(refusal, Refusal::Rejected { extension: name("a"), rejection });
    assert_eq!(invoker.calls().len(), 1);
}

#[tokio::test]
async fn a_failure_stops_the_operation_unless_the_manifest_says_open() {
    let failures: [(Answer, &str); 4] = [
        (fault("boom"), "KeyError: boom"),
        (
            Err(InvokeError::Overloaded).into(),
            "the extension has no free slot and its queue is full",
        ),
        (Err(InvokeError::Disconnected).into(), "the extension went away before it answered"),
        (patch("[1]"), "InvalidPatch: a patch has to be a JSON object"),
    ];
    for (answer, words) in failures {
        for fail_open in [false, true] {
            let answer = answer.clone();
            let (hooks, _) = chain(&["a", "b"], fail_open, move |call| {
                if call.extension.as_str() == "a" { answer.clone() } else { done() }
            });
            let event = created("orders", "{}");
            match hooks.before(event.clone(), &client()).await {
                Ok(approval) => {
                    assert!(fail_open, "closed: {words}");
                    assert_eq!(approval, Approval { event, failed_open: vec![name("a")] });
                }
                Err(Refusal::Unavailable { extension, failure }) => {
                    assert!(!fail_open, "open: {words}");
                    assert_eq!((extension, failure.to_string().as_str()), (name("a"), words));
                }
                Err(other) => panic!("not expected: {other:?}"),
            }
        }
    }
}

#[tokio::test]
async fn a_declared_before_hook_holds_while_its_process_is_absent() {
    let invoker = FakeInvoker::new(|_| done());
    let hooks = hooks(&invoker, &std::sync::Arc::new(MemoryLog::default()));
    hooks.permit(&name("guard"), &declares(&[EventKind::RecordCreate], false));
    let event = || created("orders", "{}");
    let ask = || async { hooks.before(event(), &client()).await };
    let unavailable = Refusal::Unavailable {
        extension: name("guard"),
        failure: HookFailure::Invoke(InvokeError::NotReady { state: "not started" }),
    };
    assert_eq!(ask().await, Err(unavailable), "before its first start");
    let listed: Vec<_> = hooks.chain().iter().map(|hook| hook.registered).collect();
    assert_eq!(listed, [false]);

    register(&hooks, "guard", vec![hook(EventKind::RecordCreate, Phase::Before, "h")]);
    invoker.set_ready("guard", true);
    assert!(ask().await.is_ok(), "while it runs");

    invoker.set_ready("guard", false);
    let refusal = ask().await.expect_err("after it crashed");
    assert!(matches!(refusal, Refusal::Unavailable { .. }), "{refusal:?}");

    hooks.forget(&name("guard")).await.expect("the log works");
    assert!(ask().await.is_ok(), "once it is disabled");
}

#[tokio::test]
async fn an_extension_that_declares_a_hook_and_does_not_register_it_is_passed_over() {
    let (hooks, invoker) = chain(&[], false, |_| done());
    hooks.permit(&name("guard"), &declares(&[EventKind::RecordCreate], false));
    register(&hooks, "guard", vec![]);
    invoker.set_ready("guard", false);
    assert!(hooks.before(created("orders", "{}"), &client()).await.is_ok());
}

#[tokio::test]
async fn an_extension_is_not_asked_about_its_own_writes() {
    let (hooks, invoker) = chain(&["a", "b"], false, |_| done());
    hooks.before(created("orders", "{}"), &by("a", 1)).await.expect("approved");
    let asked: Vec<_> = invoker.calls().into_iter().map(|call| call.extension).collect();
    assert_eq!(asked, [name("b")]);
    let own = hook(EventKind::RecordCreate, Phase::Before, "h");
    register(&hooks, "a", vec![HookBinding { reentrant: true, ..own }]);
    hooks.before(created("orders", "{}"), &by("a", 1)).await.expect("approved");
    assert_eq!(invoker.calls().len(), 3, "a asks for its own, b is asked again");
}

#[tokio::test]
async fn a_circle_of_extensions_ends() {
    let (hooks, invoker) = chain(&["a"], false, |_| done());
    hooks.before(created("orders", "{}"), &by("b", 7)).await.expect("approved");
    assert_eq!(invoker.calls()[0].depth, 8);
    let refusal = hooks.before(created("orders", "{}"), &by("b", 8)).await.expect_err("refused");
    assert_eq!(refusal, Refusal::TooDeep { extension: name("a") });
}

#[tokio::test(start_paused = true)]
async fn a_chain_has_one_budget() {
    let slow = Duration::from_millis(900);
    let (hooks, invoker) = chain(&["a", "b", "c", "d", "e"], true, move |_| done().after(slow));
    let start = Instant::now();
    let approval = hooks.before(created("orders", "{}"), &client()).await.expect("open");
    assert_eq!(start.elapsed(), Duration::from_secs(3));
    assert_eq!(approval.failed_open, [name("d"), name("e")]);
    let timeouts: Vec<_> = invoker.calls().iter().map(|call| call.timeout.as_millis()).collect();
    assert_eq!(timeouts, [1000, 1000, 1000, 300]);
}

#[tokio::test(start_paused = true)]
async fn a_hook_has_no_more_time_than_it_asked_for() {
    let (hooks, _) = chain(&["a"], false, |_| done().after(Duration::from_millis(200)));
    let quick = Some(Duration::from_millis(100));
    let binding = hook(EventKind::RecordCreate, Phase::Before, "h");
    register(&hooks, "a", vec![HookBinding { timeout: quick, ..binding }]);
    let refusal = hooks.before(created("orders", "{}"), &client()).await.expect_err("refused");
    let failure = HookFailure::Invoke(InvokeError::TimedOut(Duration::from_millis(100)));
    assert_eq!(refusal, Refusal::Unavailable { extension: name("a"), failure });
}

#[tokio::test]
async fn a_functions_input_and_a_users_address_can_be_patched_and_nothing_else() {
    let call = Event::FunctionCall(FunctionEvent::new(
        "pay".to_owned(),
        CallId::generate(),
        &Identity::Anonymous,
        json(r#"{"n":1}"#),
    ));
    let user = Event::UserRegister(UserEvent {
        user_id: None,
        email: "A@example.org".to_owned(),
        is_admin: false,
    });
    let Event::RecordCreate(record) = created("orders", "{}") else { unreachable!("it is one") };
    let deleted = Event::RecordDelete(record);
    for (event, text, end) in [
        (call, r#"{"n":2}"#, Ok(r#"{"n":2}"#)),
        (user.clone(), r#"{"email":"a@example.org"}"#, Ok("a@example.org")),
        (user.clone(), r#"{"is_admin":true}"#, Err("only \"email\" can be changed")),
        (user, r#"{"email":null}"#, Err("has to be text")),
        (deleted, r#"{"n":2}"#, Err("nothing can be changed in record.delete")),
    ] {
        let (hooks, _) = chain(&["a"], false, move |_| patch(text));
        match (hooks.before(event, &client()).await, end) {
            (Ok(approval), Ok(expected)) => assert_eq!(data(&approval), expected),
            (Err(Refusal::Unavailable { failure, .. }), Err(words)) => {
                assert!(failure.to_string().contains(words), "{failure}");
            }
            (other, _) => panic!("not expected: {other:?}"),
        }
    }
}

#[tokio::test]
async fn permissions_without_a_table_hold_nothing_up() {
    let (hooks, _) = chain(&[], false, |_| done());
    hooks.permit(&name("a"), &Permissions::Broad);
    assert!(hooks.before(created("orders", "{}"), &client()).await.is_ok());
}
