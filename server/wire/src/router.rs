//! Brings each HTTP/2 request to its gRPC service.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use http::{Request, Response};
use hyper::body::Incoming;
use tinybase_proto::v1::extension_service_server::ExtensionServiceServer;
use tinybase_proto::v1::host_service_server::{HostServiceServer, SERVICE_NAME as HOST_SERVICE};
use tonic::body::Body;
use tonic::codegen::Service as _;

use crate::HostApi;
use crate::host_service::HostDoor;
use crate::peer::Peer;
use crate::service::ExtensionDoor;
use crate::wire::Wire;

/// Both services, for the requests of one connection.
#[derive(Clone)]
pub(crate) struct Router {
    extension: ExtensionServiceServer<ExtensionDoor>,
    host: HostServiceServer<HostDoor>,
    peer: Peer,
}

impl Router {
    pub(crate) fn new(wire: &Wire, host: &Arc<dyn HostApi>) -> Self {
        let size = wire.options().limits.message_bytes_max;
        let extension = ExtensionServiceServer::new(ExtensionDoor::new(wire.clone()));
        let host = HostServiceServer::new(HostDoor::new(wire.clone(), Arc::clone(host)));
        Self {
            extension: extension.max_decoding_message_size(size),
            host: host.max_decoding_message_size(size),
            peer: Peer::new(None),
        }
    }

    /// For the requests of this peer.
    pub(crate) fn with_peer(&self, peer: Peer) -> Self {
        Self { peer, ..self.clone() }
    }
}

impl hyper::service::Service<Request<Incoming>> for Router {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        request.extensions_mut().insert(self.peer);
        // Both services are always ready. What neither of them has is UNIMPLEMENTED.
        let service = request.uri().path().split('/').nth(1);
        if service == Some(HOST_SERVICE) {
            self.host.clone().call(request)
        } else {
            self.extension.clone().call(request)
        }
    }
}
