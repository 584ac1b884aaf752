//! The file that lists the running processes, so that whoever comes after a dead server can end
//! what that server left behind.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use tinybase_model::ExtensionName;

use crate::procfs::{self, ProcessId};

/// The file's name in the run folder.
const FILE_NAME: &str = "extensions.pids";

/// The last line.
const END: &str = "end";

/// What the file says.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Listed {
    boot: String,
    server: ProcessId,
    extensions: BTreeMap<u32, (u64, ExtensionName)>,
}

/// The file of this server.
#[derive(Debug)]
pub(crate) struct Roster {
    path: PathBuf,
    file: File,
    listed: Listed,
}

/// Why the run folder can't be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClaimError {
    /// Another server uses it.
    #[error("another server runs on it as process {0}")]
    InUse(u32),
    /// The file can't be written.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// How sure it is that a group without its leader is still the one that was listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Age {
    /// The server died a moment ago: no number was given out again since.
    Fresh,
    /// Any time may have passed: only processes that carry the extension's name are ended.
    Old,
}

impl Roster {
    /// Ends what a former server left behind and takes the run folder over.
    pub(crate) fn claim(run_folder: &Path) -> Result<Self, ClaimError> {
        let path = run_folder.join(FILE_NAME);
        let server = own_identity()?;
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)?;
        if let Some(old) = Listed::read(&mut file)
            && old.boot == procfs::boot_id()
        {
            if old.server != server && procfs::is_running(old.server) {
                return Err(ClaimError::InUse(old.server.pid));
            }
            old.sweep(Age::Old);
        }
        let listed = Listed { boot: procfs::boot_id(), server, extensions: BTreeMap::new() };
        let roster = Self { path, file, listed };
        roster.write()?;
        Ok(roster)
    }

    /// Where the file is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Adds a process. One that has ended already isn't listed.
    pub(crate) fn add(&mut self, pid: u32, extension: &ExtensionName) {
        if let Some(id) = procfs::identify(pid) {
            self.listed.extensions.insert(pid, (id.started, extension.clone()));
            self.write_or_warn();
        }
    }

    /// Removes a process that was reaped.
    pub(crate) fn remove(&mut self, pid: u32) {
        if self.listed.extensions.remove(&pid).is_some() {
            self.write_or_warn();
        }
    }

    fn write_or_warn(&self) {
        if let Err(error) = self.write() {
            tracing::warn!(
                path = %self.path.display(), %error,
                "the list of running extensions can't be written; \
                 after a crash of the server some could be left over"
            );
        }
    }

    /// Into the same file each time, because the guard holds it open: it still finds the list if
    /// the folder is deleted together with the server. What follows the last line is left over
    /// from a longer list.
    fn write(&self) -> io::Result<()> {
        let text = self.listed.to_text();
        self.file.write_all_at(text.as_bytes(), 0)?;
        self.file.set_len(text.len() as u64)
    }
}

/// Ends what the given server left behind. Run by the guard, right after the server's death.
pub(crate) fn sweep_after(list: &mut File, server_pid: u32) {
    if let Some(listed) = Listed::read(list)
        && listed.server.pid == server_pid
        && listed.boot == procfs::boot_id()
    {
        listed.sweep(Age::Fresh);
    }
}

fn own_identity() -> io::Result<ProcessId> {
    procfs::identify(std::process::id())
        .ok_or_else(|| io::Error::other("/proc doesn't show this process; is it mounted?"))
}

impl Listed {
    fn read(file: &mut File) -> Option<Self> {
        let mut text = Vec::new();
        file.seek(SeekFrom::Start(0)).ok()?;
        file.read_to_end(&mut text).ok()?;
        Self::parse(&String::from_utf8_lossy(&text))
    }

    fn parse(text: &str) -> Option<Self> {
        let (mut boot, mut server) = (None, None);
        let mut extensions = BTreeMap::new();
        for line in text.lines() {
            let words: Vec<&str> = line.split(' ').collect();
            match words.as_slice() {
                ["boot", id] => boot = Some((*id).to_owned()),
                ["server", pid, started] => {
                    server =
                        Some(ProcessId { pid: pid.parse().ok()?, started: started.parse().ok()? });
                }
                ["extension", pid, started, name] => {
                    let entry = (started.parse().ok()?, name.parse().ok()?);
                    extensions.insert(pid.parse().ok()?, entry);
                }
                // The end, or as far as a server came that died while it wrote.
                _ => break,
            }
        }
        Some(Self { boot: boot?, server: server?, extensions })
    }

    fn to_text(&self) -> String {
        let head =
            format!("boot {}\nserver {} {}\n", self.boot, self.server.pid, self.server.started);
        let list = self.extensions.iter().fold(head, |text, (pid, (started, name))| {
            format!("{text}extension {pid} {started} {name}\n")
        });
        format!("{list}{END}\n")
    }

    fn sweep(&self, age: Age) {
        for (pid, (started, name)) in &self.extensions {
            if is_still_ours(ProcessId { pid: *pid, started: *started }, name, age) {
                tracing::warn!(extension = %name, pid, "ending a process of a server that died");
                procfs::kill_group(*pid);
            }
        }
    }
}

/// Whether the group with that leader is the one that was listed. While a group has members its
/// number isn't given out again.
fn is_still_ours(leader: ProcessId, name: &ExtensionName, age: Age) -> bool {
    if let Some(stat) = procfs::stat(leader.pid) {
        return stat.started == leader.started;
    }
    let carries_name =
        |pid: &u32| procfs::has_environment(*pid, "TINYBASE_EXTENSION", name.as_str());
    let members = procfs::members(leader.pid);
    match age {
        Age::Fresh => !members.is_empty(),
        Age::Old => members.iter().any(carries_name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_reads_back_as_it_was_written() {
        let listed = Listed {
            boot: "b00t".to_owned(),
            server: ProcessId { pid: 7, started: 8 },
            extensions: BTreeMap::from([(9, (10, "audit".parse().expect("a name")))]),
        };
        let longer = format!("{}extension 11 12 gone\n", listed.to_text());
        assert_eq!(Listed::parse(&longer), Some(listed));
        assert_eq!(Listed::parse("boot x\nserver 1"), None);
    }

    #[test]
    fn a_number_that_was_given_out_again_is_left_alone() {
        let own = procfs::identify(std::process::id()).expect("this process runs");
        let name = "audit".parse().expect("a name");
        let older = ProcessId { started: own.started - 1, ..own };
        assert!(!is_still_ours(older, &name, Age::Fresh));
        assert!(!is_still_ours(older, &name, Age::Old));
    }

    #[test]
    fn a_folder_of_a_running_server_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let parent = rustix::process::getppid().expect("a parent").as_raw_nonzero().get();
        let parent = procfs::identify(parent.unsigned_abs()).expect("the parent runs");
        let listed =
            Listed { boot: procfs::boot_id(), server: parent, extensions: BTreeMap::new() };
        std::fs::write(folder.path().join(FILE_NAME), listed.to_text()).expect("a file");
        let error = Roster::claim(folder.path()).expect_err("in use");
        assert_eq!(
            error.to_string(),
            format!("another server runs on it as process {}", parent.pid)
        );
    }
}
