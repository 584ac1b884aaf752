//! The numbers of the instance.

use std::time::Duration;

use anyhow::Result;
use reqwest::Method;
use serde_json::{Value, json};
use tinybase_tests::{TestServer, wait_for};

const PATH: &str = "/api/admin/metrics";

#[tokio::test]
async fn each_collection_is_there_with_its_records() -> Result<()> {
    let server = TestServer::start().await?;
    for name in ["books", "authors"] {
        server.admin.make_collection(name, &["title"]).await?;
    }
    for title in ["1", "2"] {
        let record = json!({ "data": { "title": title } });
        server.admin.post("/api/collections/books/records", &record).await?;
    }
    let expected = json!([
        { "collection_name": "authors", "record_count": 0 },
        { "collection_name": "books", "record_count": 2 },
    ]);
    let metrics = wait_for("the records are counted", Duration::from_secs(10), || async {
        let metrics = server.admin.get(PATH).await.ok()?;
        (metrics["collection_sizes"] == expected).then_some(metrics)
    })
    .await;
    assert_eq!(metrics["function_stats"], json!([]));
    assert!(metrics["collected_at"].as_str().is_some_and(|at| at.ends_with('Z')), "{metrics}");
    server.stop().await
}

#[tokio::test]
async fn the_numbers_are_for_administrators() -> Result<()> {
    let server = TestServer::start().await?;
    let user = server.api.register("a@example.com").await?;
    assert_eq!(server.api.send(Method::GET, PATH, None).await?.0, 401);
    assert_eq!(user.send(Method::GET, PATH, None).await?.0, 403);
    let (status, metrics) = server.admin.send(Method::GET, PATH, None).await?;
    assert_eq!(status, 200);
    assert_ne!(metrics, Value::Null);
    server.stop().await
}
