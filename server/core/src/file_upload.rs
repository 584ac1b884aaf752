//! One upload: bytes go to the disk as they come, and count when all of them are there.

use sha2::{Digest as _, Sha256};
use tempfile::TempPath;
use tinybase_model::Cause;
use tinybase_store::{FileBackend, StoredFile, Written, now};
use tokio::fs::File;
use tokio::io::AsyncWriteExt as _;
use tokio::sync::OwnedSemaphorePermit;

use crate::Core;
use crate::file::{FileError, Files, known};
use crate::file_key::{clean_name, content_type, new_key};
use crate::file_signature::hex;
use crate::file_storage::StorageError;
use crate::schema::violation;

/// What a client says of a file that it is about to send.
#[derive(Debug, Clone, Default)]
pub struct NewFile {
    /// What its key is to begin with.
    pub prefix: String,
    /// What it is called.
    pub filename: String,
    /// Whether anybody may read it.
    pub is_public: bool,
}

/// An upload under way. Dropping it throws away what has come.
#[derive(Debug)]
pub struct Upload {
    core: Core,
    cause: Cause,
    file: StoredFile,
    part: File,
    path: TempPath,
    hash: Sha256,
    _permit: OwnedSemaphorePermit,
}

impl Files<'_> {
    /// Begins an upload; for users.
    pub async fn begin(&self, cause: &Cause, new: NewFile) -> Result<Upload, FileError> {
        let owner_id = known(&cause.identity)?;
        let files = &self.core.inner.files;
        let folder = files.folder.as_ref().ok_or(FileError::Disabled)?;
        let filename = clean_name(&new.filename);
        let key = new_key(&new.prefix, &filename)
            .map_err(|wrong| FileError::Invalid(violation("/path_prefix", &wrong)))?;
        let permit = std::sync::Arc::clone(&files.uploads)
            .try_acquire_owned()
            .map_err(|_| FileError::Overloaded)?;
        let (part, path) = folder.begin().await?;
        let file = StoredFile {
            key,
            owner_id,
            content_type: content_type(&filename),
            filename,
            size: 0,
            sha256: String::new(),
            is_public: new.is_public,
            backend: FileBackend::Local,
            created_at: now(),
        };
        let (core, cause) = (self.core.clone(), cause.clone());
        Ok(Upload { core, cause, file, part, path, hash: Sha256::new(), _permit: permit })
    }
}

impl Upload {
    /// Takes the next bytes.
    ///
    /// # Errors
    /// If the file gets too large, or the disk fails.
    pub async fn write(&mut self, chunk: &[u8]) -> Result<(), FileError> {
        let limit = self.core.inner.options.files.upload_bytes_max;
        self.file.size = self.file.size.saturating_add(chunk.len() as u64);
        if self.file.size > limit {
            return Err(FileError::TooLarge(limit));
        }
        self.hash.update(chunk);
        self.part.write_all(chunk).await.map_err(StorageError::from)?;
        Ok(())
    }

    /// Stores the file, now that all of it has come. It is on the disk when this returns.
    ///
    /// # Errors
    /// If there is no room for it, or something failed; then there is no file.
    pub async fn finish(mut self) -> Result<StoredFile, FileError> {
        self.part.flush().await.map_err(StorageError::from)?;
        self.part.sync_all().await.map_err(StorageError::from)?;
        let Self { core, cause, mut file, path, hash, .. } = self;
        file.sha256 = hex(&hash.finalize());
        file.created_at = now();
        let (inner, folder) = (&core.inner, core.inner.files.folder.as_ref());
        let folder = folder.ok_or(FileError::Disabled)?;
        // The row first: whatever happens to the bytes from here on, it is known where they are.
        let quota = inner.options.files.quota;
        if inner.store.announce_file(file.clone(), quota).await? == Written::Stale {
            return Err(FileError::Quota);
        }
        folder.put(&file.key, path).await?;
        if inner.store.finish_file(&file.key).await? == Written::Stale {
            // It took so long that it was swept away.
            return Err(FileError::Overloaded);
        }
        core.note(&cause, "file.upload", "file", &file.key);
        Ok(file)
    }
}
