//! Dialling the core with stock stubs.

use std::env;

use anyhow::Context;
use hyper_util::rt::TokioIo;
use tinybase_proto::v1::extension_service_client::ExtensionServiceClient;
use tinybase_proto::v1::{SessionRequest, SessionResponse};
use tokio::net::UnixStream;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Streaming};

/// A session as stubs see it: frames up, frames down.
pub(crate) struct Link {
    /// Frames to the core.
    pub(crate) up: mpsc::Sender<SessionRequest>,
    /// Frames from the core.
    pub(crate) down: Streaming<SessionResponse>,
}

/// The name that the core gave this process.
pub(crate) fn extension() -> anyhow::Result<String> {
    env::var("TINYBASE_EXTENSION").context("TINYBASE_EXTENSION isn't set")
}

/// Opens a session whose first frame is this one.
pub(crate) async fn open(first: SessionRequest, token: &str) -> anyhow::Result<Link> {
    let channel = dial().await?;
    let (up, frames) = mpsc::channel(16);
    up.send(first).await?;
    let mut request = Request::new(ReceiverStream::new(frames));
    request.metadata_mut().insert("authorization", format!("Bearer {token}").parse()?);
    let mut client = ExtensionServiceClient::new(channel).max_encoding_message_size(usize::MAX);
    let down = client.session(request).await?.into_inner();
    Ok(Link { up, down })
}

async fn dial() -> anyhow::Result<Channel> {
    let connector =
        tower::service_fn(|_| async { UnixStream::connect("core.sock").await.map(TokioIo::new) });
    Ok(Endpoint::from_static("http://localhost").connect_with_connector(connector).await?)
}
