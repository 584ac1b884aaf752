//! The host's side of the protocol with nothing else of the server around it.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;
use tinybase_model::{
    ActivityNote, Body, CallSummary, Collection, EventId, EventKind, ExtensionName, Identity,
    Invocation, InvocationTarget, JsonBytes, Limits, ListRecords, LogLevel, LogLine, Outcome,
    Phase, Record, RecordEvent, RecordId, RecordPage, Registration, User, UserId,
};
use tinybase_wire::{
    Caller, HostApi, HostError, RegisterRefusal, Registrar, Session, Ticket, Wire, WireOptions,
};
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

use crate::measure::{Latency, Rate, lone, rate};
use crate::process::Process;

/// The extension's name.
pub const NAME: &str = "bench";
/// 64 bytes.
pub(crate) const DATA: &[u8] =
    br#"{"text":"....................................................."}"#;
/// The text that the extensions refuse.
pub const REFUSED: &str = "no";
/// The trace context of a client's request.
pub(crate) const TRACEPARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
/// How long an extension may take to get ready.
pub(crate) const START_TIMEOUT: Duration = Duration::from_secs(30);
/// Between measurements nothing drives the host, so nothing may be missed meanwhile.
const PATIENCE: Duration = Duration::from_hours(1);

/// A host with one extension.
#[derive(Debug)]
pub struct Host {
    runtime: Runtime,
    session: Session,
    _stop: tokio_util::sync::DropGuard,
    process: Process,
}

impl Host {
    /// Serves a socket on a runtime, starts the extension and waits until it is ready.
    ///
    /// # Errors
    /// If any of that fails.
    pub fn start(runtime: Runtime, socket: &Path, command: &mut Command) -> Result<Self> {
        let limits = Limits {
            heartbeat_interval: PATIENCE,
            heartbeat_timeout: PATIENCE,
            ..Limits::default()
        };
        let options = WireOptions {
            limits,
            server_version: env!("CARGO_PKG_VERSION").to_owned(),
            log_level: LogLevel::Info,
        };
        let wire = Wire::new(options, Arc::new(NoHost));
        let stop = CancellationToken::new();
        let (session, process) = runtime.block_on(async {
            let bound = wire.bind(socket)?;
            let served = stop.clone();
            // The runtime owns it: both end together.
            #[expect(clippy::disallowed_methods, reason = "dropping the runtime ends it")]
            tokio::spawn(bound.serve(served));
            let expected = wire.expect(Ticket {
                extension: name()?,
                config: JsonBytes::empty_object(),
                registrar: Arc::new(AnyRegistration),
                startup_timeout: START_TIMEOUT,
            });
            command
                .env("TINYBASE_SOCKET", socket)
                .env("TINYBASE_EXTENSION", NAME)
                .env("TINYBASE_TOKEN", expected.token());
            let process = Process::start(command)?;
            expected.allow_process(process.id());
            anyhow::Ok((expected.session().await.context("the extension isn't ready")?, process))
        })?;
        let host = Self { runtime, session, _stop: stop.drop_guard(), process };
        host.prove_that_the_handler_runs()?;
        Ok(host)
    }

    /// Measures hook calls one at a time.
    ///
    /// # Errors
    /// If a call fails.
    pub fn lone(&self) -> Result<Latency> {
        let handler = self.handler()?;
        self.runtime.block_on(lone(async || approved(self.session.invoke(hook(&handler)).await?)))
    }

    /// Measures many hook calls in flight.
    ///
    /// # Errors
    /// If a call fails.
    pub fn rate(&self) -> Result<Rate> {
        let handler = self.handler()?;
        self.runtime.block_on(rate(self.process.id(), || {
            let (session, handler) = (self.session.clone(), handler.clone());
            move || {
                let (session, invocation) = (session.clone(), hook(&handler));
                async move { approved(session.invoke(invocation).await?) }
            }
        }))
    }

    /// Only the author's own code knows that this text is to be refused.
    fn prove_that_the_handler_runs(&self) -> Result<()> {
        let mut invocation = hook(&self.handler()?);
        if let Body::Record(record) = &mut invocation.body {
            record.data = JsonBytes::of(&serde_json::json!({ "text": REFUSED }))?;
        }
        match self.runtime.block_on(self.session.invoke(invocation))? {
            Outcome::Reject(_) => Ok(()),
            other @ (Outcome::Success { .. } | Outcome::Fault(_)) => {
                bail!("the handler was to refuse {REFUSED:?} and did not run: {other:?}")
            }
        }
    }

    fn handler(&self) -> Result<String> {
        let registration = self.session.registration();
        let hook = registration.hooks().first().context("the extension registered no hook")?;
        Ok(hook.handler.clone())
    }
}

/// A call that failed in the extension is no call that was measured.
fn approved(outcome: Outcome) -> Result<()> {
    match outcome {
        Outcome::Success { .. } => Ok(()),
        other @ (Outcome::Reject(_) | Outcome::Fault(_)) => {
            bail!("the hook did not approve: {other:?}")
        }
    }
}

pub(crate) fn name() -> Result<ExtensionName> {
    Ok(NAME.parse()?)
}

/// What the server hands over for each record that is about to be created.
fn hook(handler: &str) -> Invocation {
    Invocation {
        target: InvocationTarget::Hook {
            event: EventKind::RecordCreate,
            phase: Phase::Before,
            handler: handler.to_owned(),
        },
        timeout: Duration::from_secs(10),
        attempt: 1,
        event_id: EventId::generate(),
        occurred_at: Timestamp::now(),
        traceparent: TRACEPARENT.to_owned(),
        identity: Identity::Anonymous,
        depth: 1,
        body: Body::Record(record()),
    }
}

/// A record that is about to be created.
pub(crate) fn record() -> RecordEvent {
    RecordEvent {
        collection: "notes".to_owned(),
        record_id: None,
        owner_id: None,
        old_owner_id: None,
        data: data(),
        old_data: None,
        version: 1,
    }
}

fn data() -> JsonBytes {
    JsonBytes::checked(Bytes::from_static(DATA)).unwrap_or_else(|_| unreachable!("it is JSON"))
}

/// Takes what comes.
struct AnyRegistration;

impl Registrar for AnyRegistration {
    fn register(&self, _: &ExtensionName, _: &Registration) -> Result<(), RegisterRefusal> {
        Ok(())
    }
}

/// Has nothing to call back to.
pub(crate) struct NoHost;

fn absent<T>() -> Result<T, HostError> {
    Err(HostError::Unavailable("a benchmark has no data".to_owned()))
}

#[async_trait]
impl HostApi for NoHost {
    async fn get_record(
        &self,
        _: &Caller,
        _: Option<&str>,
        _: RecordId,
    ) -> Result<Record, HostError> {
        absent()
    }

    async fn list_records(&self, _: &Caller, _: ListRecords) -> Result<RecordPage, HostError> {
        absent()
    }

    async fn create_record(
        &self,
        _: &Caller,
        _: &str,
        _: JsonBytes,
        _: Option<UserId>,
    ) -> Result<Record, HostError> {
        absent()
    }

    async fn update_record(
        &self,
        _: &Caller,
        _: Option<&str>,
        _: RecordId,
        _: JsonBytes,
    ) -> Result<Record, HostError> {
        absent()
    }

    async fn delete_record(
        &self,
        _: &Caller,
        _: Option<&str>,
        _: RecordId,
    ) -> Result<(), HostError> {
        absent()
    }

    async fn list_collections(&self, _: &Caller) -> Result<Vec<Collection>, HostError> {
        absent()
    }

    async fn get_user(&self, _: &Caller, _: UserId) -> Result<User, HostError> {
        absent()
    }

    async fn call_function(
        &self,
        _: &Caller,
        _: &str,
        _: JsonBytes,
    ) -> Result<CallSummary, HostError> {
        absent()
    }

    async fn get_value(&self, _: &Caller, _: &str) -> Result<Option<Bytes>, HostError> {
        absent()
    }

    async fn set_value(&self, _: &Caller, _: &str, _: Bytes) -> Result<(), HostError> {
        absent()
    }

    async fn delete_value(&self, _: &Caller, _: &str) -> Result<(), HostError> {
        absent()
    }

    async fn write_activity(&self, _: &Caller, _: ActivityNote) -> Result<(), HostError> {
        absent()
    }

    async fn write_log(&self, _: &Caller, _: Vec<LogLine>) -> Result<u32, HostError> {
        Ok(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_payload_is_64_bytes_of_json() {
        assert_eq!(data().bytes().len(), 64);
    }
}
