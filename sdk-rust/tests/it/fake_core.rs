//! A core that does what a test tells it, over a real socket.

use std::convert::Infallible;
use std::future::Future;
use std::os::unix::net::UnixListener as StdUnixListener;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Mutex;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::Service;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tempfile::TempDir;
use tinybase_proto::v1;
use tinybase_proto::v1::extension_service_server::{ExtensionService, ExtensionServiceServer};
use tinybase_proto::v1::host_service_server::HostServiceServer;
use tinybase_sdk::client::Options;
use tokio::net::UnixListener;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::body::Body;
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status, Streaming};

use crate::fake_host::FakeHostService;

type Frame = Result<v1::SessionResponse, Status>;

/// Long enough for a busy machine, short enough to notice that nothing comes.
const PATIENCE: Duration = Duration::from_secs(20);

/// The core's side of one session.
pub(crate) struct FakeCore {
    pub(crate) host: FakeHostService,
    folder: TempDir,
    from_extension: mpsc::Receiver<(MetadataMap, v1::SessionRequest)>,
    to_extension: mpsc::Sender<Frame>,
    /// Its own, so that the core can die with all its connections.
    runtime: Option<Runtime>,
}

/// Both services behind one connection.
#[derive(Clone)]
struct Doors {
    sessions: ExtensionServiceServer<Sessions>,
    host: HostServiceServer<FakeHostService>,
}

impl Service<http::Request<Incoming>> for Doors {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn call(&self, request: http::Request<Incoming>) -> Self::Future {
        if request.uri().path().contains("HostService") {
            tower::Service::call(&mut self.host.clone(), request)
        } else {
            tower::Service::call(&mut self.sessions.clone(), request)
        }
    }
}

struct Sessions {
    from_extension: mpsc::Sender<(MetadataMap, v1::SessionRequest)>,
    to_extension: Mutex<Option<mpsc::Receiver<Frame>>>,
}

impl FakeCore {
    /// Listens on a socket in a folder of its own.
    pub(crate) fn start() -> Self {
        let folder = TempDir::new().expect("a folder");
        let listener = StdUnixListener::bind(folder.path().join("core.sock")).expect("a socket");
        listener.set_nonblocking(true).expect("a socket");
        let (from_sender, from_extension) = mpsc::channel(64);
        let (to_extension, to_receiver) = mpsc::channel(64);
        let sessions =
            Sessions { from_extension: from_sender, to_extension: Mutex::new(Some(to_receiver)) };
        let host = FakeHostService::default();
        let doors = Doors { sessions: ExtensionServiceServer::new(sessions), host: host.service() };
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime");
        runtime.spawn(async move {
            let listener = UnixListener::from_std(listener).expect("a socket");
            // There is one extension, and so one connection.
            let (stream, _) = listener.accept().await.expect("a connection");
            let connection = http2::Builder::new(TokioExecutor::new());
            // The end of a connection is what some tests are about.
            drop(connection.serve_connection(TokioIo::new(stream), doors).await);
        });
        let runtime = Some(runtime);
        Self { host, folder, from_extension, to_extension, runtime }
    }

    /// What the core would put into the extension's environment.
    pub(crate) fn options(&self) -> Options {
        Options {
            socket: self.socket(),
            extension: "shop".to_owned(),
            token: "secret".to_owned(),
            version: "1.0.0".to_owned(),
            sdk: "test".to_owned(),
            credit: 8,
            features: vec!["ack".to_owned(), "heartbeat".to_owned()],
        }
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.path().join("core.sock")
    }

    /// The next frame, with the metadata of its stream.
    pub(crate) async fn frame_with_metadata(&mut self) -> (MetadataMap, v1::SessionRequest) {
        let next = timeout(PATIENCE, self.from_extension.recv()).await;
        next.expect("a frame in time").expect("a frame before the end")
    }

    pub(crate) async fn frame(&mut self) -> v1::SessionRequest {
        self.frame_with_metadata().await.1
    }

    /// The next outcome, whatever frames come before it.
    pub(crate) async fn outcome(&mut self) -> v1::Outcome {
        loop {
            if let Some(outcome) = self.frame().await.outcomes.pop() {
                return outcome;
            }
        }
    }

    pub(crate) async fn send(&self, frame: v1::SessionResponse) {
        self.to_extension.send(Ok(frame)).await.expect("a session");
    }

    pub(crate) async fn refuse(&self, status: Status) {
        self.to_extension.send(Err(status)).await.expect("a session");
    }

    /// Welcomes the extension, takes its registration, and waits until it is ready.
    pub(crate) async fn accept(&mut self) -> v1::SessionRequest {
        let first = self.frame().await;
        self.send(welcome()).await;
        assert!(self.frame().await.ready.is_some());
        first
    }

    pub(crate) async fn invoke(&self, invocation: v1::Invocation) {
        let invocations = vec![invocation];
        self.send(v1::SessionResponse { invocations, ..Default::default() }).await;
    }

    /// Ends the session as a core does that stops.
    pub(crate) fn end(&mut self) {
        self.to_extension = mpsc::channel(1).0;
    }

    /// Dies.
    pub(crate) fn die(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Drop for FakeCore {
    fn drop(&mut self) {
        self.die();
    }
}

/// A welcome that also takes the registration.
pub(crate) fn welcome() -> v1::SessionResponse {
    v1::SessionResponse {
        welcome: Some(v1::Welcome {
            protocol: 1,
            features: vec!["ack".to_owned(), "heartbeat".to_owned()],
            limits: Some(v1::Limits {
                message_bytes_max: 4 << 20,
                body_bytes_max: 1024,
                credit_max: 8,
                slots_max: 1,
                heartbeat_interval_ms: 2000,
                heartbeat_timeout_ms: 10_000,
                chunk_bytes_max: 64,
            }),
            config: r#"{"greeting":"Ahoy"}"#.into(),
            server_version: "0.1.0".to_owned(),
            log_level: "debug".to_owned(),
        }),
        registered: Some(v1::Registered { bindings: 1 }),
        ..Default::default()
    }
}

/// A call of a function.
pub(crate) fn call(id: &str, function: &str, input: &str) -> v1::Invocation {
    v1::Invocation {
        id: id.to_owned(),
        event: "function.invoke".to_owned(),
        handler: function.to_owned(),
        timeout_ms: 30_000,
        attempt: 1,
        token: format!("token-of-{id}"),
        traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned(),
        body: Some(v1::invocation::Body::Function(v1::FunctionBody {
            name: function.to_owned(),
            input: input.to_owned().into(),
            ..Default::default()
        })),
        ..Default::default()
    }
}

/// What a call brought, as text.
pub(crate) fn output(outcome: &v1::Outcome) -> String {
    let Some(v1::outcome::Result::Success(success)) = &outcome.result else {
        panic!("not a success: {outcome:?}")
    };
    String::from_utf8(success.output.to_vec()).expect("JSON is text")
}

/// How a call failed.
pub(crate) fn fault(outcome: v1::Outcome) -> v1::Fault {
    let Some(v1::outcome::Result::Fault(fault)) = outcome.result else {
        panic!("not a fault: {outcome:?}")
    };
    fault
}

#[tonic::async_trait]
impl ExtensionService for Sessions {
    type SessionStream = ReceiverStream<Frame>;
    type DispatchStream = ReceiverStream<Result<v1::DispatchResponse, Status>>;

    async fn session(
        &self,
        request: Request<Streaming<v1::SessionRequest>>,
    ) -> Result<Response<Self::SessionStream>, Status> {
        let (metadata, _, mut frames) = request.into_parts();
        let to_extension = self.to_extension.lock().expect("no panic").take();
        let Some(mut to_extension) = to_extension else {
            return Err(Status::already_exists("one session only"));
        };
        let from_extension = self.from_extension.clone();
        let (sender, receiver) = mpsc::channel(64);
        let reader = async move {
            while let Ok(Some(frame)) = frames.message().await {
                if from_extension.send((metadata.clone(), frame)).await.is_err() {
                    break;
                }
            }
        };
        let writer = async move {
            while let Some(frame) = to_extension.recv().await {
                if sender.send(frame).await.is_err() {
                    break;
                }
            }
        };
        #[expect(clippy::disallowed_methods, reason = "the test's runtime ends with the test")]
        {
            tokio::spawn(reader);
            tokio::spawn(writer);
        }
        Ok(Response::new(ReceiverStream::new(receiver)))
    }

    async fn dispatch(
        &self,
        _: Request<Streaming<v1::DispatchRequest>>,
    ) -> Result<Response<Self::DispatchStream>, Status> {
        Err(Status::unimplemented("the SDK uses the session's own stream"))
    }
}
