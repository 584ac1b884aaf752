//! A PostgreSQL server that stops, ends sessions, or has neighbours that stand still, and nodes that
//! share one.

use std::cell::{Cell, RefCell};
use std::io::Write as _;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use futures_util::future::try_join_all;
use reqwest::Method;
use serde_json::json;
use tinybase_tests::{Api, PostgresDatabase, PostgresServer, TestServer, wait_until};

const RECORDS: &str = "/api/collections/notes/records";

/// Writes until it is told to stop. What isn't acknowledged may be refused as unavailable, and
/// nothing else.
async fn write(api: &Api, acknowledged: &RefCell<Vec<String>>, going: &Cell<bool>) -> Result<()> {
    while going.get() {
        let body = json!({"data": {"s": "x"}});
        let (status, answer) = api.send(Method::POST, RECORDS, Some(&body)).await?;
        match status.as_u16() {
            201 => {
                acknowledged.borrow_mut().push(answer["id"].as_str().context("an id")?.to_owned());
            }
            // Somebody has to be let in between, or there would be nothing but refusals.
            503 => tokio::task::yield_now().await,
            _ => anyhow::bail!("{status} {answer}"),
        }
    }
    Ok(())
}

async fn check(api: &Api, acknowledged: &[String]) -> Result<()> {
    for id in acknowledged {
        api.get(&format!("{RECORDS}/{id}")).await?;
    }
    Ok(())
}

/// Waits until more is acknowledged than there was.
async fn progress(acknowledged: &RefCell<Vec<String>>, within: Duration) {
    let before = acknowledged.borrow().len();
    wait_until("writes are acknowledged", within, || async {
        acknowledged.borrow().len() > before + 5
    })
    .await;
}

/// Runs something against the database while clients write, and checks what was acknowledged.
async fn while_clients_write(
    server: &TestServer,
    disturb: impl AsyncFnOnce(&RefCell<Vec<String>>) -> Result<()>,
) -> Result<()> {
    let (acknowledged, going) = (RefCell::new(Vec::new()), Cell::new(true));
    let writers = (0..4).map(|_| write(&server.admin, &acknowledged, &going));
    let disturbed = async {
        progress(&acknowledged, Duration::from_secs(20)).await;
        let done = disturb(&acknowledged).await;
        going.set(false);
        done
    };
    let (written, disturbed) = tokio::join!(try_join_all(writers), disturbed);
    disturbed?;
    written?;
    check(&server.admin, &acknowledged.into_inner()).await
}

#[tokio::test]
async fn a_restart_of_the_database_loses_nothing_acknowledged_and_heals_by_itself() -> Result<()> {
    let Some(postgres) = PostgresServer::start()? else { return Ok(()) };
    let database = PostgresDatabase::create_on(&postgres.url)?;
    let server = TestServer::start_on(Some(database), &[]).await?;
    server.admin.make_collection("notes", &["s"]).await?;
    while_clients_write(&server, async |acknowledged| {
        for mode in ["fast", "immediate"] {
            postgres.stop(mode)?;
            postgres.start_again()?;
            progress(acknowledged, Duration::from_secs(20)).await;
        }
        Ok(())
    })
    .await?;
    server.stop().await
}

#[tokio::test]
async fn sessions_that_are_ended_during_writes_lose_nothing_acknowledged() -> Result<()> {
    let Some(database) = PostgresDatabase::create()? else { return Ok(()) };
    let server = TestServer::start_on(Some(database), &[]).await?;
    server.admin.make_collection("notes", &["s"]).await?;
    while_clients_write(&server, async |acknowledged| {
        for _ in 0..20 {
            let ended = server.postgres().context("a database")?.run(
                "select count(pg_terminate_backend(pid)) from pg_stat_activity
                 where datname = current_database() and pid <> pg_backend_pid()",
            )?;
            ensure!(ended != "0", "there was no session to end");
            progress(acknowledged, Duration::from_secs(20)).await;
        }
        Ok(())
    })
    .await?;
    server.stop().await
}

/// A session that began a transaction and stands still in it.
struct Neighbour(Child);

impl Neighbour {
    fn begin(database: &PostgresDatabase, statement: &str) -> Result<Self> {
        let mut child = Command::new("psql")
            .args(["--no-psqlrc", "--quiet", "--dbname", &database.url()])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()?;
        let input = child.stdin.as_mut().context("a pipe")?;
        writeln!(input, "begin;\n{statement};")?;
        input.flush()?;
        Ok(Self(child))
    }

    fn go_on(&mut self, statements: &str) -> Result<()> {
        let input = self.0.stdin.as_mut().context("a pipe")?;
        writeln!(input, "{statements};")?;
        Ok(input.flush()?)
    }

    async fn is_idle(database: &PostgresDatabase) {
        wait_until("the neighbour stands still", Duration::from_secs(20), || async {
            let count = database.run(
                "select count(*) from pg_stat_activity where application_name = 'psql'
                 and datname = current_database() and state = 'idle in transaction'",
            );
            count.is_ok_and(|count| count == "1")
        })
        .await;
    }
}

impl Drop for Neighbour {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[tokio::test]
async fn a_neighbour_that_is_idle_in_a_transaction_holds_up_only_what_it_locked() -> Result<()> {
    let Some(database) = PostgresDatabase::create()? else { return Ok(()) };
    let server = TestServer::start_on(Some(database), &[]).await?;
    server.admin.make_collection("notes", &["s"]).await?;
    let locked = server.admin.post(RECORDS, &json!({"data": {"s": "1"}})).await?;
    let id = locked["id"].as_str().context("an id")?;
    let database = server.postgres().context("a database")?;
    let neighbour = Neighbour::begin(
        database,
        &format!("update records set updated_at = updated_at where id = '{id}'"),
    )?;
    Neighbour::is_idle(database).await;
    let path = format!("{RECORDS}/{id}");
    let body = json!({"data": {"s": "2"}});
    let (status, answer) = server.admin.send(Method::PATCH, &path, Some(&body)).await?;
    ensure!(status == 503, "a locked record: {status} {answer}");
    for _ in 0..10 {
        server.admin.post(RECORDS, &body).await?;
    }
    drop(neighbour);
    wait_until("the lock is gone", Duration::from_secs(20), || async {
        let changed = server.admin.send(Method::PATCH, &path, Some(&body)).await;
        changed.is_ok_and(|(status, _)| status == 200)
    })
    .await;
    server.stop().await
}

#[tokio::test]
async fn two_nodes_share_a_database_and_their_events_have_no_gap() -> Result<()> {
    let Some(database) = PostgresDatabase::create()? else { return Ok(()) };
    let url = database.url();
    let one = TestServer::start_with(&[("TINYBASE_DB_URL", &url)]).await?;
    let two = TestServer::start_with(&[("TINYBASE_DB_URL", &url)]).await?;
    one.admin.make_collection("notes", &["s"]).await?;
    let writes = (0..200).map(|n| {
        let api = if n % 2 == 0 { &one.admin } else { &two.admin };
        async move { api.post(RECORDS, &json!({"data": {"s": n.to_string()}})).await }
    });
    for created in try_join_all(writes).await? {
        let path = format!("{RECORDS}/{}", created["id"].as_str().context("an id")?);
        one.admin.get(&path).await?;
        two.admin.get(&path).await?;
    }
    let gaps = database.run(
        "select (select count(*) from events) - (select max(position) from events),
                (select position from event_head) - (select max(position) from events)",
    )?;
    ensure!(gaps == "0|0", "positions have gaps: {gaps}");
    one.stop().await?;
    two.stop().await
}

/// (D13)
#[tokio::test]
async fn a_deadlock_with_a_neighbour_is_tried_again_and_succeeds() -> Result<()> {
    let Some(database) = PostgresDatabase::create()? else { return Ok(()) };
    let server = TestServer::start_on(Some(database), &[]).await?;
    server.admin.make_collection("notes", &["s"]).await?;
    let mut ids = Vec::new();
    for s in ["a", "b"] {
        let created = server.admin.post(RECORDS, &json!({"data": {"s": s}})).await?;
        ids.push(created["id"].as_str().context("an id")?.to_owned());
    }
    let database = server.postgres().context("a database")?;
    let lock = |id: &str| format!("update records set updated_at = updated_at where id = '{id}'");
    let mut neighbour = Neighbour::begin(database, &lock(&ids[1]))?;
    Neighbour::is_idle(database).await;
    // The server takes the first record and waits for the second, then the neighbour for the first.
    let operations: Vec<_> = ids
        .iter()
        .map(|id| json!({"op": "update", "collection": "notes", "id": id, "data": {"s": "new"}}))
        .collect();
    let body = json!({ "operations": operations });
    let batch = server.admin.send(Method::POST, "/api/batch", Some(&body));
    let meet = async {
        wait_until("the server waits for the lock", Duration::from_secs(20), || async {
            let waiting = database.run(
                "select count(*) from pg_stat_activity where wait_event_type = 'Lock'
                 and datname = current_database() and application_name = 'tinybase writer'",
            );
            waiting.is_ok_and(|count| count == "1")
        })
        .await;
        neighbour.go_on(&format!("{};\ncommit", lock(&ids[0])))
    };
    let (answer, sent) = tokio::join!(batch, meet);
    sent?;
    let (status, answer) = answer?;
    ensure!(status == 200, "{status} {answer}");
    for id in &ids {
        let record = server.admin.get(&format!("{RECORDS}/{id}")).await?;
        ensure!(record["data"]["s"] == "new", "{record}");
    }
    let deadlocks = "select deadlocks from pg_stat_database where datname = current_database()";
    wait_until("the database tells of the deadlock", Duration::from_secs(20), || async {
        database.run(deadlocks).is_ok_and(|count| count == "1")
    })
    .await;
    server.stop().await
}
