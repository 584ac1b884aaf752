//! The door of the crate.

use std::fmt;
use std::sync::Arc;

use tinybase_model::{Cause, Event, ExtensionName, FunctionEvent, Outcome, Permissions};

use crate::before::{Approval, Before, Refusal};
use crate::call::{CallError, Calls};
use crate::event_log::{EventLog, LogError};
use crate::invoker::Invoker;
use crate::options::HooksOptions;
use crate::registry::{EffectiveHook, RegisteredFunction, Registry};

/// Hooks, functions and deliveries. Clones share one.
#[derive(Clone)]
pub struct Hooks {
    inner: Arc<Inner>,
}

struct Inner {
    registry: Arc<Registry>,
    invoker: Arc<dyn Invoker>,
    log: Arc<dyn EventLog>,
    options: HooksOptions,
}

impl fmt::Debug for Hooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hooks").field("options", &self.inner.options).finish_non_exhaustive()
    }
}

impl Hooks {
    /// Hooks over anything that runs invocations, such as a test's own.
    pub fn with_invoker(
        invoker: Arc<dyn Invoker>,
        log: Arc<dyn EventLog>,
        options: HooksOptions,
    ) -> Self {
        let registry = Arc::new(Registry::new());
        Self { inner: Arc::new(Inner { registry, invoker, log, options }) }
    }

    /// Notes what an extension may do. To be called before its process is started, and for every
    /// extension that is installed and not disabled, whether it can be started or not: the
    /// before-hooks that its manifest declares hold from here on.
    pub fn permit(&self, extension: &ExtensionName, permissions: &Permissions) {
        self.inner.registry.permit(extension, permissions);
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
    ) -> Result<Outcome, CallError> {
        self.calls().call(call, cause).await
    }

    /// A function, by its name. It stays while its extension is restarted.
    pub fn function(&self, name: &str) -> Option<Arc<RegisteredFunction>> {
        self.inner.registry.glance().function(name).map(Arc::clone)
    }

    /// All functions, by name.
    pub fn functions(&self) -> Vec<Arc<RegisteredFunction>> {
        self.inner.registry.glance().functions()
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
        self.inner.registry.forget(extension);
        self.inner.log.unsubscribe(extension, &[]).await
    }

    fn calls(&self) -> Calls<'_> {
        let Inner { registry, invoker, options, .. } = &*self.inner;
        Calls { registry, invoker: &**invoker, options }
    }
}
