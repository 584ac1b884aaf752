//! From starting a server to its first answer, and the memory it then holds.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tinybase_benches::load::{RawConnection, request};
use tinybase_benches::measure::median;
use tinybase_benches::process::Process;
use tinybase_benches::serve::{initialize, serve};
use tokio::time::Instant;

use crate::pocketbase;
use crate::table::Measurements;

/// How often each server is started.
const ROUNDS: usize = 9;
/// How often the server is asked whether it answers.
const POLL: Duration = Duration::from_millis(2);
const START_TIMEOUT: Duration = Duration::from_secs(30);
/// After this long without work its memory is read.
const IDLE: Duration = Duration::from_secs(3);

/// Milliseconds to the first 200, and megabytes when idle.
struct Started {
    ready_ms: f64,
    memory_mb: f64,
}

/// Starts both on data that is there already, without extensions or hooks.
pub(crate) async fn measure(folder: &Path, into: &mut Measurements) -> Result<()> {
    let (ours, theirs) = (folder.join("start-ours"), folder.join("start-theirs"));
    std::fs::create_dir_all(&theirs)?;
    initialize(&ours, &[])?;
    let (mut by_us, mut by_them) = (Vec::new(), Vec::new());
    for round in 0..=ROUNDS {
        let address = pocketbase::free_address()?;
        let mine = start(serve(&ours, &address)?, &address).await?;
        let address = pocketbase::free_address()?;
        let other = start(pocketbase::serve(&theirs, &address), &address).await;
        // The first start makes what the others find.
        if round > 0 {
            by_us.push(mine);
            match other {
                Ok(other) => by_them.push(other),
                Err(error) => {
                    into.leave_out("starting PocketBase", &error);
                    return Ok(());
                }
            }
        }
    }
    let middle = |side: &[Started], of: fn(&Started) -> f64| {
        median(side.iter().map(of).collect(), f64::total_cmp).context("nothing was measured")
    };
    for (what, unit, of) in [
        ("start to first 200", "ms", (|one| one.ready_ms) as fn(&Started) -> f64),
        ("memory when idle", "MB", |one| one.memory_mb),
    ] {
        into.add_single(what, (middle(&by_us, of)?, middle(&by_them, of)?, unit), (0.5, false));
    }
    Ok(())
}

async fn start(mut command: Command, address: &str) -> Result<Started> {
    let began = Instant::now();
    let process = Process::start(&mut command)?;
    let health = request("GET", "/api/health", None, None);
    let ours = request("GET", "/health", None, None);
    loop {
        ensure!(began.elapsed() < START_TIMEOUT, "{command:?} doesn't answer");
        if let Ok(mut connection) = RawConnection::open(address).await
            && (connection.send(&ours).await.is_ok_and(|answer| answer.status == 200)
                || connection.send(&health).await.is_ok_and(|answer| answer.status == 200))
        {
            break;
        }
        tokio::time::sleep(POLL).await;
    }
    let ready_ms = began.elapsed().as_secs_f64() * 1e3;
    tokio::time::sleep(IDLE).await;
    Ok(Started { ready_ms, memory_mb: memory(process.id())? })
}

/// The memory that a process holds.
fn memory(process: u32) -> Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    let kilobytes: f64 = line.trim().trim_end_matches(" kB").trim().parse()?;
    Ok(kilobytes / 1024.0)
}
