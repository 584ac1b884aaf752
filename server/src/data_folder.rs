//! The data folder: where everything of one server is, and that only one server uses it.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use thiserror::Error;
use tinybase_model::EventId;

/// The longest path that a Unix socket may have, with room to spare.
const SOCKET_PATH_MAX: usize = 100;

/// A data folder that can't be used.
#[derive(Debug, Error)]
pub(crate) enum DataFolderError {
    /// A file operation failed.
    #[error("{action} {path} failed")]
    Io {
        action: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// A server already uses it.
    #[error(
        "{path} is in use by another server{}; stop that one, or use another folder",
        .pid.as_ref().map(|pid| format!(" (process {pid})")).unwrap_or_default()
    )]
    InUse { path: PathBuf, pid: Option<String> },
    /// Somebody else made the folder for sockets.
    #[error("{0} is not a folder of this user alone; remove it, or set TMPDIR to another folder")]
    NotOurs(PathBuf),
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> DataFolderError {
    let path = path.to_owned();
    move |source| DataFolderError::Io { action, path, source }
}

/// A data folder, by its absolute path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DataFolder {
    root: PathBuf,
}

impl DataFolder {
    /// A data folder that may not be there yet.
    pub(crate) fn new(path: &Path) -> Result<Self, DataFolderError> {
        let absolute = fs::canonicalize(path).or_else(|_| std::path::absolute(path));
        Ok(Self { root: absolute.map_err(failed("finding", path))? })
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn logs(&self) -> PathBuf {
        self.root.join("logs")
    }

    /// Where the server says under which address it listens.
    pub(crate) fn address_file(&self) -> PathBuf {
        self.root.join("run/http.address")
    }

    /// A random name that this folder keeps, so that a server on a shared database knows what an
    /// earlier one here left open.
    pub(crate) fn identity(&self) -> Result<String, DataFolderError> {
        let path = self.root.join("run/identity");
        match fs::read_to_string(&path) {
            Ok(text) if !text.trim().is_empty() => return Ok(text.trim().to_owned()),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed("reading", &path)(error)),
        }
        let name = EventId::generate().to_string();
        fs::write(&path, format!("{name}\n")).map_err(failed("writing", &path))?;
        Ok(name)
    }

    /// The socket that extensions dial.
    pub(crate) fn core_socket(&self) -> PathBuf {
        self.socket_folder().join("core.sock")
    }

    /// The socket for this machine's operator.
    pub(crate) fn admin_socket(&self) -> PathBuf {
        self.socket_folder().join("admin.sock")
    }

    /// `run/`, or a folder with a shorter path where that is too long for a socket.
    fn socket_folder(&self) -> PathBuf {
        let run = self.root.join("run");
        if run.as_os_str().len() + "/admin.sock".len() <= SOCKET_PATH_MAX {
            return run;
        }
        let mut hasher = DefaultHasher::new();
        self.root.hash(&mut hasher);
        std::env::temp_dir().join(format!("tinybase-{:016x}", hasher.finish()))
    }

    /// Makes the private folders that a running server needs.
    pub(crate) fn prepare(&self) -> Result<(), DataFolderError> {
        let run = self.root.join("run");
        make_private(&run)?;
        let sockets = self.socket_folder();
        if sockets == run {
            return Ok(());
        }
        make_private(&sockets)?;
        // The temporary folder is everybody's: what is there may be somebody else's trap.
        let meta = fs::symlink_metadata(&sockets).map_err(failed("reading", &sockets))?;
        let ours = meta.is_dir()
            && meta.uid() == rustix::process::geteuid().as_raw()
            && meta.mode() & 0o777 == 0o700;
        if ours { Ok(()) } else { Err(DataFolderError::NotOurs(sockets)) }
    }

    /// Claims the folder for this process until the lock is dropped.
    pub(crate) fn lock(&self) -> Result<Lock, DataFolderError> {
        self.prepare()?;
        let path = self.root.join("run/server.lock");
        let opened = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path);
        let mut file = opened.map_err(failed("opening", &path))?;
        match file.try_lock() {
            Ok(()) => {
                let written =
                    file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
                written.map_err(failed("writing", &path))?;
                Ok(Lock { _file: file })
            }
            Err(TryLockError::WouldBlock) => {
                let mut pid = String::new();
                let known = file.read_to_string(&mut pid).is_ok() && !pid.trim().is_empty();
                let pid = known.then(|| pid.trim().to_owned());
                Err(DataFolderError::InUse { path: self.root.clone(), pid })
            }
            Err(TryLockError::Error(source)) => {
                Err(DataFolderError::Io { action: "locking", path, source })
            }
        }
    }
}

/// A claimed data folder. The kernel ends the claim with the process, whatever ends that.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

fn make_private(folder: &Path) -> Result<(), DataFolderError> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.map_err(failed("creating", folder))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_has_one_server_at_a_time_and_the_second_is_told_which() {
        let folder = tempfile::tempdir().expect("a folder");
        let data = DataFolder::new(folder.path()).expect("a data folder");
        let lock = data.lock().expect("free");
        let error = data.lock().expect_err("taken").to_string();
        let pid = format!("in use by another server (process {})", std::process::id());
        assert!(error.contains(&pid), "{error}");
        drop(lock);
        data.lock().expect("free again");
    }

    #[test]
    fn a_long_path_gets_sockets_in_a_short_private_folder() {
        let folder = tempfile::tempdir().expect("a folder");
        let long = folder.path().join("x".repeat(120));
        fs::create_dir(&long).expect("made");
        let data = DataFolder::new(&long).expect("a data folder");
        data.prepare().expect("made");
        assert!(data.core_socket().as_os_str().len() <= SOCKET_PATH_MAX);
        let sockets = data.core_socket().parent().expect("a parent").to_owned();
        assert_eq!(fs::metadata(&sockets).expect("there").mode() & 0o777, 0o700);
        fs::remove_dir(sockets).expect("removed");
        let short = DataFolder::new(folder.path()).expect("a data folder");
        assert!(short.admin_socket().starts_with(short.root()));
    }
}
