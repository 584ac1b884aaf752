//! Backups: one archive with the database as a file, the uploaded files, and which extensions are
//! installed, each with its hash in a manifest.

mod archive;
mod restore;

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use tinybase_store::{DatabaseUrl, upkeep};

pub(crate) use self::archive::verify;
pub(crate) use self::restore::restore;

/// The format of archives that this server writes.
const FORMAT: u32 = 1;

/// The database's name in an archive.
const DATABASE: &str = "tinybase.db";

/// What else of a data folder is in an archive: a file and a folder.
const LOCK_FILE: &str = "extensions.lock";
const FILES: &str = "files";

/// What an archive says about itself.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Manifest {
    pub(crate) format: u32,
    pub(crate) server_version: String,
    pub(crate) created_at: jiff::Timestamp,
    /// How many rows each table has.
    pub(crate) rows: BTreeMap<String, u64>,
    /// The buckets that have files which aren't in the archive, and how many.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) buckets: BTreeMap<String, u64>,
    pub(crate) entries: Vec<Entry>,
}

/// A file in an archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    pub(crate) path: String,
    pub(crate) bytes: u64,
    pub(crate) sha256: String,
}

/// Makes an archive, also while the server writes.
pub(crate) async fn create(
    url: &DatabaseUrl,
    data: &Path,
    archive: &Path,
    progress: &mut (dyn FnMut(&str) + Send),
) -> anyhow::Result<Manifest> {
    let place = archive.parent().filter(|place| !place.as_os_str().is_empty());
    let staging = tempfile::tempdir_in(place.unwrap_or(Path::new(".")))
        .context("failed to make a temporary folder beside the archive")?;
    let database = staging.path().join(DATABASE);
    let rows = upkeep::snapshot(url, &database, &mut |table, rows| {
        progress(&format!("{table}: {rows} rows"));
    })
    .await
    .with_context(|| format!("failed to copy {url}"))?;
    let copied = DatabaseUrl::file(&database);
    let buckets = upkeep::buckets(&copied).await.context("failed to read the copy")?;
    progress("writing the archive");
    let manifest = Manifest {
        format: FORMAT,
        server_version: env!("CARGO_PKG_VERSION").to_owned(),
        created_at: jiff::Timestamp::now(),
        rows: rows.into_iter().map(|copied| (copied.table, copied.rows)).collect(),
        buckets: buckets.into_iter().collect(),
        entries: Vec::new(),
    };
    let (data, archive) = (data.to_owned(), archive.to_owned());
    let written =
        tokio::task::spawn_blocking(move || archive::write(manifest, &database, &data, &archive));
    written.await.context("writing the archive failed")?
}
