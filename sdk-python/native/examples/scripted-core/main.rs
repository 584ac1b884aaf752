//! A core that a test in Python scripts: commands come as JSON lines on standard input, and what
//! the extension sends goes out as JSON lines on standard output.
//!
//! `scripted-core SOCKET`. Commands, each an object with one key:
//! `welcome` (the level of the log), `invoke`, `cancel`, `ping`, `drain`, `refuse` (a sentence),
//! `records` (what `ListRecords` gives), `end`, `exit`, and `measure`: see `measure.rs`.

mod host;
mod measure;
mod translate;

use std::io::{BufRead, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use serde_json::{Value, json};
use tinybase_proto::v1;
use tinybase_proto::v1::extension_service_server::{ExtensionService, ExtensionServiceServer};
use tinybase_proto::v1::host_service_server::HostServiceServer;
use tokio::net::UnixListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_stream::wrappers::{ReceiverStream, UnixListenerStream};
use tonic::transport::Server;
use tonic::{Request, Response, Status, Streaming};

use crate::host::ScriptedHost;

/// Frames for the extension.
type Down = mpsc::Sender<Result<v1::SessionResponse, Status>>;
/// Where the extension's frames go while a measurement runs.
type Tap = Arc<Mutex<Option<mpsc::Sender<Vec<v1::Outcome>>>>>;

/// Says something to the test.
fn say(line: &Value) {
    let mut output = std::io::stdout().lock();
    drop(writeln!(output, "{line}").and_then(|()| output.flush()));
}

struct Sessions {
    down: Arc<Mutex<Option<Down>>>,
    tap: Tap,
    readers: Mutex<JoinSet<()>>,
}

#[tonic::async_trait]
impl ExtensionService for Sessions {
    type SessionStream = ReceiverStream<Result<v1::SessionResponse, Status>>;
    type DispatchStream = ReceiverStream<Result<v1::DispatchResponse, Status>>;

    async fn session(
        &self,
        request: Request<Streaming<v1::SessionRequest>>,
    ) -> Result<Response<Self::SessionStream>, Status> {
        let (sender, receiver) = mpsc::channel(1024);
        *self.down.lock().unwrap_or_else(PoisonError::into_inner) = Some(sender);
        let tap = Arc::clone(&self.tap);
        let mut frames = request.into_inner();
        let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        readers.spawn(async move {
            while let Ok(Some(frame)) = frames.message().await {
                take(frame, &tap).await;
            }
            say(&json!({"closed": true}));
        });
        drop(readers);
        Ok(Response::new(ReceiverStream::new(receiver)))
    }

    async fn dispatch(
        &self,
        _request: Request<Streaming<v1::DispatchRequest>>,
    ) -> Result<Response<Self::DispatchStream>, Status> {
        Err(Status::unimplemented("the scripted core has no further slots"))
    }
}

async fn take(frame: v1::SessionRequest, tap: &Tap) {
    let measuring = tap.lock().unwrap_or_else(PoisonError::into_inner).clone();
    if let Some(outcomes) = measuring {
        drop(outcomes.send(frame.outcomes).await);
        return;
    }
    for line in translate::frame(frame) {
        say(&line);
    }
}

async fn obey(command: Value, down: &Down, tap: &Tap) {
    let frame = match translate::command(&command) {
        Some(frame) => frame,
        None if command.get("measure").is_some() => {
            say(&measure::run(&command["measure"], down, tap).await);
            return;
        }
        None => {
            let message = command["refuse"].as_str().unwrap_or("unknown command").to_owned();
            drop(down.send(Err(Status::failed_precondition(message))).await);
            return;
        }
    };
    drop(down.send(Ok(frame)).await);
}

/// Reads commands on a thread of its own: standard input can't be waited for otherwise.
fn commands() -> mpsc::Receiver<Value> {
    let (sender, receiver) = mpsc::channel(64);
    thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            let command = serde_json::from_str(&line).unwrap_or_else(|error| {
                say(&json!({"bad_command": error.to_string()}));
                Value::Null
            });
            if sender.blocking_send(command).is_err() {
                return;
            }
        }
    });
    receiver
}

async fn serve(socket: &str) -> std::io::Result<()> {
    let down = Arc::new(Mutex::new(None));
    let tap = Tap::default();
    let host = ScriptedHost::default();
    let sessions =
        Sessions { down: Arc::clone(&down), tap: Arc::clone(&tap), readers: Mutex::default() };
    let listener = UnixListener::bind(socket)?;
    let router = Server::builder()
        .add_service(ExtensionServiceServer::new(sessions))
        .add_service(HostServiceServer::new(host.clone()));
    let mut server = JoinSet::new();
    server.spawn(router.serve_with_incoming(UnixListenerStream::new(listener)));
    say(&json!({"listening": true}));
    let mut commands = commands();
    while let Some(command) = commands.recv().await {
        if command.get("exit").is_some() {
            return Ok(());
        }
        if let Some(records) = command.get("records") {
            host.fill(records);
            continue;
        }
        let sender = down.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if command.get("end").is_some() {
            *down.lock().unwrap_or_else(PoisonError::into_inner) = None;
        } else if let Some(sender) = sender {
            obey(command, &sender, &tap).await;
        }
    }
    Ok(())
}

fn main() -> std::io::Result<()> {
    let Some(socket) = std::env::args().nth(1) else {
        return Err(std::io::Error::other("usage: scripted-core SOCKET"));
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(serve(&socket))
}
