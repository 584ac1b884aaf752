//! `tinybase db` and `tinybase backup`, on both databases.

use std::process::Output;

use anyhow::{Context as _, Result, ensure};
use futures_util::stream::iter;
use futures_util::{StreamExt as _, TryStreamExt as _};
use reqwest::Method;
use serde_json::{Value, json};
use tinybase_tests::{Api, PostgresDatabase, TestServer};

const RECORDS: &str = "/api/collections/notes/records";

fn text(output: &Output) -> String {
    let (out, errors) = (&output.stdout, &output.stderr);
    format!("{}{}", String::from_utf8_lossy(out), String::from_utf8_lossy(errors))
}

async fn fill(api: &Api, count: usize) -> Result<Vec<String>> {
    let writes = (0..count).map(|n| async move {
        let body = json!({"data": {"s": format!("it's \"{n}\" ä 🦀 \n")}});
        api.post(RECORDS, &body).await
    });
    let created: Vec<_> = iter(writes).buffered(32).try_collect().await?;
    created.iter().map(|record| Ok(record["id"].as_str().context("an id")?.to_owned())).collect()
}

async fn read(api: &Api, ids: &[String]) -> Result<Vec<Value>> {
    let records = ids.iter().map(|id| async move {
        let mut record = api.get(&format!("{RECORDS}/{id}")).await?;
        record.as_object_mut().context("a record")?.remove("collection_id");
        Ok(record)
    });
    iter(records).buffered(8).try_collect().await
}

async fn done(server: &TestServer, args: &[&str]) -> Result<String> {
    let output = server.cli(args).await?;
    let text = text(&output);
    ensure!(output.status.success(), "{args:?}: {text}");
    Ok(text)
}

async fn refused(server: &TestServer, args: &[&str]) -> Result<String> {
    let output = server.cli(args).await?;
    let text = text(&output);
    ensure!(!output.status.success(), "{args:?}: {text}");
    Ok(text)
}

#[tokio::test]
async fn a_fresh_database_is_up_to_date_and_as_it_should_be() -> Result<()> {
    let mut databases = vec![None];
    databases.extend(PostgresDatabase::create()?.map(Some));
    for database in databases {
        let server = TestServer::start_on(database, &[]).await?;
        let status = done(&server, &["db", "status"]).await?;
        ensure!(status.contains("✓ applied  0001 first"), "{status}");
        ensure!(!status.contains("pending"), "{status}");
        let upgraded = done(&server, &["db", "upgrade"]).await?;
        ensure!(upgraded.contains("is up to date"), "{upgraded}");
        let checked = done(&server, &["db", "check"]).await?;
        ensure!(checked.contains("is as it should be"), "{checked}");
        ensure!(!checked.contains("tinybase@"), "no password: {checked}");
        server.stop().await?;
    }
    Ok(())
}

#[tokio::test]
async fn drift_from_the_schema_is_named() -> Result<()> {
    let Some(database) = PostgresDatabase::create()? else { return Ok(()) };
    let server = TestServer::start_on(Some(database), &[]).await?;
    let database = server.postgres().context("a database")?;
    database.run(
        "drop index records_by_owner;
         drop index record_texts_by_terms;
         alter table users add column shoe_size bigint;
         alter table events alter column depth drop not null;
         create table mine (id bigint)",
    )?;
    let wrong = refused(&server, &["db", "check"]).await?;
    for expected in [
        "the index records.records_by_owner is missing",
        "the index record_texts.record_texts_by_terms is missing",
        "the column users.shoe_size is none of TinyBase's",
        "the column events.depth is \"bigint\" and should be \"bigint not null\"",
        "the column mine.id is none of TinyBase's",
    ] {
        ensure!(wrong.contains(expected), "{expected}: {wrong}");
    }
    server.stop().await
}

#[tokio::test]
async fn a_database_of_a_newer_server_is_refused_with_what_to_do() -> Result<()> {
    let Some(database) = PostgresDatabase::create()? else { return Ok(()) };
    let server = TestServer::start_on(Some(database), &[]).await?;
    server.postgres().context("a database")?.run(
        "insert into _sqlx_migrations (version, description, success, checksum, execution_time)
         values (9999, 'of tomorrow', true, '', 0)",
    )?;
    let status = refused(&server, &["db", "status"]).await?;
    ensure!(status.contains("a newer TinyBase made its schema: it has step 9999"), "{status}");
    let added = refused(&server, &["admin", "add", "b@example.com"]).await?;
    ensure!(added.contains("start that version or a newer one"), "{added}");
    server.stop().await
}

/// A collection with an index over its field.
async fn make_notes(api: &Api) -> Result<()> {
    let fields = json!([{ "name": "s", "type": "string", "index": true, "search": true }]);
    let body = json!({ "name": "notes", "label": "notes", "schema": { "fields": fields } });
    api.post("/api/collections", &body).await.map(drop)
}

/// Whether the database has that index, before any server has started on it.
fn ensure_indexed(database: &PostgresDatabase) -> Result<()> {
    let sql = "select count(*) from pg_indexes where starts_with(indexname, 'f_')";
    let count = database.run(sql)?;
    ensure!(count.trim() == "1", "the copy has {count} indexes over fields");
    Ok(())
}

/// Copies from one kind to the other and back, and looks whether everything is the same.
#[tokio::test]
async fn everything_moves_to_the_other_database_and_back() -> Result<()> {
    let Some(target) = PostgresDatabase::create()? else { return Ok(()) };
    let mut server = TestServer::start_on(None, &[]).await?;
    make_notes(&server.admin).await?;
    let ids = fill(&server.admin, 300).await?;
    server.admin.delete(&format!("{RECORDS}/{}", ids[299])).await?;
    let before = read(&server.admin, &ids[..299]).await?;
    let running = refused(&server, &["db", "copy", &target.url()]).await?;
    ensure!(running.contains("stop the server first"), "{running}");
    server.kill().await?;
    let copied = done(&server, &["db", "copy", &target.url()]).await?;
    ensure!(copied.contains("records: 299 rows"), "{copied}");
    let again = refused(&server, &["db", "copy", &target.url()]).await?;
    ensure!(again.contains("isn't empty"), "{again}");

    ensure_indexed(&target)?;
    let moved = TestServer::start_with(&[("TINYBASE_DB_URL", &target.url())]).await?;
    let same = read(&moved.admin, &ids[..299]).await?;
    ensure!(before == same, "records differ");
    fill(&moved.admin, 10).await?;
    ensure!(searched(&moved.admin).await? == 309, "not all is found that was moved");
    let gaps = target.run("select count(*) - max(position), count(*) from events")?;
    ensure!(gaps.starts_with("0|"), "positions don't go on where they were: {gaps}");
    let checked = done(&moved, &["db", "check"]).await?;
    ensure!(checked.contains("is as it should be"), "{checked}");
    let folder = tempfile::tempdir()?;
    let back = format!("sqlite:{}", folder.path().join("back.db").display());
    moved.stop().await?;
    copy_back(&server, &target.url(), &back).await?;
    let last = TestServer::start_with(&[("TINYBASE_DB_URL", &back)]).await?;
    ensure!(before == read(&last.admin, &ids[..299]).await?, "records differ on the way back");
    ensure!(searched(&last.admin).await? == 309, "not all is found on the way back");
    last.stop().await
}

/// How many notes a search finds.
async fn searched(api: &Api) -> Result<Value> {
    Ok(api.get(&format!("{RECORDS}/count?search=it")).await?["count"].clone())
}

async fn copy_back(server: &TestServer, from: &str, to: &str) -> Result<()> {
    // The data folder of another server, whose database is the one to be moved.
    let folder = tempfile::tempdir()?;
    let data = folder.path().display().to_string();
    std::fs::write(folder.path().join("tinybase.toml"), format!("[database]\nurl = \"{from}\"\n"))?;
    let copied = done(server, &["db", "copy", to, "--data", &data]).await?;
    ensure!(copied.contains("records: 309 rows"), "{copied}");
    ensure!(!copied.contains("postgres:tinybase"), "no password: {copied}");
    Ok(())
}

#[tokio::test]
async fn a_backup_made_during_writes_is_whole_and_can_be_restored() -> Result<()> {
    let mut databases = vec![None];
    databases.extend(PostgresDatabase::create()?.map(Some));
    for database in databases {
        back_up_and_restore(database).await?;
    }
    Ok(())
}

async fn back_up_and_restore(database: Option<PostgresDatabase>) -> Result<()> {
    let is_file = database.is_none();
    let mut server = TestServer::start_on(database, &[]).await?;
    make_notes(&server.admin).await?;
    let ids = fill(&server.admin, 100).await?;
    let before = read(&server.admin, &ids).await?;
    let archive = server.folder().join("backup.zip");
    let archive = archive.display().to_string();
    let create = ["backup", "create", archive.as_str()];
    let (created, written) = tokio::join!(done(&server, &create), fill(&server.admin, 200));
    created?;
    written?;
    let verified = done(&server, &["backup", "verify", &archive]).await?;
    ensure!(verified.contains("is whole"), "{verified}");
    let running = refused(&server, &["backup", "restore", &archive]).await?;
    ensure!(running.contains("stop the server first"), "{running}");

    server.kill().await?;
    if is_file {
        let present = refused(&server, &["backup", "restore", &archive]).await?;
        ensure!(present.contains("--replace"), "{present}");
        let replaced = done(&server, &["backup", "restore", "--replace", &archive]).await?;
        ensure!(replaced.contains("What was there is now in"), "{replaced}");
        server.start_again().await?;
        ensure!(before == read(&server.admin, &ids).await?, "records differ");
        return server.stop().await;
    }
    let full = refused(&server, &["backup", "restore", &archive]).await?;
    ensure!(full.contains("isn't empty"), "{full}");

    // Elsewhere, into a folder of its own and a file.
    let other = tempfile::tempdir()?;
    let data = other.path().display().to_string();
    let url = format!("sqlite:{}", other.path().join("tinybase.db").display());
    let config = format!("[database]\nurl = \"{url}\"\n");
    std::fs::write(other.path().join("tinybase.toml"), config)?;
    let elsewhere = TestServer::start_on(None, &[]).await?;
    done(&elsewhere, &["backup", "restore", &archive, "--data", &data]).await?;
    let target = PostgresDatabase::create()?.context("there was one before")?;
    let third = tempfile::tempdir()?;
    let config = format!("[database]\nurl = \"{}\"\n", target.url());
    std::fs::write(third.path().join("tinybase.toml"), config)?;
    let data_of_third = third.path().display().to_string();
    done(&elsewhere, &["backup", "restore", &archive, "--data", &data_of_third]).await?;
    ensure_indexed(&target)?;
    elsewhere.stop().await?;
    let restored = TestServer::start_with(&[("TINYBASE_DB_URL", &url)]).await?;
    ensure!(before == read(&restored.admin, &ids).await?, "records differ");
    restored.stop().await
}

#[tokio::test]
async fn one_flipped_byte_is_found_in_a_backup_and_in_a_database() -> Result<()> {
    let mut server = TestServer::start_on(None, &[]).await?;
    server.admin.make_collection("notes", &["s"]).await?;
    fill(&server.admin, 200).await?;
    let archive = server.folder().join("backup.zip");
    let name = archive.display().to_string();
    done(&server, &["backup", "create", &name]).await?;
    let mut bytes = std::fs::read(&archive)?;
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&archive, bytes)?;
    let found = refused(&server, &["backup", "verify", &name]).await?;
    ensure!(found.contains("the archive"), "{found}");

    server.kill().await?;
    let checked = done(&server, &["db", "check"]).await?;
    ensure!(checked.contains("as it should be"), "{checked}");
    let file = server.folder().join("tinybase.db");
    let mut bytes = std::fs::read(&file)?;
    // In the middle of each page's header, so that no page is what it was.
    for page in bytes.chunks_exact_mut(4096).skip(1) {
        page[5] ^= 0x40;
    }
    std::fs::write(&file, bytes)?;
    refused(&server, &["db", "check"]).await?;
    server.admin.send(Method::GET, "/health", None).await.err().context("it was killed")?;
    Ok(())
}
