//! What is left of files that never got whole, or that were deleted: their bytes go, then their rows.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tinybase_store::{FileBackend, StoreError, StoredFile, UnfinishedFile, now};
use tokio::sync::Notify;

use crate::Core;
use crate::file::FileError;
use crate::file_storage::delete;

/// How often it is looked for what nobody ended.
const PERIOD: Duration = Duration::from_mins(10);
/// How old an upload or a deletion of a file is that can't be under way any more.
const UNFINISHED_AGE: Duration = Duration::from_hours(1);
/// How much is looked at by one command.
const BATCH: u32 = 1000;
/// How many failed uploads wait to be cleaned up at once; others wait until they are old.
const ABANDONED_MAX: usize = 1024;

/// Files whose upload failed just now.
#[derive(Debug, Default)]
pub(crate) struct AbandonedFiles {
    keys: Mutex<VecDeque<String>>,
    news: Notify,
}

impl AbandonedFiles {
    pub(crate) fn add(&self, key: String) {
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        if keys.len() < ABANDONED_MAX {
            keys.push_back(key);
            self.news.notify_one();
        }
    }

    fn take(&self) -> Option<String> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }

    /// The next one. Cancel-safe: nothing is awaited once a key is taken.
    async fn next(&self) -> String {
        loop {
            if let Some(key) = self.take() {
                return key;
            }
            self.news.notified().await;
        }
    }
}

/// A file that was announced. Dropped before it is whole, it is cleaned up.
#[derive(Debug)]
pub(crate) struct Announced {
    core: Core,
    key: Option<String>,
    is_settled: bool,
}

impl Announced {
    pub(crate) fn new(core: &Core, key: &str) -> Self {
        Self { core: core.clone(), key: Some(key.to_owned()), is_settled: true }
    }

    /// Its bytes are about to be sent at once. If this is dropped meanwhile, they may arrive after
    /// all, and a deletion might be faster: then it is cleaned up once it is old.
    pub(crate) const fn unsettle(&mut self) {
        self.is_settled = false;
    }

    /// It is known whether they arrived.
    pub(crate) const fn settle(&mut self) {
        self.is_settled = true;
    }

    /// The file is whole.
    pub(crate) fn keep(mut self) {
        self.key = None;
    }
}

impl Drop for Announced {
    fn drop(&mut self) {
        if let Some(key) = self.key.take().filter(|_| self.is_settled) {
            self.core.inner.files.abandoned.add(key);
        }
    }
}

impl Core {
    /// Cleans up after files again and again; beside the other maintenance, since a bucket may
    /// be slow.
    pub(crate) async fn look_after_files(&self) {
        let mut period = tokio::time::interval(PERIOD);
        loop {
            tokio::select! {
                key = self.inner.files.abandoned.next() => self.clean_up_file(&key).await,
                _ = period.tick() => {
                    if let Err(error) = self.sweep_files(now() - UNFINISHED_AGE).await {
                        tracing::warn!(
                            error = &error as &dyn std::error::Error,
                            "unfinished files could not be looked for; it is tried again later"
                        );
                    }
                }
            }
        }
    }

    /// Cleans up after one file. If that fails, it is tried again once it is old.
    pub(crate) async fn clean_up_file(&self, key: &str) {
        let cleaned = async {
            match self.inner.store.unfinished_file(key).await? {
                Some(left) => self.remove_file(&left).await,
                None => Ok(()),
            }
        };
        if let Err(error) = cleaned.await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "what is left of a file is removed later"
            );
            // Meanwhile it takes no room from its owner.
            if let Err(error) = self.inner.store.empty_file(key).await {
                tracing::warn!(error = &error as &dyn std::error::Error, "a file still takes room");
            }
        }
    }

    /// Removes what uploads and deletions left behind that a crash or a failure interrupted before
    /// a time.
    async fn sweep_files(&self, before: Timestamp) -> Result<(), StoreError> {
        let mut failed: Vec<FileBackend> = Vec::new();
        for left in self.inner.store.unfinished_files(before, BATCH).await? {
            if failed.contains(&left.file.backend) {
                // It would only take as long again to fail as well.
                continue;
            }
            if let Err(error) = self.remove_file(&left).await {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "a file that was left behind could not be removed and is tried again later"
                );
                failed.push(left.file.backend);
            }
        }
        Ok(())
    }

    /// Removes the bytes of a file that nobody sees any more, then its row.
    async fn remove_file(&self, left: &UnfinishedFile) -> Result<(), FileError> {
        if let (FileBackend::Bucket(name), Some(id)) = (&left.file.backend, &left.upload_id) {
            self.bucket(name)?.abort(&left.file.key, id).await?;
        }
        self.remove_bytes(&left.file).await?;
        Ok(self.inner.store.forget_file(&left.file.key).await?)
    }

    /// Removes the bytes of a file.
    pub(crate) async fn remove_bytes(&self, file: &StoredFile) -> Result<(), FileError> {
        match &file.backend {
            FileBackend::Local => Ok(delete(&self.folder()?.objects()?, &file.key).await?),
            FileBackend::Bucket(name) => Ok(self.bucket(name)?.delete(&file.key).await?),
        }
    }
}
