//! What happens while a session lasts.

use std::sync::{Arc, Mutex, mpsc};

use tinybase_proto::v1;
use tinybase_sdk::ExtensionError;
use tinybase_sdk::client::RunError;
use tinybase_sdk::prelude::*;
use tokio::sync::Notify;

use crate::fake_core::{FakeCore, call, fault, output};

/// Runs an extension against a script of the core's; the session ends with the script.
async fn play(extension: Extension, script: impl AsyncFnOnce(&mut FakeCore)) {
    let mut core = FakeCore::start();
    let running = extension.run_with(core.options());
    let script = async {
        core.accept().await;
        script(&mut core).await;
        core.end();
    };
    let (result, ()) = tokio::join!(running, script);
    result.expect("the core ended the session");
}

fn ping(id: &str) -> v1::SessionResponse {
    v1::SessionResponse { ping: Some(v1::Ping { id: id.to_owned() }), ..Default::default() }
}

#[tokio::test]
async fn an_answer_at_once_needs_one_frame_with_its_receipt() {
    let echo = |_, value: Value| async move { Ok(value) };
    play(Extension::new("shop").function("echo", echo), async |core| {
        let invocations = (0..5).map(|n| call(&n.to_string(), "echo", &n.to_string())).collect();
        core.send(v1::SessionResponse { invocations, ..Default::default() }).await;
        let frame = core.frame().await;
        assert_eq!(frame.received, ["0", "1", "2", "3", "4"]);
        let outputs: Vec<_> = frame.outcomes.iter().map(output).collect();
        assert_eq!(outputs, ["0", "1", "2", "3", "4"]);
    })
    .await;
}

#[tokio::test]
async fn a_handler_that_waits_holds_up_neither_receipt_nor_ping_nor_others() {
    let go = Arc::new(Notify::new());
    let waits = {
        let go = Arc::clone(&go);
        move |_, (): ()| {
            let go = Arc::clone(&go);
            async move {
                go.notified().await;
                Ok("late")
            }
        }
    };
    let quick = |_, (): ()| async { Ok("early") };
    let extension = Extension::new("shop").function("waits", waits).function("quick", quick);
    play(extension, async |core| {
        core.invoke(call("slow", "waits", "null")).await;
        assert_eq!(core.frame().await.received, ["slow"]);
        core.send(ping("p")).await;
        assert_eq!(core.frame().await.pong.expect("a pong").id, "p");
        core.invoke(call("fast", "quick", "null")).await;
        assert_eq!(output(&core.outcome().await), r#""early""#);
        go.notify_one();
        assert_eq!(output(&core.outcome().await), r#""late""#);
    })
    .await;
}

#[tokio::test]
async fn on_worker_threads_even_a_blocked_handler_holds_up_no_ping() {
    let (release, blocked) = mpsc::channel::<()>();
    let blocked = Arc::new(Mutex::new(blocked));
    let blocks = move |_, (): ()| {
        let blocked = Arc::clone(&blocked);
        async move {
            blocked.lock().expect("no panic").recv()?;
            Ok("released")
        }
    };
    let extension = Extension::new("shop").worker_threads(1).function("blocks", blocks);
    play(extension, async |core| {
        core.invoke(call("1", "blocks", "null")).await;
        assert_eq!(core.frame().await.received, ["1"]);
        core.send(ping("p")).await;
        assert_eq!(core.frame().await.pong.expect("a pong").id, "p");
        release.send(()).expect("the handler waits");
        assert_eq!(output(&core.outcome().await), r#""released""#);
    })
    .await;
}

#[tokio::test]
async fn a_panic_is_a_fault_and_hurts_nobody_else() {
    let panics = |ctx: Context, at_once: bool| async move {
        if !at_once {
            tokio::task::yield_now().await;
        }
        assert_eq!(ctx.attempt(), 0, "on purpose");
        Ok(())
    };
    let quick = |_, (): ()| async { Ok("fine") };
    let extension = Extension::new("shop").function("panics", panics).function("quick", quick);
    play(extension, async |core| {
        for at_once in ["true", "false"] {
            core.invoke(call(at_once, "panics", at_once)).await;
            let fault = fault(core.outcome().await);
            assert_eq!(fault.r#type, "panic");
            assert!(fault.message.contains("on purpose"), "{}", fault.message);
        }
        core.invoke(call("after", "quick", "null")).await;
        assert_eq!(output(&core.outcome().await), r#""fine""#);
    })
    .await;
}

#[tokio::test]
async fn a_cancelled_handler_sees_it_with_the_reason() {
    let waits = |ctx: Context, (): ()| async move {
        ctx.cancelled().cancelled().await;
        Ok(ctx.cancel_reason().unwrap_or_default().to_owned())
    };
    play(Extension::new("shop").function("waits", waits), async |core| {
        core.invoke(call("1", "waits", "null")).await;
        let cancel = v1::Cancel { invocation_id: "1".into(), reason: "client_gone".into() };
        core.send(v1::SessionResponse { cancels: vec![cancel], ..Default::default() }).await;
        assert_eq!(output(&core.outcome().await), r#""client_gone""#);
    })
    .await;
}

#[tokio::test]
async fn a_call_back_carries_token_trace_and_what_is_left_of_the_time() {
    let asks = |ctx: Context, key: String| async move { Ok(ctx.values().get::<u8>(&key).await?) };
    play(Extension::new("shop").function("asks", asks), async |core| {
        core.invoke(call("1", "asks", r#""counter""#)).await;
        assert_eq!(output(&core.outcome().await), "7");
        let metadata = core.host.metadata().remove(0);
        let text = |key: &str| metadata.get(key).expect(key).to_str().expect(key).to_owned();
        assert_eq!(text("authorization"), "Bearer secret");
        assert_eq!(text("tinybase-invocation"), "token-of-1");
        assert!(text("traceparent").starts_with("00-0af7651916cd43dd"));
        assert!(text("grpc-timeout").ends_with(['u', 'm']), "{}", text("grpc-timeout"));
    })
    .await;
}

#[tokio::test]
async fn a_refused_call_back_becomes_a_fault_of_that_kind() {
    let asks = |ctx: Context, key: String| async move { Ok(ctx.values().get::<u8>(&key).await?) };
    play(Extension::new("shop").function("asks", asks), async |core| {
        core.invoke(call("1", "asks", r#""missing""#)).await;
        let fault = fault(core.outcome().await);
        assert_eq!(fault.r#type, "PermissionDenied");
        assert_eq!(fault.message, "the operator did not grant this");
    })
    .await;
}

#[tokio::test]
async fn a_result_over_the_limit_becomes_a_fault_that_says_so() {
    let large = |_, (): ()| async { Ok("x".repeat(2000)) };
    play(Extension::new("shop").function("large", large), async |core| {
        core.invoke(call("1", "large", "null")).await;
        let fault = fault(core.outcome().await);
        assert_eq!(fault.r#type, "OutputTooLarge");
        assert!(fault.message.contains("2002 bytes of JSON, the limit is 1024"), "{fault:?}");
    })
    .await;
}

#[tokio::test]
async fn work_that_nobody_handles_is_answered_all_the_same() {
    play(Extension::new("shop"), async |core| {
        core.invoke(call("1", "nothing", "{}")).await;
        assert_eq!(fault(core.outcome().await).r#type, "UnknownHandler");
    })
    .await;
}

#[tokio::test]
async fn a_core_that_dies_ends_the_extension() {
    let mut core = FakeCore::start();
    let running = Extension::new("shop").run_with(core.options());
    let script = async {
        core.accept().await;
        core.die();
    };
    let (result, ()) = tokio::join!(running, script);
    let error = result.expect_err("the socket closed");
    assert!(matches!(error, ExtensionError::Run(RunError::Lost { .. })), "{error:?}");
}

/// Counts without an end, or until nobody wants to hear more.
fn counting() -> Extension {
    let count = |_, padding: String, chunks: Chunks<(u32, String)>| async move {
        for n in 1.. {
            chunks.send(&(n, padding.clone())).await?;
        }
        Ok(())
    };
    Extension::new("shop").add_function(Function::streaming("count", count))
}

fn streamed(id: &str, padding: &str, chunk_credit: u32) -> v1::Invocation {
    v1::Invocation { chunk_credit, ..call(id, "count", padding) }
}

async fn chunks(core: &mut FakeCore, count: usize) -> Vec<String> {
    let mut chunks = Vec::new();
    while chunks.len() < count {
        let frame = core.frame().await;
        assert_eq!(frame.outcomes, [], "it has no end");
        let texts = frame.chunks.iter().map(|chunk| String::from_utf8_lossy(&chunk.value));
        chunks.extend(texts.map(std::borrow::Cow::into_owned));
    }
    chunks
}

#[tokio::test]
async fn a_stream_sends_as_much_as_is_granted_and_ends_when_it_is_cancelled() {
    play(counting(), async |core| {
        core.invoke(streamed("s", "\"x\"", 2)).await;
        assert_eq!(chunks(core, 2).await, [r#"[1,"x"]"#, r#"[2,"x"]"#]);
        core.send(ping("p")).await;
        let frame = core.frame().await;
        assert!(frame.pong.is_some() && frame.chunks.is_empty(), "no more was granted: {frame:?}");
        let grants = vec![v1::ChunkGrant { invocation_id: "s".to_owned(), chunks: 1 }];
        core.send(v1::SessionResponse { grants, ..Default::default() }).await;
        assert_eq!(chunks(core, 1).await, [r#"[3,"x"]"#]);
        let (invocation_id, reason) = ("s".to_owned(), "client_gone".to_owned());
        let cancels = vec![v1::Cancel { invocation_id, reason }];
        core.send(v1::SessionResponse { cancels, ..Default::default() }).await;
        assert_eq!(fault(core.outcome().await).r#type, "Cancelled");
    })
    .await;
}

#[tokio::test]
async fn a_chunk_that_is_too_large_is_a_failure_of_the_function() {
    play(counting(), async |core| {
        let padding = format!("\"{}\"", "x".repeat(64));
        core.invoke(streamed("s", &padding, 2)).await;
        let fault = fault(core.outcome().await);
        assert_eq!(fault.r#type, "OutputTooLarge");
        assert!(fault.message.contains("64"), "{}", fault.message);
    })
    .await;
}

#[tokio::test]
async fn for_a_core_that_takes_no_chunks_they_are_one_array() {
    let count = |_, to: u32, chunks: Chunks<u32>| async move {
        for n in 1..=to {
            chunks.send(&n).await?;
        }
        Ok(())
    };
    let extension = Extension::new("shop").add_function(Function::streaming("count", count));
    play(extension, async |core| {
        for (to, expected) in [("3", "[1,2,3]"), ("0", "[]")] {
            core.invoke(call("s", "count", to)).await;
            assert_eq!(output(&core.outcome().await), expected);
        }
    })
    .await;
}
