//! One upload: bytes go to the disk or the bucket as they come, and count when all are there.

use std::sync::Arc;

use sha2::{Digest as _, Sha256};
use tempfile::TempPath;
use tinybase_model::Cause;
use tinybase_store::{FileBackend, StoredFile, Written, now};
use tokio::fs::File;
use tokio::io::AsyncWriteExt as _;
use tokio::sync::OwnedSemaphorePermit;

use crate::Core;
use crate::bucket_upload::BucketUpload;
use crate::file::{FileError, Files, known};
use crate::file_key::{clean_name, content_type, new_key};
use crate::file_signature::hex;
use crate::file_storage::StorageError;
use crate::file_sweep::Announced;
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
    hash: Sha256,
    place: Place,
    /// Set once the database knows of the file.
    announced: Option<Announced>,
    _permit: OwnedSemaphorePermit,
}

/// Where the bytes go.
#[derive(Debug)]
enum Place {
    Folder { part: File, path: TempPath },
    Bucket(BucketUpload),
}

impl Files<'_> {
    /// Begins an upload; for users. The settings of this moment say where it goes.
    pub async fn begin(&self, cause: &Cause, new: NewFile) -> Result<Upload, FileError> {
        let owner_id = known(&cause.identity)?;
        let inner = &self.core.inner;
        let filename = clean_name(&new.filename);
        let key = new_key(&new.prefix, &filename)
            .map_err(|wrong| FileError::Invalid(violation("/path_prefix", &wrong)))?;
        let permit = Arc::clone(&inner.files.uploads)
            .try_acquire_owned()
            .map_err(|_| FileError::Overloaded)?;
        let settings = self.core.settings();
        let (backend, place) = match &settings.storage.bucket {
            Some(name) if settings.storage.enabled => {
                let bucket = self.core.bucket(name)?;
                let upload = BucketUpload::new(bucket, &key, inner.options.files.upload_bytes_max);
                (FileBackend::Bucket(name.clone()), Place::Bucket(upload))
            }
            Some(_) | None => {
                let (part, path) = self.core.folder()?.begin().await?;
                (FileBackend::Local, Place::Folder { part, path })
            }
        };
        let file = StoredFile {
            key,
            owner_id,
            content_type: content_type(&filename),
            filename,
            size: 0,
            sha256: String::new(),
            is_public: new.is_public,
            backend,
            created_at: now(),
        };
        let (core, cause) = (self.core.clone(), cause.clone());
        let (hash, announced) = (Sha256::new(), None);
        Ok(Upload { core, cause, file, hash, place, announced, _permit: permit })
    }
}

impl Upload {
    /// Takes the next bytes.
    ///
    /// # Errors
    /// If the file gets too large, or the disk or the bucket fails.
    pub async fn write(&mut self, chunk: &[u8]) -> Result<(), FileError> {
        let limit = self.core.inner.options.files.upload_bytes_max;
        self.file.size = self.file.size.saturating_add(chunk.len() as u64);
        if self.file.size > limit {
            return Err(FileError::TooLarge(limit));
        }
        self.hash.update(chunk);
        match &mut self.place {
            Place::Folder { part, .. } => {
                part.write_all(chunk).await.map_err(StorageError::from)?;
            }
            Place::Bucket(upload) => {
                upload.take(chunk);
                while upload.is_full() {
                    send_part(&self.core, &self.file, upload, &mut self.announced).await?;
                }
            }
        }
        Ok(())
    }

    /// Stores the file, now that all of it has come. It is on the disk, or in the bucket, when this
    /// returns.
    ///
    /// # Errors
    /// If there is no room for it, or something failed; then there is no file.
    pub async fn finish(self) -> Result<StoredFile, FileError> {
        let Self { core, cause, mut file, hash, place, announced, .. } = self;
        file.sha256 = hex(&hash.finalize());
        file.created_at = now();
        let announced = match place {
            Place::Folder { part, path } => put_in_folder(&core, &file, part, path).await?,
            Place::Bucket(upload) => put_in_bucket(&core, &file, upload, announced).await?,
        };
        if core.inner.store.finish_file(&file.key).await? == Written::Stale {
            // It took so long that it was swept away, but perhaps not the bytes that came since.
            core.remove_bytes(&file).await?;
            return Err(FileError::Overloaded);
        }
        announced.keep();
        core.note(&cause, "file.upload", "file", &file.key);
        Ok(file)
    }
}

/// The row first: whatever happens to the bytes from here on, it is known where they are.
async fn announce(core: &Core, file: &StoredFile) -> Result<Announced, FileError> {
    let quota = core.inner.options.files.quota;
    match core.inner.store.announce_file(file.clone(), quota).await? {
        Written::Done => Ok(Announced::new(core, &file.key)),
        Written::Stale => Err(FileError::Quota),
    }
}

async fn put_in_folder(
    core: &Core,
    file: &StoredFile,
    mut part: File,
    path: TempPath,
) -> Result<Announced, FileError> {
    part.flush().await.map_err(StorageError::from)?;
    part.sync_all().await.map_err(StorageError::from)?;
    let announced = announce(core, file).await?;
    core.folder()?.put(&file.key, path).await?;
    Ok(announced)
}

/// Sends a part of a file that is larger than one. From the first on the database knows of it, and
/// under which id the bucket keeps the parts.
async fn send_part(
    core: &Core,
    file: &StoredFile,
    upload: &mut BucketUpload,
    announced: &mut Option<Announced>,
) -> Result<(), FileError> {
    if announced.is_none() {
        *announced = Some(announce(core, file).await?);
    }
    let id = upload.begin().await?;
    if core.inner.store.note_upload(&file.key, id).await? == Written::Stale {
        // It took so long that it was swept away.
        return Err(FileError::Overloaded);
    }
    Ok(upload.send_part().await?)
}

async fn put_in_bucket(
    core: &Core,
    file: &StoredFile,
    upload: BucketUpload,
    announced: Option<Announced>,
) -> Result<Announced, FileError> {
    let mut announced = if let Some(announced) = announced {
        // Nothing of it counts before the parts are put together, and then it is known of.
        let quota = core.inner.options.files.quota;
        if core.inner.store.measure_file(file.clone(), quota).await? == Written::Stale {
            return Err(FileError::Quota);
        }
        announced
    } else {
        let mut announced = announce(core, file).await?;
        announced.unsettle();
        announced
    };
    let done = upload.finish(file.size).await;
    announced.settle();
    done?;
    Ok(announced)
}
