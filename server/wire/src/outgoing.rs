//! A slot's stream towards the extension.
//!
//! There is no queue and no task in between: each poll packs everything that is ready into one
//! frame. A frame never waits for more, so one call alone pays nothing and load batches itself.

use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::Stream;
use tinybase_proto::v1;
use tonic::Status;

use crate::book::SlotId;
use crate::core::SessionCore;
use crate::desk::{Collected, Parcel};

/// The frames of one slot. Dropping it ends the slot, and the session if it is the session's own.
pub(crate) struct SlotStream<F> {
    core: Arc<SessionCore>,
    slot: SlotId,
    ended: bool,
    frame: PhantomData<fn() -> F>,
}

impl<F> SlotStream<F> {
    pub(crate) const fn new(core: Arc<SessionCore>, slot: SlotId) -> Self {
        Self { core, slot, ended: false, frame: PhantomData }
    }
}

impl<F: From<Parcel>> Stream for SlotStream<F> {
    type Item = Result<F, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.ended {
            return Poll::Ready(None);
        }
        match self.core.collect(self.slot, context.waker()) {
            Collected::Parcel(parcel) => Poll::Ready(Some(Ok(F::from(parcel)))),
            Collected::Nothing => Poll::Pending,
            Collected::Ended(refusal) => {
                self.ended = true;
                Poll::Ready(refusal.map(|refusal| Err(refusal.into())))
            }
        }
    }
}

impl<F> Drop for SlotStream<F> {
    fn drop(&mut self) {
        self.core.stream_gone(self.slot);
    }
}

impl From<Parcel> for v1::SessionResponse {
    fn from(parcel: Parcel) -> Self {
        Self {
            welcome: parcel.controls.welcome,
            registered: parcel.controls.registered,
            invocations: parcel.invocations,
            cancels: parcel.cancels,
            drain: parcel.controls.drain,
            ping: parcel.controls.ping,
            grants: parcel.grants,
        }
    }
}

impl From<Parcel> for v1::DispatchResponse {
    /// A slot that isn't the session's own never has controls.
    fn from(parcel: Parcel) -> Self {
        Self { invocations: parcel.invocations, cancels: parcel.cancels, grants: parcel.grants }
    }
}
