//! Installing while the server runs: fetch and build aside, then start, and see how it goes.

use std::sync::Arc;

use tinybase_catalog::{Catalog, CatalogError, InstallError, Installed, Source, Work};
use tinybase_core::{ExtensionError, InstalledExtension};
use tokio_util::sync::CancellationToken;

use super::{Shared, chain};

/// Installs and starts; the answer has the state that the extension came to.
pub(super) async fn install(
    shared: Arc<Shared>,
    source: String,
    given_up: CancellationToken,
) -> Result<InstalledExtension, ExtensionError> {
    let _changing = shared.changing.lock().await;
    let source: Source = source.parse().map_err(|error| ExtensionError::Refused(chain(&error)))?;
    tracing::info!(%source, "installing an extension");
    let installed =
        shared.with_catalog(move |catalog| fetch_and_build(catalog, &source, given_up)).await?;
    let name = installed.name.clone();
    tracing::info!(extension = %name, version = installed.version, "installed the extension");
    shared.remember(installed.clone());
    if !shared.asleep {
        shared.permit(&installed);
        shared.start(&installed).await;
        shared.settle(&installed).await;
    }
    Ok(shared.view(&installed))
}

fn fetch_and_build(
    catalog: &Catalog,
    source: &Source,
    given_up: CancellationToken,
) -> Result<Installed, ExtensionError> {
    let report = |line: &str| tracing::debug!(line, "installing");
    let work = Work::new(&report, given_up);
    let installed = catalog.stage(source, &work).and_then(|staged| catalog.install(staged, &work));
    installed.map_err(|error| {
        let text = chain(&error);
        tracing::warn!(%source, error = text, "the extension was not installed");
        match error {
            InstallError::Lock(_) | InstallError::Io { .. } => {
                ExtensionError::Refused(format!("the server could not store it: {text}"))
            }
            InstallError::Source(_)
            | InstallError::Step { .. }
            | InstallError::NoManifest(_)
            | InstallError::Manifest(_)
            | InstallError::Refused(_)
            | InstallError::AlreadyInstalled { .. }
            | InstallError::Files(_)
            | InstallError::Stopped => ExtensionError::Refused(text),
        }
    })
}

/// What a client is told of a failed change.
pub(super) fn refusal(error: &CatalogError) -> ExtensionError {
    match error {
        CatalogError::NotFound(name) => ExtensionError::NotFound(name.to_string()),
        CatalogError::Lock(_)
        | CatalogError::Files(_)
        | CatalogError::Manifest(_)
        | CatalogError::Io { .. } => {
            tracing::error!(error = chain(error), "a change of the catalog failed");
            ExtensionError::Internal
        }
    }
}
