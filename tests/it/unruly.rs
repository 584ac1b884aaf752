//! Extensions that misbehave: each gives an error that names it, and nobody else notices.

use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};
use tinybase_tests::{Process, TestServer, Zoo, descendants, wait_for, wait_until};

/// Installs a misbehaving extension beside a good one and gives what the API says of it once it
/// has failed.
async fn failing(server: &TestServer, zoo: &Zoo, mode: &str) -> Result<Value> {
    let limits = "\n[extension.limits]\nstart_timeout = \"2s\"\n";
    let source = zoo.extension_with("unruly", mode, limits)?.display().to_string();
    let output = server.cli(&["extensions", "install", "--yes", &source]).await?;
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{mode}: no tick for an extension that failed: {text}");
    assert!(text.contains("unruly"), "{mode}: {text}");
    let status = wait_for("the reason is shown", Duration::from_secs(20), || async {
        let status = server.extension("unruly").await.ok()?;
        status["reason"].is_string().then_some(status)
    })
    .await;
    let answer = server.api.post("/api/functions/good_echo", &json!({ "n": 1 })).await?;
    assert_eq!(answer["status"], "succeeded", "{mode}: the neighbour works");
    Ok(status)
}

#[tokio::test]
async fn each_way_of_failing_to_start_names_itself() -> Result<()> {
    let (server, zoo) = (TestServer::start().await?, Zoo::new()?);
    server.install(&zoo.extension("good", "good")?).await?;
    for (mode, words) in [
        ("exit-before-hello", &["status 3", "Hello"][..]),
        ("never-hello", &["not ready", "2"]),
        ("future-protocol", &["protocol", "99"]),
        ("wrong-name", &["somebody-else"]),
        ("unknown-hook", &["record.creat", "record.create"]),
        ("broken-schema", &["unruly_echo", "JSON"]),
        ("wrong-token", &["status 1"]),
    ] {
        let status = failing(&server, &zoo, mode).await?;
        let reason = status["reason"].as_str().expect("a reason");
        for word in words {
            assert!(reason.contains(word), "{mode}: {word:?} is not in {reason:?}");
        }
        assert_ne!(status["state"], "ready", "{mode}");
        let output = server.cli(&["extensions", "list"]).await?;
        let list = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(list.contains("unruly"), "{list}");
        let removed = server.cli(&["extensions", "uninstall", "--yes", "unruly"]).await?;
        assert!(removed.status.success(), "{mode}: {}", String::from_utf8_lossy(&removed.stderr));
    }
    server.stop().await
}

#[tokio::test]
async fn a_function_name_that_is_taken_names_both_extensions() -> Result<()> {
    let (server, zoo) = (TestServer::start().await?, Zoo::new()?);
    server.install(&zoo.extension("first", "takes-a-name")?).await?;
    let source = zoo.extension("second", "takes-a-name")?.display().to_string();
    let output = server.cli(&["extensions", "install", "--yes", &source]).await?;
    assert!(!output.status.success());
    let status = server.extension("second").await?;
    let reason = status["reason"].as_str().expect("a reason");
    assert!(reason.contains("shared_name") && reason.contains("first"), "{reason}");
    let answer = server.api.post("/api/functions/shared_name", &json!({})).await?;
    assert_eq!(answer["status"], "failed", "the first one still answers: {answer}");
    assert_eq!(answer["error_type"], "ZooError");
    server.stop().await
}

#[tokio::test]
async fn output_before_hello_and_floods_never_block_or_break_anything() -> Result<()> {
    let (server, zoo) = (TestServer::start().await?, Zoo::new()?);
    server.install(&zoo.extension("chatty", "print-before-hello")?).await?;
    let answer = server.api.post("/api/functions/chatty_flood", &json!({})).await?;
    assert_eq!(answer["status"], "succeeded", "{answer}");
    server.stop().await
}

#[tokio::test]
async fn dying_with_a_call_in_hand_fails_that_call_and_the_extension_comes_back() -> Result<()> {
    let (server, zoo) = (TestServer::start().await?, Zoo::new()?);
    server.install(&zoo.extension("mortal", "good")?).await?;
    let before = server.extension("mortal").await?;
    let answer = server.api.post("/api/functions/mortal_die", &json!({})).await?;
    assert_eq!(answer["status"], "failed", "{answer}");
    assert_eq!(answer["error_type"], "ExtensionExited", "{answer}");
    assert!(answer["error_message"].as_str().expect("a message").contains("mortal"), "{answer}");
    let after = wait_for("mortal is back", Duration::from_secs(20), || async {
        let status = server.extension("mortal").await.ok()?;
        (status["state"] == "ready" && status["pid"] != before["pid"]).then_some(status)
    })
    .await;
    assert_eq!(after["restarts"], 1);
    let crash = &after["last_crash"];
    assert!(crash["reason"].as_str().expect("a reason").contains("SIGABRT"), "{crash}");
    assert_eq!(crash["in_flight"], 1);
    assert!(crash["last_lines"].to_string().contains("dying with a call in hand"), "{crash}");
    let answer = server.api.post("/api/functions/mortal_echo", &json!({ "n": 2 })).await?;
    assert_eq!(answer["status"], "succeeded");
    server.stop().await
}

#[tokio::test]
async fn one_that_keeps_dying_is_quarantined_until_an_operator_enables_it() -> Result<()> {
    let (server, zoo) = (TestServer::start().await?, Zoo::new()?);
    let policy = "\n[extension.limits]\nrestarts_max = 2\nbackoff_max = \"200ms\"\n";
    server.install(&zoo.extension_with("mortal", "good", policy)?).await?;
    for _ in 0..3 {
        server.wait_for_state("mortal", "ready").await;
        server.api.post("/api/functions/mortal_die", &json!({})).await?;
        wait_until("the death is noticed", Duration::from_secs(10), || async {
            server
                .extension("mortal")
                .await
                .is_ok_and(|status| status["state"] != "ready" || status["restarts"] != 0)
        })
        .await;
    }
    server.wait_for_state("mortal", "quarantined").await;
    let output = server.cli(&["extensions", "enable", "mortal"]).await?;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    server.wait_for_state("mortal", "ready").await;
    server.stop().await
}

#[tokio::test]
async fn one_that_ignores_sigterm_and_a_grandchild_in_the_group_are_gone_after_disable()
-> Result<()> {
    let (server, zoo) = (TestServer::start().await?, Zoo::new()?);
    let limits = "\n[extension.limits]\nterm_grace = \"300ms\"\ndrain_grace = \"300ms\"\n";
    server.install(&zoo.extension_with("stubborn", "ignore-term", limits)?).await?;
    server.install(&zoo.extension_with("parent", "fork-grandchild", limits)?).await?;
    let mut processes = Vec::new();
    for name in ["stubborn", "parent"] {
        let pid = server.extension(name).await?["pid"].as_u64().expect("a pid");
        let process = Process(u32::try_from(pid)?);
        processes.push(process);
        processes.extend(descendants(process.0)?);
    }
    assert_eq!(processes.len(), 3, "two extensions and a grandchild");
    for name in ["stubborn", "parent"] {
        let output = server.cli(&["extensions", "disable", name]).await?;
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    wait_until("no process is left", Duration::from_secs(10), || async {
        processes.iter().all(|process| !process.is_alive())
    })
    .await;
    server.stop().await
}
