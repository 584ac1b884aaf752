//! An extension's functions as endpoints of the API.

use anyhow::Result;
use reqwest::Method;
use serde_json::json;
use tinybase_tests::{TestServer, Zoo};

#[tokio::test]
async fn a_function_is_an_endpoint_with_schema_and_its_call_is_recorded() -> Result<()> {
    let (server, zoo) = (TestServer::start().await?, Zoo::new()?);
    server.install(&zoo.extension("good", "good")?).await?;

    let answer = server
        .api
        .post("/api/functions/good_echo", &json!({ "n": 9_007_199_254_740_993_i64 }))
        .await?;
    assert_eq!(answer["status"], "succeeded");
    assert_eq!(
        answer["result"],
        json!({ "n": 9_007_199_254_740_993_i64 }),
        "64-bit integers survive"
    );
    let call = answer["call_id"].as_str().expect("a call id");

    let listed = server.api.get("/api/functions").await?;
    let names: Vec<_> =
        listed.as_array().expect("a bare array").iter().map(|f| &f["name"]).collect();
    assert!(names.contains(&&json!("good_echo")), "{names:?}");

    let schema = server.api.get("/api/functions/good_echo/schema").await?;
    assert_eq!(schema["input_schema"]["properties"]["n"]["type"], "integer");

    let recorded = server.admin.get(&format!("/api/admin/functions/calls/{call}")).await?;
    assert_eq!(recorded["function_name"], "good_echo");
    assert_eq!(recorded["status"], "succeeded");
    server.stop().await
}

#[tokio::test]
async fn an_input_that_breaks_the_schema_never_reaches_the_extension() -> Result<()> {
    let (server, zoo) = (TestServer::start().await?, Zoo::new()?);
    server.install(&zoo.extension("good", "good")?).await?;
    let answer = server.api.post("/api/functions/good_echo", &json!({ "n": "many" })).await?;
    assert_eq!(answer["status"], "failed");
    assert_eq!(answer["error_type"], "ValidationError");
    assert!(answer["error_message"].as_str().expect("a message").contains("/n"), "{answer}");
    server.stop().await
}

#[tokio::test]
async fn an_unknown_function_is_404_and_an_array_is_422() -> Result<()> {
    let (server, zoo) = (TestServer::start().await?, Zoo::new()?);
    server.install(&zoo.extension("good", "good")?).await?;
    let (status, body) =
        server.api.send(Method::POST, "/api/functions/nobody", Some(&json!({}))).await?;
    assert_eq!(status, 404, "{body}");
    assert!(body["detail"].is_string(), "{body}");
    let (status, body) =
        server.api.send(Method::POST, "/api/functions/good_echo", Some(&json!([1]))).await?;
    assert_eq!(status, 422, "{body}");
    server.stop().await
}

#[tokio::test]
async fn a_fault_a_rejection_and_an_oversize_result_are_failures_with_their_types() -> Result<()> {
    let (server, zoo) = (TestServer::start().await?, Zoo::new()?);
    server.install(&zoo.extension("good", "good")?).await?;
    for (function, kind, words) in [
        ("good_fault", "ZooError", "as asked"),
        ("good_reject", "sold_out", "there are none left"),
        ("good_huge", "ResultSizeError", "1048576"),
    ] {
        let answer = server.api.post(&format!("/api/functions/{function}"), &json!({})).await?;
        assert_eq!(answer["status"], "failed", "{answer}");
        assert_eq!(answer["error_type"], kind, "{answer}");
        let message = answer["error_message"].as_str().expect("a message");
        assert!(message.contains(words), "{message}");
    }
    // The extension is none the worse for it.
    let answer = server.api.post("/api/functions/good_echo", &json!({ "n": 1 })).await?;
    assert_eq!(answer["status"], "succeeded");
    server.stop().await
}

#[tokio::test]
async fn a_disabled_extensions_function_is_gone_at_once_and_back_when_enabled() -> Result<()> {
    let (server, zoo) = (TestServer::start().await?, Zoo::new()?);
    server.install(&zoo.extension("good", "good")?).await?;
    let path = "/api/functions/good_echo";
    server.cli(&["extensions", "disable", "good"]).await?;
    let (status, _) = server.api.send(Method::POST, path, Some(&json!({}))).await?;
    assert_eq!(status, 404);
    server.cli(&["extensions", "enable", "good"]).await?;
    server.wait_for_state("good", "ready").await;
    let (status, _) = server.api.send(Method::POST, path, Some(&json!({}))).await?;
    assert_eq!(status, 200);
    server.stop().await
}
