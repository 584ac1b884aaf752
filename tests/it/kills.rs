//! `kill -9` of the server during writes, two hundred times on each database: what was acknowledged
//! is there, and nothing is there by half.

use std::cell::RefCell;
use std::collections::HashMap;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use futures_util::StreamExt as _;
use futures_util::future::try_join_all;
use futures_util::stream::iter;
use reqwest::Method;
use serde_json::{Value, json};
use tinybase_tests::{Api, PostgresDatabase, TestServer, wait_until};

const KILLS: usize = 200;
const CLIENTS: usize = 6;
const RECORDS: &str = "/api/collections/ledger/records";

/// What the server has acknowledged: the records by id, and the last count of the counter.
#[derive(Default)]
struct Acknowledged {
    records: HashMap<String, String>,
    count: u64,
    /// All that was ever sent, so that what is there beyond it would be noticed.
    sent: u64,
}

#[tokio::test]
async fn two_hundred_kills_lose_nothing_on_sqlite() -> Result<()> {
    two_hundred_kills(TestServer::start_on(None, &[]).await?).await
}

#[tokio::test]
async fn two_hundred_kills_lose_nothing_on_postgresql() -> Result<()> {
    let Some(database) = PostgresDatabase::create()? else { return Ok(()) };
    two_hundred_kills(TestServer::start_on(Some(database), &[]).await?).await
}

async fn two_hundred_kills(mut server: TestServer) -> Result<()> {
    server.admin.make_collection("ledger", &["a", "b"]).await?;
    let counter = server.admin.post(RECORDS, &json!({"data": {"a": "0", "b": "0"}})).await?;
    let counter = id(&counter)?;
    let all = RefCell::new(Acknowledged::default());
    for round in 0..KILLS {
        let before = all.borrow().records.len();
        write_until_killed(&mut server, &all, &counter, round).await?;
        server.start_again().await?;
        let fresh: Vec<_> = all.borrow().records.clone().into_iter().collect();
        ensure!(fresh.len() > before, "round {round} wrote nothing");
        check_counter(&server.admin, &counter, &all).await?;
        // All of them at the end and now and then, the latest rounds' by the counts of each round.
        if round % 20 == 19 || round + 1 == KILLS {
            check_records(&server.admin, fresh).await?;
        }
    }
    let all = all.into_inner();
    let (records, events) = counts(&server)?;
    ensure!(records == events, "{records} records, and {events} events that say so");
    ensure!(records > all.records.len() as u64, "the counter and all that was acknowledged");
    ensure!(records <= all.sent + 1, "{records} records, and only {} were sent", all.sent);
    report(&server, &all, records);
    server.stop().await
}

#[expect(clippy::print_stderr, reason = "the count is part of the result")]
fn report(server: &TestServer, all: &Acknowledged, records: u64) {
    let database = if server.postgres().is_some() { "PostgreSQL" } else { "SQLite" };
    eprintln!(
        "{database}: {KILLS} kills, {} records and {} changes acknowledged, none missing; \
         {records} records, each whole and with its event",
        all.records.len(),
        all.count,
    );
}

/// Clients create and change records until the server dies, at another moment in each round.
async fn write_until_killed(
    server: &mut TestServer,
    all: &RefCell<Acknowledged>,
    counter: &str,
    round: usize,
) -> Result<()> {
    let api = server.admin.clone();
    let start = all.borrow().records.len();
    let enough = start + 1 + (round * 7) % 40;
    let writers = (0..CLIENTS).map(|client| create(api.clone(), all, format!("{round}-{client}")));
    let kill = async {
        wait_until("clients are writing", Duration::from_secs(30), || async {
            all.borrow().records.len() >= enough
        })
        .await;
        for _ in 0..(round % 11) * 20 {
            tokio::task::yield_now().await;
        }
        server.kill().await
    };
    let counting = count(api.clone(), all, counter);
    let (creating, counting, killed) = tokio::join!(try_join_all(writers), counting, kill);
    creating?;
    counting?;
    killed
}

async fn create(api: Api, all: &RefCell<Acknowledged>, name: String) -> Result<()> {
    for number in 0.. {
        let text = format!("{name}-{number}");
        let body = json!({"data": {"a": text, "b": format!("{text}{}", "x".repeat(500))}});
        all.borrow_mut().sent += 1;
        match api.send(Method::POST, RECORDS, Some(&body)).await {
            Ok((status, created)) if status == 201 => {
                all.borrow_mut().records.insert(id(&created)?, text);
            }
            Ok((status, answer)) => bail!("{status} {answer}"),
            Err(_) => return Ok(()),
        }
    }
    Ok(())
}

/// Counts up in one record, in two fields at once.
async fn count(api: Api, all: &RefCell<Acknowledged>, counter: &str) -> Result<()> {
    let path = format!("{RECORDS}/{counter}");
    loop {
        let next = all.borrow().count + 1;
        let body = json!({"data": {"a": next.to_string(), "b": next.to_string()}});
        match api.send(Method::PATCH, &path, Some(&body)).await {
            Ok((status, _)) if status == 200 => all.borrow_mut().count = next,
            Ok((status, answer)) => bail!("{status} {answer}"),
            Err(_) => return Ok(()),
        }
    }
}

async fn check_counter(api: &Api, counter: &str, all: &RefCell<Acknowledged>) -> Result<()> {
    let found = api.get(&format!("{RECORDS}/{counter}")).await?;
    let data = &found["data"];
    ensure!(data["a"] == data["b"], "half a change: {data}");
    let count: u64 = data["a"].as_str().context("a count")?.parse()?;
    let known = all.borrow().count;
    // The last change may have been committed without an answer.
    ensure!(count == known || count == known + 1, "{count} instead of {known}");
    all.borrow_mut().count = count;
    Ok(())
}

async fn check_records(api: &Api, expected: Vec<(String, String)>) -> Result<()> {
    let mut checks = iter(expected)
        .map(|(id, text)| async move {
            let found = api.get(&format!("{RECORDS}/{id}")).await?;
            let data = &found["data"];
            ensure!(data["a"] == json!(text), "{id} has {data}");
            ensure!(data["b"] == json!(format!("{text}{}", "x".repeat(500))), "{id} has {data}");
            Ok(())
        })
        .buffer_unordered(16);
    while let Some(checked) = checks.next().await {
        checked?;
    }
    Ok(())
}

fn id(record: &Value) -> Result<String> {
    Ok(record["id"].as_str().context("an id")?.to_owned())
}

/// How many records there are, and how many events say that one was created.
fn counts(server: &TestServer) -> Result<(u64, u64)> {
    let records = "select count(*) from records";
    let events = "select count(*) from events where kind = 'record.create'";
    if let Some(database) = server.postgres() {
        return Ok((database.run(records)?.parse()?, database.run(events)?.parse()?));
    }
    let script = format!(
        "import sqlite3, sys\n\
         database = sqlite3.connect(sys.argv[1])\n\
         print(database.execute('pragma integrity_check').fetchone()[0])\n\
         print(database.execute({records:?}).fetchone()[0])\n\
         print(database.execute({events:?}).fetchone()[0])"
    );
    let python = std::env::var("TINYBASE_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let file = server.folder().join("tinybase.db");
    let output = Command::new(python).args(["-c", &script]).arg(file).output()?;
    let text = String::from_utf8(output.stdout)?;
    let [intact, records, events] = text.lines().collect::<Vec<_>>()[..] else {
        bail!("{text}{}", String::from_utf8_lossy(&output.stderr));
    };
    ensure!(intact == "ok", "the file is damaged: {intact}");
    Ok((records.parse()?, events.parse()?))
}
