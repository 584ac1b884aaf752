//! The loop that turns ticks into runs: it takes what is due, starts what may start, and sleeps
//! until the next time. Each run is a task of its own, so that none delays another.

mod agenda;

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use tinybase_store::StoreError;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::Core;
use agenda::CoreAgenda;

/// How long it sleeps at most: other servers change schedules too, and runs that wait for an
/// extension are looked at again.
const SLEEP_MAX: Duration = Duration::from_secs(1);
/// How long it sleeps at least, so that what can't be taken yet isn't asked for without pause.
const SLEEP_MIN: Duration = Duration::from_millis(100);
/// How long runs have to end once the server stops; their extensions are gone by then.
const STOP_GRACE: Duration = Duration::from_secs(5);

/// A run that has been started and is to be carried out.
pub(crate) type Run = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

/// What the loop works on; the core, or a test's own.
#[async_trait]
pub(crate) trait Agenda: Send + Sync {
    /// The time.
    fn now(&self) -> Timestamp;

    /// How many runs may go on at a time.
    fn runs_max(&self) -> usize;

    /// Takes the ticks that are due.
    async fn take_due(&self) -> Result<(), StoreError>;

    /// Starts runs that may start, at most so many.
    async fn start(&self, most: usize) -> Result<Vec<Run>, StoreError>;

    /// When the next tick or run is due.
    async fn next_at(&self) -> Result<Option<Timestamp>, StoreError>;

    /// Resolves when somebody changed a schedule.
    async fn changed(&self);
}

impl Core {
    /// Runs schedules until `stop`; then runs that go on have a moment to end. To be run once, for
    /// as long as the server runs.
    pub async fn run_schedules(&self, stop: CancellationToken) {
        let agenda = CoreAgenda::new(self.clone());
        tokio::join!(run(&agenda, &stop), self.follow_schedules(&stop));
    }
}

pub(crate) async fn run(agenda: &dyn Agenda, stop: &CancellationToken) {
    let mut running = JoinSet::new();
    while !stop.is_cancelled() {
        let sleep = match step(agenda, &mut running).await {
            Ok(sleep) => sleep,
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "schedules could not be looked at; it is tried again"
                );
                SLEEP_MAX
            }
        };
        // All arms are cancel-safe: what isn't taken stays where it is.
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(sleep) => {}
            () = agenda.changed() => {}
            Some(ended) = running.join_next() => note(ended),
        }
    }
    let ended = async {
        while let Some(ended) = running.join_next().await {
            note(ended);
        }
    };
    if tokio::time::timeout(STOP_GRACE, ended).await.is_err() {
        running.shutdown().await;
    }
}

/// Does what can be done now; how long nothing is to be done.
async fn step(agenda: &dyn Agenda, running: &mut JoinSet<()>) -> Result<Duration, StoreError> {
    while let Some(ended) = running.try_join_next() {
        note(ended);
    }
    agenda.take_due().await?;
    let room = agenda.runs_max().saturating_sub(running.len());
    if room > 0 {
        for run in agenda.start(room).await? {
            running.spawn(run);
        }
    }
    let Some(next) = agenda.next_at().await? else { return Ok(SLEEP_MAX) };
    let left = Duration::try_from(next.duration_since(agenda.now())).unwrap_or(Duration::ZERO);
    Ok(left.clamp(SLEEP_MIN, SLEEP_MAX))
}

fn note(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "the task of a schedule's run failed");
    }
}

#[cfg(test)]
mod tests;
