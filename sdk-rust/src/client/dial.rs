//! From a socket's path to a gRPC channel.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tonic::transport::{Channel, Endpoint};
use tower::service_fn;

use super::ConnectError;

/// Connects once. The channel doesn't dial again: a lost core ends the extension, and a new core
/// knows nothing of this process.
pub(crate) async fn dial(path: &Path) -> Result<Channel, ConnectError> {
    let failed = |source| ConnectError::Dial { path: path.to_owned(), source };
    let stream = UnixStream::connect(path).await.map_err(failed)?;
    let once = Arc::new(Mutex::new(Some(stream)));
    let connector = service_fn(move |_| {
        let stream = once.lock().unwrap_or_else(PoisonError::into_inner).take();
        async move {
            stream.map(TokioIo::new).ok_or_else(|| io::Error::from(io::ErrorKind::NotConnected))
        }
    });
    // The host part becomes `:authority`, in which h2 refuses a socket's path.
    Endpoint::from_static("http://localhost")
        .connect_with_connector(connector)
        .await
        .map_err(|error| ConnectError::Handshake { message: error.to_string() })
}
