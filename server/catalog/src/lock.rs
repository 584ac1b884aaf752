//! `extensions.lock`: what is installed, from where, and with which content; written whole or not.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use tinybase_model::{ExtensionName, Permissions};

/// The lock file's name in the data folder.
pub(crate) const FILE_NAME: &str = "extensions.lock";

const HEADER: &str = "# What is installed, written by tinybase. \
                      Change it with `tinybase extensions …`.\n\n";

/// A lock file that can't be used.
#[derive(Debug, Error)]
pub enum LockError {
    /// It can't be read.
    #[error("{path:?} could not be read")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It isn't a lock file.
    #[error(
        "{path:?} is not a lock file: {message}; restore it from a backup, or remove it and install again"
    )]
    Parse {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },
    /// It can't be written.
    #[error("{path:?} could not be written")]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// What an operator granted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Grant {
    /// All documented powers, for an extension whose manifest lists none.
    Broad,
    /// These.
    Listed {
        /// Call-backs.
        capabilities: BTreeSet<String>,
        /// Environment variables.
        environment: BTreeSet<String>,
    },
}

impl Grant {
    /// Everything that a manifest asks for.
    pub(crate) fn all_of(asked: &Permissions) -> Self {
        match asked {
            Permissions::Broad => Self::Broad,
            Permissions::Listed { capabilities, environment, hooks: _ } => Self::Listed {
                capabilities: capabilities.clone(),
                environment: environment.clone(),
            },
        }
    }

    /// What is granted, when it isn't known any more what was asked for.
    pub(crate) fn alone(&self) -> Permissions {
        self.limit(Permissions::Broad)
    }

    /// What is both asked for and granted.
    pub(crate) fn limit(&self, asked: Permissions) -> Permissions {
        match (asked, self) {
            (asked, Self::Broad) => asked,
            (Permissions::Broad, Self::Listed { capabilities, environment }) => {
                Permissions::Listed {
                    capabilities: capabilities.clone(),
                    environment: environment.clone(),
                    hooks: None,
                }
            }
            (
                Permissions::Listed { capabilities, environment, hooks },
                Self::Listed { capabilities: may, environment: may_see },
            ) => Permissions::Listed {
                capabilities: capabilities.intersection(may).cloned().collect(),
                environment: environment.intersection(may_see).cloned().collect(),
                hooks,
            },
        }
    }
}

/// One installed extension.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Locked {
    pub(crate) version: String,
    pub(crate) source: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) commit: Option<String>,
    /// The folder within `extensions/<name>/`.
    pub(crate) folder: String,
    /// The digest of all files.
    pub(crate) tree: String,
    pub(crate) enabled: bool,
    pub(crate) installed_at: Timestamp,
    pub(crate) granted: Grant,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LockFile {
    #[serde(default)]
    pub(crate) extension: BTreeMap<ExtensionName, Locked>,
}

impl LockFile {
    /// Reads it; one that isn't there is empty.
    pub(crate) fn read(path: &Path) -> Result<Self, LockError> {
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(source) => return Err(LockError::Read { path: path.to_owned(), source }),
        };
        toml::from_str(&text).map_err(|error: toml::de::Error| LockError::Parse {
            path: path.to_owned(),
            message: error.to_string().trim().replace('\n', " "),
        })
    }

    /// Writes it so that a reader, or a power failure, meets the old or the new file, never half.
    pub(crate) fn write(&self, path: &Path) -> Result<(), LockError> {
        let failed = |source| LockError::Write { path: path.to_owned(), source };
        let text = toml::to_string(self).map_err(|error| failed(io::Error::other(error)))?;
        let folder = path.parent().unwrap_or(Path::new("."));
        let mut file = tempfile::Builder::new()
            .prefix(".extensions.lock-")
            .tempfile_in(folder)
            .map_err(failed)?;
        file.write_all(HEADER.as_bytes()).map_err(failed)?;
        file.write_all(text.as_bytes()).map_err(failed)?;
        file.as_file().sync_all().map_err(failed)?;
        file.persist(path).map_err(|error| failed(error.error))?;
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn locked(version: &str) -> Locked {
        Locked {
            version: version.to_owned(),
            source: "https://example.com/a".to_owned(),
            commit: Some("c0ffee".to_owned()),
            folder: format!("{version}-0123456789ab"),
            tree: "00".to_owned(),
            enabled: true,
            installed_at: Timestamp::UNIX_EPOCH,
            granted: Grant::Broad,
        }
    }

    fn file(names: &[&str]) -> LockFile {
        let pair = |name: &&str| (name.parse().expect("a name"), locked("1.0.0"));
        LockFile { extension: names.iter().map(pair).collect() }
    }

    #[test]
    fn what_is_written_reads_back() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join(FILE_NAME);
        assert_eq!(LockFile::read(&path).expect("none yet"), LockFile::default());
        let mut lock = file(&["a", "b"]);
        let name: ExtensionName = "b".parse().expect("a name");
        lock.extension.get_mut(&name).expect("b").granted = Grant::Listed {
            capabilities: ["users:read".to_owned()].into(),
            environment: BTreeSet::new(),
        };
        lock.write(&path).expect("written");
        assert_eq!(LockFile::read(&path).expect("readable"), lock);
    }

    #[test]
    fn a_reader_never_sees_half_a_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join(FILE_NAME);
        let (small, large) = (file(&["a"]), file(&["a", "b", "c", "d", "e", "f"]));
        small.write(&path).expect("written");
        std::thread::scope(|scope| {
            let writer = scope.spawn(|| {
                for _ in 0..50 {
                    large.write(&path).expect("written");
                    small.write(&path).expect("written");
                }
            });
            while !writer.is_finished() {
                let seen = LockFile::read(&path).expect("whole");
                assert!(seen == small || seen == large);
            }
        });
        let left = fs::read_dir(folder.path()).expect("readable").count();
        assert_eq!(left, 1, "no temporary file is left");
    }

    #[test]
    fn a_damaged_file_is_refused_and_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join(FILE_NAME);
        fs::write(&path, "extension = 3").expect("written");
        let error = LockFile::read(&path).expect_err("damaged").to_string();
        assert!(error.contains("extensions.lock\" is not a lock file"), "{error}");
    }

    #[test]
    fn a_grant_narrows_what_a_manifest_asks_for() {
        let listed = |capabilities: &[&str]| Permissions::Listed {
            capabilities: capabilities.iter().map(|&text| text.to_owned()).collect(),
            environment: BTreeSet::new(),
            hooks: None,
        };
        let grant = Grant::all_of(&listed(&["users:read"]));
        assert_eq!(grant.limit(listed(&["users:read", "records:read:*"])), listed(&["users:read"]));
        assert_eq!(grant.limit(Permissions::Broad), listed(&["users:read"]));
        assert_eq!(Grant::Broad.limit(Permissions::Broad), Permissions::Broad);
    }
}
