//! The `dynamodb` example and `DynamoDB` Local: what is refused comes again, and whatever is killed,
//! the table ends as the collection is.
//!
//! `DynamoDB` Local comes from Maven; `sdk-python/botowrap/check` fetches it. Without it, or without a
//! JDK, this is left out, and `tests/run` says so.

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Map, Value, json};
use tempfile::TempDir;
use tinybase_tests::{Api, Process, TestServer, checkout, wait_for, wait_until};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

const TABLE: &str = "mirror";
const RECORDS: &str = "/api/collections/orders/records";
const WRITERS: usize = 4;
/// A busy machine starts a JVM slowly.
const START_MAX: Duration = Duration::from_mins(3);

#[tokio::test]
async fn the_mirror_is_the_collection_after_kill_9_of_extension_server_and_dynamodb() -> Result<()>
{
    let Some(mut dynamo) = Dynamo::start().await? else { return Ok(()) };
    let endpoint = format!("http://127.0.0.1:{}", dynamo.port);
    let mut server = TestServer::start_with(&[
        ("DYNAMODB_MIRROR_TABLE", TABLE),
        ("DYNAMODB_MIRROR_REGION", "us-east-1"),
        ("DYNAMODB_MIRROR_ENDPOINT", &endpoint),
        ("DYNAMODB_MIRROR_COLLECTIONS", "orders"),
        ("AWS_ACCESS_KEY_ID", "testing"),
        ("AWS_SECRET_ACCESS_KEY", "testing"),
        ("AWS_EC2_METADATA_DISABLED", "true"),
    ])
    .await?;
    server.admin.make_collection("orders", &["email", "note"]).await?;
    let before = json!({ "data": { "email": "before@example.com" } });
    server.admin.post(RECORDS, &before).await?;
    server.install(&checkout().join("examples/dynamodb")).await?;
    server.wait_for_state("dynamodb", "ready").await;

    a_missing_table_is_said_and_no_event_is_lost(&server, &dynamo).await?;
    // What was there before the extension was has no event.
    let synced = server.admin.post("/api/functions/dynamodb_sync", &json!({})).await?;
    assert_eq!(synced["result"], json!({"written": 1, "unchanged": 1, "deleted": 0, "next": null}));
    wait_until_equal(&server.admin, &dynamo).await;

    let load = Load::default();
    for _ in 0..2 {
        load.during(&server.admin.clone(), kill_extension(&server, &load)).await?;
        load.during(&server.admin.clone(), kill_dynamo(&mut dynamo, &load)).await?;
        load.during(&server.admin.clone(), kill_server(&mut server, &load)).await?;
    }
    assert!(
        load.errors.load(Ordering::Relaxed) <= 2 * WRITERS,
        "only a killed server fails writes"
    );
    wait_until_equal(&server.admin, &dynamo).await;
    let found = server.admin.post("/api/functions/dynamodb_scan_all", &json!({"limit": 3})).await?;
    assert_eq!(found["result"]["count"], 3, "{found}");
    server.stop().await
}

async fn a_missing_table_is_said_and_no_event_is_lost(
    server: &TestServer,
    dynamo: &Dynamo,
) -> Result<()> {
    let pid = server.extension("dynamodb").await?["pid"].clone();
    server.admin.post(RECORDS, &json!({ "data": { "email": "early@example.com" } })).await?;
    wait_until("the log says what to do", Duration::from_mins(1), || async {
        let log = std::fs::read_to_string(server.folder().join("server.log")).unwrap_or_default();
        log.contains("is there a table 'mirror' in this region")
    })
    .await;
    let status = server.extension("dynamodb").await?;
    assert_eq!((&status["state"], &status["pid"]), (&json!("ready"), &pid), "it stays up");
    dynamo.make_table().await?;
    wait_until("the event came again", Duration::from_mins(2), || async {
        dynamo.items().await.is_ok_and(|items| items.len() == 1)
    })
    .await;
    Ok(())
}

async fn kill_extension(server: &TestServer, load: &Load) -> Result<()> {
    load.wait_for_more(60).await;
    let pid = server.extension("dynamodb").await?["pid"].as_u64().context("a pid")?;
    Process(u32::try_from(pid)?).kill()?;
    wait_until("the extension is back", Duration::from_mins(1), || async {
        server
            .extension("dynamodb")
            .await
            .is_ok_and(|status| status["state"] == "ready" && status["pid"].as_u64() != Some(pid))
    })
    .await;
    load.wait_for_more(60).await;
    Ok(())
}

async fn kill_dynamo(dynamo: &mut Dynamo, load: &Load) -> Result<()> {
    load.wait_for_more(60).await;
    dynamo.child.kill().await?;
    load.wait_for_more(60).await;
    dynamo.start_again().await?;
    load.wait_for_more(60).await;
    Ok(())
}

async fn kill_server(server: &mut TestServer, load: &Load) -> Result<()> {
    load.wait_for_more(60).await;
    server.kill().await?;
    server.start_again().await?;
    server.wait_for_state("dynamodb", "ready").await;
    Ok(())
}

/// Clients that create, change and delete records until they are stopped or the server is gone.
#[derive(Default)]
struct Load {
    ids: Mutex<VecDeque<String>>,
    writes: AtomicUsize,
    errors: AtomicUsize,
}

impl Load {
    async fn during(&self, api: &Api, act: impl Future<Output = Result<()>>) -> Result<()> {
        let going = AtomicBool::new(true);
        let writers = join_all((0..WRITERS).map(|_| self.write(api, &going)));
        let act = async {
            let end = act.await;
            going.store(false, Ordering::Relaxed);
            end
        };
        tokio::join!(writers, act).1
    }

    async fn write(&self, api: &Api, going: &AtomicBool) {
        let mut step = 0_usize;
        while going.load(Ordering::Relaxed) {
            step += 1;
            if self.write_once(api, step).await.is_err() {
                self.errors.fetch_add(1, Ordering::Relaxed);
                return;
            }
            self.writes.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Three creations, two changes and a deletion in turn.
    async fn write_once(&self, api: &Api, step: usize) -> Result<()> {
        let data = json!({ "data": { "email": "a@example.com", "note": step.to_string() } });
        let known = match step % 6 {
            3 | 4 => self.lock().back().cloned(),
            5 => self.lock().pop_front(),
            _ => None,
        };
        let Some(id) = known else {
            let created = api.post(RECORDS, &data).await?;
            let id = created["id"].as_str().context("an id")?;
            self.lock().push_back(id.to_owned());
            return Ok(());
        };
        let method = if step % 6 == 5 { Method::DELETE } else { Method::PATCH };
        let body = (method == Method::PATCH).then_some(&data);
        // Another writer may have deleted it, or change it at the same time.
        let (status, answer) = api.send(method, &format!("{RECORDS}/{id}"), body).await?;
        ensure!(status.is_success() || status == 404 || status == 409, "{status} {answer}");
        Ok(())
    }

    async fn wait_for_more(&self, count: usize) {
        let enough = self.writes.load(Ordering::Relaxed) + count;
        wait_until("records are written", Duration::from_mins(1), || async {
            self.writes.load(Ordering::Relaxed) >= enough
        })
        .await;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, VecDeque<String>> {
        self.ids.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

type Rows = BTreeMap<String, Value>;

#[expect(clippy::print_stderr, reason = "says what differs if the wait is in vain")]
async fn wait_until_equal(api: &Api, dynamo: &Dynamo) {
    let records =
        wait_for("the server lists its records", START_MAX, || async { records(api).await.ok() })
            .await;
    let differences = Mutex::new(usize::MAX);
    wait_until("the table is what the collection is", Duration::from_mins(4), || async {
        let Ok(items) = dynamo.items().await else { return false };
        let wrong: Vec<_> = records
            .keys()
            .chain(items.keys())
            .filter(|id| records.get(*id) != items.get(*id))
            .collect();
        let mut known = differences.lock().unwrap_or_else(PoisonError::into_inner);
        if *known != wrong.len() {
            *known = wrong.len();
            let first = wrong.first().map(|id| (records.get(*id), items.get(*id)));
            eprintln!("{} of {} items differ, such as {first:?}", wrong.len(), records.len());
        }
        wrong.is_empty()
    })
    .await;
}

/// All records as the API has them, by id.
async fn records(api: &Api) -> Result<Rows> {
    let mut found = Rows::new();
    loop {
        let page = api.get(&format!("{RECORDS}?limit=1000&offset={}", found.len())).await?;
        let records = page["records"].as_array().context("records")?;
        found.extend(records.iter().filter_map(|record| row(record, &record["data"])));
        if records.len() < 1000 {
            return Ok(found);
        }
    }
}

/// What record and item have in common.
fn row(facts: &Value, data: &Value) -> Option<(String, Value)> {
    let time = |name: &str| {
        let text = facts[name].as_str().unwrap_or_default().trim_end_matches('Z');
        // `.120` and `.12` are one time.
        if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text }
    };
    let row = json!({
        "data": data,
        "owner_id": facts["owner_id"],
        "created_at": time("created_at"),
        "updated_at": time("updated_at"),
    });
    Some((facts["id"].as_str()?.to_owned(), row))
}

/// `DynamoDB` Local in a process of its own that keeps its data in a folder.
struct Dynamo {
    jars: PathBuf,
    folder: TempDir,
    child: Child,
    port: u16,
    client: reqwest::Client,
}

impl Dynamo {
    /// Starts it on a free port; none if the machine lacks it.
    #[expect(clippy::print_stderr, reason = "says that the test is left out")]
    async fn start() -> Result<Option<Self>> {
        let named = std::env::var_os("BOTOWRAP_DYNAMODB_LOCAL").map(PathBuf::from);
        let jars = named.unwrap_or_else(|| checkout().join("target/dynamodb-local"));
        if !jars.is_dir() {
            eprintln!("left out: there is no DynamoDB Local in {}", jars.display());
            return Ok(None);
        }
        let folder = tempfile::tempdir()?;
        let (child, port) = launch(&jars, &folder, 0).await?;
        Ok(Some(Self { jars, folder, child, port, client: reqwest::Client::new() }))
    }

    /// Starts it again with the data and the port that it had.
    async fn start_again(&mut self) -> Result<()> {
        (self.child, self.port) = launch(&self.jars, &self.folder, self.port).await?;
        Ok(())
    }

    async fn make_table(&self) -> Result<()> {
        let body = json!({
            "TableName": TABLE,
            "KeySchema": [
                { "AttributeName": "collection", "KeyType": "HASH" },
                { "AttributeName": "id", "KeyType": "RANGE" },
            ],
            "AttributeDefinitions": [
                { "AttributeName": "collection", "AttributeType": "S" },
                { "AttributeName": "id", "AttributeType": "S" },
            ],
            "BillingMode": "PAY_PER_REQUEST",
        });
        self.call("CreateTable", &body).await.map(drop)
    }

    /// All items but the tombstones, by id.
    async fn items(&self) -> Result<Rows> {
        let mut found = Rows::new();
        let mut request = json!({ "TableName": TABLE, "ConsistentRead": true });
        loop {
            let page = self.call("Scan", &request).await?;
            let items = page["Items"].as_array().context("items")?;
            let living = items.iter().map(plain_map).filter(|item| item["_deleted"] != true);
            found.extend(living.filter_map(|item| row(&item, &item["data"])));
            if page["LastEvaluatedKey"].is_null() {
                return Ok(found);
            }
            request["ExclusiveStartKey"] = page["LastEvaluatedKey"].clone();
        }
    }

    async fn call(&self, operation: &str, body: &Value) -> Result<Value> {
        // It looks for whose the table is, and checks no signature.
        let signature = "AWS4-HMAC-SHA256 Credential=testing/20260101/us-east-1/dynamodb/\
                         aws4_request, SignedHeaders=host, Signature=none";
        let response = self
            .client
            .post(format!("http://127.0.0.1:{}", self.port))
            .header("X-Amz-Target", format!("DynamoDB_20120810.{operation}"))
            .header("Content-Type", "application/x-amz-json-1.0")
            .header("Authorization", signature)
            .body(body.to_string())
            .send()
            .await?;
        let status = response.status();
        let text = response.text().await?;
        ensure!(status.is_success(), "{operation}: {status} {text}");
        Ok(serde_json::from_str(&text)?)
    }
}

async fn launch(jars: &std::path::Path, folder: &TempDir, port: u16) -> Result<(Child, u16)> {
    let jars = jars.display();
    let mut child = Command::new("java")
        .args(["-Xmx256m", "-XX:TieredStopAtLevel=1"])
        .arg(format!("-Djava.library.path={jars}"))
        .args(["-cp", &format!("{jars}/*")])
        .arg(checkout().join("sdk-python/botowrap/tests/dynamodb-local/Loopback.java"))
        .arg(port.to_string())
        .args(["-sharedDb", "-disableTelemetry", "-dbPath"])
        .arg(folder.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .context("start java")?;
    let output = child.stdout.take().context("its output")?;
    let mut lines = BufReader::new(output).lines();
    let printed = async {
        while let Some(line) = lines.next_line().await? {
            if let Ok(port) = line.trim().parse() {
                return Ok(port);
            }
        }
        anyhow::bail!("DynamoDB Local ended before it listened")
    };
    let port =
        tokio::time::timeout(START_MAX, printed).await.context("DynamoDB Local is slow")??;
    Ok((child, port))
}

/// A map of attribute values as JSON has it.
fn plain_map(item: &Value) -> Value {
    let empty = Map::new();
    let entries = item.as_object().unwrap_or(&empty);
    entries.iter().map(|(name, value)| (name.clone(), plain(value))).collect::<Map<_, _>>().into()
}

fn plain(value: &Value) -> Value {
    let Some((code, held)) = value.as_object().and_then(|value| value.iter().next()) else {
        return Value::Null;
    };
    match code.as_str() {
        "M" => plain_map(held),
        "NULL" => Value::Null,
        _ => held.clone(),
    }
}
