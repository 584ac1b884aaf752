//! One invocation from the caller's side: handing it over, waiting, giving up.

use std::sync::Arc;

use tinybase_model::{Invocation, InvokeError, Outcome};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use crate::book::{Abandoned, CancelReason, Full, WorkId};
use crate::convert::invocation_message;
use crate::core::{SessionCore, wake};
use crate::stage::Stage;
use crate::token::InvocationSecret;
use crate::work::{Answer, Work};

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
        Ok((Work { message: Some(message), size, deadline, reply, secret, acting }, answer))
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
