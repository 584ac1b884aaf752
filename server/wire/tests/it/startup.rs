//! Startup hooks come before anything else, and never keep an extension from being used.

use std::time::Duration;

use tinybase_proto::v1;

use crate::kit::{PATIENCE, TestWire, all_at_once, call, done, soon};

fn with_startup_hook(timeout_ms: u32) -> v1::SessionRequest {
    let (event, handler) = ("startup".to_owned(), "warm_up".to_owned());
    let hook = v1::HookBinding { event, handler, timeout_ms, ..Default::default() };
    let register = Some(v1::Register { hooks: vec![hook], functions: vec![], schedules: vec![] });
    v1::SessionRequest { register, ..all_at_once(2) }
}

#[tokio::test]
async fn startup_hooks_end_before_the_session_is_handed_out() {
    let wire = TestWire::start();
    let expected = wire.expect();
    let client = wire.client(expected.token()).await;
    let mut talk = client.session(with_startup_hook(0)).await.expect("a stream");
    let ready = expected.session();
    let extension = async {
        let invocation = talk.invocation().await;
        assert_eq!(
            (invocation.event.as_str(), invocation.handler.as_str()),
            ("startup", "warm_up")
        );
        assert_eq!(invocation.body, None);
        talk.answer(done(&invocation)).await;
    };
    let (session, ()) = soon("the handshake", async { tokio::join!(ready, extension) }).await;
    let session = session.expect("ready");
    let extension = async {
        let invocation = talk.invocation().await;
        assert_eq!(invocation.event, "function.invoke");
        talk.answer(done(&invocation)).await;
    };
    let (outcome, ()) = tokio::join!(session.invoke(call(PATIENCE)), extension);
    outcome.expect("an outcome");
}

#[tokio::test]
async fn a_failing_startup_hook_does_not_keep_the_session_from_being_ready() {
    let wire = TestWire::start();
    let expected = wire.expect();
    let client = wire.client(expected.token()).await;
    let mut talk = client.session(with_startup_hook(0)).await.expect("a stream");
    let extension = async {
        let invocation = talk.invocation().await;
        let fault = v1::Fault { r#type: "KeyError".to_owned(), ..Default::default() };
        let result = Some(v1::outcome::Result::Fault(fault));
        talk.answer(v1::Outcome { invocation_id: invocation.id, result }).await;
    };
    let ready = expected.session();
    let (session, ()) = soon("the handshake", async { tokio::join!(ready, extension) }).await;
    session.expect("ready");
}

#[tokio::test]
async fn a_late_startup_hook_does_not_keep_the_session_from_being_ready() {
    let wire = TestWire::start();
    let expected = wire.expect();
    let client = wire.client(expected.token()).await;
    let _talk = client.session(with_startup_hook(500)).await.expect("a stream");
    let session = soon("the handshake", expected.session()).await.expect("ready");
    assert_eq!(session.health().held_past_deadline, 1, "it still runs, and is seen to");
    let outcome = session.invoke(call(Duration::from_millis(1))).await;
    outcome.expect_err("nobody answers in this test");
}
