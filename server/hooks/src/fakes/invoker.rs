//! Extensions that are a closure.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use tinybase_model::{
    Body, ExtensionName, Fault, Invocation, InvocationTarget, InvokeError, Outcome,
};
use tinybase_supervisor::ChunkSink;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::{json, name};
use crate::Invoker;

pub(crate) fn done() -> Answer {
    Ok(Outcome::Success { output: None, patch: None }).into()
}

pub(crate) fn patch(text: &str) -> Answer {
    Ok(Outcome::Success { output: None, patch: Some(json(text)) }).into()
}

pub(crate) fn fault(message: &str) -> Answer {
    Ok(Outcome::Fault(Fault {
        kind: "KeyError".to_owned(),
        message: message.to_owned(),
        stack: String::new(),
        retry_after: None,
    }))
    .into()
}

/// How a fake extension ends an invocation, and after which time.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) after: Duration,
    pub(crate) end: Result<Outcome, InvokeError>,
    /// What it sends before, if that is asked for.
    pub(crate) chunks: Vec<&'static str>,
}

impl Answer {
    pub(crate) fn after(self, after: Duration) -> Self {
        Self { after, ..self }
    }

    pub(crate) fn with_chunks(self, chunks: &[&'static str]) -> Self {
        Self { chunks: chunks.to_vec(), ..self }
    }
}

impl From<Result<Outcome, InvokeError>> for Answer {
    fn from(end: Result<Outcome, InvokeError>) -> Self {
        Self { after: Duration::ZERO, end, chunks: Vec::new() }
    }
}

/// One invocation that a fake extension got.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) extension: ExtensionName,
    pub(crate) handler: String,
    pub(crate) attempt: u32,
    pub(crate) timeout: Duration,
    pub(crate) depth: u32,
    /// A record's data, a function's input, an address.
    pub(crate) body: String,
}

type Script = Box<dyn Fn(&Call) -> Answer + Send + Sync>;

/// All extensions, played by one closure.
pub(crate) struct FakeInvoker {
    script: Script,
    calls: Mutex<Vec<Call>>,
    running: Mutex<Vec<String>>,
    ready: Mutex<HashSet<ExtensionName>>,
    changes: watch::Sender<u64>,
}

impl FakeInvoker {
    pub(crate) fn new(script: impl Fn(&Call) -> Answer + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self {
            script: Box::new(script),
            calls: Mutex::default(),
            running: Mutex::default(),
            ready: Mutex::default(),
            changes: watch::Sender::new(0),
        })
    }

    pub(crate) fn set_ready(&self, extension: &str, ready: bool) {
        let mut all = self.ready.lock().expect("lock");
        if ready {
            all.insert(name(extension))
        } else {
            all.remove(&name(extension))
        };
        self.changes.send_modify(|count| *count += 1);
    }

    pub(crate) fn calls(&self) -> Vec<Call> {
        self.calls.lock().expect("lock").clone()
    }

    /// The bodies of all calls, in order.
    pub(crate) fn bodies(&self) -> Vec<String> {
        self.calls().into_iter().map(|call| call.body).collect()
    }

    /// The bodies of what is under way.
    pub(crate) fn running(&self) -> Vec<String> {
        self.running.lock().expect("lock").clone()
    }

    async fn play(
        &self,
        extension: &ExtensionName,
        invocation: Invocation,
        sink: Option<&dyn ChunkSink>,
    ) -> Result<Outcome, InvokeError> {
        if !self.is_ready(extension) {
            return Err(InvokeError::NotReady { state: "stopped" });
        }
        let call = Call {
            extension: extension.clone(),
            handler: match invocation.target {
                InvocationTarget::Hook { handler, .. } => handler,
                InvocationTarget::Function(name) => name,
            },
            attempt: invocation.attempt,
            timeout: invocation.timeout,
            depth: invocation.depth,
            body: match invocation.body {
                Body::Nothing => String::new(),
                Body::Record(record) => record.data.text().to_owned(),
                Body::User(user) => user.email,
                Body::Function(call) => call.input.text().to_owned(),
                Body::Completion(completion) => completion.name,
            },
        };
        let _running = Running::start(self, &call.body);
        let answer = (self.script)(&call);
        self.calls.lock().expect("lock").push(call);
        if let Some(sink) = sink {
            for chunk in &answer.chunks {
                if let Err(fault) = sink.put(json(chunk)).await {
                    return Ok(Outcome::Fault(fault));
                }
            }
        }
        match timeout(invocation.timeout, sleep(answer.after)).await {
            Ok(()) => answer.end,
            Err(_) => Err(InvokeError::TimedOut(invocation.timeout)),
        }
    }
}

#[async_trait]
impl Invoker for FakeInvoker {
    async fn invoke(
        &self,
        extension: &ExtensionName,
        invocation: Invocation,
    ) -> Result<Outcome, InvokeError> {
        self.play(extension, invocation, None).await
    }

    async fn invoke_streaming(
        &self,
        extension: &ExtensionName,
        invocation: Invocation,
        sink: &dyn ChunkSink,
    ) -> Result<Outcome, InvokeError> {
        self.play(extension, invocation, Some(sink)).await
    }

    fn is_ready(&self, extension: &ExtensionName) -> bool {
        self.ready.lock().expect("lock").contains(extension)
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }
}

struct Running<'a> {
    invoker: &'a FakeInvoker,
    body: String,
}

impl<'a> Running<'a> {
    fn start(invoker: &'a FakeInvoker, body: &str) -> Self {
        invoker.running.lock().expect("lock").push(body.to_owned());
        Self { invoker, body: body.to_owned() }
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let mut all = self.invoker.running.lock().expect("lock");
        let index = all.iter().position(|body| *body == self.body).expect("it runs");
        all.remove(index);
    }
}
