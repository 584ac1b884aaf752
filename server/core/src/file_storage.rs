//! Where the bytes of files are: in a folder, or in a bucket.

use std::fs;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use object_store::local::LocalFileSystem;
use object_store::{GetOptions, GetRange, ObjectStore, ObjectStoreExt as _};
use tempfile::TempPath;
use thiserror::Error;

use crate::bucket::{Bucket, BucketError};

/// The bytes of a file, or of a part of it, as they are read.
pub type FileBytes = BoxStream<'static, io::Result<Bytes>>;

/// Where uploads gather until they are whole; no key begins with a dot.
const UPLOADS: &str = ".uploads";

/// Why bytes couldn't be stored, read or deleted.
#[derive(Debug, Clone, Error)]
pub enum StorageError {
    /// The folder of files.
    #[error("the folder of files failed")]
    Folder(#[source] Arc<io::Error>),
    /// The place where the bytes are.
    #[error("the storage of files failed")]
    Storage(#[source] Arc<object_store::Error>),
    /// The bucket.
    #[error(transparent)]
    Bucket(#[from] BucketError),
}

impl From<io::Error> for StorageError {
    fn from(error: io::Error) -> Self {
        Self::Folder(Arc::new(error))
    }
}

impl From<object_store::Error> for StorageError {
    fn from(error: object_store::Error) -> Self {
        Self::Storage(Arc::new(error))
    }
}

/// A folder of files, with a place for uploads beside them on the same disk.
#[derive(Debug, Clone)]
pub(crate) struct FileFolder {
    root: PathBuf,
}

impl FileFolder {
    pub(crate) const fn new(root: PathBuf) -> Self {
        Self { root }
    }

    /// Makes the folder, for the server's user only, and throws away what uploads of a former run
    /// left behind.
    pub(crate) async fn prepare(&self) -> Result<(), StorageError> {
        let root = self.root.clone();
        blocking(move || {
            make_private(&root)?;
            let uploads = root.join(UPLOADS);
            match fs::remove_dir_all(&uploads) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                Ok(()) | Err(_) => {}
            }
            make_private(&uploads)
        })
        .await
    }

    /// A new file for an upload. It goes away by itself unless it is put in place.
    pub(crate) async fn begin(&self) -> Result<(tokio::fs::File, TempPath), StorageError> {
        let uploads = self.root.join(UPLOADS);
        let (file, path) = blocking(move || {
            tempfile::NamedTempFile::new_in(uploads).map(tempfile::NamedTempFile::into_parts)
        })
        .await?;
        Ok((tokio::fs::File::from_std(file), path))
    }

    /// Puts an upload, which is on the disk already, in its place at once and as a whole.
    pub(crate) async fn put(&self, key: &str, upload: TempPath) -> Result<(), StorageError> {
        let target = self.root.join(key);
        blocking(move || {
            let folder = target.parent().unwrap_or(Path::new("/")).to_owned();
            fs::create_dir_all(&folder)?;
            upload.persist(&target).map_err(|error| error.error)?;
            fs::File::open(folder)?.sync_all()
        })
        .await
    }

    /// The folder as a store of objects.
    pub(crate) fn objects(&self) -> Result<LocalFileSystem, StorageError> {
        Ok(LocalFileSystem::new_with_prefix(&self.root)?)
    }
}

/// Reads a part of a file in the folder.
pub(crate) async fn read(
    objects: &LocalFileSystem,
    key: &str,
    range: Range<u64>,
) -> Result<FileBytes, StorageError> {
    let found = objects.get_opts(&object_store::path::Path::from(key), only(range)).await?;
    Ok(found.into_stream().map(|chunk| chunk.map_err(io::Error::other)).boxed())
}

/// Deletes a file in the folder; one that isn't there is deleted already.
pub(crate) async fn delete(objects: &LocalFileSystem, key: &str) -> Result<(), StorageError> {
    match objects.delete(&object_store::path::Path::from(key)).await {
        Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

impl Bucket {
    /// Reads a part of an object.
    pub(crate) async fn read(
        &self,
        key: &str,
        range: Range<u64>,
    ) -> Result<FileBytes, BucketError> {
        let path = object_store::path::Path::from(key);
        let found = self.objects.get_opts(&path, only(range)).await;
        let found = found.map_err(|error| self.fault(&error))?;
        let bucket = self.clone();
        let chunks = found.into_stream();
        Ok(chunks
            .map(move |chunk| chunk.map_err(|error| io::Error::other(bucket.fault(&error))))
            .boxed())
    }

    /// Deletes an object; one that isn't there is deleted already.
    pub(crate) async fn delete(&self, key: &str) -> Result<(), BucketError> {
        match self.objects.delete(&object_store::path::Path::from(key)).await {
            Ok(()) => Ok(()),
            Err(error) => self.fault(&error).unless_gone(),
        }
    }
}

fn only(range: Range<u64>) -> GetOptions {
    GetOptions { range: Some(GetRange::Bounded(range)), ..GetOptions::default() }
}

fn make_private(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;

    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, StorageError> {
    let done = tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?;
    Ok(done?)
}
