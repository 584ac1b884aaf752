//! An extension with stock stubs: it registers a function that echoes its input, or never answers.

use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::Context;
use hyper_util::rt::TokioIo;
use tinybase_proto::v1::extension_service_client::ExtensionServiceClient;
use tinybase_proto::v1::invocation::Body;
use tinybase_proto::v1::outcome::Result as Ending;
use tinybase_proto::v1::{
    FunctionBinding, Hello, HookBinding, Invocation, Outcome, Ready, Register, SessionRequest,
    Success,
};
use tokio::net::UnixStream;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Request;
use tonic::transport::Endpoint;

/// Plays the extension: `__extension echo` or `__extension hang`.
pub(crate) const ARGUMENT: &str = "__extension";

/// What it says when it leaves by itself.
pub(crate) const LAST_WORD: &str = "left by itself";

/// Takes work until the session ends.
pub(crate) fn play() -> ExitCode {
    let answers = std::env::args().nth(2).as_deref() != Some("hang");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let ended =
        runtime.context("no runtime").and_then(|runtime| runtime.block_on(take_work(answers)));
    match ended {
        Ok(()) => {
            // Nobody may read it any more.
            let _ = writeln!(io::stdout(), "{LAST_WORD}");
            ExitCode::SUCCESS
        }
        Err(_) => ExitCode::FAILURE,
    }
}

async fn take_work(answers: bool) -> anyhow::Result<()> {
    let connector =
        tower::service_fn(|_| async { UnixStream::connect("core.sock").await.map(TokioIo::new) });
    let channel =
        Endpoint::from_static("http://localhost").connect_with_connector(connector).await?;
    let (up, frames) = mpsc::channel(16);
    up.send(first_frame()?).await?;
    let mut request = Request::new(ReceiverStream::new(frames));
    let token = std::env::var("TINYBASE_TOKEN")?;
    request.metadata_mut().insert("authorization", format!("Bearer {token}").parse()?);
    let mut client = ExtensionServiceClient::new(channel);
    let mut down = client.session(request).await?.into_inner();
    while let Some(frame) = down.message().await? {
        let outcomes: Vec<Outcome> = frame.invocations.into_iter().map(echo).collect();
        if answers && !outcomes.is_empty() {
            up.send(SessionRequest { outcomes, ..SessionRequest::default() }).await?;
        }
    }
    Ok(())
}

fn first_frame() -> anyhow::Result<SessionRequest> {
    let extension = std::env::var("TINYBASE_EXTENSION")?;
    let hook = HookBinding {
        event: "record.create".to_owned(),
        collection: "orders".to_owned(),
        ..HookBinding::default()
    };
    let function = FunctionBinding { name: "echo".to_owned(), ..FunctionBinding::default() };
    Ok(SessionRequest {
        hello: Some(Hello { extension, ..Hello::default() }),
        register: Some(Register {
            hooks: vec![hook],
            functions: vec![function],
            schedules: vec![],
        }),
        ready: Some(Ready {}),
        ..SessionRequest::default()
    })
}

fn echo(invocation: Invocation) -> Outcome {
    let output = match invocation.body {
        Some(Body::Function(function)) => function.input,
        Some(Body::Record(_) | Body::User(_) | Body::Completion(_)) | None => bytes::Bytes::new(),
    };
    let success = Success { output, ..Success::default() };
    Outcome { invocation_id: invocation.id, result: Some(Ending::Success(success)) }
}
