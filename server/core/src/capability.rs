//! What an extension was granted, checked at every call-back.

use std::collections::BTreeSet;

use thiserror::Error;
use tinybase_model::{CollectionName, ExtensionName, Permissions};

/// An extension's granted call-backs.
///
/// A *broad* extension (one whose manifest has no permissions table) reads all records and users and
/// calls all functions, and notes activities; it doesn't write records. Each has its own values and log in any case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capabilities {
    extension: ExtensionName,
    granted: Granted,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Granted {
    Broad,
    Listed(BTreeSet<String>),
}

/// A call-back that the extension wasn't granted.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "the extension '{extension}' lacks the capability {needed}; list it under \
     [extension.permissions] in its extension.toml and install it again"
)]
pub struct MissingCapability {
    /// The extension.
    pub extension: ExtensionName,
    /// What it would need, such as `records:write:orders`.
    pub needed: String,
}

impl Capabilities {
    /// What the permissions of an extension grant.
    pub fn of(extension: ExtensionName, permissions: &Permissions) -> Self {
        let granted = match permissions {
            Permissions::Broad => Granted::Broad,
            Permissions::Listed { capabilities, .. } => Granted::Listed(capabilities.clone()),
        };
        Self { extension, granted }
    }

    /// The extension.
    pub const fn extension(&self) -> &ExtensionName {
        &self.extension
    }

    /// Whether it may read or write records of a collection.
    ///
    /// # Errors
    /// If not.
    pub fn records(
        &self,
        write: bool,
        collection: &CollectionName,
    ) -> Result<(), MissingCapability> {
        let scope = if write { "records:write" } else { "records:read" };
        self.check(scope, Some(collection.as_str()), !write)
    }

    /// Whether it may read users.
    ///
    /// # Errors
    /// If not.
    pub fn users(&self) -> Result<(), MissingCapability> {
        self.check("users:read", None, true)
    }

    /// Whether it may call a function.
    ///
    /// # Errors
    /// If not.
    pub fn function(&self, name: &str) -> Result<(), MissingCapability> {
        self.check("functions:call", Some(name), true)
    }

    /// Whether it may note activities.
    ///
    /// # Errors
    /// If not.
    pub fn activities(&self) -> Result<(), MissingCapability> {
        self.check("activity:write", None, true)
    }

    fn check(&self, scope: &str, name: Option<&str>, broad: bool) -> Result<(), MissingCapability> {
        let needed = match name {
            Some(name) => format!("{scope}:{name}"),
            None => scope.to_owned(),
        };
        let has = match &self.granted {
            Granted::Broad => broad,
            Granted::Listed(listed) => {
                listed.contains(&needed)
                    || (name.is_some() && listed.contains(&format!("{scope}:*")))
            }
        };
        if has {
            Ok(())
        } else {
            Err(MissingCapability { extension: self.extension.clone(), needed })
        }
    }
}
