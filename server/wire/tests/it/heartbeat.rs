//! A process that hangs is found out, with heartbeats or without.

use std::sync::mpsc;
use std::time::Duration;

use tinybase_model::Limits;
use tinybase_proto::v1;
use tonic::Code;

use crate::kit::{TestWire, all_at_once, soon, until};

fn quick() -> Limits {
    let (heartbeat_interval, heartbeat_timeout) =
        (Duration::from_millis(20), Duration::from_secs(1));
    Limits { heartbeat_interval, heartbeat_timeout, ..Limits::default() }
}

fn with_heartbeat() -> v1::SessionRequest {
    let mut first = all_at_once(1);
    first.hello.as_mut().expect("hello").features = vec!["heartbeat".to_owned()];
    first
}

#[tokio::test]
async fn pongs_keep_a_session_alive() {
    let wire = TestWire::start_with(quick());
    let (session, _client, mut talk) = wire.session(with_heartbeat()).await;
    let before = session.health().last_heard;
    // More pings than fit into the time that silence may last.
    for _ in 0..60 {
        let ping = talk.next().await.expect("a frame").ping.expect("a ping");
        talk.say(v1::SessionRequest { pong: Some(v1::Pong { id: ping.id }), ..Default::default() })
            .await;
    }
    until("the last pong", || session.health().last_heard > before).await;
    assert_eq!((session.close_reason(), session.health().violations), (None, 0));
}

#[tokio::test]
async fn a_session_that_answers_no_ping_is_closed_as_unresponsive() {
    let wire = TestWire::start_with(quick());
    let (session, _client, mut talk) = wire.session(with_heartbeat()).await;
    soon("the end", session.closed()).await;
    let reason = session.close_reason().expect("closed");
    assert!(reason.starts_with("unresponsive"), "{reason}");
    let status = talk.end().await.expect_err("closed");
    assert_eq!((status.code(), status.message()), (Code::Unavailable, reason.as_str()));
}

#[tokio::test]
async fn a_session_without_the_feature_gets_no_pings_and_may_be_silent() {
    let wire = TestWire::start_with(quick());
    let (session, _client, mut talk) = wire.session(all_at_once(1)).await;
    assert!(!session.health().heartbeat);
    let silence = tokio::time::timeout(quick().heartbeat_timeout * 2, talk.next()).await;
    assert!(silence.is_err(), "{silence:?}");
    assert_eq!(session.close_reason(), None);
}

/// The extension's whole process hangs: nothing drives its connection any more.
#[tokio::test]
async fn a_hung_process_without_the_feature_is_found_by_http2_keep_alive() {
    let wire = TestWire::start_with(quick());
    let expected = wire.expect();
    let (path, token) = (wire.path().to_owned(), expected.token().to_owned());
    let (release, wait) = mpsc::channel::<()>();
    let process = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("a runtime");
        let client =
            crate::kit::Client { channel: runtime.block_on(crate::kit::connect(&path)), token };
        let talk = runtime.block_on(client.session(all_at_once(1))).expect("a session");
        // From here on nobody polls; the socket stays open until the test has seen enough.
        let _ = wait.recv();
        drop(talk);
    });
    let session = soon("the handshake", expected.session()).await.expect("ready");
    soon("the end", session.closed()).await;
    assert_eq!(session.close_reason().as_deref(), Some("the connection to the extension was lost"));
    drop(release);
    process.join().expect("no panic");
}
