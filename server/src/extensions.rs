//! What an operator does with extensions: the catalog says what is installed, the supervisor what
//! runs, and hooks what counts.

mod admin;
mod install;
mod settle;
pub(crate) mod update;
pub(crate) mod view;

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use tinybase_catalog::{Catalog, Condition, Installed};
use tinybase_core::ExtensionError;
use tinybase_hooks::{Hooks, HooksOptions};
use tinybase_model::ExtensionName;
use tinybase_supervisor::Supervisor;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::host::Host;

/// What extensions are managed with.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) catalog: Catalog,
    pub(crate) supervisor: Supervisor,
    pub(crate) hooks: Hooks,
    pub(crate) host: Arc<Host>,
    /// The times of hooks that don't set their own.
    pub(crate) times: HooksOptions,
    /// Whether no extension is to be started: safe mode, or switched off by configuration.
    pub(crate) asleep: bool,
}

/// The extensions of a server.
#[derive(Debug)]
pub(crate) struct Extensions {
    shared: Arc<Shared>,
    /// Commands under way. They go on when the client that asked has gone.
    tasks: TaskTracker,
}

#[derive(Debug)]
struct Shared {
    catalog: Arc<Catalog>,
    supervisor: Supervisor,
    hooks: Hooks,
    host: Arc<Host>,
    times: HooksOptions,
    asleep: bool,
    /// Ends waiting and building.
    stop: CancellationToken,
    /// What is installed, as it was when last looked at: reading it all again digests every file.
    installed: RwLock<BTreeMap<ExtensionName, Installed>>,
    /// One change at a time.
    changing: Mutex<()>,
}

impl Extensions {
    /// Reads what is installed and lets the hooks that manifests declare hold. Starts nothing yet.
    pub(crate) async fn load(parts: Parts) -> anyhow::Result<Self> {
        let Parts { catalog, supervisor, hooks, host, times, asleep } = parts;
        let catalog = Arc::new(catalog);
        let reader = Arc::clone(&catalog);
        let installed = tokio::task::spawn_blocking(move || reader.load()).await??;
        let shared = Shared {
            catalog,
            supervisor,
            hooks,
            host,
            times,
            asleep,
            stop: CancellationToken::new(),
            installed: RwLock::default(),
            changing: Mutex::default(),
        };
        for extension in installed {
            if extension.enabled && !asleep {
                shared.permit(&extension);
            }
            shared.remember(extension);
        }
        Ok(Self { shared: Arc::new(shared), tasks: TaskTracker::new() })
    }

    /// Starts every extension that is to run; returns while they are starting.
    pub(crate) async fn start_all(&self) {
        if self.shared.asleep {
            tracing::warn!("extensions are switched off; none is started");
            return;
        }
        for extension in self.shared.all() {
            if extension.enabled {
                self.shared.start(&extension).await;
            }
        }
    }

    /// Gives up installs and waits for starts, and takes no further commands.
    pub(crate) fn give_up(&self) {
        self.shared.stop.cancel();
        self.tasks.close();
    }

    /// Waits for the commands that are under way.
    pub(crate) async fn finish(&self) {
        self.tasks.wait().await;
    }

    /// Runs a command to its end, also if whoever asked doesn't wait for it.
    async fn command<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, ExtensionError>> + Send + 'static,
    ) -> Result<T, ExtensionError> {
        if self.tasks.is_closed() {
            return Err(ExtensionError::Refused("the server is stopping".to_owned()));
        }
        match self.tasks.spawn(work).await {
            Ok(done) => done,
            Err(error) => {
                tracing::error!(%error, "a command about extensions failed");
                Err(ExtensionError::Internal)
            }
        }
    }
}

impl Shared {
    /// Notes what an extension may do, before it can ask for anything.
    fn permit(&self, extension: &Installed) {
        self.hooks.permit(&extension.name, &extension.permissions);
        self.hooks.declare(&extension.name, &extension.offer);
        self.host.permit(&extension.name, &extension.permissions);
    }

    /// Starts an extension, if it can be.
    async fn start(&self, extension: &Installed) {
        match &extension.condition {
            Condition::Sound(spec) => self.supervisor.start((**spec).clone()).await,
            Condition::Broken(reason) => {
                tracing::error!(extension = %extension.name, reason, "the extension is broken");
            }
        }
    }

    fn remember(&self, extension: Installed) {
        let mut installed = self.installed.write().unwrap_or_else(PoisonError::into_inner);
        installed.insert(extension.name.clone(), extension);
    }

    fn forget(&self, name: &ExtensionName) {
        self.installed.write().unwrap_or_else(PoisonError::into_inner).remove(name);
    }

    fn all(&self) -> Vec<Installed> {
        let installed = self.installed.read().unwrap_or_else(PoisonError::into_inner);
        installed.values().cloned().collect()
    }

    /// An installed extension, by what a client called it.
    fn find(&self, name: &str) -> Result<Installed, ExtensionError> {
        let not_found = || ExtensionError::NotFound(name.to_owned());
        let name: ExtensionName = name.parse().map_err(|_| not_found())?;
        let installed = self.installed.read().unwrap_or_else(PoisonError::into_inner);
        installed.get(&name).cloned().ok_or_else(not_found)
    }

    /// Does something with the catalog on a thread that may wait for the disk.
    async fn with_catalog<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Catalog) -> Result<T, ExtensionError> + Send + 'static,
    ) -> Result<T, ExtensionError> {
        let catalog = Arc::clone(&self.catalog);
        match tokio::task::spawn_blocking(move || work(&catalog)).await {
            Ok(done) => done,
            Err(error) => {
                tracing::error!(%error, "a change of the catalog failed");
                Err(ExtensionError::Internal)
            }
        }
    }
}

/// An error with everything that caused it, in one sentence.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
