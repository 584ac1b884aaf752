//! One invocation from the caller's side: handing it over, waiting, giving up.

use std::sync::Arc;

use tinybase_model::{Fault, Invocation, InvokeError, Outcome};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout_at};

use crate::ChunkSink;
use crate::book::{Abandoned, CancelReason, Full, WorkId};
use crate::convert::invocation_message;
use crate::core::{SessionCore, wake};
use crate::stage::Stage;
use crate::token::InvocationSecret;
use crate::work::{Answer, ChunkOrFault, Work};

/// What a frame may need besides an invocation's own fields: id, token, timeout and framing.
const FRAME_OVERHEAD: usize = 256;

impl SessionCore {
    /// Gives work to the extension if the session is at that stage, and waits for its end.
    pub(crate) async fn invoke(
        self: &Arc<Self>,
        invocation: Invocation,
        stage: Stage,
    ) -> Result<Outcome, InvokeError> {
        let timeout = invocation.timeout;
        let deadline = Instant::now() + timeout;
        let (work, mut reply) = self.prepare(invocation, deadline)?;
        let id = self.submit(work, stage)?;
        let mut outstanding = Outstanding { core: self, id: Some(id) };
        let answer = timeout_at(deadline, &mut reply).await;
        if answer.is_ok() {
            outstanding.id = None;
        }
        match answer {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(InvokeError::Disconnected),
            Err(_) => {
                outstanding.give_up(CancelReason::Deadline);
                // The outcome may have come between the timer and the lock.
                reply.try_recv().unwrap_or(Err(InvokeError::TimedOut(timeout)))
            }
        }
    }

    /// The same for work whose result comes in chunks, which go to the sink one by one. The time
    /// that the sink takes counts.
    pub(crate) async fn invoke_streaming(
        self: &Arc<Self>,
        invocation: Invocation,
        sink: &dyn ChunkSink,
    ) -> Result<Outcome, InvokeError> {
        let timeout = invocation.timeout;
        let deadline = Instant::now() + timeout;
        let (mut work, reply) = self.prepare(invocation, deadline)?;
        let credit = self.limits().chunk_credit;
        let (sender, chunks) = mpsc::channel(credit as usize + 1);
        work.chunks = Some(sender);
        if let Some(message) = &mut work.message {
            message.chunk_credit = credit;
        }
        let id = self.submit(work, Stage::Open)?;
        let mut outstanding = Outstanding { core: self, id: Some(id) };
        let ended = async {
            self.carry_chunks(id, chunks, sink).await?;
            Ok(reply.await)
        };
        match timeout_at(deadline, ended).await {
            Ok(Ok(answer)) => {
                outstanding.id = None;
                answer.unwrap_or(Err(InvokeError::Disconnected))
            }
            Ok(Err(fault)) => Ok(Outcome::Fault(fault)),
            Err(_) => {
                outstanding.give_up(CancelReason::Deadline);
                Err(InvokeError::TimedOut(timeout))
            }
        }
    }

    /// Hands on all chunks of some work, and grants as many as were taken.
    async fn carry_chunks(
        &self,
        id: WorkId,
        mut chunks: mpsc::Receiver<ChunkOrFault>,
        sink: &dyn ChunkSink,
    ) -> Result<(), Fault> {
        // Not each by itself: a grant costs a frame.
        let batch = (self.limits().chunk_credit / 2).max(1);
        let mut taken = 0;
        while let Some(chunk) = chunks.recv().await {
            sink.put(chunk?).await?;
            taken += 1;
            if taken == batch {
                self.grant_chunks(id, taken);
                taken = 0;
            }
        }
        Ok(())
    }

    fn grant_chunks(&self, id: WorkId, chunks: u32) {
        let mut desk = self.desk();
        let slot = desk.book.grant_chunks(id, chunks);
        let waker = slot.and_then(|slot| desk.waker(slot));
        drop(desk);
        wake(waker);
    }

    fn prepare(
        &self,
        invocation: Invocation,
        deadline: Instant,
    ) -> Result<(Work, oneshot::Receiver<Answer>), InvokeError> {
        let (message, acting) = invocation_message(invocation, self.limits().body_bytes_max)?;
        let size = prost::Message::encoded_len(&message) + FRAME_OVERHEAD;
        if size > self.limits().message_bytes_max {
            return Err(InvokeError::TooLarge { size, limit: self.limits().message_bytes_max });
        }
        let (reply, answer) = oneshot::channel();
        let secret = InvocationSecret::random();
        let message = Some(message);
        Ok((Work { message, size, deadline, reply, chunks: None, secret, acting }, answer))
    }

    fn submit(&self, work: Work, wanted: Stage) -> Result<WorkId, InvokeError> {
        let mut desk = self.desk();
        let stage = self.stage();
        if stage != wanted {
            return Err(InvokeError::NotReady { state: stage.not_ready() });
        }
        let (id, slot) = desk.book.submit(work).map_err(|Full(_)| InvokeError::Overloaded)?;
        let waker = slot.and_then(|slot| desk.waker(slot));
        drop(desk);
        wake(waker);
        Ok(id)
    }

    fn abandon(&self, id: WorkId, reason: CancelReason) {
        let mut desk = self.desk();
        let (unsent, waker) = match desk.book.abandon(id, reason) {
            Abandoned::Unsent(work) => (Some(work), None),
            Abandoned::Held(slot) => (None, desk.waker(slot)),
            Abandoned::Gone => (None, None),
        };
        drop(desk);
        drop(unsent);
        wake(waker);
    }
}

/// Work that somebody waits for. Dropped with the waiting future, it tells the extension.
struct Outstanding<'a> {
    core: &'a SessionCore,
    id: Option<WorkId>,
}

impl Outstanding<'_> {
    fn give_up(&mut self, reason: CancelReason) {
        if let Some(id) = self.id.take() {
            self.core.abandon(id, reason);
        }
    }
}

impl Drop for Outstanding<'_> {
    fn drop(&mut self) {
        self.give_up(CancelReason::ClientGone);
    }
}
