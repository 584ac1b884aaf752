//! How a session begins.

use tinybase_proto::v1;
use tinybase_sdk::client::{ConnectError, Options};
use tinybase_sdk::prelude::*;
use tinybase_sdk::{ExtensionError, SetupError};
use tonic::Status;

use crate::fake_core::{FakeCore, call, output, welcome};

async fn greet(ctx: Context, name: String) -> Result<String> {
    let config: Value = ctx.config()?;
    Ok(format!("{} {name}", config["greeting"].as_str().unwrap_or_default()))
}

fn shop() -> Extension {
    Extension::new("shop").function("greet", greet)
}

#[tokio::test]
async fn hello_and_register_come_in_one_frame_and_work_begins_once_ready() {
    let mut core = FakeCore::start();
    let extension = shop()
        .on_record_create("orders", |_, _: RecordCreate| async { Ok(()) })
        .before_record_create(All, |_, _: NewRecord| async { Ok(Patch::none()) })
        .run_with(core.options());
    let script = async {
        let (metadata, first) = core.frame_with_metadata().await;
        assert_eq!(metadata.get("authorization").expect("a token"), "Bearer secret");
        let hello = first.hello.expect("hello");
        assert_eq!((hello.extension.as_str(), hello.credit), ("shop", Some(8)));
        let register = first.register.expect("register");
        let names: Vec<_> = register.hooks.iter().map(|hook| hook.handler.as_str()).collect();
        assert_eq!(names, ["record.create:orders", "before.record.create"]);
        assert_eq!(register.functions[0].auth(), v1::FunctionAuth::Auth);
        assert!(first.ready.is_none());
        core.send(welcome()).await;
        assert!(core.frame().await.ready.is_some());
        core.invoke(call("1", "greet", r#""Ada""#)).await;
        assert_eq!(output(&core.outcome().await), r#""Ahoy Ada""#);
        core.end();
    };
    let (result, ()) = tokio::join!(extension, script);
    result.expect("the core ended the session");
}

#[tokio::test]
async fn welcome_and_registered_may_come_apart_with_a_ping_between() {
    let mut core = FakeCore::start();
    let extension = shop().run_with(core.options());
    let script = async {
        core.frame().await;
        let v1::SessionResponse { welcome, registered, .. } = welcome();
        core.send(v1::SessionResponse { welcome, ..Default::default() }).await;
        let ping = Some(v1::Ping { id: "p".to_owned() });
        core.send(v1::SessionResponse { ping, ..Default::default() }).await;
        assert_eq!(core.frame().await.pong.expect("a pong").id, "p");
        core.send(v1::SessionResponse { registered, ..Default::default() }).await;
        assert!(core.frame().await.ready.is_some());
        core.end();
    };
    let (result, ()) = tokio::join!(extension, script);
    result.expect("the core ended the session");
}

#[tokio::test]
async fn a_refusal_keeps_the_cores_words() {
    let mut core = FakeCore::start();
    let extension = shop().run_with(core.options());
    let words = "the function \"greet\" belongs to the extension \"other\"";
    let script = async {
        core.frame().await;
        core.refuse(Status::failed_precondition(words)).await;
    };
    let (result, ()) = tokio::join!(extension, script);
    let error = result.expect_err("it was refused");
    assert!(matches!(error, ExtensionError::Connect(ConnectError::Refused { .. })), "{error:?}");
    assert_eq!(error.to_string(), format!("the server refused the extension: {words}"));
}

#[tokio::test]
async fn a_socket_without_a_server_is_named() {
    let core = FakeCore::start();
    let options = Options { socket: core.socket().with_extension("gone"), ..core.options() };
    let error = shop().run_with(options).await.expect_err("nobody listens");
    let words = error.to_string();
    assert!(words.starts_with("nobody answers on the socket /"), "{words}");
    assert!(words.ends_with("core.gone; is the server running?"), "{words}");
}

#[tokio::test]
async fn a_core_that_hangs_up_during_the_handshake_is_an_error() {
    let mut core = FakeCore::start();
    let extension = shop().run_with(core.options());
    let script = async {
        core.frame().await;
        core.end();
    };
    let (result, ()) = tokio::join!(extension, script);
    let error = result.expect_err("there was no welcome");
    assert!(matches!(error, ExtensionError::Connect(ConnectError::Handshake { .. })), "{error:?}");
}

#[tokio::test]
async fn two_functions_of_one_name_are_found_before_dialling() {
    let core = FakeCore::start();
    let error = shop().function("greet", greet).run_with(core.options()).await;
    let name = "greet".to_owned();
    let Err(ExtensionError::Setup(error)) = error else { panic!("{error:?}") };
    assert_eq!(error, SetupError::DuplicateFunction { name });
}

#[tokio::test]
async fn a_token_never_shows_in_debug_output() {
    let core = FakeCore::start();
    assert!(!format!("{:?}", core.options()).contains("secret"));
}
