//! Looking whether the place where an extension came from has another version of it.

use std::time::Duration;

use tinybase_catalog::{Installed, Source, Work};
use tinybase_core::ExtensionError;
use tokio_util::sync::CancellationToken;

use super::chain;
use crate::server::open_catalog;

/// How long one look may take.
const LOOK_LIMIT: Duration = Duration::from_secs(30);

/// The version at the extension's source, if it isn't the one that is installed. Fetches into a
/// folder of its own and runs nothing of it.
pub(crate) async fn look(
    installed: &Installed,
    stop: &CancellationToken,
) -> Result<Option<String>, ExtensionError> {
    let given_up = stop.child_token();
    let ends_when_dropped = given_up.clone().drop_guard();
    let (origin, version) = (installed.origin.clone(), installed.version.clone());
    let work = tokio::task::spawn_blocking(move || {
        let source: Source = origin.source.parse().map_err(|error| refused(&error))?;
        let folder = tempfile::tempdir().map_err(|error| refused(&error))?;
        let report = |line: &str| tracing::debug!(line, "looking for an update");
        let catalog = open_catalog(folder.path())
            .map_err(|error| ExtensionError::Refused(format!("{error:#}")))?;
        let staged = catalog
            .stage(&source, &Work::new(&report, given_up))
            .map_err(|error| refused(&error))?;
        let found = staged.manifest().about.version.to_string();
        let commit = staged.commit().map(str::to_owned);
        Ok(newer(&version, origin.commit.as_deref(), found, commit))
    });
    let done = tokio::time::timeout(LOOK_LIMIT, work).await;
    drop(ends_when_dropped);
    match done {
        Ok(Ok(found)) => found,
        Ok(Err(error)) => {
            tracing::error!(%error, "looking for an update failed");
            Err(ExtensionError::Internal)
        }
        Err(_) => Err(ExtensionError::Refused(format!(
            "its source {} didn't answer within {} seconds",
            installed.origin.source,
            LOOK_LIMIT.as_secs()
        ))),
    }
}

/// What is at the source, if that is something else than what is here.
fn newer(
    version: &str,
    commit: Option<&str>,
    found: String,
    found_commit: Option<String>,
) -> Option<String> {
    if found != version {
        return Some(found);
    }
    let found_commit = found_commit.filter(|found| commit.is_some_and(|commit| commit != found))?;
    let short: String = found_commit.chars().take(12).collect();
    Some(format!("{found} ({short})"))
}

fn refused(error: &dyn std::error::Error) -> ExtensionError {
    ExtensionError::Refused(chain(error))
}

#[cfg(test)]
mod tests {
    use super::newer;

    #[test]
    fn another_version_or_another_commit_is_news() {
        let look = |found: &str, commit: Option<&str>| {
            newer("1.0.0", Some("aaa"), found.to_owned(), commit.map(str::to_owned))
        };
        assert_eq!(look("1.0.0", Some("aaa")), None);
        assert_eq!(look("1.0.0", None), None);
        assert_eq!(look("1.1.0", Some("bbb")), Some("1.1.0".to_owned()));
        let commit = look("1.0.0", Some("bbbbbbbbbbbbbbbb"));
        assert_eq!(commit, Some("1.0.0 (bbbbbbbbbbbb)".to_owned()));
        assert_eq!(newer("1.0.0", None, "1.0.0".to_owned(), Some("b".to_owned())), None);
    }
}
