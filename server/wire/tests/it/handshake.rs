//! From connecting to being ready, and every way to fail at it.

use std::time::Duration;

use tinybase_model::{EventKind, FunctionAuth, Phase};
use tinybase_proto::v1;
use tinybase_wire::HandshakeError;
use tonic::{Code, Status};

use crate::kit::{TestWire, all_at_once, hello, soon, until};

/// What the extension and the supervisor are told when a first frame is refused.
async fn refused(first: v1::SessionRequest) -> (Status, String) {
    let wire = TestWire::start();
    let expected = wire.expect();
    let client = wire.client(expected.token()).await;
    let mut talk = client.session(first).await.expect("a stream");
    let status = talk.end().await.expect_err("refused");
    let Err(HandshakeError::Refused(sentence)) = soon("the end", expected.session()).await else {
        panic!("not refused")
    };
    wire.stop().await;
    (status, sentence)
}

async fn assert_refused(first: v1::SessionRequest, code: Code, words: &str) {
    let (status, sentence) = refused(first).await;
    assert_eq!(status.code(), code, "{sentence}");
    assert_eq!(status.message(), sentence, "both sides get the same sentence");
    assert!(sentence.contains(words), "{sentence}");
}

fn with_hello(change: impl FnOnce(&mut v1::Hello)) -> v1::SessionRequest {
    let mut first = all_at_once(1);
    change(first.hello.as_mut().expect("there is one"));
    first
}

fn with_hook(hook: v1::HookBinding) -> v1::SessionRequest {
    let register = v1::Register { hooks: vec![hook], functions: vec![], schedules: vec![] };
    v1::SessionRequest { register: Some(register), ..all_at_once(1) }
}

#[tokio::test]
async fn one_frame_is_a_whole_handshake() {
    let wire = TestWire::start();
    let expected = wire.expect();
    let client = wire.client(expected.token()).await;
    let features = vec!["ack".to_owned(), "heartbeat".to_owned(), "unheard-of".to_owned()];
    let first = with_hello(|hello| hello.features = features);
    let mut talk = client.session(first).await.expect("a stream");
    let session = soon("the handshake", expected.session()).await.expect("ready");
    let frame = talk.next().await.expect("an answer");
    let welcome = frame.welcome.expect("welcome");
    assert_eq!(welcome.protocol, 1);
    assert_eq!(welcome.features, ["ack", "heartbeat"]);
    assert_eq!(welcome.config, r#"{"color":"blue"}"#);
    assert_eq!((welcome.server_version.as_str(), welcome.log_level.as_str()), ("9.8.7", "warning"));
    let limits = welcome.limits.expect("limits");
    assert_eq!((limits.message_bytes_max, limits.body_bytes_max), (4 << 20, 1 << 20));
    assert_eq!((limits.credit_max, limits.slots_max), (1024, 64));
    assert_eq!((limits.heartbeat_interval_ms, limits.heartbeat_timeout_ms), (2_000, 10_000));
    assert_eq!(frame.registered, Some(v1::Registered { bindings: 0 }));
    assert!(session.health().heartbeat);
    assert_eq!(session.close_reason(), None);
    wire.stop().await;
    soon("the session's end", session.closed()).await;
    assert_eq!(session.close_reason().as_deref(), Some("the server is stopping"));
}

#[tokio::test]
async fn a_handshake_may_take_three_frames() {
    let wire = TestWire::start();
    let expected = wire.expect();
    let client = wire.client(expected.token()).await;
    let first = v1::SessionRequest { hello: Some(hello()), ..Default::default() };
    let mut talk = client.session(first).await.expect("a stream");
    assert!(talk.next().await.expect("an answer").welcome.is_some());
    let register = Some(v1::Register::default());
    talk.say(v1::SessionRequest { register, ..Default::default() }).await;
    assert!(talk.next().await.expect("an answer").registered.is_some());
    talk.say(v1::SessionRequest { ready: Some(v1::Ready {}), ..Default::default() }).await;
    soon("the handshake", expected.session()).await.expect("ready");
}

#[tokio::test]
async fn a_token_that_nobody_was_given_is_unauthenticated() {
    let wire = TestWire::start();
    let expected = wire.expect();
    let mut almost = expected.token().to_owned();
    let last = if almost.ends_with('0') { "1" } else { "0" };
    almost.replace_range(79.., last);
    for token in ["", "x", &"0".repeat(80), &almost] {
        let client = wire.client(token).await;
        let Err(status) = client.session(all_at_once(1)).await else { panic!("{token} got in") };
        assert_eq!(status.code(), Code::Unauthenticated, "{token}");
        assert!(!status.message().contains(expected.token()));
    }
}

#[tokio::test]
async fn dropping_an_expectation_withdraws_its_token() {
    let wire = TestWire::start();
    let expected = wire.expect();
    let client = wire.client(expected.token()).await;
    drop(expected);
    let Err(status) = client.session(all_at_once(1)).await else { panic!("got in") };
    assert_eq!(status.code(), Code::Unauthenticated);
}

#[tokio::test]
async fn another_process_is_denied_and_the_right_one_still_gets_in() {
    let wire = TestWire::start();
    let expected = wire.expect();
    expected.allow_process(1);
    let client = wire.client(expected.token()).await;
    let Err(status) = client.session(all_at_once(1)).await else { panic!("got in") };
    assert_eq!(status.code(), Code::PermissionDenied);
    assert!(status.message().contains("probe"), "{}", status.message());
    expected.allow_process(std::process::id());
    let _talk = client.session(all_at_once(1)).await.expect("a session");
    soon("the handshake", expected.session()).await.expect("ready");
}

#[tokio::test]
async fn a_session_that_comes_before_its_process_is_known_waits() {
    let wire = TestWire::start();
    let expected = wire.expect_nobody(Duration::from_secs(20));
    let client = wire.client(expected.token()).await;
    let (talk, ()) = tokio::join!(client.session(all_at_once(1)), async {
        tokio::task::yield_now().await;
        expected.allow_process(std::process::id());
    });
    let _talk = talk.expect("a session");
    soon("the handshake", expected.session()).await.expect("ready");
}

#[tokio::test]
async fn a_second_session_of_one_process_is_refused_and_the_first_goes_on() {
    let wire = TestWire::start();
    let (session, client, _talk) = wire.session(all_at_once(1)).await;
    let Err(status) = client.session(all_at_once(1)).await else { panic!("got in") };
    assert_eq!(status.code(), Code::AlreadyExists);
    assert_eq!(session.close_reason(), None);
}

#[tokio::test]
async fn the_first_frame_has_to_say_hello() {
    let first = v1::SessionRequest { hello: None, ..all_at_once(1) };
    assert_refused(first, Code::InvalidArgument, "no Hello").await;
}

#[tokio::test]
async fn hello_names_the_extension_that_was_started() {
    let first = with_hello(|hello| hello.extension = "other".to_owned());
    assert_refused(first, Code::PermissionDenied, "started as probe").await;
}

#[tokio::test]
async fn a_gap_between_versions_names_both() {
    let first = with_hello(|hello| (hello.protocol_min, hello.protocol_max) = (7, 9));
    assert_refused(first, Code::FailedPrecondition, "versions 7 to 9").await;
}

#[tokio::test]
async fn ready_before_register_is_refused() {
    let first = v1::SessionRequest { register: None, ..all_at_once(1) };
    assert_refused(first, Code::FailedPrecondition, "before Register").await;
}

#[tokio::test]
async fn a_misspelt_event_is_refused_with_the_nearest() {
    let hook = v1::HookBinding { event: "record.creat".to_owned(), ..Default::default() };
    assert_refused(with_hook(hook), Code::InvalidArgument, r#""record.create""#).await;
}

#[tokio::test]
async fn a_filter_that_fits_no_such_event_is_refused() {
    let (event, collection) = ("user.login".to_owned(), "orders".to_owned());
    let hook = v1::HookBinding { event, collection, ..Default::default() };
    assert_refused(with_hook(hook), Code::InvalidArgument, "only record events").await;
}

#[tokio::test]
async fn a_startup_hook_cannot_run_before() {
    let (event, phase) = ("startup".to_owned(), v1::Phase::Before.into());
    let hook = v1::HookBinding { event, phase, ..Default::default() };
    assert_refused(with_hook(hook), Code::InvalidArgument, "can't run before").await;
}

#[tokio::test]
async fn two_functions_of_one_name_are_refused() {
    let function = v1::FunctionBinding { name: "f".to_owned(), ..Default::default() };
    let functions = vec![function.clone(), function];
    let register = Some(v1::Register { hooks: vec![], functions, schedules: vec![] });
    let first = v1::SessionRequest { register, ..all_at_once(1) };
    assert_refused(first, Code::InvalidArgument, "two functions").await;
}

#[tokio::test]
async fn the_registrars_refusal_reaches_both_sides() {
    let wire = TestWire::start();
    let sentence = "function \"f\" belongs to shop; rename one of them";
    *wire.registrar.refusal.lock().expect("not poisoned") = Some(sentence.to_owned());
    let expected = wire.expect();
    let client = wire.client(expected.token()).await;
    let mut talk = client.session(all_at_once(1)).await.expect("a stream");
    let status = talk.end().await.expect_err("refused");
    assert_eq!((status.code(), status.message()), (Code::FailedPrecondition, sentence));
    let error = soon("the end", expected.session()).await.expect_err("refused");
    assert_eq!(error, HandshakeError::Refused(sentence.to_owned()));
}

#[tokio::test]
async fn enum_values_of_a_later_version_are_survived() {
    let hook = v1::HookBinding {
        event: "record.create".to_owned(),
        phase: 99,
        collection: "orders".to_owned(),
        ..Default::default()
    };
    let function = v1::FunctionBinding { name: "f".to_owned(), auth: 99, ..Default::default() };
    let register =
        Some(v1::Register { hooks: vec![hook], functions: vec![function], schedules: vec![] });
    let wire = TestWire::start();
    let first = v1::SessionRequest { register, ..all_at_once(1) };
    let (session, _client, _talk) = wire.session(first).await;
    let registration = session.registration();
    let hook = &registration.hooks()[0];
    assert_eq!((hook.event, hook.phase), (EventKind::RecordCreate, Phase::After));
    assert_eq!(hook.handler, "record.create:orders", "an empty handler name is made up");
    assert_eq!(registration.functions()[0].auth, FunctionAuth::Admin, "the narrowest");
}

#[tokio::test]
async fn registering_again_replaces_what_was_registered() {
    let wire = TestWire::start();
    let function = |name: &str| v1::FunctionBinding { name: name.to_owned(), ..Default::default() };
    let register = |name| {
        Some(v1::Register { hooks: vec![], functions: vec![function(name)], schedules: vec![] })
    };
    let first = v1::SessionRequest { register: register("old"), ..all_at_once(1) };
    let (session, _client, mut talk) = wire.session(first).await;
    talk.say(v1::SessionRequest { register: register("new"), ..Default::default() }).await;
    let registered = talk.next().await.expect("an answer").registered;
    assert_eq!(registered, Some(v1::Registered { bindings: 1 }));
    assert_eq!(session.registration().functions()[0].name, "new");
    assert_eq!(wire.registrar.taken.lock().expect("not poisoned").len(), 2);
}

#[tokio::test]
async fn hello_twice_ends_the_session() {
    let wire = TestWire::start();
    let (session, _client, mut talk) = wire.session(all_at_once(1)).await;
    talk.say(v1::SessionRequest { hello: Some(hello()), ..Default::default() }).await;
    let status = talk.end().await.expect_err("refused");
    assert_eq!(status.code(), Code::FailedPrecondition);
    soon("the end", session.closed()).await;
    assert_eq!(session.close_reason().as_deref(), Some(status.message()));
}

#[tokio::test]
async fn a_process_that_never_comes_is_timed_out_with_how_far_it_came() {
    let wire = TestWire::start();
    let expected = wire.expect_within(Duration::from_millis(30));
    let error = soon("the timeout", expected.session()).await.expect_err("timed out");
    assert!(error.to_string().contains("not connected"), "{error}");

    let expected = wire.expect_within(Duration::from_secs(2));
    let client = wire.client(expected.token()).await;
    let first = v1::SessionRequest { hello: Some(hello()), ..Default::default() };
    let mut talk = client.session(first).await.expect("a stream");
    let error = soon("the timeout", expected.session()).await.expect_err("timed out");
    assert!(error.to_string().contains("said Hello and not registered"), "{error}");
    let status = talk.end().await.expect_err("given up");
    assert_eq!(status.code(), Code::Unavailable);
}

#[tokio::test]
async fn a_process_that_leaves_before_it_is_ready_is_told_apart() {
    let wire = TestWire::start();
    let expected = wire.expect();
    let client = wire.client(expected.token()).await;
    let first = v1::SessionRequest { hello: Some(hello()), ..Default::default() };
    let mut talk = client.session(first).await.expect("a stream");
    talk.hang_up();
    let error = soon("the end", expected.session()).await.expect_err("left");
    assert!(matches!(error, HandshakeError::Left(_)), "{error}");
}

#[tokio::test]
async fn the_token_dies_with_the_session() {
    let wire = TestWire::start();
    let (session, client, mut talk) = wire.session(all_at_once(1)).await;
    talk.hang_up();
    soon("the end", session.closed()).await;
    assert_eq!(session.close_reason().as_deref(), Some("the extension ended its session"));
    let mut code = Code::Ok;
    for _ in 0..1_000 {
        code =
            client.session(all_at_once(1)).await.map_or_else(|status| status.code(), |_| Code::Ok);
        if code == Code::Unauthenticated {
            break;
        }
    }
    assert_eq!(code, Code::Unauthenticated);
    until("the stream's end", || session.close_reason().is_some()).await;
}
