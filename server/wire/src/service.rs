//! The RPCs that an extension opens to be given work.

use std::sync::Arc;

use tinybase_proto::v1;
use tinybase_proto::v1::extension_service_server::ExtensionService;
use tonic::{Request, Response, Status, Streaming};

use crate::book::{SlotId, TooManySlots};
use crate::core::SessionCore;
use crate::incoming::{read_dispatch, read_session};
use crate::outgoing::SlotStream;
use crate::peer::Peer;
use crate::seat::{Seat, bearer};
use crate::stage::Stage;
use crate::status::Refusal;
use crate::wire::Wire;

/// `ExtensionService`, as the generated code wants it.
#[derive(Debug)]
pub(crate) struct ExtensionDoor {
    wire: Wire,
}

impl ExtensionDoor {
    pub(crate) const fn new(wire: Wire) -> Self {
        Self { wire }
    }

    fn seat<T>(&self, request: &Request<T>) -> Result<Arc<Seat>, Refusal> {
        self.wire.find(bearer(request.metadata())?)
    }
}

#[tonic::async_trait]
impl ExtensionService for ExtensionDoor {
    type SessionStream = SlotStream<v1::SessionResponse>;
    type DispatchStream = SlotStream<v1::DispatchResponse>;

    async fn session(
        &self,
        request: Request<Streaming<v1::SessionRequest>>,
    ) -> Result<Response<Self::SessionStream>, Status> {
        let seat = self.seat(&request)?;
        seat.admit(peer(&request)?).await?;
        let core = Arc::clone(&seat.core);
        if !core.advance(Stage::Expected, Stage::Connected) {
            return Err(Refusal::exists(
                "this process has a session already; open Dispatch for more slots",
            )
            .into());
        }
        let slot = open_slot(&core)?;
        core.desk().own_slot = Some(slot);
        let stream = SlotStream::new(core, slot);
        self.wire.read(Arc::clone(&seat), |options| {
            read_session(seat, slot, request.into_inner(), options)
        });
        Ok(Response::new(stream))
    }

    async fn dispatch(
        &self,
        request: Request<Streaming<v1::DispatchRequest>>,
    ) -> Result<Response<Self::DispatchStream>, Status> {
        let seat = self.seat(&request)?;
        seat.check_again(peer(&request)?)?;
        let slot = open_slot(&seat.core)?;
        let stream = SlotStream::new(Arc::clone(&seat.core), slot);
        self.wire.run(read_dispatch(seat, slot, request.into_inner()));
        Ok(Response::new(stream))
    }
}

/// The process behind a request, as the connection noted it.
pub(crate) fn peer<T>(request: &Request<T>) -> Result<Peer, Refusal> {
    let peer = request.extensions().get::<Peer>().copied();
    peer.ok_or_else(|| Refusal::denied("the connection has no peer credentials"))
}

fn open_slot(core: &SessionCore) -> Result<SlotId, Refusal> {
    core.desk().book.open_slot().map_err(|TooManySlots| {
        Refusal::exhausted(format!(
            "the session has {} slots already (Limits.slots_max); raise the credit of one instead",
            core.limits().slots_max
        ))
    })
}
