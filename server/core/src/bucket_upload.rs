//! Bytes on their way into a bucket: a small file at once, a larger one in parts as it comes.

use bytes::{Bytes, BytesMut};
use object_store::multipart::{MultipartStore as _, PartId};
use object_store::path::Path;
use object_store::{ObjectStoreExt as _, PutPayload};

use crate::bucket::{Bucket, BucketError};

/// What every service takes as a part that isn't the last. An upload keeps one in memory.
const PART_BYTES_MIN: u64 = 5 << 20;
/// How many parts services take.
const PARTS_MAX: u64 = 10_000;

/// An upload into a bucket.
#[derive(Debug)]
pub(crate) struct BucketUpload {
    bucket: Bucket,
    path: Path,
    /// All parts but the last have the same size, as some services demand.
    part_bytes: usize,
    buffer: BytesMut,
    upload_id: Option<String>,
    sent: Vec<PartId>,
}

impl BucketUpload {
    /// One of at most so many bytes. Nothing is sent yet.
    pub(crate) fn new(bucket: Bucket, key: &str, bytes_max: u64) -> Self {
        let part_bytes = bytes_max.div_ceil(PARTS_MAX).max(PART_BYTES_MIN);
        Self {
            bucket,
            path: Path::from(key),
            part_bytes: usize::try_from(part_bytes).unwrap_or(usize::MAX),
            buffer: BytesMut::new(),
            upload_id: None,
            sent: Vec::new(),
        }
    }

    /// Takes bytes. The caller sends what [`Self::is_full`] says before it brings more.
    pub(crate) fn take(&mut self, chunk: &[u8]) {
        self.buffer.extend_from_slice(chunk);
    }

    /// Whether a part is to be sent.
    pub(crate) fn is_full(&self) -> bool {
        self.buffer.len() >= self.part_bytes
    }

    /// Makes sure that the bucket expects parts, and says under which id.
    pub(crate) async fn begin(&mut self) -> Result<&str, BucketError> {
        if self.upload_id.is_none() {
            let begun = self.bucket.objects.create_multipart(&self.path).await;
            self.upload_id = Some(begun.map_err(|error| self.bucket.upload_fault(&error))?);
        }
        Ok(self.upload_id.as_deref().unwrap_or_default())
    }

    /// Sends a part.
    pub(crate) async fn send_part(&mut self) -> Result<(), BucketError> {
        let part = self.buffer.split_to(self.part_bytes.min(self.buffer.len())).freeze();
        self.send(part).await
    }

    /// Sends what is left, and has the bucket put the file together. Until then it has none.
    pub(crate) async fn finish(mut self, size: u64) -> Result<(), BucketError> {
        let rest = self.buffer.split().freeze();
        if self.upload_id.is_none() {
            let put = self.bucket.objects.put(&self.path, PutPayload::from_bytes(rest)).await;
            put.map_err(|error| self.bucket.upload_fault(&error))?;
        } else {
            if !rest.is_empty() {
                self.send(rest).await?;
            }
            let id = self.upload_id.take().unwrap_or_default();
            let parts = std::mem::take(&mut self.sent);
            let completed = self.bucket.objects.complete_multipart(&self.path, &id, parts).await;
            completed.map_err(|error| self.bucket.upload_fault(&error))?;
        }
        // Each request was signed over the hash of its bytes; whether all of them are there is left.
        match self.bucket.objects.head(&self.path).await {
            Ok(found) if found.size == size => Ok(()),
            Ok(_) | Err(object_store::Error::NotFound { .. }) => Err(BucketError::Damaged),
            Err(error) => Err(self.bucket.upload_fault(&error)),
        }
    }

    async fn send(&mut self, part: Bytes) -> Result<(), BucketError> {
        let (path, id) = (&self.path, self.upload_id.clone().unwrap_or_default());
        let payload = PutPayload::from_bytes(part);
        let sent = self.bucket.objects.put_part(path, &id, self.sent.len(), payload).await;
        self.sent.push(sent.map_err(|error| self.bucket.upload_fault(&error))?);
        Ok(())
    }
}

impl Bucket {
    /// Has the bucket throw away the parts of an upload. One that it doesn't know has none.
    pub(crate) async fn abort(&self, key: &str, upload_id: &str) -> Result<(), BucketError> {
        let id = upload_id.to_owned();
        match self.objects.abort_multipart(&Path::from(key), &id).await {
            Ok(()) => Ok(()),
            Err(error) => self.fault(&error).unless_gone(),
        }
    }
}
