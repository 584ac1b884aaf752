//! The operator's commands.

use std::sync::Arc;

use async_trait::async_trait;
use tinybase_catalog::{Condition, Installed};
use tinybase_core::{ExtensionAdmin, ExtensionError, HookInfo, InstalledExtension};
use tinybase_model::{ExtensionName, ExtensionState, LogLine};

use super::install::{install, refusal};
use super::update::look;
use super::{Extensions, Shared, chain, view};

#[async_trait]
impl ExtensionAdmin for Extensions {
    async fn list(&self) -> Result<Vec<InstalledExtension>, ExtensionError> {
        Ok(self.shared.all().iter().map(|extension| self.shared.view(extension)).collect())
    }

    async fn get(&self, name: &str) -> Result<InstalledExtension, ExtensionError> {
        Ok(self.shared.view(&self.shared.find(name)?))
    }

    async fn install(
        &self,
        source: &str,
        granted: bool,
    ) -> Result<InstalledExtension, ExtensionError> {
        if !granted {
            return Err(ExtensionError::Refused(
                "installing runs somebody else's code and grants what its manifest asks for; \
                 agree to that first"
                    .to_owned(),
            ));
        }
        // Whoever asked and went away doesn't want the build any more.
        let given_up = self.shared.stop.child_token();
        let asked = given_up.clone().drop_guard();
        let shared = Arc::clone(&self.shared);
        let installed = self.command(install(shared, source.to_owned(), given_up)).await;
        drop(asked);
        installed
    }

    async fn set_enabled(
        &self,
        name: &str,
        enabled: bool,
    ) -> Result<InstalledExtension, ExtensionError> {
        let extension = self.shared.find(name)?;
        let shared = Arc::clone(&self.shared);
        self.command(async move {
            let _changing = shared.changing.lock().await;
            if enabled {
                shared.enable(&extension.name).await
            } else {
                shared.disable(&extension.name).await
            }
        })
        .await
    }

    async fn uninstall(&self, name: &str) -> Result<(), ExtensionError> {
        let extension = self.shared.find(name)?;
        let shared = Arc::clone(&self.shared);
        self.command(async move {
            let _changing = shared.changing.lock().await;
            shared.uninstall(extension.name).await
        })
        .await
    }

    async fn restart(&self, name: &str) -> Result<InstalledExtension, ExtensionError> {
        let extension = self.shared.find(name)?;
        if !extension.enabled {
            return Err(ExtensionError::Refused(format!(
                "{name} is disabled; start it with: tinybase extensions enable {name}"
            )));
        }
        let shared = Arc::clone(&self.shared);
        self.command(async move {
            let _changing = shared.changing.lock().await;
            shared.restart(&extension.name).await
        })
        .await
    }

    async fn logs(&self, name: &str, lines: usize) -> Result<Vec<LogLine>, ExtensionError> {
        let extension = self.shared.find(name)?;
        Ok(self.shared.supervisor.logs(&extension.name, lines))
    }

    async fn update_available(&self, name: &str) -> Result<Option<String>, ExtensionError> {
        look(&self.shared.find(name)?, &self.shared.stop).await
    }

    async fn hooks(&self) -> Result<Vec<HookInfo>, ExtensionError> {
        let times = self.shared.times;
        Ok(self.shared.hooks.chain().into_iter().map(|hook| view::hook(hook, times)).collect())
    }
}

impl Shared {
    pub(super) fn view(&self, extension: &Installed) -> InstalledExtension {
        view::installed(extension, self.supervisor.status(&extension.name), self.asleep)
    }

    /// Starts an extension that isn't running, also one that was quarantined or had been broken.
    async fn enable(&self, name: &ExtensionName) -> Result<InstalledExtension, ExtensionError> {
        let wanted = name.clone();
        self.with_catalog(move |catalog| {
            catalog.enable(&wanted).map(drop).map_err(|error| refusal(&error))
        })
        .await?;
        let runs = self.supervisor.status(name).is_some_and(|status| {
            matches!(status.state, ExtensionState::Ready | ExtensionState::Degraded)
        });
        if runs { Ok(self.view(&self.look_again(name).await?)) } else { self.begin(name).await }
    }

    /// Takes an extension's hooks and functions away at once, then ends its process.
    async fn disable(&self, name: &ExtensionName) -> Result<InstalledExtension, ExtensionError> {
        let wanted = name.clone();
        self.with_catalog(move |catalog| {
            catalog.disable(&wanted).map(drop).map_err(|error| refusal(&error))
        })
        .await?;
        let extension = self.look_again(name).await?;
        self.end(name).await;
        Ok(self.view(&extension))
    }

    async fn uninstall(&self, name: ExtensionName) -> Result<(), ExtensionError> {
        // Disabled first: whatever happens in between, it isn't started again.
        self.disable(&name).await?;
        let wanted = name.clone();
        self.with_catalog(move |catalog| {
            catalog.uninstall(&wanted).map_err(|error| refusal(&error))
        })
        .await?;
        self.forget(&name);
        tracing::info!(extension = %name, "uninstalled the extension");
        Ok(())
    }

    async fn restart(&self, name: &ExtensionName) -> Result<InstalledExtension, ExtensionError> {
        if self.supervisor.stop(name).await.is_err() {
            tracing::debug!(extension = %name, "it wasn't running");
        }
        self.begin(name).await
    }

    /// Looks at an extension's files again, starts it, and waits for how that goes.
    async fn begin(&self, name: &ExtensionName) -> Result<InstalledExtension, ExtensionError> {
        let extension = self.look_again(name).await?;
        if matches!(extension.condition, Condition::Broken(_)) {
            self.supervisor.forget(name).await;
        }
        // Somebody may have disabled it since the command was checked.
        if extension.enabled && !self.asleep {
            self.permit(&extension);
            self.start(&extension).await;
            self.settle(&extension).await;
        }
        Ok(self.view(&extension))
    }

    /// Ends an extension's process and forgets what it registered.
    async fn end(&self, name: &ExtensionName) {
        // Once before, so that nothing new comes; once after, for what came in between.
        for step in 0..2 {
            if step == 1 {
                self.supervisor.forget(name).await;
            }
            self.forget_hooks(name).await;
        }
        self.host.forget(name);
    }

    async fn forget_hooks(&self, name: &ExtensionName) {
        if let Err(error) = self.hooks.forget(name).await {
            let error = chain(&error);
            tracing::error!(extension = %name, error, "its subscriptions could not be ended");
        }
    }

    /// Reads one extension from the catalog.
    async fn look_again(&self, name: &ExtensionName) -> Result<Installed, ExtensionError> {
        let wanted = name.clone();
        let found = self.with_catalog(move |catalog| {
            catalog.find(&wanted).map_err(|error| refusal(&error.into()))
        });
        let Some(extension) = found.await? else {
            self.forget(name);
            return Err(ExtensionError::NotFound(name.to_string()));
        };
        self.remember(extension.clone());
        Ok(extension)
    }
}
