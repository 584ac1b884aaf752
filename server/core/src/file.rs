//! Files: uploading, reading, listing and deleting them, and addresses that work for a while.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use futures_util::StreamExt as _;
use thiserror::Error;
use tinybase_model::{Cause, FieldViolation, Identity, UserId};
use tinybase_store::{FileBackend, FileQuery, FileQuota, StoreError, StoredFile, Written, now};
use tokio::sync::{OnceCell, Semaphore};

use crate::Core;
use crate::access::AccessDenied;
use crate::bucket::{Bucket, BucketError, Buckets};
use crate::file_key::is_key;
use crate::file_signature::{FileSignature, is_valid, sign};
use crate::file_storage::{FileBytes, FileFolder, StorageError, read};
use crate::file_sweep::AbandonedFiles;
use crate::problem::{Kind, Problem};

/// What may be stored, and where unless the settings name a bucket.
#[derive(Debug, Clone, Default)]
pub struct FileOptions {
    /// The folder; without one there are no files.
    pub folder: Option<PathBuf>,
    /// The largest file, in bytes.
    pub upload_bytes_max: u64,
    /// How much may be stored.
    pub quota: FileQuota,
}

/// How many uploads may be under way.
const UPLOADS_MAX: usize = 32;

/// What files need while the server runs.
#[derive(Debug)]
pub(crate) struct FilesState {
    pub(crate) folder: Option<FileFolder>,
    pub(crate) uploads: Arc<Semaphore>,
    pub(crate) abandoned: AbandonedFiles,
    buckets: Buckets,
    secret: OnceCell<String>,
}

impl FilesState {
    pub(crate) fn new(options: &FileOptions) -> Self {
        Self {
            folder: options.folder.clone().map(FileFolder::new),
            uploads: Arc::new(Semaphore::new(UPLOADS_MAX)),
            abandoned: AbandonedFiles::default(),
            buckets: Buckets::default(),
            secret: OnceCell::new(),
        }
    }
}

/// Why something about files wasn't done.
#[derive(Debug, Clone, Error)]
pub enum FileError {
    /// There is no such file, or it isn't for whoever asks.
    #[error("File '{0}' not found")]
    NotFound(String),
    /// The address was changed, or has expired.
    #[error("the address of this file is not valid, or not any more")]
    Signature,
    /// What was sent makes no sense.
    #[error("{} {}", .0.field.trim_start_matches('/'), .0.message)]
    Invalid(FieldViolation),
    /// The file is too large.
    #[error("the file has more than {0} bytes, which is the limit")]
    TooLarge(u64),
    /// There would be more stored than may be.
    #[error("there is no room for the file: the quota of the user or of the server is used up")]
    Quota,
    /// Too many uploads are under way.
    #[error("too many uploads at once; try again later")]
    Overloaded,
    /// This server stores no files.
    #[error("File storage is not enabled")]
    Disabled,
    /// Who acts may not do it.
    #[error(transparent)]
    Denied(#[from] AccessDenied),
    /// The bytes could not be stored, read or deleted.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<BucketError> for FileError {
    fn from(error: BucketError) -> Self {
        Self::Storage(error.into())
    }
}

impl Problem for FileError {
    fn kind(&self) -> Kind {
        match self {
            Self::NotFound(_) => Kind::NotFound,
            Self::Signature => Kind::Forbidden,
            Self::Invalid(_) => Kind::Invalid,
            Self::TooLarge(_) | Self::Quota => Kind::TooLarge,
            Self::Overloaded => Kind::Overloaded,
            Self::Disabled | Self::Storage(_) => Kind::Unavailable,
            Self::Denied(denied) => denied.kind(),
            Self::Store(error) => error.kind(),
        }
    }

    fn is_explained(&self) -> bool {
        matches!(self, Self::Disabled | Self::Storage(StorageError::Bucket(_)))
    }

    fn violations(&self) -> &[FieldViolation] {
        if let Self::Invalid(violation) = self { std::slice::from_ref(violation) } else { &[] }
    }
}

/// Files.
#[derive(Debug, Clone, Copy)]
pub struct Files<'a> {
    pub(crate) core: &'a Core,
}

/// How long an address may be valid, in seconds.
pub const SIGNED_SECONDS: std::ops::RangeInclusive<u32> = 60..=86_400;

impl Files<'_> {
    /// Whether files can be stored; for users.
    pub fn is_enabled(&self, identity: &Identity) -> Result<bool, FileError> {
        known(identity)?;
        Ok(self.core.inner.files.folder.is_some() || self.core.settings().storage.enabled)
    }

    /// A file that whoever asks may read: one's own, one that is public, or any as administrator.
    pub async fn find(&self, identity: &Identity, key: &str) -> Result<StoredFile, FileError> {
        let found = self.stored(key).await?;
        match found {
            Some(file) if file.is_public || is_ones_own(identity, &file) => Ok(file),
            Some(_) | None => {
                // Whether it is there is nobody else's business.
                known(identity)?;
                Err(FileError::NotFound(key.to_owned()))
            }
        }
    }

    /// A file by an address that was signed.
    pub async fn find_signed(
        &self,
        key: &str,
        signature: &FileSignature,
    ) -> Result<StoredFile, FileError> {
        if !is_key(key) || !is_valid(self.secret().await?, key, signature, now()) {
            return Err(FileError::Signature);
        }
        self.stored(key).await?.ok_or_else(|| FileError::NotFound(key.to_owned()))
    }

    /// Reads a part of a file that was found.
    pub async fn read(&self, file: &StoredFile, range: Range<u64>) -> Result<FileBytes, FileError> {
        if range.is_empty() {
            return Ok(futures_util::stream::empty().boxed());
        }
        let bytes = match &file.backend {
            FileBackend::Local => read(&self.core.folder()?.objects()?, &file.key, range).await,
            FileBackend::Bucket(name) => {
                let bucket = self.core.bucket(name)?;
                bucket.read(&file.key, range).await.map_err(StorageError::from)
            }
        };
        match bytes {
            // Deleted since it was found.
            Err(StorageError::Bucket(BucketError::NoObject)) => {
                Err(FileError::NotFound(file.key.clone()))
            }
            Err(StorageError::Storage(error))
                if matches!(*error, object_store::Error::NotFound { .. }) =>
            {
                Err(FileError::NotFound(file.key.clone()))
            }
            done => Ok(done?),
        }
    }

    /// Signs an address by which anybody may read a file for a while.
    pub async fn sign(
        &self,
        identity: &Identity,
        key: &str,
        seconds: u32,
    ) -> Result<FileSignature, FileError> {
        known(identity)?;
        let file = self.find(identity, key).await?;
        Ok(sign(self.secret().await?, &file.key, now().as_second() + i64::from(seconds)))
    }

    /// One's own files, the newest first; as administrator all of them, or those of a user.
    pub async fn list(
        &self,
        identity: &Identity,
        mut query: FileQuery,
    ) -> Result<(Vec<StoredFile>, u64), FileError> {
        known(identity)?;
        if !identity.is_admin() {
            query.owner = identity.user_id();
        }
        Ok(self.core.inner.store.files(&query).await?)
    }

    /// Deletes a file of one's own, or as administrator any.
    pub async fn delete(&self, cause: &Cause, key: &str) -> Result<(), FileError> {
        known(&cause.identity)?;
        let file = self.find(&cause.identity, key).await?;
        if !is_ones_own(&cause.identity, &file) {
            return Err(AccessDenied::AdminOnly.into());
        }
        let store = &self.core.inner.store;
        if store.condemn_file(key).await? == Written::Stale {
            return Err(FileError::NotFound(key.to_owned()));
        }
        self.core.note(cause, "file.delete", "file", key);
        // From here on nobody sees it. If this fails, it is tried again later.
        self.core.clean_up_file(key).await;
        Ok(())
    }

    async fn stored(&self, key: &str) -> Result<Option<StoredFile>, FileError> {
        // What can be no key is not looked for.
        if is_key(key) { Ok(self.core.inner.store.file(key).await?) } else { Ok(None) }
    }

    async fn secret(&self) -> Result<&str, StoreError> {
        let inner = &self.core.inner;
        let secret = inner.files.secret.get_or_try_init(|| inner.store.files_secret()).await?;
        Ok(secret)
    }
}

impl Core {
    /// Files.
    pub const fn files(&self) -> Files<'_> {
        Files { core: self }
    }

    /// Makes the folder of files, and throws away what uploads of a former run left behind. The
    /// server does it once, before it takes requests.
    ///
    /// # Errors
    /// If the folder can't be made.
    pub async fn prepare_files(&self) -> Result<(), StorageError> {
        match &self.inner.files.folder {
            Some(folder) => folder.prepare().await,
            None => Ok(()),
        }
    }

    /// The folder of files.
    pub(crate) fn folder(&self) -> Result<&FileFolder, FileError> {
        self.inner.files.folder.as_ref().ok_or(FileError::Disabled)
    }

    /// A bucket of files, at the service of the current settings.
    pub(crate) fn bucket(&self, name: &str) -> Result<Bucket, BucketError> {
        self.inner.files.buckets.find(&self.settings().storage, name)
    }
}

/// Users and the operator; nobody else has files.
pub(crate) fn known(identity: &Identity) -> Result<Option<UserId>, AccessDenied> {
    match identity.user_id() {
        Some(user) => Ok(Some(user)),
        None if identity.is_admin() => Ok(None),
        None if *identity == Identity::Anonymous => Err(AccessDenied::Unauthenticated),
        None => Err(AccessDenied::AdminOnly),
    }
}

fn is_ones_own(identity: &Identity, file: &StoredFile) -> bool {
    identity.is_admin() || identity.user_id().is_some_and(|user| file.owner_id == Some(user))
}
