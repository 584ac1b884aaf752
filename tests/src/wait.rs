//! Waiting for a state, with a deadline.

use std::time::Duration;

use tokio::time::Instant;

/// How often a state is looked at.
const INTERVAL: Duration = Duration::from_millis(20);

/// Waits until the check gives a value.
///
/// # Panics
/// If it doesn't within the deadline; the message says what was waited for.
pub async fn wait_for<T, F>(what: &str, deadline: Duration, mut check: impl FnMut() -> F) -> T
where
    F: Future<Output = Option<T>>,
{
    let end = Instant::now() + deadline;
    loop {
        if let Some(value) = check().await {
            return value;
        }
        assert!(Instant::now() < end, "waited {deadline:?} in vain: {what}");
        tokio::time::sleep(INTERVAL).await;
    }
}

/// Waits until the check holds.
///
/// # Panics
/// If it doesn't within the deadline; the message says what was waited for.
pub async fn wait_until<F>(what: &str, deadline: Duration, mut check: impl FnMut() -> F)
where
    F: Future<Output = bool>,
{
    wait_for(what, deadline, || {
        let holds = check();
        async move { holds.await.then_some(()) }
    })
    .await;
}
