//! Reading what is installed, and checking that it is still what was installed.

use std::collections::BTreeMap;
use std::fs;

use tinybase_model::{ExtensionName, ExtensionSpec, Offer};

use super::{Catalog, Condition, Installed, Origin};
use crate::files::Listing;
use crate::kind::{Kind, Place};
use crate::lock::{LockError, LockFile, Locked};
use crate::manifest::Manifest;

impl Catalog {
    /// All installed extensions, ordered by name. One that can't be started is in it, with why.
    ///
    /// # Errors
    /// If the lock file can't be read.
    pub fn load(&self) -> Result<Vec<Installed>, LockError> {
        let lock = LockFile::read(&self.lock)?;
        Ok(lock.extension.iter().map(|(name, locked)| self.look_at(name, locked)).collect())
    }

    /// One installed extension.
    ///
    /// # Errors
    /// If the lock file can't be read.
    pub fn find(&self, name: &ExtensionName) -> Result<Option<Installed>, LockError> {
        let lock = LockFile::read(&self.lock)?;
        Ok(lock.extension.get(name).map(|locked| self.look_at(name, locked)))
    }

    pub(super) fn look_at(&self, name: &ExtensionName, locked: &Locked) -> Installed {
        let place = self.place(name, locked);
        let installed = Manifest::read_file(&place.manifest, "its folder").ok();
        let permissions = match &installed {
            Some(manifest) => locked.granted.limit(manifest.permissions.clone()),
            None => locked.granted.alone(),
        };
        let offer = installed.as_ref().map(|manifest| manifest.offer.clone());
        let condition = check_pin(name, &place, locked)
            .and_then(|()| Manifest::read(&place.tree, "its folder").map_err(|e| e.to_string()))
            .and_then(|manifest| spec(name, &place, locked, manifest))
            .map_or_else(Condition::Broken, |spec| Condition::Sound(Box::new(spec)));
        Installed {
            name: name.clone(),
            version: locked.version.clone(),
            about: installed.map(|manifest| manifest.about),
            permissions,
            offer: Offer { version: locked.version.clone(), ..offer.unwrap_or_default() },
            origin: Origin {
                source: locked.source.clone(),
                commit: locked.commit.clone(),
                tree: locked.tree.clone(),
                installed_at: locked.installed_at,
            },
            enabled: locked.enabled,
            granted: locked.granted.clone(),
            condition,
        }
    }
}

/// Whether the files are what was installed; else what differs and what to do.
fn check_pin(name: &ExtensionName, place: &Place, locked: &Locked) -> Result<(), String> {
    if !place.tree.is_dir() {
        return Err(format!(
            "its folder {} is missing; uninstall and install it again",
            place.tree.display()
        ));
    }
    let now = Listing::of(&place.tree).map_err(|error| error.to_string())?;
    if now.hash() == locked.tree {
        return Ok(());
    }
    let repin = format!(
        "if that was meant, accept it with: tinybase extensions repin {name}; \
         otherwise uninstall and install it again"
    );
    let before = fs::read_to_string(&place.listing).map(|text| Listing::parse(&text));
    match before {
        Ok(before) if before.hash() == locked.tree => match before.change(&now) {
            None => Ok(()),
            Some(change) => Err(format!("{change} since it was installed; {repin}")),
        },
        Ok(_) | Err(_) => Err(format!("its files changed since it was installed; {repin}")),
    }
}

fn spec(
    name: &ExtensionName,
    place: &Place,
    locked: &Locked,
    manifest: Manifest,
) -> Result<ExtensionSpec, String> {
    let kind = Kind::of(&place.tree, &manifest)?;
    if manifest.about.name != *name {
        return Err(format!("its extension.toml calls it {}", manifest.about.name));
    }
    let mut environment = BTreeMap::new();
    if kind.needs_python() {
        let python = place.python();
        if !python.exists() {
            return Err(format!(
                "its Python environment is incomplete ({} is missing); \
                 uninstall and install it again",
                python.display()
            ));
        }
        let bin = place.environment.join("bin");
        let mut path = bin.to_string_lossy().into_owned();
        if let Ok(rest) = std::env::var("PATH") {
            path = format!("{path}:{rest}");
        }
        environment.insert("PATH".to_owned(), path);
        environment
            .insert("VIRTUAL_ENV".to_owned(), place.environment.to_string_lossy().into_owned());
    }
    Ok(ExtensionSpec {
        command: place.command(&kind, &manifest),
        name: manifest.about.name,
        version: locked.version.clone(),
        folder: place.tree.clone(),
        environment,
        permissions: locked.granted.limit(manifest.permissions),
        policy: manifest.policy,
        config: manifest.config,
    })
}
