//! Calls whose chunks somebody reads as they come.

use tinybase_model::{CallId, Cause, ExtensionName, JsonBytes};
use tinybase_store::CallStatus;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::acting::Acting;
use crate::function::{CallOutcome, FunctionError, Functions};
use crate::function_call::Way;

/// A call that was begun for somebody who can read a result in chunks.
#[derive(Debug)]
pub enum OpenedCall {
    /// The function doesn't stream; it has ended.
    Ended(CallOutcome),
    /// It streams.
    Streaming(StreamedCall),
}

/// A call whose chunks come one by one, and at the end how it ended. Dropped before, it ends as one
/// whose client went away.
#[derive(Debug)]
pub struct StreamedCall {
    call_id: CallId,
    failed_open: Vec<ExtensionName>,
    chunks: mpsc::Receiver<JsonBytes>,
    /// The call runs by itself, so that its time passes although nobody reads.
    running: JoinSet<Result<CallOutcome, FunctionError>>,
}

/// What comes of a streamed call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Streamed {
    /// A part of the result.
    Chunk(JsonBytes),
    /// How it ended; nothing comes after it.
    Ended(CallOutcome),
}

impl Functions<'_> {
    /// Calls a function for somebody who can read a result in chunks. Once it returns, whatever
    /// goes wrong with a function that streams is part of the outcome.
    pub async fn open(
        &self,
        cause: &Cause,
        name: &str,
        input: JsonBytes,
    ) -> Result<OpenedCall, FunctionError> {
        let core = self.core.clone();
        let ready = core.prepare_call(Acting::client(cause), name, input).await?;
        if !ready.streams() {
            return core.perform(ready, Way::Awaited).await.map(OpenedCall::Ended);
        }
        let (call_id, failed_open) = (ready.call_id(), ready.failed_open().to_vec());
        let (reader, chunks) = mpsc::channel(1);
        let mut running = JoinSet::new();
        running.spawn(async move { core.perform_for(ready, Way::Awaited, Some(reader)).await });
        Ok(OpenedCall::Streaming(StreamedCall { call_id, failed_open, chunks, running }))
    }
}

impl StreamedCall {
    /// Extensions whose before-hook could not be asked.
    pub fn failed_open(&self) -> &[ExtensionName] {
        &self.failed_open
    }

    /// What comes next; none after the end.
    pub async fn next(&mut self) -> Option<Streamed> {
        if let Some(chunk) = self.chunks.recv().await {
            return Some(Streamed::Chunk(chunk));
        }
        let outcome = match self.running.join_next().await? {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(error)) => {
                tracing::error!(error = &error as &dyn std::error::Error, "a call was not ended");
                self.lost(error.to_string())
            }
            Err(error) => {
                tracing::error!(%error, "a call's task failed");
                self.lost("something went wrong in the server; its log has the cause".to_owned())
            }
        };
        Some(Streamed::Ended(outcome))
    }

    fn lost(&self, message: String) -> CallOutcome {
        CallOutcome {
            call_id: self.call_id,
            status: CallStatus::Failed,
            result: None,
            error_message: Some(message),
            error_type: Some("ServerError".to_owned()),
            duration_ms: None,
            failed_open: self.failed_open.clone(),
        }
    }
}
