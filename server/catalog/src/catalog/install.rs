//! Installing: fetch, check, ask, build, and only then switch.

use std::fs::{self, File};
use std::path::Path;

use jiff::Timestamp;
use tempfile::TempDir;
use tinybase_model::{ExtensionName, Permissions};

use super::{Catalog, Installed};
use crate::build::Build;
use crate::error::{CatalogError, InstallError};
use crate::fetch::fetch;
use crate::files::{self, Listing};
use crate::kind::{Kind, Place};
use crate::lock::{Grant, LockError, LockFile, Locked};
use crate::manifest::{self, Manifest};
use crate::source::Source;
use crate::work::Work;

/// An extension that was fetched and checked, and isn't installed yet. Dropping it leaves nothing.
#[derive(Debug)]
pub struct Staged {
    folder: TempDir,
    source: String,
    commit: Option<String>,
    manifest: Manifest,
    kind: Kind,
}

impl Staged {
    /// What it says about itself.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// What it asks for, in lines for a person.
    pub fn permissions(&self) -> Vec<String> {
        describe(&self.manifest.permissions)
    }

    /// The commit, if it came from git.
    pub fn commit(&self) -> Option<&str> {
        self.commit.as_deref()
    }
}

impl Catalog {
    /// Fetches an extension and checks it, without building or running anything of it.
    ///
    /// # Errors
    /// If it can't be fetched or can't be installed. Nothing is left behind.
    pub fn stage(&self, source: &Source, work: &Work<'_>) -> Result<Staged, InstallError> {
        let folder = tempfile::Builder::new()
            .prefix(".staging-")
            .tempdir_in(&self.folder)
            .map_err(InstallError::io("creating a folder in", &self.folder))?;
        let commit = fetch(source, folder.path(), work)?;
        let source = source.to_string();
        let manifest = Manifest::read(folder.path(), &source)?;
        let kind = Kind::of(folder.path(), &manifest).map_err(|reason| {
            InstallError::Refused(format!("{} can't be installed: {reason}", manifest.about.name))
        })?;
        self.check_absent(&manifest.about.name)?;
        Ok(Staged { folder, source, commit, manifest, kind })
    }

    /// Builds a staged extension and installs it, enabled, with all the permissions it asks for.
    ///
    /// # Errors
    /// If it can't be built or stored. Nothing is left behind.
    pub fn install(&self, staged: Staged, work: &Work<'_>) -> Result<Installed, InstallError> {
        let Staged { folder, source, commit, manifest, kind } = staged;
        let name = manifest.about.name.clone();
        self.check_absent(&name)?;
        let fetched = Listing::of(folder.path())?.hash();
        let version = manifest.about.version.to_string();
        let slot = format!("{version}-{}", &fetched[..12]);
        let parent = self.folder.join(name.as_str());
        fs::create_dir_all(&parent).map_err(InstallError::io("creating", &parent))?;
        let mut guard = Guard { path: &parent, armed: true };
        let place = Place::new(&parent, &slot);
        let build = Build {
            staging: folder.path(),
            place: &place,
            manifest: &manifest,
            kind: &kind,
            tools: &self.tools,
        };
        build.run(work)?;
        if work.stop().is_cancelled() {
            return Err(InstallError::Stopped);
        }
        let tree = settle(folder, &place)?;
        let locked = Locked {
            version,
            source,
            commit,
            folder: slot,
            tree,
            enabled: true,
            installed_at: Timestamp::now(),
            granted: Grant::all_of(&manifest.permissions),
        };
        self.change(|lock| {
            lock.extension.insert(name.clone(), locked.clone());
            Ok::<_, LockError>(())
        })?;
        guard.armed = false;
        Ok(self.look_at(&name, &locked))
    }

    fn check_absent(&self, name: &ExtensionName) -> Result<(), InstallError> {
        match LockFile::read(&self.lock)?.extension.remove(name) {
            None => Ok(()),
            Some(locked) => {
                Err(InstallError::AlreadyInstalled { name: name.clone(), version: locked.version })
            }
        }
    }
}

/// Removes an extension's folder unless the install came to its end.
struct Guard<'a> {
    path: &'a Path,
    armed: bool,
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        if self.armed
            && let Err(error) = fs::remove_dir_all(self.path)
        {
            tracing::warn!(path = %self.path.display(), %error, "a failed install left files behind");
        }
    }
}

/// Moves what was built to where it will live, and pins it. Returns the digest.
fn settle(staging: TempDir, place: &Place) -> Result<String, InstallError> {
    // What a build made is held to the same rules as what was fetched.
    files::check(staging.path())?;
    let listing = Listing::of(staging.path())?;
    fs::write(&place.listing, listing.text())
        .map_err(InstallError::io("writing", &place.listing))?;
    let manifest = staging.path().join(manifest::FILE_NAME);
    fs::copy(&manifest, &place.manifest).map_err(InstallError::io("copying", manifest))?;
    open_to_all(staging.path())?;
    let staging = staging.keep();
    fs::rename(&staging, &place.tree).map_err(InstallError::io("moving", &staging))?;
    for path in [&place.tree, &place.listing, &place.manifest] {
        let synced = File::open(path).and_then(|file| file.sync_all());
        synced.map_err(InstallError::io("syncing", path))?;
    }
    Ok(listing.hash())
}

/// A temporary folder is private; an extension may run as somebody else.
fn open_to_all(folder: &Path) -> Result<(), InstallError> {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755))
        .map_err(InstallError::io("changing", folder))
}

/// The manifest's text in a folder.
pub(super) fn manifest_text(folder: &Path) -> Result<String, CatalogError> {
    let path = folder.join(manifest::FILE_NAME);
    fs::read_to_string(&path).map_err(CatalogError::io("reading", path))
}

/// What permissions mean, in lines for a person.
pub fn describe(permissions: &Permissions) -> Vec<String> {
    match permissions {
        Permissions::Broad => vec![
            "it lists no permissions, so it gets the documented ones as a whole:".to_owned(),
            "  all after-hooks, and functions of its own".to_owned(),
            "  reading all records and users".to_owned(),
            "  the server's environment variables, less its secrets".to_owned(),
        ],
        Permissions::Listed { capabilities, environment, hooks } => {
            let mut lines: Vec<String> = capabilities.iter().cloned().collect();
            lines.extend(environment.iter().map(|name| format!("the environment variable {name}")));
            match hooks {
                None => lines.push("any after-hook".to_owned()),
                Some(hooks) => lines.extend(hooks.iter().map(|hook| {
                    let filter = match &hook.filter {
                        tinybase_model::HookFilter::All => "*",
                        tinybase_model::HookFilter::Named(name) => name,
                    };
                    let open = if hook.fail_open { ", passed over when it fails" } else { "" };
                    format!("the hook {} {} on {filter}{open}", hook.phase.as_str(), hook.event)
                })),
            }
            lines
        }
    }
}
