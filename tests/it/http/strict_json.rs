//! Bodies, paths and queries that mean two things, or that don't survive being stored.

use anyhow::Result;
use reqwest::{Method, StatusCode, header};
use serde_json::{Value, json};
use tinybase_tests::{Api, TestServer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const RECORDS: &str = "/api/collections/notes/records";

async fn server() -> Result<TestServer> {
    let server = TestServer::start().await?;
    let fields = json!([
        { "name": "n", "type": "int" },
        { "name": "f", "type": "float" },
        { "name": "s", "type": "string" },
        { "name": "any", "type": "dict" },
    ]);
    let body = json!({ "name": "notes", "label": "Notes", "schema": { "fields": fields } });
    server.admin.post("/api/collections", &body).await?;
    Ok(server)
}

/// Posts bytes as JSON.
async fn post(api: &Api, path: &str, body: impl Into<Vec<u8>>) -> Result<(StatusCode, Value)> {
    let request = api.request(Method::POST, path).header(header::CONTENT_TYPE, "application/json");
    let response = request.body(body.into()).send().await?;
    let status = response.status();
    Ok((status, serde_json::from_slice(&response.bytes().await?)?))
}

#[tokio::test]
async fn json_that_would_be_changed_is_refused_with_its_place() -> Result<()> {
    let server = server().await?;
    for (body, status, pointer) in [
        // Beyond 64 bits, beyond a double, twice, zero, half a character (E7).
        (r#"{"data":{"n":18446744073709551616}}"#, 422, "/data/n"),
        (r#"{"data":{"any":{"a":[0,1e309]}}}"#, 422, "/data/any/a/1"),
        (r#"{"data":{"n":1,"n":2}}"#, 422, "/data/n"),
        (r#"{"data":{},"data":{}}"#, 422, "/data"),
        (r#"{"data":{"s":"a\u0000b"}}"#, 422, "/data/s"),
        (r#"{"data":{"any":{"\u0000":1}}}"#, 422, "/data/any"),
        (r#"{"data":{"s":"\ud800"}}"#, 422, "/data/s"),
        (r#"{"data":{"s":"x"}"#, 400, ""),
        (r#"{"data":{"s":NaN}}"#, 400, "/data/s"),
    ] {
        let (answered, problem) = post(&server.admin, RECORDS, body).await?;
        assert_eq!(answered, status, "{body}: {problem}");
        assert!(problem["request_id"].is_string() && problem["detail"].is_string(), "{problem}");
        let field = problem["errors"][0]["field"].as_str().unwrap_or_default();
        assert!(field.starts_with(pointer), "{body}: {problem}");
    }
    let (status, problem) = post(&server.admin, RECORDS, b"{\"data\":{\"s\":\"\xff\"}}").await?;
    assert_eq!((status.as_u16(), &problem["errors"][0]["field"]), (400, &json!("/data/s")));
    // As deep as it goes, and one deeper (E6).
    let nested = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
    let body = |depth| format!(r#"{{"data":{{"any":{{"a":{}}}}}}}"#, nested(depth));
    assert_eq!(post(&server.admin, RECORDS, body(124)).await?.0, 201);
    assert_eq!(post(&server.admin, RECORDS, body(125)).await?.0, 400);
    assert_eq!(post(&server.admin, RECORDS, "[".repeat(100_000)).await?.0, 400);
    for path in ["/api/auth/login", "/api/auth/register", "/api/collections"] {
        let (status, problem) = post(&server.admin, path, r#"{"email":"a","email":"b"}"#).await?;
        assert_eq!(status, 422, "{path}: {problem}");
    }
    server.stop().await
}

#[tokio::test]
async fn numbers_come_back_as_they_were_sent() -> Result<()> {
    let server = server().await?;
    for (field, text) in [
        ("n", "9223372036854775807"),
        ("n", "-9223372036854775808"),
        ("n", "18446744073709551615"),
        ("f", "0.1"),
        ("f", "5e-324"),
        ("f", "1.5e300"),
        ("f", "9007199254740993"),
    ] {
        let (status, created) =
            post(&server.admin, RECORDS, format!(r#"{{"data":{{"{field}":{text}}}}}"#)).await?;
        assert_eq!(status, 201, "{text}: {created}");
        let id = created["id"].as_str().unwrap_or_default();
        let read = server.admin.get(&format!("{RECORDS}/{id}")).await?;
        let sent: Value = serde_json::from_str(text)?;
        match field {
            "n" => assert_eq!(read["data"]["n"], sent),
            _ => assert_eq!(read["data"]["f"].as_f64(), sent.as_f64()),
        }
    }
    server.stop().await
}

#[tokio::test]
async fn a_body_of_another_kind_is_an_unsupported_media_type() -> Result<()> {
    let server = server().await?;
    let send = async |headers: &[(&str, &str)]| -> Result<StatusCode> {
        let request = server.admin.request(Method::POST, RECORDS).body(r#"{"data":{}}"#);
        let request = headers.iter().fold(request, |request, (k, v)| request.header(*k, *v));
        Ok(request.send().await?.status())
    };
    assert_eq!(send(&[("content-type", "application/json; charset=utf-8")]).await?, 201);
    assert_eq!(send(&[("content-type", "application/merge-patch+json")]).await?, 201);
    assert_eq!(send(&[]).await?, 201);
    assert_eq!(send(&[("content-type", "text/plain")]).await?, 415);
    assert_eq!(send(&[("content-type", "application/x-www-form-urlencoded")]).await?, 415);
    // Nothing is inflated (E17).
    assert_eq!(send(&[("content-encoding", "gzip")]).await?, 415);
    assert_eq!(send(&[("content-encoding", "identity")]).await?, 201);
    server.stop().await
}

/// Sends a path as it is, which a client library would tidy up, and gives the status.
async fn raw(api: &Api, path: &str) -> Result<u16> {
    let address = api.base.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    let text = String::from_utf8_lossy(&answer);
    let status = text.split(' ').nth(1).unwrap_or_default();
    Ok(status.parse()?)
}

#[tokio::test]
async fn an_encoded_path_is_no_way_to_anything() -> Result<()> {
    let server = server().await?;
    for name in [
        "..%2f..%2fetc%2fpasswd",
        "%2e%2e",
        "..",
        ".",
        "%00",
        "notes%00",
        "a%2fb",
        "a%5cb",
        "x%0d%0aset-cookie:%20a",
        "%ff",
    ] {
        for path in [
            format!("/api/collections/{name}"),
            format!("/api/collections/{name}/records"),
            format!("/api/collections/notes/records/{name}"),
            format!("/api/functions/{name}/schema"),
        ] {
            let status = raw(&server.api, &path).await?;
            assert!(matches!(status, 400 | 404 | 422), "{path}: {status}");
        }
    }
    // A sound segment that is no id says so, as in the original.
    assert_eq!(raw(&server.api, &format!("{RECORDS}/nothing")).await?, 422);
    assert_eq!(raw(&server.api, "/api/collections/Nothing/records").await?, 404);
    server.stop().await
}

#[tokio::test]
async fn a_query_parameter_that_is_not_known_is_refused() -> Result<()> {
    let server = server().await?;
    let id = server.admin.post(RECORDS, &json!({ "data": {} })).await?["id"].clone();
    let id = id.as_str().unwrap_or_default();
    for path in [
        format!("{RECORDS}?limt=1"),
        format!("{RECORDS}?limit=1&fiter=x"),
        format!("{RECORDS}/{id}?x=1"),
        "/api/collections?x".to_owned(),
        "/health?x=1".to_owned(),
        format!("{RECORDS}?sort_by=%00"),
    ] {
        let (status, problem) = server.admin.send(Method::GET, &path, None).await?;
        assert_eq!(status, 400, "{path}: {problem}");
    }
    for path in [format!("{RECORDS}?limit=x"), format!("{RECORDS}?limit=0&offset=-1")] {
        let (status, problem) = server.admin.send(Method::GET, &path, None).await?;
        assert_eq!(status, 422, "{path}: {problem}");
    }
    server.stop().await
}

#[tokio::test]
async fn a_list_of_values_is_no_object() -> Result<()> {
    let server = server().await?;
    let credentials = r#"["admin@example.com", "correct horse battery"]"#;
    let (status, problem) = post(&server.api, "/api/auth/login", credentials).await?;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{problem}");
    let (status, problem) = post(&server.admin, RECORDS, r#"[{"n": 1}]"#).await?;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{problem}");
    server.stop().await
}
