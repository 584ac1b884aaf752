//! The archive itself: a ZIP file whose last entry is the manifest.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use sha2::{Digest as _, Sha256};
use tinybase_store::{DatabaseUrl, upkeep};
use zip::write::SimpleFileOptions;
use zip::{ZipArchive, ZipWriter};

use super::{DATABASE, Entry, FILES, FORMAT, LOCK_FILE, Manifest};

const MANIFEST: &str = "manifest.json";

/// The largest manifest that is read.
const MANIFEST_BYTES_MAX: u64 = 64 << 20;

/// Writes an archive. It has its name only once it is whole.
pub(super) fn write(
    mut manifest: Manifest,
    database: &Path,
    data: &Path,
    archive: &Path,
) -> anyhow::Result<Manifest> {
    ensure!(!archive.exists(), "{} is there already", archive.display());
    let partial = archive.with_extension("partial");
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&partial)
        .with_context(|| format!("failed to write {}", partial.display()))?;
    let mut zip = ZipWriter::new(file);
    add(&mut zip, &mut manifest, database, DATABASE.to_owned())?;
    let lock = data.join(LOCK_FILE);
    if lock.exists() {
        add(&mut zip, &mut manifest, &lock, LOCK_FILE.to_owned())?;
    }
    for path in files_in(&data.join(FILES))? {
        let name = path.strip_prefix(data).unwrap_or(&path).display().to_string();
        add(&mut zip, &mut manifest, &path, name)?;
    }
    zip.start_file(MANIFEST, options())?;
    zip.write_all(&serde_json::to_vec_pretty(&manifest)?)?;
    let file = zip.finish()?;
    file.sync_all().context("failed to sync the archive")?;
    fs::rename(&partial, archive)
        .with_context(|| format!("failed to write {}", archive.display()))?;
    Ok(manifest)
}

fn options() -> SimpleFileOptions {
    SimpleFileOptions::default().large_file(true)
}

fn add(
    zip: &mut ZipWriter<File>,
    manifest: &mut Manifest,
    path: &Path,
    name: String,
) -> anyhow::Result<()> {
    let context = || format!("failed to add {}", path.display());
    let mut file = match File::open(path) {
        Ok(file) => file,
        // Somebody deleted it since the folder was listed; its row is gone or about to.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error).with_context(context),
    };
    zip.start_file(&name, options()).with_context(context)?;
    let (bytes, sha256) = pour(&mut file, zip).with_context(context)?;
    manifest.entries.push(Entry { path: name, bytes, sha256 });
    Ok(())
}

/// All files of a folder, however deep.
fn files_in(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => {
                return Err(error).with_context(|| format!("failed to list {}", folder.display()));
            }
        };
        for entry in entries {
            let entry = entry?;
            let kind = entry.file_type()?;
            if kind.is_dir() {
                folders.push(entry.path());
            } else if kind.is_file() {
                found.push(entry.path());
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Copies everything and tells how much it was, with its hash.
fn pour(from: &mut dyn Read, to: &mut dyn Write) -> io::Result<(u64, String)> {
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    let mut bytes = 0;
    loop {
        let read = from.read(&mut buffer)?;
        if read == 0 {
            let hash: [u8; 32] = hash.finalize().into();
            let digits = hash.iter().flat_map(|byte| [byte >> 4, byte & 15]);
            let text = digits.filter_map(|digit| char::from_digit(digit.into(), 16)).collect();
            return Ok((bytes, text));
        }
        let part = &buffer[..read];
        hash.update(part);
        to.write_all(part)?;
        bytes += read as u64;
    }
}

/// Checks every hash, and opens the database. Gives what the archive says about itself.
pub(crate) async fn verify(archive: &Path) -> anyhow::Result<Manifest> {
    let staging = tempfile::tempdir().context("failed to make a temporary folder")?;
    let manifest = extract(archive, staging.path()).await?;
    check(&staging.path().join(DATABASE)).await?;
    Ok(manifest)
}

async fn check(database: &Path) -> anyhow::Result<()> {
    let wrong = upkeep::integrity(&DatabaseUrl::file(database)).await?;
    ensure!(wrong.is_empty(), "the database in the archive is damaged: {}", wrong.join("; "));
    Ok(())
}

/// Unpacks an archive into a folder, checked.
pub(super) async fn extract(archive: &Path, folder: &Path) -> anyhow::Result<Manifest> {
    let (archive, folder) = (archive.to_owned(), folder.to_owned());
    let extracted = tokio::task::spawn_blocking(move || unpack(&archive, &folder));
    extracted.await.context("reading the archive failed")?
}

fn unpack(archive: &Path, folder: &Path) -> anyhow::Result<Manifest> {
    let context = || format!("{} is no whole backup", archive.display());
    let file =
        File::open(archive).with_context(|| format!("failed to read {}", archive.display()))?;
    let mut zip = ZipArchive::new(file).with_context(context)?;
    let manifest = read_manifest(&mut zip).with_context(context)?;
    ensure!(
        manifest.format <= FORMAT,
        "{} has format {}, which a newer TinyBase wrote; restore it with that one",
        archive.display(),
        manifest.format
    );
    ensure!(
        manifest.entries.iter().any(|entry| entry.path == DATABASE),
        "{} has no database",
        archive.display()
    );
    for entry in &manifest.entries {
        let place = folder.join(safe(&entry.path)?);
        if let Some(parent) = place.parent() {
            fs::create_dir_all(parent)?;
        }
        let mut packed = zip.by_name(&entry.path).with_context(context)?;
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&place)
            .with_context(|| format!("failed to write {}", place.display()))?;
        let poured = pour(&mut (&mut packed).take(entry.bytes + 1), &mut file);
        let (bytes, sha256) =
            poured.with_context(|| format!("{} in the archive is damaged", entry.path))?;
        let found = Entry { path: entry.path.clone(), bytes, sha256 };
        ensure!(found == *entry, "{} in the archive isn't what was backed up", entry.path);
        file.sync_all()?;
    }
    Ok(manifest)
}

fn read_manifest(zip: &mut ZipArchive<File>) -> anyhow::Result<Manifest> {
    let mut text = Vec::new();
    let packed = zip.by_name(MANIFEST).context("it has no manifest")?;
    packed.take(MANIFEST_BYTES_MAX).read_to_end(&mut text).context("its manifest is damaged")?;
    serde_json::from_slice(&text).context("its manifest can't be read")
}

/// A path that stays inside the folder that it is joined to.
fn safe(path: &str) -> anyhow::Result<&Path> {
    let path = Path::new(path);
    if path.components().all(|part| matches!(part, Component::Normal(_))) {
        return Ok(path);
    }
    bail!("the archive has an entry outside of its folder: {}", path.display());
}
