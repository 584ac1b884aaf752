//! A function that streams: numbers, one by one, as fast as somebody reads them.
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tinybase_sdk::prelude::*;

#[derive(Deserialize, JsonSchema)]
struct Count {
    /// The last number.
    to: u64,
    /// How much to send beside each number, in bytes.
    #[serde(default)]
    padding: usize,
    /// The number at which it fails.
    fail_at: Option<u64>,
    /// Whether it goes on after the last number, without sending anything.
    #[serde(default)]
    linger: bool,
}

#[derive(Serialize, JsonSchema)]
struct Number {
    n: u64,
    padding: String,
}

#[derive(Default)]
struct Progress {
    sent: AtomicU64,
    cancelled: AtomicU64,
}

async fn count(ctx: Context, input: Count, chunks: Chunks<Number>, seen: Arc<Progress>) -> Result {
    for n in 1..=input.to {
        if input.fail_at == Some(n) {
            return Err(Error::fault("OutOfNumbers", format!("there is no {n}")));
        }
        let sent = chunks.send(&Number { n, padding: "x".repeat(input.padding) }).await;
        if ctx.cancelled().is_cancelled() {
            seen.cancelled.fetch_add(1, Ordering::Relaxed);
        }
        sent?;
        seen.sent.fetch_add(1, Ordering::Relaxed);
    }
    if input.linger {
        ctx.cancelled().cancelled().await;
        seen.cancelled.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}

fn main() -> ExitCode {
    let seen = Arc::new(Progress::default());
    let shown = Arc::clone(&seen);
    Extension::new("streams")
        .add_function(
            Function::streaming("count", move |ctx, input, chunks| {
                count(ctx, input, chunks, Arc::clone(&seen))
            })
            .auth(Auth::Public)
            .description("Numbers from 1 on"),
        )
        .add_function(
            Function::new("counted", move |_ctx, _: Value| {
                let (sent, cancelled) = (&shown.sent, &shown.cancelled);
                let seen = json!({
                    "sent": sent.load(Ordering::Relaxed),
                    "cancelled": cancelled.load(Ordering::Relaxed),
                });
                async move { Ok(seen) }
            })
            .auth(Auth::Public),
        )
        .main()
}
