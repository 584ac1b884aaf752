//! The catalog of a data folder whose server doesn't run, and looking at a source beforehand.

use anyhow::Context as _;
use tinybase_catalog::{Catalog, Installed, Source, Staged, Work};
use tinybase_model::ExtensionName;
use tokio_util::sync::CancellationToken;

use crate::data_folder::{DataFolder, Lock};
use crate::server::open_catalog;
use crate::signals::StopSignals;
use crate::terminal::Progress;

/// A catalog that no server can use meanwhile.
pub(super) struct Offline {
    catalog: Catalog,
    _lock: Lock,
}

impl Offline {
    pub(super) fn open(data: &DataFolder) -> anyhow::Result<Self> {
        let lock = data.lock()?;
        let catalog = open_catalog(data.root())?;
        catalog.sweep()?;
        Ok(Self { catalog, _lock: lock })
    }

    pub(super) fn all(&self) -> anyhow::Result<Vec<Installed>> {
        Ok(self.catalog.load()?)
    }

    pub(super) fn find(&self, name: &str) -> anyhow::Result<Installed> {
        let parsed: Option<ExtensionName> = name.parse().ok();
        let found = parsed.map(|name| self.catalog.find(&name)).transpose()?.flatten();
        found.with_context(|| format!("Extension '{name}' not found"))
    }

    /// Marks it as to be started or not; says whether that is a change.
    pub(super) fn set_enabled(&self, name: &str, enabled: bool) -> anyhow::Result<bool> {
        let name = self.find(name)?.name;
        let change = if enabled { self.catalog.enable(&name) } else { self.catalog.disable(&name) };
        Ok(change?)
    }

    pub(super) fn uninstall(&self, name: &str) -> anyhow::Result<()> {
        Ok(self.catalog.uninstall(&self.find(name)?.name)?)
    }

    /// Builds and installs what was looked at.
    pub(super) async fn install(self, staged: Staged) -> anyhow::Result<Installed> {
        let what = format!("Installing {}", staged.manifest().about.name);
        let catalog = self.catalog;
        working(&what, move |work| catalog.install(staged, work).map_err(Into::into)).await
    }

    /// Fetches a source and checks it.
    pub(super) async fn stage(self, source: Source) -> anyhow::Result<(Self, Staged)> {
        working(&format!("Fetching {source}"), move |work| {
            let staged = self.catalog.stage(&source, work)?;
            Ok((self, staged))
        })
        .await
    }
}

/// Fetches a source to look at what it asks for, in a folder of its own.
pub(super) async fn inspect(source: Source) -> anyhow::Result<Staged> {
    let folder = tempfile::tempdir().context("failed to make a temporary folder")?;
    working(&format!("Fetching {source}"), move |work| {
        let staged = open_catalog(folder.path())?.stage(&source, work);
        // What was fetched is only looked at through the manifest, which has been read.
        drop(folder);
        Ok(staged?)
    })
    .await
}

/// Does something long on a thread of its own; Ctrl-C ends it in good order.
async fn working<T: Send + 'static>(
    what: &str,
    work: impl FnOnce(&Work<'_>) -> anyhow::Result<T> + Send + 'static,
) -> anyhow::Result<T> {
    let mut signals = StopSignals::listen().context("failed to listen for signals")?;
    let stop = CancellationToken::new();
    let given_up = stop.clone();
    let progress = Progress::begin(what);
    let thread = tokio::task::spawn_blocking(move || {
        let report = |line: &str| progress.report(line);
        work(&Work::new(&report, given_up))
    });
    let mut thread = std::pin::pin!(thread);
    let done = tokio::select! {
        done = thread.as_mut() => done,
        _ = signals.next() => {
            stop.cancel();
            thread.await
        }
    };
    done.context("the work failed")?
}
