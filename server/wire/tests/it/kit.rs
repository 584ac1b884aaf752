//! A served wire, and an extension that says exactly what a test wants it to.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use tempfile::TempDir;
use tinybase_model::{
    Body, EventId, EventKind, ExtensionName, FunctionEvent, Identity, Invocation, InvocationTarget,
    JsonBytes, Limits, LogLevel, Phase, RecordEvent, Registration,
};
use tinybase_proto::v1;
use tinybase_proto::v1::extension_service_client::ExtensionServiceClient;
use tinybase_wire::{Expected, RegisterRefusal, Registrar, Session, Ticket, Wire, WireOptions};
use tokio::net::UnixStream;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status, Streaming};

use crate::fake_host::FakeHost;

/// Long enough for anything that is to happen at all.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Waits for something that has to happen.
pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    timeout(PATIENCE, future).await.unwrap_or_else(|_| panic!("waited in vain for {what}"))
}

/// Waits until a state is reached.
pub(crate) async fn until(what: &str, mut reached: impl FnMut() -> bool) {
    soon(what, async {
        while !reached() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

/// A wire that is served on a socket of its own.
pub(crate) struct TestWire {
    pub(crate) wire: Wire,
    pub(crate) host: Arc<FakeHost>,
    pub(crate) registrar: Arc<FakeRegistrar>,
    path: PathBuf,
    stop: CancellationToken,
    serving: JoinSet<()>,
    _folder: TempDir,
}

impl TestWire {
    pub(crate) fn start() -> Self {
        Self::start_with(Limits::default())
    }

    pub(crate) fn start_with(limits: Limits) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("core.sock");
        let host = Arc::new(FakeHost::default());
        let options = WireOptions {
            limits,
            server_version: "9.8.7".to_owned(),
            log_level: LogLevel::Warning,
        };
        let wire = Wire::new(options, Arc::<FakeHost>::clone(&host));
        let stop = CancellationToken::new();
        let mut serving = JoinSet::new();
        serving.spawn(wire.bind(&path).expect("bound").serve(stop.clone()));
        let registrar = Arc::new(FakeRegistrar::default());
        Self { wire, host, registrar, path, stop, serving, _folder: folder }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Announces this very process as an extension.
    pub(crate) fn expect(&self) -> Expected {
        self.expect_within(PATIENCE)
    }

    pub(crate) fn expect_within(&self, startup_timeout: Duration) -> Expected {
        let expected = self.expect_nobody(startup_timeout);
        expected.allow_process(std::process::id());
        expected
    }

    /// Announces a process and doesn't say which.
    pub(crate) fn expect_nobody(&self, startup_timeout: Duration) -> Expected {
        self.wire.expect(Ticket {
            extension: name(),
            config: JsonBytes::checked(r#"{"color":"blue"}"#.into()).expect("JSON"),
            registrar: Arc::<FakeRegistrar>::clone(&self.registrar),
            startup_timeout,
        })
    }

    pub(crate) async fn client(&self, token: &str) -> Client {
        Client { channel: connect(&self.path).await, token: token.to_owned() }
    }

    /// A session that is ready, with what the extension said in its first frame.
    pub(crate) async fn session(&self, first: v1::SessionRequest) -> (Session, Client, Talk) {
        let expected = self.expect();
        let client = self.client(expected.token()).await;
        let talk = client.session(first).await.expect("a session");
        let session = soon("the handshake", expected.session()).await.expect("ready");
        let mut talk = talk;
        let answer = talk.next().await.expect("an answer");
        assert!(answer.welcome.is_some() && answer.registered.is_some(), "{answer:?}");
        (session, client, talk)
    }

    /// Stops serving, and checks that nothing keeps it from ending.
    pub(crate) async fn stop(mut self) {
        self.stop.cancel();
        soon("the server's end", self.serving.join_next()).await;
        assert!(!self.path.exists(), "the socket file is removed");
    }
}

pub(crate) async fn connect(path: &Path) -> Channel {
    let path = path.to_owned();
    Endpoint::from_static("http://localhost")
        .connect_with_connector(tower::service_fn(move |_| {
            let path = path.clone();
            async move { UnixStream::connect(path).await.map(TokioIo::new) }
        }))
        .await
        .expect("a connection")
}

/// A connection, and the token that it shows.
#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) channel: Channel,
    pub(crate) token: String,
}

impl Client {
    pub(crate) fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        let bearer = format!("Bearer {}", self.token).parse().expect("ASCII");
        request.metadata_mut().insert("authorization", bearer);
        request
    }

    pub(crate) async fn session(&self, first: v1::SessionRequest) -> Result<Talk, Status> {
        let (sender, frames) = mpsc::channel(64);
        sender.send(first).await.expect("there is room");
        let request = self.request(ReceiverStream::new(frames));
        let stub = &mut ExtensionServiceClient::new(self.channel.clone());
        let inbound = soon("headers", stub.session(request)).await?.into_inner();
        Ok(Talk { sender: Some(sender), inbound })
    }

    pub(crate) async fn dispatch(&self, first: v1::DispatchRequest) -> Result<Lane, Status> {
        let (sender, frames) = mpsc::channel(64);
        sender.send(first).await.expect("there is room");
        let request = self.request(ReceiverStream::new(frames));
        let stub = &mut ExtensionServiceClient::new(self.channel.clone());
        let inbound = soon("headers", stub.dispatch(request)).await?.into_inner();
        Ok(Lane { sender, inbound })
    }

    /// A further slot with that credit.
    pub(crate) async fn attach(&self, credit: u32) -> Lane {
        let attach = Some(v1::Attach { credit });
        let first = v1::DispatchRequest { attach, ..Default::default() };
        self.dispatch(first).await.expect("a slot")
    }
}

/// An extension's end of a session.
pub(crate) struct Talk {
    sender: Option<mpsc::Sender<v1::SessionRequest>>,
    inbound: Streaming<v1::SessionResponse>,
}

impl Talk {
    pub(crate) async fn say(&self, frame: v1::SessionRequest) {
        let sender = self.sender.as_ref().expect("not hung up");
        sender.send(frame).await.expect("the stream is open");
    }

    pub(crate) async fn answer(&self, outcome: v1::Outcome) {
        self.say(v1::SessionRequest { outcomes: vec![outcome], ..Default::default() }).await;
    }

    /// The next frame; none at the end.
    pub(crate) async fn try_next(&mut self) -> Result<Option<v1::SessionResponse>, Status> {
        soon("a frame", self.inbound.message()).await
    }

    pub(crate) async fn next(&mut self) -> Result<v1::SessionResponse, Status> {
        self.try_next().await.map(|frame| frame.expect("the stream has not ended"))
    }

    pub(crate) async fn invocation(&mut self) -> v1::Invocation {
        loop {
            let mut frame = self.next().await.expect("a frame");
            if let Some(invocation) = frame.invocations.pop() {
                assert!(frame.invocations.is_empty(), "asked for one at a time");
                return invocation;
            }
        }
    }

    pub(crate) async fn cancel(&mut self) -> v1::Cancel {
        loop {
            if let Some(cancel) = self.next().await.expect("a frame").cancels.pop() {
                return cancel;
            }
        }
    }

    /// How the stream ends, whatever comes before.
    pub(crate) async fn end(&mut self) -> Result<(), Status> {
        while self.try_next().await?.is_some() {}
        Ok(())
    }

    /// Sends no more, as a client that is done.
    pub(crate) fn hang_up(&mut self) {
        self.sender = None;
    }
}

/// An extension's end of a further slot.
pub(crate) struct Lane {
    sender: mpsc::Sender<v1::DispatchRequest>,
    inbound: Streaming<v1::DispatchResponse>,
}

impl Lane {
    pub(crate) async fn answer(&self, outcome: v1::Outcome) {
        let frame = v1::DispatchRequest { outcomes: vec![outcome], ..Default::default() };
        self.sender.send(frame).await.expect("the stream is open");
    }

    pub(crate) async fn try_next(&mut self) -> Result<Option<v1::DispatchResponse>, Status> {
        soon("a frame", self.inbound.message()).await
    }

    pub(crate) async fn invocation(&mut self) -> v1::Invocation {
        let mut frame = self.try_next().await.expect("a frame").expect("not the end");
        frame.invocations.pop().expect("an invocation")
    }
}

/// Takes every registration, or none.
#[derive(Default)]
pub(crate) struct FakeRegistrar {
    pub(crate) refusal: Mutex<Option<String>>,
    pub(crate) taken: Mutex<Vec<Registration>>,
}

impl Registrar for FakeRegistrar {
    fn register(
        &self,
        _extension: &ExtensionName,
        registration: &Registration,
    ) -> Result<(), RegisterRefusal> {
        if let Some(message) = self.refusal.lock().expect("not poisoned").clone() {
            return Err(RegisterRefusal { message });
        }
        self.taken.lock().expect("not poisoned").push(registration.clone());
        Ok(())
    }
}

pub(crate) fn name() -> ExtensionName {
    "probe".parse().expect("a name")
}

pub(crate) fn hello() -> v1::Hello {
    v1::Hello { extension: "probe".to_owned(), ..Default::default() }
}

/// A first frame that says everything, with that credit on the session's own stream.
pub(crate) fn all_at_once(credit: u32) -> v1::SessionRequest {
    v1::SessionRequest {
        hello: Some(v1::Hello { credit: Some(credit), ..hello() }),
        register: Some(v1::Register::default()),
        ready: Some(v1::Ready {}),
        ..Default::default()
    }
}

/// An invocation of the function `work` by an administrator.
pub(crate) fn call(timeout: Duration) -> Invocation {
    let identity = Identity::Operator;
    let input = JsonBytes::checked(r#"{"n":1}"#.into()).expect("JSON");
    let event =
        FunctionEvent::new("work".to_owned(), EventId::generate().uuid().into(), &identity, input);
    Invocation {
        target: InvocationTarget::Function("work".to_owned()),
        timeout,
        attempt: 1,
        event_id: EventId::generate(),
        occurred_at: Timestamp::now(),
        traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned(),
        identity,
        depth: 3,
        body: Body::Function(event),
    }
}

/// An invocation of a hook with a record of that many bytes.
pub(crate) fn record_hook(bytes: usize) -> Invocation {
    let data = JsonBytes::of(&"x".repeat(bytes.saturating_sub(2))).expect("JSON");
    let target = InvocationTarget::Hook {
        event: EventKind::RecordCreate,
        phase: Phase::Before,
        handler: "check".to_owned(),
    };
    let body = Body::Record(RecordEvent {
        collection: "orders".to_owned(),
        record_id: None,
        owner_id: None,
        old_owner_id: None,
        data,
        old_data: None,
        version: 1,
    });
    Invocation { target, body, ..call(PATIENCE) }
}

/// Success without a value.
pub(crate) fn done(invocation: &v1::Invocation) -> v1::Outcome {
    v1::Outcome { invocation_id: invocation.id.clone(), result: None }
}
