//! Live changes: what happens to records, told to whoever may see them, from the event log.
//!
//! One task reads the end of the log for all streams; a stream that is behind reads by itself. A
//! stream holds no queue: it takes from the log as fast as its client reads, and its place is all
//! that has to be remembered to go on elsewhere or later.

mod place;
mod seen;
mod stream;
mod tail;

use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use tinybase_model::Position;
use tinybase_store::StoreError;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, watch};
use tokio_util::sync::CancellationToken;

use self::tail::Tail;
use crate::Core;
use crate::problem::{Kind, Problem};
use crate::record::RecordError;

pub(crate) use seen::Sight;
pub use stream::{LiveEvent, LiveQuery, LiveStream, Viewer};

/// The most streams at a time.
const STREAMS_MAX: usize = 1000;
/// The most collections of one stream.
const COLLECTIONS_MAX: usize = 20;
/// How long the reader waits for a hint before it looks for itself.
const POLL_INTERVAL: Duration = Duration::from_millis(500);
/// The most events that are read from the log at once.
const READ_MAX: u32 = 256;

/// Why there is no stream.
#[derive(Debug, Clone, Error)]
pub enum LiveError {
    /// There are too many.
    #[error("there are {STREAMS_MAX} streams already; try again later")]
    TooMany,
    /// It can't be a stream's request.
    #[error("{0}")]
    Query(String),
    /// The records can't be listed.
    #[error(transparent)]
    Records(#[from] RecordError),
    /// Whoever asks isn't known.
    #[error(transparent)]
    User(#[from] crate::UserError),
}

impl From<StoreError> for LiveError {
    fn from(error: StoreError) -> Self {
        Self::Records(error.into())
    }
}

impl Problem for LiveError {
    fn kind(&self) -> Kind {
        match self {
            Self::TooMany => Kind::Overloaded,
            Self::Query(_) => Kind::Invalid,
            Self::Records(error) => error.kind(),
            Self::User(error) => error.kind(),
        }
    }
}

/// What all streams share.
#[derive(Debug)]
pub(crate) struct Live {
    wake: Notify,
    tail: Tail,
    /// How far the tail goes; closed when the server stops.
    head: watch::Sender<Option<Position>>,
    closed: CancellationToken,
    free: Arc<Semaphore>,
}

impl Default for Live {
    fn default() -> Self {
        Self {
            wake: Notify::new(),
            tail: Tail::default(),
            head: watch::Sender::new(None),
            closed: CancellationToken::new(),
            free: Arc::new(Semaphore::new(STREAMS_MAX)),
        }
    }
}

impl Live {
    /// Wakes the reader, because something was committed.
    pub(crate) fn events_committed(&self) {
        self.wake.notify_one();
    }

    fn take_place(&self) -> Result<OwnedSemaphorePermit, LiveError> {
        let place = Arc::clone(&self.free).try_acquire_owned().map_err(|_| LiveError::TooMany)?;
        // The reader may be idle.
        self.wake.notify_one();
        Ok(place)
    }

    fn is_idle(&self) -> bool {
        self.free.available_permits() == STREAMS_MAX
    }
}

impl Core {
    /// Reads the event log for all streams until `stop`, then ends them.
    pub async fn run_live(&self, stop: CancellationToken) {
        let live = &self.inner.live;
        let mut failed = false;
        let mut was_idle = true;
        while !stop.is_cancelled() {
            let is_idle = live.is_idle();
            if !is_idle {
                let result = self.read_tail(was_idle).await;
                if let (Err(error), false) = (&result, failed) {
                    let error = error as &dyn std::error::Error;
                    tracing::warn!(error, "live changes wait until the log can be read again");
                }
                failed = result.is_err();
            }
            was_idle = is_idle || (was_idle && failed);
            tokio::select! {
                () = stop.cancelled() => {}
                () = live.wake.notified(), if !failed => {}
                () = tokio::time::sleep(POLL_INTERVAL), if !is_idle => {}
            }
        }
        live.closed.cancel();
    }

    /// Reads what is new; after a time without streams only where the log ends.
    async fn read_tail(&self, anew: bool) -> Result<(), StoreError> {
        let (store, live) = (&self.inner.store, &self.inner.live);
        if anew {
            let head = store.events_head().await?;
            live.tail.begin(head);
            live.head.send_replace(Some(head));
        }
        loop {
            let events = store.events_after(live.tail.high(), READ_MAX).await?;
            let cut = events.len() >= READ_MAX as usize;
            if !events.is_empty() {
                live.tail.push(events);
                live.head.send_replace(Some(live.tail.high()));
            }
            if !cut {
                return Ok(());
            }
        }
    }
}
