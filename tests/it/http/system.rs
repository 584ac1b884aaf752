//! What answers without a login: name, version, health.

use anyhow::Result;
use serde_json::json;
use tinybase_tests::TestServer;

#[tokio::test]
async fn health_answers_as_clients_of_the_original_expect() -> Result<()> {
    let server = TestServer::start().await?;
    assert_eq!(server.api.get("/health").await?, json!({ "status": "healthy" }));
    assert_eq!(server.api.get("/healthz").await?, json!({ "status": "ok" }));
    let root = server.api.get("/").await?;
    assert_eq!(root["name"], "TinyBase");
    assert!(root["version"].is_string(), "{root}");
    server.stop().await
}
