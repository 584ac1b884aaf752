//! Log lines, in a process of their own: `tracing` has one subscriber for all.

#![expect(clippy::expect_used, reason = "a helper that fails fails its test")]

#[path = "../it/fake_core.rs"]
#[expect(dead_code, reason = "made for more tests than these")]
mod fake_core;
#[path = "../it/fake_host.rs"]
#[expect(dead_code, reason = "made for more tests than these")]
mod fake_host;

use fake_core::{FakeCore, call, output};
use tinybase_proto::v1;
use tinybase_sdk::prelude::*;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

#[tokio::test]
async fn lines_reach_the_core_with_level_target_fields_and_invocation() {
    tracing_subscriber::registry().with(tinybase_sdk::log::layer()).init();
    let speaks = |_, (): ()| async {
        tokio::task::yield_now().await;
        tracing::warn!(target: "shop::stock", left = 3, "running low");
        tracing::trace!(target: "h2::codec", "chatter of the carrier");
        Ok(())
    };
    let extension = Extension::new("shop").function("speaks", speaks).on_shutdown(|_| async {
        tracing::info!("good bye");
        Ok(())
    });
    let mut core = FakeCore::start();
    let running = extension.run_with(core.options());
    let script = async {
        core.accept().await;
        core.invoke(call("7", "speaks", "null")).await;
        assert_eq!(output(&core.outcome().await), "null");
        core.invoke(v1::Invocation {
            id: "8".to_owned(),
            event: "shutdown".to_owned(),
            handler: "shutdown".to_owned(),
            timeout_ms: 1000,
            ..Default::default()
        })
        .await;
        core.outcome().await;
        // The shutdown hook's outcome comes after the log, so nothing has to be waited for.
        let lines = core.host.lines();
        let texts: Vec<_> = lines.iter().map(|line| line.message.as_str()).collect();
        assert_eq!(texts, ["running low", "good bye"]);
        assert_eq!(lines[0].level(), v1::LogLevel::Warning);
        assert_eq!(lines[0].logger, "shop::stock");
        assert_eq!(lines[0].invocation_id, "7");
        assert_eq!(lines[0].fields, r#"{"left":3}"#.as_bytes());
        assert_eq!(lines[1].invocation_id, "8");
        core.end();
    };
    let (result, ()) = tokio::join!(running, script);
    result.expect("the core ended the session");
}
