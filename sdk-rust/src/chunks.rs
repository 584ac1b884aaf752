//! A result in parts, for functions that make it bit by bit.

use std::fmt;
use std::marker::PhantomData;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use serde::Serialize;

use crate::client::{ChunkError, ChunkSender};
use crate::{Context, Error, Result};

/// The most bytes that are gathered for a server that takes no chunks.
const GATHERED_BYTES_MAX: usize = 1 << 20;

/// Where the handler of [`crate::Function::streaming`] puts the parts of its result.
///
/// Each is on its way to the client as soon as it is sent. If the client reads slowly,
/// [`Chunks::send`] waits, so that nobody has to hold what wasn't read.
pub struct Chunks<T> {
    context: Context,
    to: To,
    chunk: PhantomData<fn(T)>,
}

enum To {
    Server(ChunkSender),
    /// The server is older than chunks, or a test wants the whole: they become one array.
    Gathered(Gathered),
}

/// What was gathered instead of sent.
#[derive(Default)]
pub(crate) struct Gathered(Option<Arc<Mutex<Vec<u8>>>>);

impl<T> fmt::Debug for Chunks<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chunks").field("context", &self.context).finish_non_exhaustive()
    }
}

impl<T: Serialize> Chunks<T> {
    pub(crate) fn of(context: &Context) -> (Self, Gathered) {
        let (to, gathered) = if let Some(sender) = context.chunk_sender() {
            (To::Server(sender), Gathered::default())
        } else {
            let array = Arc::new(Mutex::new(vec![b'[']));
            let gathered = Gathered(Some(Arc::clone(&array)));
            (To::Gathered(Gathered(Some(array))), gathered)
        };
        (Self { context: context.clone(), to, chunk: PhantomData }, gathered)
    }

    /// Sends a chunk, and waits as long as there is no room for it.
    ///
    /// # Errors
    /// If nobody wants the result any more: return the error with `?`, and all is told. Or if the
    /// chunk is too large.
    ///
    /// # Cancel safety
    /// Dropping the future sends nothing.
    pub async fn send(&self, chunk: &T) -> Result {
        let json = serde_json::to_vec(chunk)
            .map_err(|error| Error::fault("EncodeError", format!("a chunk: {error}")))?;
        match &self.to {
            To::Server(sender) => sender.send(json.into()).await.map_err(failed),
            To::Gathered(_) if self.context.cancelled().is_cancelled() => {
                Err(failed(ChunkError::Unwanted))
            }
            To::Gathered(gathered) => gathered.add(&json),
        }
    }
}

fn failed(error: ChunkError) -> Error {
    let kind = match error {
        ChunkError::Unwanted => "Cancelled",
        ChunkError::TooLarge { .. } => "OutputTooLarge",
    };
    Error::fault(kind, error.to_string())
}

impl Gathered {
    fn add(&self, json: &[u8]) -> Result {
        let Some(mut array) = self.lock() else { return Ok(()) };
        if array.len() + json.len() > GATHERED_BYTES_MAX {
            let (bytes, bytes_max) = (array.len() + json.len(), GATHERED_BYTES_MAX);
            return Err(failed(ChunkError::TooLarge { bytes, bytes_max }));
        }
        if array.len() > 1 {
            array.push(b',');
        }
        array.extend_from_slice(json);
        Ok(())
    }

    /// The output that stands for the chunks; empty if they were sent.
    pub(crate) fn into_output(self) -> Bytes {
        let Some(mut array) = self.lock() else { return Bytes::new() };
        let mut array = std::mem::take(&mut *array);
        array.push(b']');
        array.into()
    }

    fn lock(&self) -> Option<MutexGuard<'_, Vec<u8>>> {
        let array = self.0.as_ref()?;
        Some(array.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
