//! The way to an extension as the server composes it: hooks, supervisor and wire around a process
//! that came through the shim. Only HTTP and the database are missing.

use std::collections::BTreeSet;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use async_trait::async_trait;
use tinybase_hooks::{
    EventLog, Hold, Hooks, HooksOptions, LogError, ParkedDelivery, Refusal, SubscriptionKey,
    SubscriptionState,
};
use tinybase_model::{
    Cause, Event, EventKind, ExtensionName, ExtensionSpec, ExtensionState, HookDeclaration,
    HookFilter, Identity, JsonBytes, LifecyclePolicy, Limits, LogLevel, LoggedEvent, Permissions,
    Phase, Position,
};
use tinybase_supervisor::{HealthPolicy, Supervisor, SupervisorOptions};
use tinybase_wire::{Wire, WireOptions};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::host::{NoHost, REFUSED, START_TIMEOUT, TRACEPARENT, name, record};
use crate::measure::{Latency, lone};

/// A server's inside with one extension.
#[derive(Debug)]
pub struct Inside {
    runtime: Runtime,
    supervisor: Supervisor,
    hooks: Hooks,
    stop: CancellationToken,
    tasks: JoinSet<()>,
}

impl Inside {
    /// Puts everything together in a folder, starts the extension and waits until it is ready.
    ///
    /// # Errors
    /// If any of that fails.
    pub fn start(folder: &Path, command: &Command) -> Result<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(worker_threads())
            .thread_name("tinybase")
            .enable_all()
            .build()?;
        let (stop, mut tasks) = (CancellationToken::new(), JoinSet::new());
        let (supervisor, hooks) = runtime.block_on(async {
            let (supervisor, hooks) = compose(folder, &stop, &mut tasks)?;
            let spec = spec(folder, command)?;
            hooks.permit(&spec.name, &spec.permissions);
            let extension = spec.name.clone();
            supervisor.start(spec).await;
            let mut status = supervisor.watch(&extension).context("it isn't supervised")?;
            let ready = status.wait_for(|status| status.state == ExtensionState::Ready);
            tokio::time::timeout(START_TIMEOUT, ready).await.with_context(|| {
                let reason = supervisor.status(&extension).and_then(|status| status.reason);
                format!("the extension isn't ready: {}", reason.unwrap_or_default())
            })??;
            anyhow::Ok((supervisor, hooks))
        })?;
        let inside = Self { runtime, supervisor, hooks, stop, tasks };
        inside.prove_that_the_handler_runs()?;
        Ok(inside)
    }

    /// Measures before-hooks one at a time, asked by a task of the server.
    ///
    /// # Errors
    /// If one isn't approved.
    pub fn lone(&self) -> Result<Latency> {
        let hooks = self.hooks.clone();
        let mut caller = JoinSet::new();
        let measured = lone(move || {
            let hooks = hooks.clone();
            async move {
                hooks.before(Event::RecordCreate(record()), &cause()).await?;
                Ok(())
            }
        });
        caller.spawn_on(measured, self.runtime.handle());
        self.runtime.block_on(caller.join_next()).context("nobody called")??
    }

    /// Only the author's own code knows that this text is to be refused.
    fn prove_that_the_handler_runs(&self) -> Result<()> {
        let data = JsonBytes::of(&serde_json::json!({ "text": REFUSED }))?;
        let event = Event::RecordCreate(tinybase_model::RecordEvent { data, ..record() });
        match self.runtime.block_on(self.hooks.before(event, &cause())) {
            Err(Refusal::Rejected { .. }) => Ok(()),
            other => bail!("the handler was to refuse {REFUSED:?} and did not run: {other:?}"),
        }
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        let Self { runtime, supervisor, stop, tasks, .. } = self;
        runtime.block_on(async {
            supervisor.shutdown().await;
            stop.cancel();
            while tasks.join_next().await.is_some() {}
        });
    }
}

/// As `[server] worker_threads` is unless set.
fn worker_threads() -> usize {
    (std::thread::available_parallelism().map_or(1, NonZero::get) / 2).max(1)
}

/// The lower half of what the server's composition root does, in the same order.
fn compose(
    folder: &Path,
    stop: &CancellationToken,
    tasks: &mut JoinSet<()>,
) -> Result<(Supervisor, Hooks)> {
    let options = WireOptions {
        limits: Limits::default(),
        server_version: env!("CARGO_PKG_VERSION").to_owned(),
        log_level: LogLevel::Info,
    };
    let wire = Wire::new(options, Arc::new(NoHost));
    let run_folder = folder.join("run");
    std::fs::create_dir_all(&run_folder)?;
    let socket = run_folder.join("core.sock");
    let bound = wire.bind(&socket)?;
    let supervisor = Supervisor::new(SupervisorOptions {
        wire,
        socket,
        shim: std::env::current_exe().context("where am I?")?,
        run_folder,
        log_folder: folder.join("logs"),
        log_level: LogLevel::Info,
        server_secrets: BTreeSet::new(),
        health: HealthPolicy::default(),
    })?;
    let hooks = Hooks::new(supervisor.clone(), Arc::new(EmptyLog), HooksOptions::default());
    let served = stop.clone();
    tasks.spawn(async move { bound.serve(served).await });
    let (deliveries, stop) = (hooks.clone(), stop.clone());
    tasks.spawn(async move { deliveries.run(stop).await });
    Ok((supervisor, hooks))
}

/// What the catalog would say about an extension that runs this command and declares the hook.
fn spec(folder: &Path, command: &Command) -> Result<ExtensionSpec> {
    let text = |text: &std::ffi::OsStr| {
        text.to_str().map(str::to_owned).context("a command isn't valid UTF-8")
    };
    let words = std::iter::once(command.get_program()).chain(command.get_args()).map(text);
    let variables = command.get_envs().filter_map(|(name, value)| Some((name, value?)));
    let declared = HookDeclaration {
        event: EventKind::RecordCreate,
        phase: Phase::Before,
        filter: HookFilter::All,
        fail_open: false,
    };
    Ok(ExtensionSpec {
        name: name()?,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        folder: command.get_current_dir().map_or_else(|| folder.to_owned(), PathBuf::from),
        command: words.collect::<Result<_>>()?,
        environment: variables
            .map(|(name, value)| Ok((text(name)?, text(value)?)))
            .collect::<Result<_>>()?,
        permissions: Permissions::Listed {
            capabilities: BTreeSet::new(),
            environment: BTreeSet::new(),
            hooks: Some(vec![declared]),
        },
        policy: LifecyclePolicy::default(),
        config: JsonBytes::empty_object(),
    })
}

fn cause() -> Cause {
    Cause::request(Identity::Anonymous, TRACEPARENT.to_owned())
}

/// A log in which nothing ever happens.
struct EmptyLog;

#[async_trait]
impl EventLog for EmptyLog {
    async fn head(&self) -> Result<Position, LogError> {
        Ok(Position::default())
    }

    async fn hold(&self, _: &SubscriptionKey) -> Result<Hold, LogError> {
        Ok(Hold::Always)
    }

    async fn let_go(&self, _: &SubscriptionKey) -> Result<(), LogError> {
        Ok(())
    }

    async fn subscribe(&self, _: &SubscriptionKey) -> Result<SubscriptionState, LogError> {
        Ok(SubscriptionState::default())
    }

    async fn unsubscribe(&self, _: &ExtensionName, _: &[String]) -> Result<(), LogError> {
        Ok(())
    }

    async fn read(&self, _: Position, _: u32) -> Result<Vec<LoggedEvent>, LogError> {
        Ok(Vec::new())
    }

    async fn advance(&self, _: &SubscriptionKey, _: Position) -> Result<(), LogError> {
        Ok(())
    }

    async fn park(&self, _: &SubscriptionKey, _: &[ParkedDelivery]) -> Result<(), LogError> {
        Ok(())
    }

    async fn unpark(&self, _: &SubscriptionKey, _: Position) -> Result<(), LogError> {
        Ok(())
    }

    async fn bury(
        &self,
        _: &SubscriptionKey,
        _: Position,
        _: u32,
        _: &str,
    ) -> Result<(), LogError> {
        Ok(())
    }

    async fn event(&self, _: Position) -> Result<Option<LoggedEvent>, LogError> {
        Ok(None)
    }
}
