//! Writing records: replacing, merging, and doing neither over somebody else's change.

use anyhow::Result;
use reqwest::{Method, StatusCode, header};
use serde_json::{Value, json};
use tinybase_tests::{Api, TestServer};

const RECORDS: &str = "/api/collections/notes/records";

async fn server() -> Result<TestServer> {
    let server = TestServer::start().await?;
    let fields = json!([
        { "name": "title", "type": "string", "required": true },
        { "name": "n", "type": "int", "default": 7 },
        { "name": "body", "type": "string" },
    ]);
    let body = json!({ "name": "notes", "label": "Notes", "schema": { "fields": fields } });
    server.admin.post("/api/collections", &body).await?;
    Ok(server)
}

/// The path of a new record.
async fn create(api: &Api, data: &Value) -> Result<String> {
    let created = api.post(RECORDS, &json!({ "data": data })).await?;
    Ok(format!("{RECORDS}/{}", created["id"].as_str().unwrap_or_default()))
}

/// Sends a request with a header and gives the status, the tag and the body.
async fn send(
    api: &Api,
    method: Method,
    path: &str,
    (name, value): (header::HeaderName, &str),
    data: Option<Value>,
) -> Result<(StatusCode, String, Value)> {
    let mut request = api.request(method, path).header(name, value);
    if let Some(data) = data {
        request = request.json(&json!({ "data": data }));
    }
    let response = request.send().await?;
    let status = response.status();
    let tag = response.headers().get(header::ETAG);
    let tag = tag.and_then(|tag| tag.to_str().ok()).unwrap_or_default().to_owned();
    let bytes = response.bytes().await?;
    let body = if bytes.is_empty() { Value::Null } else { serde_json::from_slice(&bytes)? };
    Ok((status, tag, body))
}

#[tokio::test]
async fn put_replaces_and_patch_merges() -> Result<()> {
    let server = server().await?;
    let path = create(&server.admin, &json!({ "title": "a", "n": 1, "body": "b" })).await?;
    let patched = server.admin.patch(&path, &json!({ "data": { "n": 2 } })).await?;
    assert_eq!(patched["data"], json!({ "title": "a", "n": 2, "body": "b" }));
    let body = json!({ "data": { "title": "c" } });
    let (status, replaced) = server.admin.send(Method::PUT, &path, Some(&body)).await?;
    assert_eq!(status, 200, "{replaced}");
    assert_eq!(replaced["data"], json!({ "title": "c", "n": 7, "body": null }));
    assert_eq!(server.admin.get(&path).await?, replaced);
    let body = json!({ "data": { "n": 1 } });
    let (status, problem) = server.admin.send(Method::PUT, &path, Some(&body)).await?;
    assert_eq!(status, 400, "{problem}");
    let (status, _) = server.api.send(Method::PUT, &path, Some(&body)).await?;
    assert_eq!(status, 401);
    let other = server.api.register("other@example.com").await?;
    let (status, _) = other.send(Method::PUT, &path, Some(&body)).await?;
    assert_eq!(status, 403);
    server.stop().await
}

#[tokio::test]
async fn an_update_over_somebody_elses_is_refused() -> Result<()> {
    let server = server().await?;
    let api = &server.admin;
    let path = create(api, &json!({ "title": "a" })).await?;
    let any = (header::IF_MATCH, "*");
    let (status, first, _) =
        send(api, Method::PATCH, &path, any.clone(), Some(json!({ "n": 1 }))).await?;
    assert_eq!(status, 200);
    let mine = (header::IF_MATCH, first.as_str());
    let (status, second, _) =
        send(api, Method::PUT, &path, mine.clone(), Some(json!({ "title": "b" }))).await?;
    assert_eq!(status, 200);
    assert_ne!(first, second);
    // The lost update (E15): both read the first version, one of them is late.
    for (method, data) in [
        (Method::PUT, Some(json!({ "title": "c" }))),
        (Method::PATCH, Some(json!({ "title": "c" }))),
        (Method::DELETE, None),
    ] {
        let (status, _, problem) = send(api, method.clone(), &path, mine.clone(), data).await?;
        assert_eq!(status, 412, "{method}: {problem}");
        assert!(problem["type"].as_str().is_some_and(|kind| kind.ends_with("precondition-failed")));
    }
    assert_eq!(api.get(&path).await?["data"]["title"], "b");
    let weak = format!("W/{second}");
    let (status, ..) =
        send(api, Method::DELETE, &path, (header::IF_MATCH, weak.as_str()), None).await?;
    assert_eq!(status, 412, "a weak tag never matches");
    let (status, ..) = send(api, Method::DELETE, &path, (header::IF_MATCH, "1"), None).await?;
    assert_eq!(status, 400, "a tag has quotes");
    let either = format!("{first}, {second}");
    let (status, ..) =
        send(api, Method::DELETE, &path, (header::IF_MATCH, either.as_str()), None).await?;
    assert_eq!(status, 204);
    let (status, ..) = send(api, Method::DELETE, &path, any, None).await?;
    assert_eq!(status, 404);
    server.stop().await
}

#[tokio::test]
async fn two_writers_with_one_version_never_both_win() -> Result<()> {
    let server = server().await?;
    let api = &server.admin;
    let path = create(api, &json!({ "title": "a" })).await?;
    let mut tag = "\"1\"".to_owned();
    for _ in 0..5 {
        let expected = (header::IF_MATCH, tag.as_str());
        let one = send(api, Method::PATCH, &path, expected.clone(), Some(json!({ "n": 1 })));
        let two = send(api, Method::PATCH, &path, expected, Some(json!({ "body": "x" })));
        let (one, two) = tokio::try_join!(one, two)?;
        let won: Vec<_> = [one, two].into_iter().filter(|(status, ..)| *status == 200).collect();
        assert_eq!(won.len(), 1);
        tag.clone_from(&won[0].1);
    }
    server.stop().await
}

#[tokio::test]
async fn what_is_known_is_not_sent_again() -> Result<()> {
    let server = server().await?;
    let api = &server.admin;
    let path = create(api, &json!({ "title": "a" })).await?;
    let none = |value| (header::IF_NONE_MATCH, value);
    let (status, tag, body) = send(api, Method::GET, &path, none("\"99\""), None).await?;
    assert_eq!((status, body["data"]["title"].as_str()), (StatusCode::OK, Some("a")));
    let weak = format!("\"0\", W/{tag}");
    for known in [tag.as_str(), weak.as_str(), "*"] {
        let (status, again, body) = send(api, Method::GET, &path, none(known), None).await?;
        assert_eq!(
            (status, again.as_str(), body),
            (StatusCode::NOT_MODIFIED, tag.as_str(), Value::Null)
        );
    }
    api.patch(&path, &json!({ "data": { "n": 1 } })).await?;
    let (status, ..) = send(api, Method::GET, &path, none(tag.as_str()), None).await?;
    assert_eq!(status, 200);
    server.stop().await
}
