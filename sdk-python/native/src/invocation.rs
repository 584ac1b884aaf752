//! One piece of work as Python sees it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use tinybase_sdk::client::v1::invocation::Body;
use tinybase_sdk::client::{ChunkError, ChunkSender, v1};
use tokio::time::Instant;

use crate::callbacks::Host;
use crate::outcome;
use crate::wire::Wire;

/// What is shared with whoever cancels.
#[derive(Debug)]
pub(crate) struct Ticket {
    pub(crate) id: String,
    pub(crate) cancelled: AtomicBool,
}

/// One piece of work. Texts are empty if they aren't set.
#[pyclass(frozen, module = "tinybase._native")]
#[derive(Debug)]
pub(crate) struct Invocation {
    message: v1::Invocation,
    ticket: Arc<Ticket>,
    deadline: Instant,
    /// The way for chunks, if the result is to have any.
    chunks: Option<ChunkSender>,
    wire: Arc<Wire>,
}

impl Invocation {
    pub(crate) fn new(mut message: v1::Invocation, deadline: Instant, wire: Arc<Wire>) -> Self {
        let id = std::mem::take(&mut message.id);
        let chunks = wire.outcomes.chunks(&id);
        let ticket = Arc::new(Ticket { id, cancelled: AtomicBool::new(false) });
        Self { message, ticket, deadline, chunks, wire }
    }

    pub(crate) fn ticket(&self) -> &Arc<Ticket> {
        &self.ticket
    }

    pub(crate) fn token(&self) -> &str {
        &self.message.token
    }

    pub(crate) fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Sends the outcome of a handler that couldn't be begun.
    pub(crate) fn fail(&self, error: &PyErr, py: Python<'_>) {
        self.wire.outcomes.send(outcome::failed(&self.ticket.id, error, py));
    }

    fn record(&self) -> Option<&v1::RecordBody> {
        if let Some(Body::Record(record)) = &self.message.body { Some(record) } else { None }
    }

    fn call(&self) -> Option<&v1::FunctionBody> {
        if let Some(Body::Function(call)) = &self.message.body { Some(call) } else { None }
    }

    fn completion(&self) -> Option<&v1::CompletionBody> {
        if let Some(Body::Completion(completion)) = &self.message.body {
            Some(completion)
        } else {
            None
        }
    }
}

/// JSON from the core is UTF-8; anything else reads as empty and fails to parse.
fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or_default()
}

fn unsent(error: ChunkError) -> PyResult<bool> {
    match error {
        ChunkError::Unwanted => Ok(false),
        ChunkError::TooLarge { .. } => Err(PyValueError::new_err(error.to_string())),
    }
}

#[pymethods]
impl Invocation {
    #[getter]
    fn id(&self) -> &str {
        &self.ticket.id
    }

    #[getter]
    fn event(&self) -> &str {
        &self.message.event
    }

    #[getter]
    fn handler(&self) -> &str {
        &self.message.handler
    }

    #[getter]
    fn phase(&self) -> &'static str {
        if self.message.phase == v1::Phase::Before as i32 { "before" } else { "after" }
    }

    #[getter]
    fn timeout_ms(&self) -> u32 {
        self.message.timeout_ms
    }

    #[getter]
    fn attempt(&self) -> u32 {
        self.message.attempt
    }

    #[getter]
    fn event_id(&self) -> &str {
        &self.message.event_id
    }

    #[getter]
    fn occurred_at(&self) -> &str {
        &self.message.occurred_at
    }

    #[getter]
    pub(crate) fn traceparent(&self) -> &str {
        &self.message.traceparent
    }

    #[getter]
    fn collection(&self) -> &str {
        self.record().map_or("", |it| &it.collection)
    }

    #[getter]
    fn record_id(&self) -> &str {
        self.record().map_or("", |it| &it.record_id)
    }

    #[getter]
    fn owner_id(&self) -> &str {
        self.record().map_or("", |it| &it.owner_id)
    }

    #[getter]
    fn version(&self) -> i64 {
        self.record().map_or(0, |it| it.version)
    }

    #[getter]
    fn data(&self) -> &str {
        self.record().map_or("", |it| text(&it.data))
    }

    #[getter]
    fn old_data(&self) -> &str {
        self.record().map_or("", |it| text(&it.old_data))
    }

    #[getter]
    fn user_id(&self) -> &str {
        match &self.message.body {
            Some(Body::User(it)) => &it.user_id,
            Some(Body::Function(it)) => &it.user_id,
            Some(Body::Completion(it)) => &it.user_id,
            Some(Body::Record(_)) | None => "",
        }
    }

    #[getter]
    fn email(&self) -> &str {
        if let Some(Body::User(it)) = &self.message.body { &it.email } else { "" }
    }

    #[getter]
    fn is_admin(&self) -> bool {
        match &self.message.body {
            Some(Body::User(it)) => it.is_admin,
            Some(Body::Function(it)) => it.is_admin,
            Some(Body::Record(_) | Body::Completion(_)) | None => false,
        }
    }

    #[getter]
    fn name(&self) -> &str {
        match &self.message.body {
            Some(Body::Function(it)) => &it.name,
            Some(Body::Completion(it)) => &it.name,
            Some(Body::Record(_) | Body::User(_)) | None => "",
        }
    }

    #[getter]
    fn input(&self) -> &str {
        self.call().map_or("", |it| text(&it.input))
    }

    #[getter]
    fn call_id(&self) -> &str {
        match &self.message.body {
            Some(Body::Function(it)) => &it.call_id,
            Some(Body::Completion(it)) => &it.call_id,
            Some(Body::Record(_) | Body::User(_)) | None => "",
        }
    }

    #[getter]
    fn trigger_type(&self) -> &str {
        self.call().map_or("", |it| &it.trigger_type)
    }

    #[getter]
    fn trigger_id(&self) -> &str {
        self.call().map_or("", |it| &it.trigger_id)
    }

    #[getter]
    fn status(&self) -> &str {
        self.completion().map_or("", |it| &it.status)
    }

    #[getter]
    fn duration_ms(&self) -> u64 {
        self.completion().map_or(0, |it| it.duration_ms)
    }

    #[getter]
    fn error_message(&self) -> &str {
        self.completion().map_or("", |it| &it.error_message)
    }

    #[getter]
    fn error_type(&self) -> &str {
        self.completion().map_or("", |it| &it.error_type)
    }

    #[getter]
    fn cancelled(&self) -> bool {
        self.ticket.cancelled.load(Ordering::Acquire)
    }

    #[getter]
    fn takes_chunks(&self) -> bool {
        self.chunks.is_some()
    }

    /// Sends a chunk; waits without the GIL as long as there is no room. False if nobody wants it.
    fn send_chunk(&self, py: Python<'_>, value: String) -> PyResult<bool> {
        let Some(chunks) = &self.chunks else { return Ok(false) };
        let sent = py.detach(|| self.wire.runtime.block_on(chunks.send(value.into())));
        sent.map(|()| true).or_else(unsent)
    }

    /// Sends a chunk if that needs no waiting. Whether it did.
    fn offer_chunk(&self, value: String) -> PyResult<bool> {
        let Some(chunks) = &self.chunks else { return Ok(false) };
        chunks.try_send(&value.into()).or_else(unsent)
    }

    #[getter]
    fn remaining_ms(&self) -> u64 {
        let left = self.deadline.saturating_duration_since(Instant::now());
        u64::try_from(left.as_millis()).unwrap_or(u64::MAX)
    }

    #[getter]
    fn host(&self) -> Host {
        Host::new(Arc::clone(&self.wire))
    }

    /// Sends the outcome of an asynchronous handler.
    fn finish(&self, outcome: &Bound<'_, PyAny>) {
        self.wire.outcomes.send(outcome::read(&self.ticket.id, outcome));
    }
}
