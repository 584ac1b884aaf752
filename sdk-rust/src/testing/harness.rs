//! The server's part, played by a test.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use jiff::Timestamp;
use serde_json::Value;
use tinybase_proto::v1;
use tinybase_proto::v1::invocation::Body;
use tokio::sync::{Mutex as AsyncMutex, oneshot};
use uuid::Uuid;

use super::outcome::{json, merge, read};
use super::{Failure, FakeHost, TestEvent};
use crate::client::{Dispatcher, Frames, Outbox};
use crate::context::Surroundings;
use crate::worker::{Placement, Worker};
use crate::{Extension, Identity};

/// An extension in a test's hands.
pub struct Harness {
    register: v1::Register,
    worker: Arc<Worker>,
    outbox: Arc<Outbox>,
    frames: AsyncMutex<Frames>,
    expected: Mutex<HashMap<String, oneshot::Sender<v1::Outcome>>>,
    host: FakeHost,
    invocations: AtomicU64,
}

impl fmt::Debug for Harness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Harness").field("register", &self.register).finish_non_exhaustive()
    }
}

/// An invocation that has begun.
#[derive(Debug)]
pub struct Running<'a> {
    harness: &'a Harness,
    id: String,
    outcome: oneshot::Receiver<v1::Outcome>,
}

impl Harness {
    /// Takes an extension with an empty configuration.
    ///
    /// # Panics
    /// If two of the extension's handlers share a name.
    pub fn new(extension: Extension) -> Self {
        Self::with_config(extension, &serde_json::json!({}))
    }

    /// Takes an extension with the configuration that an operator would write.
    ///
    /// # Panics
    /// If two of the extension's handlers share a name.
    pub fn with_config(extension: Extension, config: &Value) -> Self {
        let parts = extension.into_parts();
        let (register, handlers) = parts.unwrap_or_else(|error| panic!("{error}"));
        let host = FakeHost::default();
        let surroundings =
            Surroundings { callbacks: Arc::new(host.clone()), config: config.to_string().into() };
        let outbox = Outbox::new(None);
        Self {
            register,
            worker: Worker::new(handlers, surroundings, Placement::Here),
            frames: AsyncMutex::new(outbox.frames()),
            outbox,
            expected: Mutex::default(),
            host,
            invocations: AtomicU64::new(0),
        }
    }

    /// The fake that answers call-backs.
    pub const fn host(&self) -> &FakeHost {
        &self.host
    }

    /// The JSON Schemas of a function's input and output, as the server gets them.
    pub fn schemas(&self, function: &str) -> Option<(Value, Value)> {
        let binding = self.register.functions.iter().find(|binding| binding.name == function)?;
        Some((json(&binding.input_schema), json(&binding.output_schema)))
    }

    /// Calls a function as somebody who isn't logged in.
    pub async fn call(&self, function: &str, input: Value) -> Result<Value, Failure> {
        self.begin(function, &input, &Identity::default()).output().await
    }

    /// Calls a function as a user.
    pub async fn call_as(
        &self,
        identity: &Identity,
        function: &str,
        input: Value,
    ) -> Result<Value, Failure> {
        self.begin(function, &input, identity).output().await
    }

    /// Begins to call a function, to cancel it or to do something else meanwhile.
    pub fn begin(&self, function: &str, input: &Value, identity: &Identity) -> Running<'_> {
        let mut call = super::event::call(function, input);
        call.user_id = identity.user_id.clone().unwrap_or_default();
        call.is_admin = identity.is_admin;
        self.start(v1::Invocation {
            event: "function.invoke".to_owned(),
            handler: function.to_owned(),
            body: Some(Body::Function(call)),
            ..v1::Invocation::default()
        })
    }

    /// Delivers an event to the after-hooks that want it, one after the other.
    ///
    /// # Errors
    /// The first failure. The server would deliver the event to that hook again.
    pub async fn emit(&self, event: TestEvent) -> Result<(), Failure> {
        for handler in self.handlers(&event) {
            self.start(invocation(&event, handler)).success().await?;
        }
        Ok(())
    }

    /// Asks the before-hooks that want an event, in their order, and returns the data with their
    /// patches.
    ///
    /// # Errors
    /// The first refusal or failure.
    pub async fn ask(&self, event: TestEvent) -> Result<Value, Failure> {
        let mut event = event;
        let mut data = event.data();
        for handler in self.handlers(&event) {
            let success = self.start(invocation(&event, handler)).success().await?;
            if success.patch.is_empty() {
                continue;
            }
            merge(&mut data, &json(&success.patch));
            match &mut event.body {
                Body::Record(record) => record.data = data.to_string().into(),
                Body::Function(call) => call.input = data.to_string().into(),
                Body::User(_) | Body::Completion(_) => {}
            }
        }
        Ok(data)
    }

    /// Runs the startup hooks.
    pub async fn startup(&self) -> Result<(), Failure> {
        self.lifecycle("startup").await
    }

    /// Tells the extension that it is to stop, and runs the shutdown hooks.
    pub async fn shutdown(&self) -> Result<(), Failure> {
        self.worker.drain(Duration::from_secs(5));
        self.lifecycle("shutdown").await
    }

    async fn lifecycle(&self, event: &str) -> Result<(), Failure> {
        let hooks = self.register.hooks.iter().filter(|hook| hook.event == event);
        for hook in hooks {
            let invocation = v1::Invocation {
                event: event.to_owned(),
                handler: hook.handler.clone(),
                phase: v1::Phase::After.into(),
                ..v1::Invocation::default()
            };
            self.start(invocation).success().await?;
        }
        Ok(())
    }

    /// The handlers that want an event, in the order of a chain.
    fn handlers(&self, event: &TestEvent) -> Vec<String> {
        let wants = |hook: &&v1::HookBinding| {
            let filter = if hook.collection.is_empty() { &hook.function } else { &hook.collection };
            hook.event == event.event
                && hook.phase() == event.phase
                && (filter.is_empty() || filter == event.subject())
        };
        let mut hooks: Vec<_> = self.register.hooks.iter().filter(wants).collect();
        hooks.sort_by_key(|hook| hook.priority);
        hooks.into_iter().map(|hook| hook.handler.clone()).collect()
    }

    fn start(&self, mut invocation: v1::Invocation) -> Running<'_> {
        let id = self.invocations.fetch_add(1, Ordering::Relaxed).to_string();
        invocation.id.clone_from(&id);
        invocation.attempt = invocation.attempt.max(1);
        invocation.timeout_ms = 30_000;
        invocation.occurred_at = Timestamp::now().to_string();
        if invocation.event_id.is_empty() {
            invocation.event_id = Uuid::now_v7().to_string();
        }
        let (sender, outcome) = oneshot::channel();
        self.expected().insert(id.clone(), sender);
        let batch = vec![invocation];
        self.outbox.received(&batch, false);
        self.worker.invoke(batch, &self.outbox.outcomes());
        Running { harness: self, id, outcome }
    }

    /// Passes outcomes on to those who wait for them, for ever.
    async fn carry(&self) {
        loop {
            let frame = self.frames.lock().await.next().await;
            for outcome in frame.unwrap_or_default().outcomes {
                if let Some(waiting) = self.expected().remove(&outcome.invocation_id) {
                    // Whoever waited may have given up.
                    drop(waiting.send(outcome));
                }
            }
        }
    }

    fn expected(&self) -> MutexGuard<'_, HashMap<String, oneshot::Sender<v1::Outcome>>> {
        self.expected.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Running<'_> {
    /// Says that the answer is no longer wanted: `"deadline"`, `"client_gone"` or `"draining"`.
    pub fn cancel(&self, reason: &str) {
        self.harness.worker.cancel(&self.id, reason);
    }

    /// Waits for a function's result.
    ///
    /// # Errors
    /// If the handler refuses or fails.
    pub async fn output(self) -> Result<Value, Failure> {
        Ok(json(&self.success().await?.output))
    }

    async fn success(mut self) -> Result<v1::Success, Failure> {
        let outcome = tokio::select! {
            biased;
            outcome = &mut self.outcome => outcome,
            () = self.harness.carry() => unreachable!("it carries for ever"),
        };
        read(outcome.unwrap_or_default())
    }
}

fn invocation(event: &TestEvent, handler: String) -> v1::Invocation {
    v1::Invocation {
        event: event.event.to_owned(),
        handler,
        phase: event.phase.into(),
        attempt: event.attempt,
        event_id: event.event_id.clone(),
        body: Some(event.body.clone()),
        ..v1::Invocation::default()
    }
}
