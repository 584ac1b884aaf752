//! What a durable subscriber costs those who create records: two servers that differ in it alone.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::counter;
use crate::host::DATA;
use crate::measure::{Rate, cpu_time};
use crate::process::ROLE;
use crate::serve::{Connection, Served};

/// How many clients create at the same time.
pub const CONNECTIONS: usize = 16;
/// Creates before a measurement that aren't counted.
const WARM_UP: Duration = Duration::from_millis(300);
/// How long one measurement takes.
const MEASURED: Duration = Duration::from_secs(2);
/// How long the subscriber may take to catch up after a measurement.
const CATCH_UP: Duration = Duration::from_mins(1);

/// Both servers.
#[derive(Debug)]
pub struct Pair {
    runtime: Runtime,
    without: Served,
    with: Subscribed,
}

/// A server with the subscriber.
#[derive(Debug)]
struct Subscribed {
    served: Served,
    /// Asks the extension what it has seen.
    asking: Connection,
    /// The extension's process.
    extension: u32,
    /// How many records were created so far.
    created: u64,
}

/// One measurement with the subscriber.
#[derive(Debug, Clone, Copy)]
pub struct WithSubscriber {
    /// The creates.
    pub rate: Rate,
    /// The share of the records whose events were with the subscriber when the clients stopped.
    pub delivered: f64,
}

impl Pair {
    /// Starts both.
    ///
    /// # Errors
    /// If either can't be started.
    pub fn start(folder: &Path) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (without, with) = runtime.block_on(async {
            let without = Served::start(&folder.join("without")).await?;
            make_collection(&without).await?;
            anyhow::Ok((without, Subscribed::start(folder).await?))
        })?;
        Ok(Self { runtime, without, with })
    }

    /// Measures creates where nobody subscribes.
    ///
    /// # Errors
    /// If one fails.
    pub fn without(&self) -> Result<Rate> {
        let (rate, _) = self.runtime.block_on(create(&self.without, None))?;
        Ok(rate)
    }

    /// Measures creates with a subscriber, then waits until it has seen them all: what is left
    /// to do would slow down the next measurement.
    ///
    /// # Errors
    /// If one fails, or an event doesn't arrive.
    pub fn with(&mut self) -> Result<WithSubscriber> {
        self.runtime.block_on(self.with.create())
    }
}

impl Subscribed {
    async fn start(folder: &Path) -> Result<Self> {
        let served = Served::start(&folder.join("with")).await?;
        make_collection(&served).await?;
        let extension = folder.join(counter::NAME);
        std::fs::create_dir_all(&extension)?;
        let program = std::env::current_exe().context("where am I?")?;
        let manifest = format!(
            "[extension]\nname = {:?}\nversion = \"1.0.0\"\n\n\
             [extension.run]\ncommand = [{:?}, {ROLE:?}, {:?}]\n",
            counter::NAME,
            program.display().to_string(),
            counter::ROLE,
        );
        std::fs::write(extension.join("extension.toml"), manifest)?;
        served.install(&extension)?;
        let mut asking = served.connect().await?;
        let first = count(&mut asking).await.context("the subscriber doesn't answer")?;
        let extension = u32::try_from(first["process"].as_u64().context("no process")?)?;
        Ok(Self { served, asking, extension, created: 0 })
    }

    async fn create(&mut self) -> Result<WithSubscriber> {
        let before = self.created;
        let (rate, created) = create(&self.served, Some(self.extension)).await?;
        self.created += created;
        let deadline = Instant::now() + CATCH_UP;
        let at_once = self.seen().await?;
        let mut seen = at_once;
        while seen < self.created {
            ensure!(Instant::now() < deadline, "of {} events {seen} arrived", self.created);
            tokio::time::sleep(Duration::from_millis(20)).await;
            seen = self.seen().await?;
        }
        let whole = |number: u64| u32::try_from(number).map(f64::from);
        let delivered = whole(at_once.saturating_sub(before))? / whole(created.max(1))?;
        Ok(WithSubscriber { rate, delivered })
    }

    async fn seen(&mut self) -> Result<u64> {
        count(&mut self.asking).await?["count"].as_u64().context("no count")
    }
}

async fn count(connection: &mut Connection) -> Result<Value> {
    let path = format!("/api/functions/{}", counter::COUNT);
    let mut answer = connection.post(&path, &json!({})).await?;
    ensure!(answer["status"] == "succeeded", "the subscriber failed: {answer}");
    Ok(answer["result"].take())
}

async fn make_collection(served: &Served) -> Result<()> {
    let field = json!({ "name": "text", "type": "string" });
    let body = json!({ "name": "notes", "label": "Notes", "schema": { "fields": [field] } });
    served.connect().await?.post("/api/collections", &body).await?;
    Ok(())
}

/// Keeps all connections busy. Gives the rate, and how many records there are more in the end.
async fn create(served: &Served, extension: Option<u32>) -> Result<(Rate, u64)> {
    let (stop, made) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let body = Bytes::from([br#"{"data":"#, DATA, b"}"].concat());
    let mut clients = JoinSet::new();
    for _ in 0..CONNECTIONS {
        let mut connection = served.connect().await?;
        let (stop, made, body) = (Arc::clone(&stop), Arc::clone(&made), body.clone());
        clients.spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                let path = "/api/collections/notes/records";
                let (status, answer) = connection.send(path, body.clone()).await?;
                ensure!(status == hyper::StatusCode::CREATED, "{status} {answer:?}");
                made.fetch_add(1, Ordering::Relaxed);
            }
            anyhow::Ok(())
        });
    }
    let used = || {
        let extension = extension.map(cpu_time).transpose()?.unwrap_or_default();
        anyhow::Ok((cpu_time(served.process())?, extension))
    };
    tokio::time::sleep(WARM_UP).await;
    let (began, before, cpu_before) = (Instant::now(), made.load(Ordering::Relaxed), used()?);
    tokio::time::sleep(MEASURED).await;
    let (took, counted) = (began.elapsed(), made.load(Ordering::Relaxed) - before);
    let (cpu, counted) = (used()?, u32::try_from(counted)?.max(1));
    stop.store(true, Ordering::Relaxed);
    while let Some(client) = clients.join_next().await {
        client??;
    }
    let rate = Rate {
        calls: f64::from(counted) / took.as_secs_f64(),
        host_cpu: cpu.0.saturating_sub(cpu_before.0) / counted,
        extension_cpu: cpu.1.saturating_sub(cpu_before.1) / counted,
    };
    Ok((rate, made.load(Ordering::Relaxed)))
}
