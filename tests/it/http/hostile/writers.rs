//! Two who write the same thing at the same time.

use anyhow::{Context, Result};
use reqwest::{Method, StatusCode};
use serde_json::json;
use tinybase_tests::{Api, TestServer};

const RECORDS: &str = "/api/collections/notes/records";

async fn patch(api: &Api, path: &str, tag: &str, text: String) -> Result<StatusCode> {
    let request = api.request(Method::PATCH, path).header("if-match", tag);
    Ok(request.json(&json!({ "data": { "s": text } })).send().await?.status())
}

/// (E15)
#[tokio::test]
async fn of_two_writers_who_read_the_same_one_is_told_that_it_has_changed() -> Result<()> {
    let server = TestServer::start().await?;
    server.admin.make_collection("notes", &["s"]).await?;
    let created = server.admin.post(RECORDS, &json!({ "data": { "s": "0" } })).await?;
    let path = format!("{RECORDS}/{}", created["id"].as_str().context("an id")?);
    for round in 0..20 {
        let read = server.admin.request(Method::GET, &path).send().await?;
        let tag = read.headers().get("etag").context("a tag")?.to_str()?.to_owned();
        let (one, two) = tokio::join!(
            patch(&server.admin, &path, &tag, format!("{round} one")),
            patch(&server.admin, &path, &tag, format!("{round} two")),
        );
        let (one, two) = (one?, two?);
        let kept = server.admin.get(&path).await?;
        let (winner, loser) = if one.is_success() { ("one", two) } else { ("two", one) };
        assert!(one.is_success() ^ two.is_success(), "{one} {two}");
        assert_eq!(loser, StatusCode::PRECONDITION_FAILED);
        assert_eq!(kept["data"]["s"], format!("{round} {winner}"), "an update was lost");
    }
    server.stop().await
}
