//! The section `[files]`: where files are kept, and how much of them.

use std::path::Path;

use tinybase_core::{FileOptions, FileQuota};

use super::ConfigError;
use super::setting::Settings;

/// 100 MiB.
const UPLOAD_BYTES_MAX: u64 = 100 << 20;

pub(super) fn file_options(files: &Settings<'_>, data: &Path) -> Result<FileOptions, ConfigError> {
    let bytes = |key| files.number::<u64>(key, 1..=i64::MAX);
    Ok(FileOptions {
        folder: Some(data.join("files")),
        upload_bytes_max: bytes("upload_bytes_max")?.unwrap_or(UPLOAD_BYTES_MAX),
        quota: FileQuota {
            user_bytes_max: bytes("user_bytes_max")?,
            total_bytes_max: bytes("total_bytes_max")?,
        },
    })
}
