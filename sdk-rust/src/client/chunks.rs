//! The chunks of a result that is sent in parts, as many as the core has room for.

use std::sync::Arc;

use bytes::Bytes;
use thiserror::Error;
use tokio::sync::Semaphore;

use super::outbox::Outbox;

/// Sends the chunks of one invocation's result. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ChunkSender {
    pub(super) outbox: Arc<Outbox>,
    pub(super) invocation_id: String,
    /// A permit for each chunk that was granted and not sent; closed once no more are wanted.
    pub(super) room: Arc<Semaphore>,
}

/// Why a chunk wasn't sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ChunkError {
    /// The answer is no longer wanted, or was given already.
    #[error("nobody wants the result any more")]
    Unwanted,
    /// It is over the core's limit.
    #[error("the chunk has {bytes} bytes of JSON, the limit is {bytes_max}; send smaller ones")]
    TooLarge {
        /// How large it is.
        bytes: usize,
        /// How large it may be.
        bytes_max: usize,
    },
}

impl ChunkSender {
    /// Sends a chunk of JSON as soon as there is room.
    ///
    /// # Errors
    /// If it is too large, or nobody wants it.
    ///
    /// # Cancel safety
    /// Dropping the future sends nothing.
    pub async fn send(&self, value: Bytes) -> Result<(), ChunkError> {
        self.check(&value)?;
        let permit = self.room.acquire().await.map_err(|_| ChunkError::Unwanted)?;
        permit.forget();
        self.outbox.put_chunk(&self.invocation_id, value);
        Ok(())
    }

    /// Sends a chunk of JSON if there is room now. Whether it did.
    ///
    /// # Errors
    /// As [`Self::send`].
    pub fn try_send(&self, value: &Bytes) -> Result<bool, ChunkError> {
        self.check(value)?;
        match self.room.try_acquire() {
            Ok(permit) => permit.forget(),
            Err(_) if self.room.is_closed() => return Err(ChunkError::Unwanted),
            Err(_) => return Ok(false),
        }
        self.outbox.put_chunk(&self.invocation_id, value.clone());
        Ok(true)
    }

    fn check(&self, value: &Bytes) -> Result<(), ChunkError> {
        let (bytes, bytes_max) = (value.len(), self.outbox.chunk_bytes_max());
        if bytes > bytes_max { Err(ChunkError::TooLarge { bytes, bytes_max }) } else { Ok(()) }
    }
}
