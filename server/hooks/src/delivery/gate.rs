//! How many deliveries of one extension run at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use tinybase_model::{InvokeError, Outcome};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The most deliveries of one extension at once. Requests share its slots, so this is few.
pub(super) const IN_FLIGHT_MAX: u32 = 16;

/// How many answers in a row widen the gate again.
const STREAK: u32 = 8;

/// Lets deliveries of one extension through: several at once while it answers in time, fewer when
/// it doesn't, so that no event runs out of time in the queue for a slot.
#[derive(Debug)]
pub(super) struct Gate {
    semaphore: Arc<Semaphore>,
    /// How many permits one delivery takes.
    width: AtomicU32,
    streak: AtomicU32,
}

impl Default for Gate {
    fn default() -> Self {
        Self {
            semaphore: Arc::new(Semaphore::new(IN_FLIGHT_MAX as usize)),
            width: AtomicU32::new(1),
            streak: AtomicU32::new(0),
        }
    }
}

impl Gate {
    /// Waits for a turn; alone, until no other delivery of the extension runs.
    pub(super) async fn enter(&self, alone: bool) -> OwnedSemaphorePermit {
        let width = if alone { IN_FLIGHT_MAX } else { self.width.load(Ordering::Relaxed) };
        match Arc::clone(&self.semaphore).acquire_many_owned(width).await {
            Ok(permit) => permit,
            Err(_) => unreachable!("the semaphore is never closed"),
        }
    }

    /// Learns from the end of a delivery.
    pub(super) fn learn(&self, end: &Result<Outcome, InvokeError>) {
        let width = self.width.load(Ordering::Relaxed);
        match end {
            Err(InvokeError::TimedOut(_) | InvokeError::Overloaded) => {
                self.streak.store(0, Ordering::Relaxed);
                self.width.store((width * 2).min(IN_FLIGHT_MAX), Ordering::Relaxed);
            }
            Ok(_) if width > 1 => {
                if self.streak.fetch_add(1, Ordering::Relaxed) + 1 >= STREAK {
                    self.streak.store(0, Ordering::Relaxed);
                    self.width.store(width / 2, Ordering::Relaxed);
                }
            }
            Ok(_) | Err(_) => {}
        }
    }
}
