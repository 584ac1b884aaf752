//! The rows of stored files. Their bytes are elsewhere; a row says whether they are in place.

use jiff::Timestamp;
use tinybase_model::UserId;

use crate::sql::{Row, Sql, query};
use crate::time::{micros, timestamp};
use crate::{Store, StoreError};

/// A stored file, without its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredFile {
    /// Where its bytes are, and its name in the API.
    pub key: String,
    /// Whose it is; none for a file of the operator, or of a user who is gone.
    pub owner_id: Option<UserId>,
    /// What it was called where it came from.
    pub filename: String,
    /// Its media type.
    pub content_type: String,
    /// Its size in bytes.
    pub size: u64,
    /// The SHA-256 of its bytes, in hexadecimal digits.
    pub sha256: String,
    /// Whether anybody may read it.
    pub is_public: bool,
    /// Where its bytes are.
    pub backend: FileBackend,
    /// When it was stored.
    pub created_at: Timestamp,
}

/// Where the bytes of a file are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileBackend {
    /// In the data folder.
    Local,
    /// In the bucket of this name.
    Bucket(String),
}

impl FileBackend {
    pub(crate) const fn as_str(&self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Bucket(_) => "bucket",
        }
    }

    pub(crate) fn bucket(&self) -> Option<&str> {
        match self {
            Self::Local => None,
            Self::Bucket(name) => Some(name),
        }
    }
}

/// A file that isn't whole yet, or is about to go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnfinishedFile {
    /// What is known of it.
    pub file: StoredFile,
    /// Under which id its bucket takes it in parts.
    pub upload_id: Option<String>,
}

/// How many bytes may be stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FileQuota {
    /// By one user.
    pub user_bytes_max: Option<u64>,
    /// By all.
    pub total_bytes_max: Option<u64>,
}

/// Which files to list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileQuery {
    /// Only this user's.
    pub owner: Option<UserId>,
    /// Only those whose keys begin so.
    pub prefix: String,
    /// At most so many.
    pub limit: u32,
    /// After so many.
    pub offset: u32,
}

pub(crate) const FILE_BY_KEY: Sql = Sql::same(
    "
    select key, owner_id, filename, content_type, size, sha256, is_public, backend, created_at,
           bucket
    from files where key = $1 and state = 'stored'",
);

pub(crate) const FILES: Sql = Sql::same(
    "
    select key, owner_id, filename, content_type, size, sha256, is_public, backend, created_at,
           bucket
    from files
    where state = 'stored' and (cast($1 as text) is null or owner_id = $1)
      and substr(key, 1, length(cast($2 as text))) = cast($2 as text)
    order by created_at desc, key desc limit $3 offset $4",
);

pub(crate) const COUNT_FILES: Sql = Sql::same(
    "
    select count(*) from files
    where state = 'stored' and (cast($1 as text) is null or owner_id = $1)
      and substr(key, 1, length(cast($2 as text))) = cast($2 as text)",
);

pub(crate) const UNFINISHED_FILES: Sql = Sql::same(
    "
    select key, owner_id, filename, content_type, size, sha256, is_public, backend, created_at,
           bucket, upload_id
    from files where state <> 'stored' and changed_at < $1 order by changed_at limit $2",
);

pub(crate) const UNFINISHED_FILE: Sql = Sql::same(
    "
    select key, owner_id, filename, content_type, size, sha256, is_public, backend, created_at,
           bucket, upload_id
    from files where key = $1 and state <> 'stored'",
);

pub(crate) const FILES_SECRET: Sql = Sql::same("select value from meta where key = 'files_secret'");

pub(crate) const WHAT: &str = "a file";

impl Store {
    /// A file whose bytes are in place.
    pub async fn file(&self, key: &str) -> Result<Option<StoredFile>, StoreError> {
        let row = query(FILE_BY_KEY).bind(key).fetch_optional(self.reader()).await;
        row.map_err(StoreError::read(WHAT))?.as_ref().map(decode).transpose()
    }

    /// Files, the newest first, and how many there are without limit and offset.
    pub async fn files(&self, wanted: &FileQuery) -> Result<(Vec<StoredFile>, u64), StoreError> {
        let owner = wanted.owner.map(|id| id.to_string());
        let filtered = |sql| query(sql).bind(owner.as_deref()).bind(&wanted.prefix);
        let rows = filtered(FILES)
            .bind(i64::from(wanted.limit))
            .bind(i64::from(wanted.offset))
            .fetch_all(self.reader())
            .await
            .map_err(StoreError::read(WHAT))?;
        let total = filtered(COUNT_FILES).fetch_one(self.reader()).await;
        let total = total.and_then(|row| row.count(0)).map_err(StoreError::read(WHAT))?;
        Ok((rows.iter().map(decode).collect::<Result<_, _>>()?, total))
    }

    /// Files whose storing or deleting began before a time and never ended, the oldest first.
    pub async fn unfinished_files(
        &self,
        before: Timestamp,
        limit: u32,
    ) -> Result<Vec<UnfinishedFile>, StoreError> {
        let rows = query(UNFINISHED_FILES)
            .bind(micros(before))
            .bind(i64::from(limit))
            .fetch_all(self.reader())
            .await
            .map_err(StoreError::read(WHAT))?;
        rows.iter().map(decode_unfinished).collect()
    }

    /// A file that isn't whole, or is about to go.
    pub async fn unfinished_file(&self, key: &str) -> Result<Option<UnfinishedFile>, StoreError> {
        let row = query(UNFINISHED_FILE).bind(key).fetch_optional(self.reader()).await;
        row.map_err(StoreError::read(WHAT))?.as_ref().map(decode_unfinished).transpose()
    }

    /// What addresses of files are signed with: random, made with the database, never shown.
    pub async fn files_secret(&self) -> Result<String, StoreError> {
        let row = query(FILES_SECRET).fetch_one(self.reader()).await;
        let text = row.and_then(|row| row.text(0).map(str::to_owned));
        text.map_err(StoreError::read("the secret of files"))
    }
}

fn decode(row: &Row) -> Result<StoredFile, StoreError> {
    let text = |index: usize| row.text(index).map_err(StoreError::read(WHAT));
    let owner = row.optional_text(1).map_err(StoreError::read(WHAT))?;
    let backend = match text(7)? {
        "bucket" => FileBackend::Bucket(text(9)?.to_owned()),
        _ => FileBackend::Local,
    };
    Ok(StoredFile {
        key: text(0)?.to_owned(),
        owner_id: owner.map(str::parse).transpose().map_err(StoreError::corrupt("a user's id"))?,
        filename: text(2)?.to_owned(),
        content_type: text(3)?.to_owned(),
        size: row.count(4).map_err(StoreError::read(WHAT))?,
        sha256: text(5)?.to_owned(),
        is_public: row.boolean(6).map_err(StoreError::read(WHAT))?,
        backend,
        created_at: timestamp(row.integer(8).map_err(StoreError::read(WHAT))?)?,
    })
}

fn decode_unfinished(row: &Row) -> Result<UnfinishedFile, StoreError> {
    let upload_id = row.optional_text(10).map_err(StoreError::read(WHAT))?;
    Ok(UnfinishedFile { file: decode(row)?, upload_id: upload_id.map(str::to_owned) })
}
