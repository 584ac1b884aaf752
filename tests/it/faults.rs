//! Faults of the storage, by the ids of the fault matrix: a full disk, readers that hold the log, steps of
//! the schema that fail, and a restore.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use reqwest::Method;
use serde_json::json;
use tempfile::TempDir;
use tinybase_tests::{PostgresDatabase, TestServer, leave_out, wait_until};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpSocket;

const RECORDS: &str = "/api/collections/notes/records";
const PATIENCE: Duration = Duration::from_secs(30);

/// A small disk of one's own.
struct SmallDisk(TempDir);

impl SmallDisk {
    /// None, and a word about it, for whoever may not mount.
    fn mount(size: &str) -> Result<Option<Self>> {
        let folder = tempfile::tempdir()?;
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"])
            .arg(folder.path())
            .output();
        if mounted.is_ok_and(|mounted| mounted.status.success()) {
            return Ok(Some(Self(folder)));
        }
        leave_out("a full disk", "no file system can be mounted here");
        Ok(None)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("--lazy").arg(self.0.path()).output());
    }
}

/// (D1)
#[tokio::test]
async fn a_full_disk_refuses_writes_keeps_what_was_acknowledged_and_heals() -> Result<()> {
    let Some(disk) = SmallDisk::mount("16m")? else { return Ok(()) };
    let ballast = disk.path("ballast");
    std::fs::write(&ballast, vec![0; 6 << 20])?;
    let url = format!("sqlite:{}", disk.path("tinybase.db").display());
    let mut server = TestServer::start_with(&[("TINYBASE_DB_URL", &url)]).await?;
    server.admin.make_collection("notes", &["s"]).await?;
    let body = json!({ "data": { "s": "x".repeat(100_000) } });
    let (mut acknowledged, mut refused) = (Vec::new(), 0);
    while refused < 10 {
        let (status, answer) = server.admin.send(Method::POST, RECORDS, Some(&body)).await?;
        match status.as_u16() {
            201 => acknowledged.push(answer["id"].as_str().context("an id")?.to_owned()),
            503 => refused += 1,
            _ => anyhow::bail!("{status} {answer}"),
        }
        ensure!(acknowledged.len() < 500, "the disk never fills");
    }
    ensure!(acknowledged.len() > 10, "{} records fit", acknowledged.len());
    // Reads go on, and what was refused isn't there.
    let counted = server.admin.get(&format!("{RECORDS}/count")).await?;
    ensure!(counted["count"] == acknowledged.len(), "{counted}");
    check(&server, &acknowledged).await?;
    std::fs::remove_file(&ballast)?;
    wait_until("writes go on by themselves", PATIENCE, || async {
        let sent = server.admin.send(Method::POST, RECORDS, Some(&body)).await;
        sent.is_ok_and(|(status, _)| status == 201)
    })
    .await;
    server.kill().await?;
    let checked = server.cli(&["db", "check"]).await?;
    ensure!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stdout));
    server.start_again().await?;
    check(&server, &acknowledged).await?;
    server.stop().await
}

async fn check(server: &TestServer, acknowledged: &[String]) -> Result<()> {
    for id in acknowledged {
        let record = server.admin.get(&format!("{RECORDS}/{id}")).await?;
        ensure!(record["data"]["s"].as_str().map(str::len) == Some(100_000), "{id}");
    }
    Ok(())
}

/// (D6)
#[tokio::test]
async fn a_client_that_doesnt_read_keeps_the_log_from_growing_no_more_than_others() -> Result<()> {
    let server = TestServer::start_on(None, &[]).await?;
    let access = json!({ "list": "public" });
    let body = json!({
        "name": "notes", "label": "Notes", "options": { "access": access },
        "schema": { "fields": [{ "name": "s", "type": "string" }] },
    });
    server.admin.post("/api/collections", &body).await?;
    let body = json!({ "data": { "s": "x".repeat(900_000) } });
    for _ in 0..10 {
        server.admin.post(RECORDS, &body).await?;
    }
    let mut stalled = Vec::new();
    for _ in 0..8 {
        let socket = TcpSocket::new_v4()?;
        socket.set_recv_buffer_size(4096)?;
        let address = server.api.base.trim_start_matches("http://").parse()?;
        let mut stream = socket.connect(address).await?;
        let request = format!("GET {RECORDS}?limit=100 HTTP/1.1\r\nhost: x\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        stalled.push(stream);
    }
    for _ in 0..30 {
        server.admin.post(RECORDS, &body).await?;
    }
    let log = std::fs::metadata(server.folder().join("tinybase.db-wal"))?.len();
    ensure!(log < 16 << 20, "the log has {log} bytes after 27 MB more were written");
    drop(stalled);
    server.stop().await
}

/// Runs statements on a file, as an operator with another program would.
fn run_on_file(path: &Path, sql: &str) -> Result<String> {
    let python = std::env::var("TINYBASE_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let script = "import sqlite3, sys\n\
                  base = sqlite3.connect(sys.argv[1])\n\
                  for statement in sys.argv[2].split(';'):\n    rows = base.execute(statement).fetchall()\n\
                  base.commit()\n\
                  print(rows[0][0] if rows else '')";
    let run = Command::new(python).args(["-c", script]).arg(path).arg(sql).output()?;
    ensure!(run.status.success(), "{sql}: {}", String::from_utf8_lossy(&run.stderr));
    Ok(String::from_utf8_lossy(&run.stdout).trim().to_owned())
}

/// (D11) The last step makes three columns. One of the others is there already, so it fails in the middle.
const OBSTACLE: &str = "delete from _sqlx_migrations where version = 7;
     alter table subscriptions drop column node;
     alter table subscriptions drop column held_until";

#[tokio::test]
async fn a_step_of_the_schema_that_fails_leaves_nothing_behind_and_says_so() -> Result<()> {
    for database in [None, PostgresDatabase::create()?] {
        let mut server = TestServer::start_on(database, &[]).await?;
        server.admin.make_collection("notes", &["s"]).await?;
        let kept = server.admin.post(RECORDS, &json!({ "data": { "s": "kept" } })).await?;
        server.kill().await?;
        let file = server.folder().join("tinybase.db");
        let run = |sql: &str| match server.postgres() {
            Some(database) => database.run(sql),
            None => run_on_file(&file, sql),
        };
        run(OBSTACLE)?;
        for args in [&["serve", "--port", "0"][..], &["db", "upgrade"], &["admin", "add", "b@c.de"]]
        {
            let output = server.cli(args).await?;
            let errors = String::from_utf8_lossy(&output.stderr);
            ensure!(!output.status.success(), "{args:?} succeeds");
            ensure!(errors.contains("a step of its schema could not be applied"), "{errors}");
            ensure!(errors.contains("fence") && !errors.contains("panicked"), "{errors}");
        }
        let steps = "select count(*) from _sqlx_migrations where version = 7";
        ensure!(run(steps)? == "0", "the step counts as applied");
        run("select node from subscriptions").expect_err("half of the step is there");
        let status = server.cli(&["db", "status"]).await?;
        let status = String::from_utf8_lossy(&status.stdout).into_owned();
        ensure!(status.contains("pending"), "{status}");
        // With the obstacle gone the next start goes on.
        run("alter table subscriptions drop column fence")?;
        server.start_again().await?;
        let id = kept["id"].as_str().context("an id")?;
        let read = server.admin.get(&format!("{RECORDS}/{id}")).await?;
        ensure!(read["data"]["s"] == "kept", "{read}");
        server.stop().await?;
    }
    Ok(())
}

/// (D12)
#[tokio::test]
async fn after_a_restore_places_of_before_are_void_and_their_readers_are_told() -> Result<()> {
    let mut server = TestServer::start_on(None, &[]).await?;
    server.admin.make_collection("notes", &["s"]).await?;
    let write = async |server: &TestServer, s: &str| {
        server.admin.post(RECORDS, &json!({ "data": { "s": s } })).await
    };
    write(&server, "before").await?;
    let archive = server.folder().join("backup.zip").display().to_string();
    let created = server.cli(&["backup", "create", &archive]).await?;
    ensure!(created.status.success(), "{}", String::from_utf8_lossy(&created.stderr));
    for n in 0..5 {
        write(&server, &format!("lost {n}")).await?;
    }
    let (place, _) = listen(&server, None).await?;
    server.kill().await?;
    let restored = server.cli(&["backup", "restore", "--replace", &archive]).await?;
    ensure!(restored.status.success(), "{}", String::from_utf8_lossy(&restored.stderr));
    server.start_again().await?;
    // The numbers of the lost events are given to others: without an epoch the reader would miss these.
    for n in 0..8 {
        write(&server, &format!("new {n}")).await?;
    }
    let (fresh, told) = listen(&server, Some(&place)).await?;
    ensure!(told.contains("event: reset"), "{told}");
    ensure!(fresh.split('-').next() != place.split('-').next(), "{place} {fresh}");
    let (_, told) = listen(&server, Some(&fresh)).await?;
    ensure!(!told.contains("event: reset"), "{told}");
    server.stop().await
}

/// Opens a stream after a place; the place where it begins, and what was said of it.
async fn listen(server: &TestServer, after: Option<&str>) -> Result<(String, String)> {
    let mut request = server.admin.request(Method::GET, &format!("{RECORDS}/events"));
    if let Some(after) = after {
        request = request.header("last-event-id", after);
    }
    let mut stream = request.send().await?;
    let mut text = String::new();
    loop {
        let chunk = tokio::time::timeout(PATIENCE, stream.chunk()).await.context("nothing")??;
        text.push_str(std::str::from_utf8(&chunk.context("it ended")?)?);
        if let Some((block, _)) = text.split_once("\n\n") {
            let id = block.lines().find_map(|line| line.strip_prefix("id:")).context("no id")?;
            return Ok((id.trim().to_owned(), block.to_owned()));
        }
    }
}
