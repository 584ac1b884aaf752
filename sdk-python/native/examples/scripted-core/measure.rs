//! Measures round trips: `{"measure": {"invocation": …, "calls": 10000, "in_flight": 64}}`.
//!
//! Says how long a call took in the middle (`p50_us`) and at the end of the row (`p99_us`), and
//! how many there were in a second.

use std::collections::HashMap;

use serde_json::{Value, json};
use tinybase_proto::v1;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::{Down, Tap, translate};

/// Runs one measurement.
pub(crate) async fn run(what: &Value, down: &Down, tap: &Tap) -> Value {
    let template = translate::invocation(&what["invocation"]);
    let calls = count(&what["calls"]);
    let in_flight = count(&what["in_flight"]);
    let (sender, mut outcomes) = mpsc::channel(1024);
    set(tap, Some(sender));
    let mut open = HashMap::new();
    let mut times = Vec::with_capacity(calls);
    let began = Instant::now();
    let mut next = 0;
    let mut failed = 0;
    while times.len() < calls {
        let free = in_flight - open.len();
        let batch: Vec<_> = (next..calls.min(next + free))
            .map(|number| v1::Invocation { id: number.to_string(), ..template.clone() })
            .collect();
        next += batch.len();
        if !batch.is_empty() {
            let now = Instant::now();
            open.extend(batch.iter().map(|it| (it.id.clone(), now)));
            let frame = v1::SessionResponse { invocations: batch, ..Default::default() };
            drop(down.send(Ok(frame)).await);
        }
        let Some(list) = outcomes.recv().await else { break };
        for outcome in list {
            failed += usize::from(matches!(
                outcome.result,
                Some(v1::outcome::Result::Fault(_) | v1::outcome::Result::Reject(_))
            ));
            if let Some(start) = open.remove(&outcome.invocation_id) {
                times.push(start.elapsed());
            }
        }
    }
    let took = began.elapsed();
    let done = u32::try_from(times.len()).unwrap_or(u32::MAX);
    set(tap, None);
    times.sort_unstable();
    json!({
        "p50_us": times[times.len() / 2].as_secs_f64() * 1e6,
        "p99_us": times[times.len() * 99 / 100].as_secs_f64() * 1e6,
        "per_second": f64::from(done) / took.as_secs_f64(),
        "failed": failed,
    })
}

fn count(value: &Value) -> usize {
    value.as_u64().and_then(|it| usize::try_from(it).ok()).unwrap_or(1).max(1)
}

fn set(tap: &Tap, sender: Option<mpsc::Sender<Vec<v1::Outcome>>>) {
    *tap.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = sender;
}
