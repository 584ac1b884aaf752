//! Where the chunks of a streamed result go.

use std::fmt;

use async_trait::async_trait;
use tinybase_model::{Fault, JsonBytes};

/// Takes the chunks of one invocation's result, one after the other.
#[async_trait]
pub trait ChunkSink: fmt::Debug + Send + Sync {
    /// Takes a chunk. While it waits, no further chunks are granted to the extension.
    ///
    /// # Errors
    /// If no more is wanted: the invocation ends like that, and its handler is told to stop.
    async fn put(&self, chunk: JsonBytes) -> Result<(), Fault>;
}
