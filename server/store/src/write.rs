//! One command for the writer, and how its answer waits for the commit.

use futures_util::future::BoxFuture;
use tokio::sync::oneshot;

use crate::StoreError;
use crate::event::NewEvent;
use crate::sql::Connection;

/// A write: statements that hold together. A refusal is part of the output and writes nothing; an
/// error undoes the command alone.
pub(crate) trait Write: Send + Sync + 'static {
    /// What the caller gets once it is committed.
    type Output: Send + 'static;

    /// Runs the statements. Events that are pushed are appended to the log by the same commit.
    fn apply(
        &self,
        connection: &mut Connection,
        events: &mut Vec<NewEvent>,
    ) -> impl Future<Output = Result<Self::Output, StoreError>> + Send;
}

/// A write of any type, together with whoever waits for it.
pub(crate) trait Job: Send {
    /// Runs the write and keeps its output, or why there is none.
    fn apply<'a>(
        &'a mut self,
        connection: &'a mut Connection,
        events: &'a mut Vec<NewEvent>,
    ) -> BoxFuture<'a, Result<(), StoreError>>;

    /// Forgets the output: it was undone for this reason.
    fn fail(&mut self, error: StoreError);

    /// Answers, now that the transaction has ended.
    fn answer(self: Box<Self>, committed: Result<(), StoreError>);
}

pub(crate) type Reply<T> = oneshot::Sender<Result<T, StoreError>>;

pub(crate) struct Pending<W: Write> {
    write: W,
    output: Option<Result<W::Output, StoreError>>,
    reply: Reply<W::Output>,
}

impl<W: Write> Pending<W> {
    pub(crate) const fn new(write: W, reply: Reply<W::Output>) -> Self {
        Self { write, output: None, reply }
    }
}

impl<W: Write> Job for Pending<W> {
    fn apply<'a>(
        &'a mut self,
        connection: &'a mut Connection,
        events: &'a mut Vec<NewEvent>,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            let output = self.write.apply(connection, events).await;
            let worked = output.as_ref().map(drop).map_err(StoreError::clone);
            self.output = Some(output);
            worked
        })
    }

    fn fail(&mut self, error: StoreError) {
        self.output = Some(Err(error));
    }

    fn answer(self: Box<Self>, committed: Result<(), StoreError>) {
        let answer = match (self.output, committed) {
            (Some(Ok(output)), Ok(())) => Ok(output),
            (Some(Err(error)), _) | (Some(Ok(_)) | None, Err(error)) => Err(error),
            (None, Ok(())) => unreachable!("a commit includes every command"),
        };
        // Whoever asked may have gone away; what was written stays.
        drop(self.reply.send(answer));
    }
}
