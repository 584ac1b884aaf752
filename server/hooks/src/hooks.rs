//! The door of the crate.

use std::fmt;
use std::sync::Arc;

use tinybase_model::{Cause, Event, ExtensionName, FunctionEvent, Offer, Outcome, Permissions};
use tinybase_supervisor::Supervisor;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use crate::before::{Approval, Before, Refusal};
use crate::call::{CallError, CallTerms, Calls};
use crate::delivery::Engine;
use crate::event_log::{EventLog, LogError};
use crate::invoker::Invoker;
use crate::options::HooksOptions;
use crate::registry::{EffectiveHook, OwnSchedules, RegisteredFunction, Registry};

/// Hooks, functions and deliveries. Clones share one.
#[derive(Clone)]
pub struct Hooks {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) registry: Arc<Registry>,
    invoker: Arc<dyn Invoker>,
    log: Arc<dyn EventLog>,
    options: HooksOptions,
    wake: Arc<Notify>,
    /// The version of the registry that deliveries follow; none while there are no deliveries.
    settled: watch::Sender<Option<u64>>,
}

impl fmt::Debug for Hooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hooks").field("options", &self.inner.options).finish_non_exhaustive()
    }
}

impl Hooks {
    /// Hooks over the supervisor's extensions. Their registrations come here from now on.
    pub fn new(supervisor: Supervisor, log: Arc<dyn EventLog>, options: HooksOptions) -> Self {
        let extensions = supervisor.clone();
        let hooks = Self::with_invoker(Arc::new(supervisor), log, options);
        let registrar: Arc<Registry> = Arc::clone(&hooks.inner.registry);
        extensions.set_registrar(registrar);
        hooks
    }

    /// Hooks over anything that runs invocations, such as a test's own.
    pub fn with_invoker(
        invoker: Arc<dyn Invoker>,
        log: Arc<dyn EventLog>,
        options: HooksOptions,
    ) -> Self {
        let registry = Arc::new(Registry::new());
        let wake = Arc::new(Notify::new());
        let settled = watch::Sender::new(None);
        Self { inner: Arc::new(Inner { registry, invoker, log, options, wake, settled }) }
    }

    /// Notes what an extension may do. To be called before its process is started, and for every
    /// extension that is installed and not disabled, whether it can be started or not: the
    /// before-hooks that its manifest declares hold from here on.
    pub fn permit(&self, extension: &ExtensionName, permissions: &Permissions) {
        self.inner.registry.permit(extension, permissions);
    }

    /// Notes what an extension's manifest says about what it offers. To be called right after
    /// [`Self::permit`], and again whenever the installed version changes.
    pub fn declare(&self, extension: &ExtensionName, offer: &Offer) {
        self.inner.registry.declare(extension, offer);
    }

    /// Asks the before-hooks of an operation, one after the other.
    ///
    /// # Errors
    /// If an extension refuses, if one that has to be asked can't answer, or if two write one
    /// field.
    pub async fn before(&self, event: Event, cause: &Cause) -> Result<Approval, Refusal> {
        let Inner { registry, invoker, options, .. } = &*self.inner;
        Before { registry, invoker: &**invoker, options }.run(event, cause).await
    }

    /// Tells the hooks on a function's call that it is about to run, and waits for them. Their
    /// failures are logged and change nothing. Events other than a function's call have no such
    /// hooks.
    pub async fn observe_call(&self, event: Event, cause: &Cause) {
        if let Event::FunctionCall(call) = event {
            self.calls().observe(call, cause).await;
        }
    }

    /// Runs a function in the extension that has it.
    ///
    /// # Errors
    /// If no extension has it, or the one that has it gives no outcome.
    pub async fn call_function(
        &self,
        call: FunctionEvent,
        cause: &Cause,
        terms: CallTerms,
    ) -> Result<Outcome, CallError> {
        self.calls().call(call, cause, terms).await
    }

    /// A function, by its name. It stays while its extension is restarted.
    pub fn function(&self, name: &str) -> Option<Arc<RegisteredFunction>> {
        self.inner.registry.glance().function(name).map(Arc::clone)
    }

    /// Whether an extension takes work.
    pub fn is_ready(&self, extension: &ExtensionName) -> bool {
        self.inner.invoker.is_ready(extension)
    }

    /// All functions, by name.
    pub fn functions(&self) -> Vec<Arc<RegisteredFunction>> {
        self.inner.registry.glance().functions()
    }

    /// The schedules of each extension that is permitted, by its name.
    pub fn schedules(&self) -> Vec<Arc<OwnSchedules>> {
        self.inner.registry.glance().schedules()
    }

    /// Changes with every registration, and with everything else that is noted of an extension.
    pub fn versions(&self) -> watch::Receiver<u64> {
        self.inner.registry.versions()
    }

    /// All hooks by event and phase, each chain in the order in which it runs.
    pub fn chain(&self) -> Vec<EffectiveHook> {
        self.inner.registry.glance().effective()
    }

    /// Drops an extension's permissions, functions, hooks and durable subscriptions. To be called
    /// once it is stopped, before it may be permitted again.
    ///
    /// # Errors
    /// If the log couldn't end the subscriptions; all the rest is dropped, and the subscriptions
    /// end with the extension's next registration.
    pub async fn forget(&self, extension: &ExtensionName) -> Result<(), LogError> {
        let Inner { registry, log, settled, .. } = &*self.inner;
        let version = registry.forget(extension);
        let follows = |now: &Option<u64>| now.is_none_or(|now| now >= version);
        // The sender lives as long as `self`, so this only ends well. What it gives is a lock on the
        // value, which delivery needs: it mustn't live on.
        let mut settled = settled.subscribe();
        drop(settled.wait_for(follows).await);
        log.unsubscribe(extension, &[]).await
    }

    /// Says that a transaction with events was committed. Cheap, and never wrong to be left out:
    /// the log is looked at once a second anyway.
    pub fn events_committed(&self) {
        self.inner.wake.notify_one();
    }

    /// Delivers durable events until it is stopped. To be run once, for as long as the server runs.
    ///
    /// Stopping cancels what is with extensions; it is delivered again after the next start.
    pub async fn run(&self, stop: CancellationToken) {
        let Inner { registry, invoker, log, options, wake, settled } = &*self.inner;
        let first = settled.send_if_modified(|now| {
            let first = now.is_none();
            now.get_or_insert(0);
            first
        });
        if !first {
            tracing::error!("deliveries already run; a second run does nothing");
            return;
        }
        let _end = End { settled };
        let log = (Arc::clone(log), Arc::clone(wake));
        let engine = Engine::new(Arc::clone(registry), Arc::clone(invoker), log, *options);
        engine.run(&stop, settled).await;
    }

    fn calls(&self) -> Calls<'_> {
        let Inner { registry, invoker, options, .. } = &*self.inner;
        Calls { registry, invoker: &**invoker, options }
    }
}

/// Marks the end of deliveries, also when the future is dropped.
struct End<'a> {
    settled: &'a watch::Sender<Option<u64>>,
}

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.settled.send_replace(None);
    }
}
