//! Files in a bucket: when they go there, what of them stays when something fails, and what is said.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use reqwest::multipart::{Form, Part};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tinybase_tests::{Api, Moto, TestServer, wait_until};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const BUCKET: &str = "tinybase-files";
const SECRET: &str = "hunter2-hunter2";
const MIB: usize = 1 << 20;
const SOON: Duration = Duration::from_secs(30);

/// The settings of a bucket at a service.
fn storage(moto: &Moto, bucket: &str) -> Value {
    json!({
        "storage_enabled": true,
        "storage_url": moto.url(),
        "storage_bucket": bucket,
        "storage_region": "us-east-1",
        "storage_access_key": "AKIAEXAMPLE",
        "storage_secret_key": SECRET,
    })
}

async fn set(server: &TestServer, settings: Value) -> Result<Value> {
    server.admin.patch("/api/admin/settings", &settings).await
}

async fn try_upload(api: &Api, bytes: Vec<u8>) -> Result<(StatusCode, Value)> {
    let form = Form::new().part("file", Part::bytes(bytes).file_name("a.bin"));
    let request = api.request(Method::POST, "/api/files/upload").multipart(form);
    let response = request.send().await?;
    Ok((response.status(), response.json().await?))
}

async fn upload(api: &Api, bytes: Vec<u8>) -> Result<String> {
    let (status, stored) = try_upload(api, bytes).await?;
    ensure!(status == 200, "{status} {stored}");
    Ok(stored["key"].as_str().context("a key")?.to_owned())
}

async fn download(api: &Api, key: &str, range: &str) -> Result<(StatusCode, Vec<u8>)> {
    let request = api.request(Method::GET, &format!("/api/files/download/{key}"));
    let request = if range.is_empty() { request } else { request.header("range", range) };
    let response = request.send().await?;
    Ok((response.status(), response.bytes().await?.to_vec()))
}

fn some_bytes(count: usize) -> Vec<u8> {
    (0..=250_u8).cycle().take(count).collect()
}

async fn total(server: &TestServer) -> Result<Value> {
    Ok(server.admin.get("/api/files").await?["total"].clone())
}

fn log(server: &TestServer) -> String {
    std::fs::read_to_string(server.folder().join("server.log")).unwrap_or_default()
}

/// A file on its way, of which a client has sent a half.
struct HalfUpload {
    stream: TcpStream,
    rest: Vec<u8>,
}

impl HalfUpload {
    async fn begin(api: &Api, count: usize, sent: usize) -> Result<Self> {
        let request = api.request(Method::POST, "/api/files/upload").build()?;
        let token = request.headers()["authorization"].to_str()?.to_owned();
        let address = api.base.trim_start_matches("http://");
        let mut body =
            b"--x\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a.bin\"\r\n\r\n"
                .to_vec();
        body.extend(some_bytes(count));
        body.extend(b"\r\n--x--\r\n");
        let head = format!(
            "POST /api/files/upload HTTP/1.1\r\nhost: {address}\r\nauthorization: {token}\r\n\
             content-type: multipart/form-data; boundary=x\r\ncontent-length: {}\r\n\
             connection: close\r\n\r\n",
            body.len()
        );
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(head.as_bytes()).await?;
        stream.write_all(&body[..sent]).await?;
        Ok(Self { stream, rest: body.split_off(sent) })
    }

    async fn end(mut self) -> Result<String> {
        self.stream.write_all(&self.rest).await?;
        let mut answer = String::new();
        self.stream.read_to_string(&mut answer).await?;
        Ok(answer)
    }
}

async fn wait_for_a_part(moto: &Moto) {
    wait_until("the first part is there", SOON, || async {
        moto.parts(BUCKET).await.is_ok_and(|parts| parts == 1)
    })
    .await;
}

async fn wait_for_nothing(moto: &Moto) {
    wait_until("nothing is left in the bucket", SOON, || async {
        let (uploads, keys) = (moto.uploads(BUCKET).await, moto.keys(BUCKET).await);
        uploads.is_ok_and(|uploads| uploads == 0) && keys.is_ok_and(|keys| keys.is_empty())
    })
    .await;
}

#[tokio::test]
async fn files_go_to_the_bucket_while_the_settings_say_so_and_stay_where_they_are() -> Result<()> {
    let Some(moto) = Moto::start().await? else { return Ok(()) };
    moto.make_bucket(BUCKET).await?;
    moto.make_bucket("another-one").await?;
    let server = TestServer::start().await?;
    let user = server.api.register("a@example.com").await?;
    let local = upload(&user, b"in the folder".to_vec()).await?;
    let shown = set(&server, storage(&moto, BUCKET)).await?;
    assert!(!shown.to_string().contains(SECRET) && !shown.to_string().contains("AKIA"), "{shown}");

    let large = some_bytes(12 * MIB + 7);
    let small_key = upload(&user, b"0123456789".to_vec()).await?;
    let large_key = upload(&user, large.clone()).await?;
    let empty_key = upload(&user, Vec::new()).await?;
    let mut expected = vec![small_key.clone(), large_key.clone(), empty_key.clone()];
    expected.sort();
    assert_eq!(moto.keys(BUCKET).await?, expected);
    assert!(!server.folder().join("files").join(&small_key).exists());
    assert!(download(&user, &large_key, "").await? == (StatusCode::OK, large.clone()));
    assert_eq!(download(&user, &empty_key, "").await?, (StatusCode::OK, Vec::new()));
    assert_eq!(download(&user, &local, "").await?.1, b"in the folder");
    let part = download(&user, &large_key, "bytes=5242870-5242889").await?;
    assert_eq!(part, (StatusCode::PARTIAL_CONTENT, large[5_242_870..=5_242_889].to_vec()));
    let signed = user.get(&format!("/api/files/presigned/{small_key}")).await?;
    let url = signed["url"].as_str().context("an address")?;
    assert!(url.starts_with(&server.api.base), "an address of this server: {url}");
    assert_eq!(reqwest::get(url).await?.text().await?, "0123456789");

    // Another bucket, then none: what is there already is still read and deleted.
    set(&server, json!({ "storage_bucket": "another-one" })).await?;
    let other = upload(&user, b"elsewhere".to_vec()).await?;
    set(&server, json!({ "storage_enabled": false })).await?;
    let back = upload(&user, b"in the folder again".to_vec()).await?;
    assert!(server.folder().join("files").join(&back).exists());
    assert_eq!(moto.keys("another-one").await?, [other.as_str()]);
    assert_eq!(download(&user, &small_key, "bytes=2-4").await?.1, b"234");
    let archive = server.folder().join("backup.zip").display().to_string();
    for command in ["create", "verify"] {
        let output = server.cli(&["backup", command, &archive]).await?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            text.contains("Not in the archive: 3 file(s) in the bucket tinybase-files"),
            "{text}"
        );
        assert!(text.contains("Not in the archive: 1 file(s) in the bucket another-one"), "{text}");
    }
    for key in [&small_key, &large_key, &empty_key, &other, &back, &local] {
        user.delete(&format!("/api/files/{key}")).await?;
    }
    wait_for_nothing(&moto).await;
    assert_eq!(moto.keys("another-one").await?, Vec::<String>::new());
    assert!(!log(&server).contains(SECRET) && !log(&server).contains("AKIAEXAMPLE"));
    server.stop().await
}

#[tokio::test]
async fn a_bucket_that_cannot_be_used_is_a_problem_that_says_what_to_check() -> Result<()> {
    let Some(mut moto) = Moto::start().await? else { return Ok(()) };
    let server = TestServer::start().await?;
    let admin = &server.admin;
    set(&server, storage(&moto, "no-such-bucket")).await?;
    let (status, problem) = try_upload(admin, b"x".to_vec()).await?;
    assert_eq!(status, 503, "{problem}");
    assert_eq!(problem["type"], "https://tinybase.dev/problems/unavailable");
    let detail = problem["detail"].to_string();
    assert!(detail.contains("doesn't exist") && detail.contains("storage_bucket"), "{detail}");

    // Something else than a service of this kind, such as this server itself.
    set(&server, json!({ "storage_url": server.api.base })).await?;
    let (status, problem) = try_upload(admin, b"x".to_vec()).await?;
    assert_eq!(status, 503, "{problem}");
    let detail = problem["detail"].to_string();
    assert!(detail.contains("storage_url"), "{detail}");

    moto.make_bucket(BUCKET).await?;
    set(&server, storage(&moto, BUCKET)).await?;
    let key = upload(admin, b"kept".to_vec()).await?;
    moto.refuse(true).await?;
    let download_path = format!("/api/files/download/{key}");
    for (status, problem) in [
        try_upload(admin, b"x".to_vec()).await?,
        try_upload(admin, some_bytes(6 * MIB)).await?,
        admin.send(Method::GET, &download_path, None).await?,
    ] {
        assert_eq!(status, 503, "{problem}");
        assert!(problem["detail"].to_string().contains("storage_secret_key"), "{problem}");
    }
    moto.refuse(false).await?;
    assert_eq!(download(admin, &key, "").await?.1, b"kept");

    moto.kill().await?;
    for (status, problem) in [
        try_upload(admin, b"x".to_vec()).await?,
        admin.send(Method::GET, &download_path, None).await?,
    ] {
        assert_eq!(status, 503, "{problem}");
        assert!(problem["detail"].to_string().contains("can't be reached"), "{problem}");
        assert!(!problem.to_string().contains("127.0.0.1"), "no internals: {problem}");
    }
    // Deleting is promised, and done later.
    admin.delete(&format!("/api/files/{key}")).await?;
    assert_eq!(total(&server).await?, 0);
    assert!(!log(&server).contains(SECRET) && !log(&server).contains("AKIAEXAMPLE"));

    set(&server, json!({ "storage_bucket": null, "storage_enabled": false })).await?;
    assert_eq!(try_upload(admin, b"x".to_vec()).await?.0, 200, "into the folder");
    server.stop().await
}

#[tokio::test]
async fn a_service_that_dies_within_an_upload_leaves_no_file_and_is_used_again() -> Result<()> {
    let Some(mut moto) = Moto::start().await? else { return Ok(()) };
    moto.make_bucket(BUCKET).await?;
    let server = TestServer::start_with(&[("TINYBASE_FILES_USER_BYTES_MAX", "15000000")]).await?;
    let user = server.api.register("a@example.com").await?;
    set(&server, storage(&moto, BUCKET)).await?;
    let half = HalfUpload::begin(&user, 12 * MIB, 6 * MIB).await?;
    wait_for_a_part(&moto).await;
    moto.kill().await?;
    let answer = half.end().await?;
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    assert!(answer.contains("can't be reached"), "{answer}");
    assert_eq!(total(&server).await?, 0);
    moto.start_again().await?;
    moto.make_bucket(BUCKET).await?;
    // What is left of the first takes no room from its owner.
    wait_until("there is room again", SOON, || async {
        try_upload(&user, some_bytes(12 * MIB)).await.is_ok_and(|(status, _)| status == 200)
    })
    .await;
    assert_eq!(moto.keys(BUCKET).await?.len(), 1);
    server.stop().await
}

#[tokio::test]
async fn clients_that_go_away_and_limits_leave_nothing_in_the_bucket() -> Result<()> {
    let Some(moto) = Moto::start().await? else { return Ok(()) };
    moto.make_bucket(BUCKET).await?;
    let server = TestServer::start_with(&[
        ("TINYBASE_FILES_UPLOAD_BYTES_MAX", "14000000"),
        ("TINYBASE_FILES_USER_BYTES_MAX", "8000000"),
        // In the place of keys in the settings.
        ("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE"),
        ("AWS_SECRET_ACCESS_KEY", SECRET),
    ])
    .await?;
    let user = server.api.register("a@example.com").await?;
    let mut settings = storage(&moto, BUCKET);
    settings.as_object_mut().context("an object")?.retain(|name, _| !name.ends_with("_key"));
    set(&server, settings).await?;
    let half = HalfUpload::begin(&user, 12 * MIB, 6 * MIB).await?;
    wait_for_a_part(&moto).await;
    drop(half);
    wait_for_nothing(&moto).await;
    let (status, problem) = try_upload(&user, some_bytes(14 * MIB)).await?;
    assert_eq!(status, 413, "over the limit of a file: {problem}");
    let (status, problem) = try_upload(&user, some_bytes(9 * MIB)).await?;
    assert_eq!(status, 413, "over the quota, which shows at the end: {problem}");
    wait_for_nothing(&moto).await;
    let key = upload(&user, some_bytes(7 * MIB)).await?;
    let (status, problem) = try_upload(&user, some_bytes(MIB)).await?;
    assert_eq!(status, 413, "over the quota, before anything is sent: {problem}");
    assert_eq!(moto.keys(BUCKET).await?, [key]);
    server.stop().await
}

#[tokio::test]
async fn a_server_that_dies_within_an_upload_cleans_up_when_it_is_back() -> Result<()> {
    let Some(moto) = Moto::start().await? else { return Ok(()) };
    moto.make_bucket(BUCKET).await?;
    let mut server = TestServer::start().await?;
    set(&server, storage(&moto, BUCKET)).await?;
    let half = HalfUpload::begin(&server.admin, 12 * MIB, 6 * MIB).await?;
    wait_for_a_part(&moto).await;
    server.kill().await?;
    drop(half);
    grow_old(&server)?;
    server.start_again().await?;
    wait_for_nothing(&moto).await;
    assert_eq!(total(&server).await?, 0);
    server.stop().await
}

/// Makes an upload so old that it can't be under way any more.
fn grow_old(server: &TestServer) -> Result<()> {
    const SQL: &str = "update files set changed_at = 0";
    if let Some(database) = server.postgres() {
        return database.run(SQL).map(drop);
    }
    let python = std::env::var("TINYBASE_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let script =
        "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute(sys.argv[2]); c.commit()";
    let database = server.folder().join("tinybase.db");
    let ran = Command::new(python).args(["-c", script]).arg(database).arg(SQL).status()?;
    ensure!(ran.success(), "{ran}");
    Ok(())
}
