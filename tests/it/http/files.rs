//! Files through the API: what comes back, to whom, and what names and ranges can do.

use anyhow::{Context as _, Result};
use reqwest::multipart::{Form, Part};
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};
use tinybase_tests::{Api, TestServer};

async fn upload_as(api: &Api, query: &str, name: &str, bytes: &[u8]) -> Result<(u16, Value)> {
    let part = Part::bytes(bytes.to_vec()).file_name(name.to_owned());
    let form = Form::new().text("note", "passed over").part("file", part);
    let request = api.request(Method::POST, &format!("/api/files/upload{query}")).multipart(form);
    let response = request.send().await?;
    Ok((response.status().as_u16(), response.json().await?))
}

async fn upload(api: &Api, name: &str, bytes: &[u8]) -> Result<String> {
    let (status, stored) = upload_as(api, "", name, bytes).await?;
    assert_eq!(status, 200, "{stored}");
    Ok(stored["key"].as_str().context("a key")?.to_owned())
}

async fn download(api: &Api, key: &str, headers: &[(&str, &str)]) -> Result<Response> {
    let mut request = api.request(Method::GET, &format!("/api/files/download/{key}"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    Ok(request.send().await?)
}

fn header<'a>(response: &'a Response, name: &str) -> &'a str {
    response.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

#[tokio::test]
async fn a_file_comes_back_as_it_was_and_safe_to_look_at() -> Result<()> {
    let server = TestServer::start().await?;
    let user = server.api.register("a@example.com").await?;
    assert_eq!(user.get("/api/files/status").await?, json!({ "enabled": true }));
    let bytes: Vec<u8> = (0..300_000_u32).map(|number| (number % 251) as u8).collect();
    let (status, stored) = upload_as(&user, "?path_prefix=a/b", "Größe.PNG", &bytes).await?;
    assert_eq!(status, 200, "{stored}");
    let key = stored["key"].as_str().context("a key")?;
    assert!(key.starts_with("a/b/"), "{key}");
    assert_eq!(stored["filename"], "Größe.PNG");
    assert_eq!((&stored["content_type"], &stored["size"]), (&json!("image/png"), &json!(300_000)));
    let response = download(&user, key, &[]).await?;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(header(&response, "content-type"), "image/png");
    assert_eq!(header(&response, "content-length"), "300000");
    assert_eq!(header(&response, "x-content-type-options"), "nosniff");
    let disposition = header(&response, "content-disposition");
    assert!(disposition.starts_with("inline; filename=\"Gr__e.PNG\""), "{disposition}");
    assert_eq!(response.bytes().await?, bytes);
    let page = upload(&user, "page.html", b"<script>alert(1)</script>").await?;
    let response = download(&user, &page, &[]).await?;
    assert!(header(&response, "content-disposition").starts_with("attachment"));
    assert!(header(&response, "content-security-policy").contains("sandbox"));
    server.stop().await
}

#[tokio::test]
async fn parts_and_tags_spare_what_the_client_has() -> Result<()> {
    let server = TestServer::start().await?;
    let user = server.api.register("a@example.com").await?;
    let key = upload(&user, "a.txt", b"0123456789").await?;
    let whole = download(&user, &key, &[]).await?;
    let etag = header(&whole, "etag").to_owned();
    let same = download(&user, &key, &[("if-none-match", &etag)]).await?;
    assert_eq!(same.status(), StatusCode::NOT_MODIFIED);
    for (range, content_range, text) in [
        ("bytes=2-4", "bytes 2-4/10", "234"),
        ("bytes=-3", "bytes 7-9/10", "789"),
        ("bytes=8-100", "bytes 8-9/10", "89"),
    ] {
        let part = download(&user, &key, &[("range", range), ("if-range", &etag)]).await?;
        assert_eq!(part.status(), StatusCode::PARTIAL_CONTENT, "{range}");
        assert_eq!(header(&part, "content-range"), content_range);
        assert_eq!(part.text().await?, text);
    }
    let none = download(&user, &key, &[("range", "bytes=10-")]).await?;
    assert_eq!(none.status(), StatusCode::RANGE_NOT_SATISFIABLE);
    assert_eq!(header(&none, "content-range"), "bytes */10");
    assert_eq!(header(&none, "content-type"), "application/problem+json");
    let other = download(&user, &key, &[("range", "bytes=2-4"), ("if-range", "\"old\"")]).await?;
    assert_eq!((other.status(), other.text().await?.len()), (StatusCode::OK, 10));
    let empty = upload(&user, "empty.txt", b"").await?;
    assert_eq!(download(&user, &empty, &[]).await?.text().await?, "");
    server.stop().await
}

#[tokio::test]
async fn files_are_their_owners() -> Result<()> {
    let server = TestServer::start().await?;
    let (owner, other) =
        (server.api.register("a@example.com").await?, server.api.register("b@example.com").await?);
    let key = upload(&owner, "a.txt", b"mine").await?;
    let path = format!("/api/files/{key}");
    for (api, expected) in [(&server.api, 401), (&other, 404)] {
        assert_eq!(download(api, &key, &[]).await?.status(), expected);
        assert_eq!(api.send(Method::DELETE, &path, None).await?.0, expected);
        let presigned = format!("/api/files/presigned/{key}");
        assert_eq!(api.send(Method::GET, &presigned, None).await?.0, expected);
    }
    assert_eq!(download(&server.admin, &key, &[]).await?.text().await?, "mine");
    assert_eq!(other.get("/api/files").await?["total"], 0);
    assert_eq!(owner.get("/api/files").await?["files"][0]["key"], key.as_str());
    assert_eq!(server.admin.get("/api/files").await?["total"], 1);
    let (_, public) = upload_as(&owner, "?public=true", "logo.png", b"shown").await?;
    let public = public["key"].as_str().context("a key")?;
    assert_eq!(download(&server.api, public, &[]).await?.text().await?, "shown");
    let path = format!("/api/files/{public}");
    assert_eq!(other.send(Method::DELETE, &path, None).await?.0, 403);
    assert_eq!(owner.send(Method::DELETE, &path, None).await?.0, 204);
    assert_eq!(owner.send(Method::DELETE, &path, None).await?.0, 404);
    assert!(!server.folder().join("files").join(public).exists());
    server.stop().await
}

#[tokio::test]
async fn a_signed_address_works_for_anybody_and_only_as_it_is() -> Result<()> {
    let server = TestServer::start().await?;
    let user = server.api.register("a@example.com").await?;
    let key = upload(&user, "a.txt", b"shared").await?;
    let signed = user.get(&format!("/api/files/presigned/{key}?expires_in=60")).await?;
    assert_eq!(signed["expires_in"], 60);
    let url = signed["url"].as_str().context("an address")?;
    assert_eq!(reqwest::get(url).await?.text().await?, "shared");
    let last = url.chars().last().context("a signature")?;
    let changed = format!("{}{}", &url[..url.len() - 1], if last == '0' { '1' } else { '0' });
    assert_eq!(reqwest::get(changed).await?.status(), StatusCode::FORBIDDEN);
    let longer = url.replace("expires=", "expires=9");
    assert_eq!(reqwest::get(longer).await?.status(), StatusCode::FORBIDDEN);
    for seconds in [59, 86_401] {
        let path = format!("/api/files/presigned/{key}?expires_in={seconds}");
        assert_eq!(user.send(Method::GET, &path, None).await?.0, 422);
    }
    user.delete(&format!("/api/files/{key}")).await?;
    assert_eq!(reqwest::get(url).await?.status(), StatusCode::NOT_FOUND);
    server.stop().await
}

#[tokio::test]
async fn no_key_or_prefix_leads_out_of_the_folder_e8() -> Result<()> {
    let server = TestServer::start().await?;
    let user = server.api.register("a@example.com").await?;
    for key in [
        "..%2f..%2ftinybase.toml",
        "%2e%2e/tinybase.toml",
        "a/..%2f..%2f..%2fetc%2fpasswd",
        "%2fetc%2fpasswd",
        "a%00b",
        "a%0d%0aset-cookie:%20x",
        ".uploads/x",
    ] {
        let response = download(&user, key, &[]).await?;
        assert!(response.status().is_client_error(), "{key}: {}", response.status());
        assert!(response.headers().get("set-cookie").is_none());
        let deleted = user.request(Method::DELETE, &format!("/api/files/{key}")).send().await?;
        assert!(deleted.status().is_client_error(), "{key}: {}", deleted.status());
    }
    for prefix in ["..", "a/../../b", "/etc", ".uploads", "download", "a%0ab", "a%2f..%2fb"] {
        let (status, problem) =
            upload_as(&user, &format!("?path_prefix={prefix}"), "a.txt", b"x").await?;
        assert_eq!(status, 400, "{prefix}: {problem}");
    }
    assert_eq!(user.get("/api/files").await?["total"], 0);
    server.stop().await
}

#[tokio::test]
async fn limits_and_quotas_hold_and_leave_nothing_behind() -> Result<()> {
    let server = TestServer::start_with(&[
        ("TINYBASE_FILES_UPLOAD_BYTES_MAX", "1000"),
        ("TINYBASE_FILES_USER_BYTES_MAX", "1500"),
    ])
    .await?;
    let user = server.api.register("a@example.com").await?;
    let (status, problem) = upload_as(&user, "", "a.bin", &[0; 1001]).await?;
    assert_eq!(status, 413, "{problem}");
    let (status, problem) = upload_as(&user, "", "a.bin", &vec![0; 200_000]).await?;
    assert_eq!(status, 413, "{problem}");
    let first = upload(&user, "a.bin", &[0; 1000]).await?;
    let (status, problem) = upload_as(&user, "", "b.bin", &[0; 600]).await?;
    assert_eq!(status, 413, "{problem}");
    user.delete(&format!("/api/files/{first}")).await?;
    upload(&user, "b.bin", &[0; 600]).await?;
    let uploads = std::fs::read_dir(server.folder().join("files/.uploads"))?;
    assert_eq!(uploads.count(), 0);
    server.stop().await
}

#[tokio::test]
async fn only_a_form_with_a_file_is_taken_and_only_from_users() -> Result<()> {
    let server = TestServer::start().await?;
    assert_eq!(upload_as(&server.api, "", "a.txt", b"x").await?.0, 401);
    let (status, _) =
        server.admin.send(Method::POST, "/api/files/upload", Some(&json!({}))).await?;
    assert_eq!(status, 400);
    let form = Form::new().text("other", "x");
    let request = server.admin.request(Method::POST, "/api/files/upload").multipart(form);
    assert_eq!(request.send().await?.status(), 422);
    server.stop().await
}

#[tokio::test]
async fn files_outlive_a_kill_and_half_an_upload_does_not() -> Result<()> {
    let mut server = TestServer::start().await?;
    let key = upload(&server.admin, "a.txt", b"kept").await?;
    std::fs::write(server.folder().join("files/.uploads/half"), b"half an upload")?;
    server.kill().await?;
    server.start_again().await?;
    assert_eq!(download(&server.admin, &key, &[]).await?.text().await?, "kept");
    assert!(!server.folder().join("files/.uploads/half").exists());
    server.stop().await
}
