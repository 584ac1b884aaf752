//! Takes the chunks of a function that streams: checked, counted, gathered or handed on.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use tinybase_hooks::{ChunkSink, RegisteredFunction};
use tinybase_model::{Fault, JsonBytes};
use tokio::sync::mpsc;

use crate::Core;
use crate::function_call::Failure;

/// The chunks of one call.
#[derive(Debug)]
pub(crate) struct Intake {
    core: Core,
    function: Arc<RegisteredFunction>,
    /// Who reads them; without one they are gathered.
    reader: Option<mpsc::Sender<JsonBytes>>,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    chunks: u32,
    bytes: u64,
    /// What was gathered, as an array that isn't closed yet.
    array: Vec<u8>,
}

impl Intake {
    pub(crate) fn new(
        core: &Core,
        function: &Arc<RegisteredFunction>,
        reader: Option<mpsc::Sender<JsonBytes>>,
    ) -> Self {
        let taken = Mutex::new(Taken { array: vec![b'['], ..Taken::default() });
        Self { core: core.clone(), function: Arc::clone(function), reader, taken }
    }

    /// All chunks as one array; null if somebody read them.
    pub(crate) fn result(&self) -> Result<JsonBytes, Failure> {
        if self.reader.is_some() {
            return Ok(JsonBytes::null());
        }
        let mut array = std::mem::take(&mut self.lock().array);
        array.push(b']');
        JsonBytes::checked(array.into())
            .map_err(|error| Failure::new("ProtocolError", &format!("the chunks: {error}")))
    }

    /// Counts a chunk, and keeps it if it is gathered.
    fn count(&self, chunk: &JsonBytes) -> Result<(), Failure> {
        let calls = &self.core.inner.options.calls;
        let over = |what: &str, limit: u64| {
            Err(Failure::new("ResultSizeError", &format!("{what}; the limit is {limit}")))
        };
        let mut taken = self.lock();
        taken.chunks = taken.chunks.saturating_add(1);
        if taken.chunks > calls.stream_chunks_max {
            return over("the result has too many chunks", calls.stream_chunks_max.into());
        }
        let size = u64::try_from(chunk.bytes().len()).unwrap_or(u64::MAX);
        taken.bytes = taken.bytes.saturating_add(size);
        if self.reader.is_some() {
            if taken.bytes > calls.stream_bytes_max {
                return over("the chunks have too many bytes", calls.stream_bytes_max);
            }
            return Ok(());
        }
        if taken.array.len() > 1 {
            taken.array.push(b',');
        }
        // The bracket at the end counts.
        if taken.array.len() + chunk.bytes().len() + 1 > calls.result_bytes_max {
            let limit = u64::try_from(calls.result_bytes_max).unwrap_or(u64::MAX);
            return over("the chunks have too many bytes for one result", limit);
        }
        taken.array.extend_from_slice(chunk.bytes());
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl ChunkSink for Intake {
    async fn put(&self, chunk: JsonBytes) -> Result<(), Fault> {
        self.core.check_output_schema(&self.function, &chunk).map_err(fault)?;
        self.count(&chunk).map_err(fault)?;
        let Some(reader) = &self.reader else { return Ok(()) };
        let gone = |_| fault(Failure::new("ClientGone", "nobody reads the result any more"));
        reader.send(chunk).await.map_err(gone)
    }
}

fn fault(Failure { message, kind }: Failure) -> Fault {
    Fault { kind, message, stack: String::new(), retry_after: None }
}
