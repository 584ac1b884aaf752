//! Letters as files in a folder: for development, and until a mail server is configured.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use uuid::Uuid;

use super::stationery::Stationery;
use super::{Letter, MailError, Mailer};

/// How many letters are kept; the oldest go first.
const KEPT_MAX: usize = 1000;

/// Writes each letter into a file that mail programs can open.
#[derive(Debug)]
pub(crate) struct Folder {
    pub(crate) stationery: Stationery,
    pub(crate) path: Arc<Path>,
}

#[async_trait]
impl Mailer for Folder {
    async fn send(&self, letter: &Letter) -> Result<(), MailError> {
        let message = self.stationery.write(letter).map_err(|e| MailError::Permanent(e.into()))?;
        let (bytes, folder) = (message.formatted(), Arc::clone(&self.path));
        let written = tokio::task::spawn_blocking(move || write(&folder, &bytes)).await;
        match written {
            Ok(Ok(path)) => {
                tracing::info!(path = %path.display(), "a letter was written to a file");
                Ok(())
            }
            Ok(Err(error)) => Err(MailError::Temporary(error.into())),
            Err(error) => Err(MailError::Permanent(error.into())),
        }
    }
}

/// The files are for their owner only, since a link in a letter is a secret.
fn write(folder: &Path, bytes: &[u8]) -> io::Result<PathBuf> {
    use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};

    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let at = Timestamp::now().strftime("%Y%m%dT%H%M%S%6fZ");
    let path = folder.join(format!("{at}-{}.eml", Uuid::now_v7()));
    let part = path.with_extension("part");
    let mut file =
        std::fs::OpenOptions::new().create_new(true).write(true).mode(0o600).open(&part)?;
    file.write_all(bytes)?;
    std::fs::rename(&part, &path)?;
    prune(folder)?;
    Ok(path)
}

fn prune(folder: &Path) -> io::Result<()> {
    let mut letters = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "eml") {
            letters.push(path);
        }
    }
    // Their names begin with the time.
    letters.sort();
    let too_many = letters.len().saturating_sub(KEPT_MAX);
    letters.iter().take(too_many).try_for_each(std::fs::remove_file)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn letters_are_private_and_only_the_newest_are_kept() {
        let root = tempfile::tempdir().expect("a folder");
        let folder = root.path().join("mail");
        let first = write(&folder, b"Subject: one\r\n\r\n").expect("a file");
        let mode = std::fs::metadata(&first).expect("a file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        for number in 0..KEPT_MAX {
            let path = folder.join(format!("30000101T000000Z-{number:04}.eml"));
            std::fs::write(path, "").expect("a file");
        }
        prune(&folder).expect("a folder");
        assert!(!first.exists(), "the oldest is gone");
        assert_eq!(std::fs::read_dir(&folder).expect("a folder").count(), KEPT_MAX);
    }
}
