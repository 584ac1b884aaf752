//! The catalog: what is installed in a data folder, and every change of that.

mod install;
mod load;

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use tinybase_model::{ExtensionName, ExtensionSpec, Offer, Permissions};

use crate::build::Tools;
use crate::error::CatalogError;
use crate::files::Listing;
use crate::kind::Place;
use crate::lock::{self, Grant, LockError, LockFile, Locked};
use crate::manifest::About;

pub use install::{Staged, describe};

/// What a catalog needs to know.
#[derive(Debug)]
pub struct CatalogOptions {
    /// The data folder.
    pub data: PathBuf,
    /// The server's own program; the Python SDK is looked for beside it.
    pub executable: PathBuf,
    /// The protocol's schema, as a text; builds get a file with it.
    pub proto: &'static str,
}

/// Which extensions are installed in a data folder.
///
/// Several processes may have one open: each change of the lock file is guarded.
#[derive(Debug)]
pub struct Catalog {
    folder: PathBuf,
    lock: PathBuf,
    guard: PathBuf,
    tools: Tools,
}

/// Whether an installed extension can be started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// It can, like this.
    Sound(Box<ExtensionSpec>),
    /// It can't, and why, and what to do.
    Broken(String),
}

/// An installed extension.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installed {
    /// Its name.
    pub name: ExtensionName,
    /// Its version.
    pub version: String,
    /// What it says about itself; none if its manifest is gone.
    pub about: Option<About>,
    /// How it came here.
    pub origin: Origin,
    /// Whether it is to be started.
    pub enabled: bool,
    /// What the operator granted.
    pub granted: Grant,
    /// What it may do, whether it can be started or not.
    pub permissions: Permissions,
    /// What its manifest says about what it offers.
    pub offer: Offer,
    /// Whether it can be started.
    pub condition: Condition,
}

/// How an extension came here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// From where, as it was typed, without a password.
    pub source: String,
    /// The commit, if it came from git.
    pub commit: Option<String>,
    /// The digest of its files.
    pub tree: String,
    /// When.
    pub installed_at: jiff::Timestamp,
}

impl Catalog {
    /// Opens a data folder's catalog.
    ///
    /// # Errors
    /// If the folder can't be written.
    pub fn open(options: CatalogOptions) -> Result<Self, CatalogError> {
        let CatalogOptions { data, executable, proto } = options;
        // Environments and build tools are given these paths, whatever their working directory.
        let data = std::path::absolute(&data).map_err(CatalogError::io("reading", &data))?;
        let folder = data.join("extensions");
        let cache = data.join("cache");
        for folder in [&folder, &cache] {
            fs::create_dir_all(folder).map_err(CatalogError::io("creating", folder))?;
        }
        let proto_path = cache.join("extension.proto");
        if fs::read_to_string(&proto_path).is_ok_and(|text| text == proto) {
            tracing::trace!("the schema is in the cache");
        } else {
            fs::write(&proto_path, proto).map_err(CatalogError::io("writing", &proto_path))?;
        }
        let cargo_target = cache.join("cargo-target");
        let cargo_target_named = std::env::var_os("TINYBASE_CARGO_TARGET_DIR").map(PathBuf::from);
        Ok(Self {
            guard: folder.join(".guard"),
            folder,
            lock: data.join(lock::FILE_NAME),
            tools: Tools { executable, proto: proto_path, cargo_target, cargo_target_named },
        })
    }

    /// Marks an extension as to be started. Returns whether that is a change.
    pub fn enable(&self, name: &ExtensionName) -> Result<bool, CatalogError> {
        self.set_enabled(name, true)
    }

    /// Marks an extension as not to be started. Returns whether that is a change.
    pub fn disable(&self, name: &ExtensionName) -> Result<bool, CatalogError> {
        self.set_enabled(name, false)
    }

    /// Forgets an extension and removes its files. Its process has to be gone.
    pub fn uninstall(&self, name: &ExtensionName) -> Result<(), CatalogError> {
        self.change(|lock| match lock.extension.remove(name) {
            Some(_) => Ok(()),
            None => Err(CatalogError::NotFound(name.clone())),
        })?;
        let files = self.folder.join(name.as_str());
        if !files.exists() {
            return Ok(());
        }
        // A rename can't stop halfway; what a removal leaves is swept away later.
        let aside = self.folder.join(format!(".removed-{name}"));
        if aside.exists() {
            fs::remove_dir_all(&aside).map_err(CatalogError::io("removing", &aside))?;
        }
        fs::rename(&files, &aside).map_err(CatalogError::io("moving", &files))?;
        fs::remove_dir_all(&aside).map_err(CatalogError::io("removing", &aside))
    }

    /// Takes an extension's files as they are now for what is installed.
    pub fn repin(&self, name: &ExtensionName) -> Result<(), CatalogError> {
        self.change(|lock| {
            let Some(locked) = lock.extension.get_mut(name) else {
                return Err(CatalogError::NotFound(name.clone()));
            };
            let place = self.place(name, locked);
            let listing = Listing::of(&place.tree)?;
            for (path, text) in [
                (&place.listing, listing.text()),
                (&place.manifest, install::manifest_text(&place.tree)?),
            ] {
                fs::write(path, text).map_err(CatalogError::io("writing", path))?;
            }
            locked.tree = listing.hash();
            Ok(())
        })
    }

    fn set_enabled(&self, name: &ExtensionName, enabled: bool) -> Result<bool, CatalogError> {
        self.change(|lock| match lock.extension.get_mut(name) {
            Some(locked) => Ok(std::mem::replace(&mut locked.enabled, enabled) != enabled),
            None => Err(CatalogError::NotFound(name.clone())),
        })
    }

    /// Reads the lock file, changes it and writes it, while nobody else does.
    fn change<T, E: From<LockError>>(
        &self,
        change: impl FnOnce(&mut LockFile) -> Result<T, E>,
    ) -> Result<T, E> {
        let guarded = File::create(&self.guard).and_then(|guard| guard.lock().map(|()| guard));
        let guard =
            guarded.map_err(|source| LockError::Write { path: self.guard.clone(), source })?;
        let before = LockFile::read(&self.lock)?;
        let mut lock = before.clone();
        let done = change(&mut lock)?;
        if lock != before {
            lock.write(&self.lock)?;
        }
        drop(guard);
        Ok(done)
    }

    fn place(&self, name: &ExtensionName, locked: &Locked) -> Place {
        Place::new(&self.folder.join(name.as_str()), &locked.folder)
    }

    /// Removes what interrupted changes left: staging folders, removed extensions, and versions
    /// that the lock file doesn't name. Nobody else may be installing.
    ///
    /// # Errors
    /// If something can't be removed.
    pub fn sweep(&self) -> Result<(), CatalogError> {
        let lock = LockFile::read(&self.lock)?;
        for (path, name) in entries(&self.folder)? {
            if name.starts_with(".staging-") || name.starts_with(".removed-") {
                remove(&path)?;
                continue;
            }
            let Ok(name) = name.parse::<ExtensionName>() else { continue };
            match lock.extension.get(&name) {
                None => remove(&path)?,
                Some(locked) => {
                    let keep = &locked.folder;
                    for (path, file) in entries(&path)? {
                        if file != *keep && file.strip_prefix(keep.as_str()).is_none_or(is_foreign)
                        {
                            remove(&path)?;
                        }
                    }
                }
            }
        }
        Ok(())
    }
}

/// Whether what follows a version's folder name makes it something else than that version's.
fn is_foreign(ending: &str) -> bool {
    !matches!(ending, ".env" | ".files" | ".toml")
}

fn entries(folder: &Path) -> Result<Vec<(PathBuf, String)>, CatalogError> {
    let reading = || CatalogError::io("reading", folder);
    let entries = fs::read_dir(folder).map_err(reading())?;
    let entry = |entry: std::io::Result<fs::DirEntry>| {
        let entry = entry.map_err(reading())?;
        Ok((entry.path(), entry.file_name().to_string_lossy().into_owned()))
    };
    entries.map(entry).collect()
}

fn remove(path: &Path) -> Result<(), CatalogError> {
    tracing::debug!(path = %path.display(), "removing what an interrupted change left");
    let folder = fs::symlink_metadata(path).is_ok_and(|meta| meta.is_dir());
    let removed = if folder { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    removed.map_err(CatalogError::io("removing", path))
}

#[cfg(test)]
mod tests;
