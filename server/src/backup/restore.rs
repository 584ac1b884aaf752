//! Putting a backup in place.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use tinybase_store::{DatabaseUrl, upkeep};

use super::archive::extract;
use super::{DATABASE, FILES, LOCK_FILE, Manifest};

/// What came of it.
#[derive(Debug)]
pub(crate) struct Restored {
    pub(crate) manifest: Manifest,
    /// Where what was there is now.
    pub(crate) aside: Option<PathBuf>,
}

/// Restores an archive into a data folder that nobody uses, whole or not at all.
pub(crate) async fn restore(
    url: &DatabaseUrl,
    data: &Path,
    archive: &Path,
    replace: bool,
) -> anyhow::Result<Restored> {
    // In the folder itself, so that moving is renaming.
    let staging =
        tempfile::tempdir_in(data).context("failed to make a folder in the data folder")?;
    let manifest = extract(archive, staging.path()).await?;
    let database = DatabaseUrl::file(staging.path().join(DATABASE));
    let wrong = upkeep::integrity(&database).await?;
    ensure!(wrong.is_empty(), "the database in the archive is damaged: {}", wrong.join("; "));
    upkeep::upgrade(&database).await.context("failed to bring the backup up to date")?;
    upkeep::begin_epoch(&database).await?;
    let present = present(url, data);
    ensure!(
        present.is_empty() || replace,
        "there is data already: {}; with --replace it is kept aside",
        present.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
    );
    if url.as_file().is_none() {
        upkeep::copy(&database, url, &mut |_, _| {})
            .await
            .with_context(|| format!("failed to copy the backup to {url}"))?;
    }
    let aside = put_aside(&present, data)?;
    let mut moves = vec![(LOCK_FILE, data.join(LOCK_FILE)), (FILES, data.join(FILES))];
    if let Some(file) = url.as_file() {
        moves.push((DATABASE, file.to_owned()));
    }
    for (name, place) in moves {
        let from = staging.path().join(name);
        if from.exists() {
            clear(&place)?;
            fs::rename(&from, &place)
                .with_context(|| format!("failed to put {} in place", place.display()))?;
        }
    }
    Ok(Restored { manifest, aside })
}

/// What is in the way.
fn present(url: &DatabaseUrl, data: &Path) -> Vec<PathBuf> {
    let mut paths = vec![data.join(LOCK_FILE), data.join(FILES)];
    if let Some(file) = url.as_file() {
        let companion = |ending: &str| PathBuf::from(format!("{}{ending}", file.display()));
        paths.extend(["", "-wal", "-shm"].map(companion));
    }
    paths.retain(|path| path.exists() && !is_without_files(path));
    paths
}

/// Whether a folder holds no file that anybody uploaded. A server makes the folder when it starts,
/// with one for uploads that aren't whole, whose name begins with a dot as no key does.
fn is_without_files(path: &Path) -> bool {
    let Ok(mut entries) = fs::read_dir(path) else { return false };
    entries.all(|entry| {
        entry.is_ok_and(|entry| entry.file_name().as_encoded_bytes().starts_with(b"."))
    })
}

/// Removes a folder without files, onto which no other could be renamed.
fn clear(place: &Path) -> anyhow::Result<()> {
    if !is_without_files(place) {
        return Ok(());
    }
    fs::remove_dir_all(place).with_context(|| format!("failed to remove {}", place.display()))
}

fn put_aside(present: &[PathBuf], data: &Path) -> anyhow::Result<Option<PathBuf>> {
    if present.is_empty() {
        return Ok(None);
    }
    let now = jiff::Timestamp::now().strftime("%Y-%m-%dT%H-%M-%S%.3fZ");
    let aside = data.join(format!("before-restore-{now}"));
    fs::create_dir(&aside).with_context(|| format!("failed to create {}", aside.display()))?;
    for path in present {
        let name = path.file_name().unwrap_or(path.as_os_str());
        fs::rename(path, aside.join(name))
            .with_context(|| format!("failed to put {} aside", path.display()))?;
    }
    Ok(Some(aside))
}
