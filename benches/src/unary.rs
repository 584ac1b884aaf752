//! Plain unary gRPC into the extension: the extension serves, the host calls.
//!
//! `HostService.CallFunction` stands in for "a call with 64 bytes each way"; only its messages
//! matter here. The Python server answers with bytes put together by hand, which spares it
//! protobuf and so makes the comparison harder for us.

use std::convert::Infallible;
use std::path::Path;
use std::process::Command;
use std::task::{Context, Poll};

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use hyper_util::rt::TokioIo;
use tinybase_proto::v1;
use tinybase_proto::v1::host_service_client::HostServiceClient;
use tokio::net::{UnixListener, UnixStream};
use tokio::runtime::Runtime;
use tokio_stream::wrappers::UnixListenerStream;
use tonic::body::Body;
use tonic::codegen::{BoxFuture, Service, http};
use tonic::server::{Grpc, NamedService, UnaryService};
use tonic::transport::{Channel, Endpoint, Server};
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;

use crate::measure::{Latency, Rate, lone, rate};
use crate::process::Process;

/// The role of the serving process.
pub const ROLE: &str = "unary";

/// Serves unary calls until it is killed.
///
/// # Errors
/// If the socket can't be bound.
pub async fn serve(socket: &Path) -> Result<()> {
    let listener = UnixListener::bind(socket).context("failed to bind the server's socket")?;
    Server::builder()
        .add_service(EchoServer)
        .serve_with_incoming(UnixListenerStream::new(listener))
        .await
        .context("failed to serve")
}

/// What generated code would be for a service with this one method.
#[derive(Debug, Clone, Copy)]
struct EchoServer;

/// The method.
struct Echo;

impl NamedService for EchoServer {
    const NAME: &'static str = "tinybase.extension.v1.HostService";
}

impl UnaryService<v1::CallFunctionRequest> for Echo {
    type Response = v1::CallFunctionResponse;
    type Future = BoxFuture<Response<Self::Response>, Status>;

    fn call(&mut self, request: Request<v1::CallFunctionRequest>) -> Self::Future {
        let output = request.into_inner().input;
        let response = v1::CallFunctionResponse { output, ..Default::default() };
        Box::pin(async move { Ok(Response::new(response)) })
    }
}

impl Service<http::Request<Body>> for EchoServer {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Self::Error>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        Box::pin(async move {
            let mut grpc = Grpc::new(ProstCodec::default());
            Ok(grpc.unary(Echo, request).await)
        })
    }
}

/// A client of a unary server in another process, on a runtime of its own.
#[derive(Debug)]
pub struct Unary {
    runtime: Runtime,
    client: HostServiceClient<Channel>,
    process: Process,
}

impl Unary {
    /// The server in Rust, by tonic.
    ///
    /// # Errors
    /// If it can't be started.
    pub fn rust(folder: &Path) -> Result<Self> {
        let socket = folder.join("unary.sock");
        Self::start(Process::role(ROLE)?.arg(&socket), &socket)
    }

    /// The server in Python, by grpcio.
    ///
    /// # Errors
    /// If it can't be started.
    pub fn python(python: &Path, folder: &Path) -> Result<Self> {
        let socket = folder.join("grpcio.sock");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("python/grpcio_unary.py");
        Self::start(Command::new(python).arg(script).arg(&socket), &socket)
    }

    fn start(command: &mut Command, socket: &Path) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let mut process = Process::start(command)?;
        let client = runtime.block_on(async {
            process.listens(socket).await?;
            let client = HostServiceClient::new(connect(socket).await?);
            client.clone().call_function(request()).await.context("the first call failed")?;
            anyhow::Ok(client)
        })?;
        Ok(Self { runtime, client, process })
    }

    /// Measures calls one at a time.
    ///
    /// # Errors
    /// If a call fails.
    pub fn lone(&self) -> Result<Latency> {
        let mut client = self.client.clone();
        self.runtime
            .block_on(lone(async || echoed(&client.call_function(request()).await?.into_inner())))
    }

    /// Measures many calls in flight.
    ///
    /// # Errors
    /// If a call fails.
    pub fn rate(&self) -> Result<Rate> {
        self.runtime.block_on(rate(self.process.id(), || {
            let client = self.client.clone();
            move || {
                let mut client = client.clone();
                async move { echoed(&client.call_function(request()).await?.into_inner()) }
            }
        }))
    }
}

/// An answer without the 64 bytes is no call that was measured.
fn echoed(response: &v1::CallFunctionResponse) -> Result<()> {
    ensure!(response.output == request().input, "the answer is not the echo");
    Ok(())
}

fn request() -> v1::CallFunctionRequest {
    let input = Bytes::from_static(&[b'1'; 64]);
    v1::CallFunctionRequest { name: String::new(), input }
}

async fn connect(socket: &Path) -> Result<Channel> {
    let socket = socket.to_owned();
    let channel = Endpoint::from_static("http://localhost")
        .connect_with_connector(tower::service_fn(move |_| {
            let socket = socket.clone();
            async move { UnixStream::connect(socket).await.map(TokioIo::new) }
        }))
        .await?;
    Ok(channel)
}
