//! The rows of stored files. Their bytes are elsewhere; a row says whether they are in place.

use jiff::Timestamp;
use tinybase_model::UserId;

use crate::creation::Written;
use crate::event::NewEvent;
use crate::sql::{Connection, Row, Sql, query};
use crate::time::{micros, now, timestamp};
use crate::write::Write;
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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileBackend {
    /// In the data folder.
    Local,
    /// In the bucket.
    Bucket,
}

impl FileBackend {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Bucket => "bucket",
        }
    }
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

/// A file is counted from the moment that it is announced, so that uploads at the same time can't
/// pass the quota together.
pub(crate) const ANNOUNCE_FILE: Sql = Sql::same(
    "
    insert into files
        (key, owner_id, filename, content_type, size, sha256, is_public, backend, state,
         created_at, changed_at)
    select cast($1 as text), cast($2 as text), cast($3 as text), cast($4 as text),
           cast($5 as bigint), cast($6 as text), cast($7 as bigint), cast($8 as text), 'pending',
           cast($9 as bigint), cast($9 as bigint)
    where (cast($10 as bigint) is null or cast($2 as text) is null
           or (select coalesce(sum(size), 0) from files where owner_id = cast($2 as text))
              + cast($5 as bigint) <= cast($10 as bigint))
      and (cast($11 as bigint) is null
           or (select coalesce(sum(size), 0) from files) + cast($5 as bigint)
              <= cast($11 as bigint))",
);

pub(crate) const FINISH_FILE: Sql = Sql::same(
    "update files set state = 'stored', changed_at = $2 where key = $1 and state = 'pending'",
);

pub(crate) const CONDEMN_FILE: Sql = Sql::same(
    "update files set state = 'deleting', changed_at = $2 where key = $1 and state = 'stored'",
);

pub(crate) const FORGET_FILE: Sql =
    Sql::same("delete from files where key = $1 and state <> 'stored'");

pub(crate) const FILE_BY_KEY: Sql = Sql::same(
    "
    select key, owner_id, filename, content_type, size, sha256, is_public, backend, created_at
    from files where key = $1 and state = 'stored'",
);

pub(crate) const FILES: Sql = Sql::same(
    "
    select key, owner_id, filename, content_type, size, sha256, is_public, backend, created_at
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
    select key, owner_id, filename, content_type, size, sha256, is_public, backend, created_at
    from files where state <> 'stored' and changed_at < $1 order by changed_at limit $2",
);

pub(crate) const FILES_SECRET: Sql = Sql::same("select value from meta where key = 'files_secret'");

const WHAT: &str = "a file";

impl Store {
    /// Announces a file whose bytes are about to be put in place. [`Written::Stale`] means that it
    /// would pass the quota.
    pub async fn announce_file(
        &self,
        file: StoredFile,
        quota: FileQuota,
    ) -> Result<Written, StoreError> {
        self.write(Announce { file, quota }).await
    }

    /// Says that the bytes of an announced file are in place.
    pub async fn finish_file(&self, key: &str) -> Result<Written, StoreError> {
        self.write(Step { key: key.to_owned(), sql: FINISH_FILE }).await
    }

    /// Takes a file away from everybody, before its bytes go.
    pub async fn condemn_file(&self, key: &str) -> Result<Written, StoreError> {
        self.write(Step { key: key.to_owned(), sql: CONDEMN_FILE }).await
    }

    /// Forgets a file whose bytes are gone, or never came.
    pub async fn forget_file(&self, key: &str) -> Result<(), StoreError> {
        self.write(Forget(key.to_owned())).await
    }

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
    ) -> Result<Vec<StoredFile>, StoreError> {
        let rows = query(UNFINISHED_FILES)
            .bind(micros(before))
            .bind(i64::from(limit))
            .fetch_all(self.reader())
            .await
            .map_err(StoreError::read(WHAT))?;
        rows.iter().map(decode).collect()
    }

    /// What addresses of files are signed with: random, made with the database, never shown.
    pub async fn files_secret(&self) -> Result<String, StoreError> {
        let row = query(FILES_SECRET).fetch_one(self.reader()).await;
        let text = row.and_then(|row| row.text(0).map(str::to_owned));
        text.map_err(StoreError::read("the secret of files"))
    }
}

struct Announce {
    file: StoredFile,
    quota: FileQuota,
}

impl Write for Announce {
    type Output = Written;

    async fn apply(
        &self,
        connection: &mut Connection,
        _: &mut Vec<NewEvent>,
    ) -> Result<Written, StoreError> {
        let Self { file, quota } = self;
        let bytes = |most: Option<u64>| most.map(signed);
        let announced = query(ANNOUNCE_FILE)
            .bind(&file.key)
            .bind(file.owner_id.map(|id| id.to_string()))
            .bind(&file.filename)
            .bind(&file.content_type)
            .bind(signed(file.size))
            .bind(&file.sha256)
            .bind(i64::from(file.is_public))
            .bind(file.backend.as_str())
            .bind(micros(file.created_at))
            .bind(bytes(quota.user_bytes_max))
            .bind(bytes(quota.total_bytes_max))
            .execute(connection)
            .await
            .map_err(StoreError::write(WHAT))?;
        Ok(if announced == 0 { Written::Stale } else { Written::Done })
    }
}

struct Step {
    key: String,
    sql: Sql,
}

impl Write for Step {
    type Output = Written;

    async fn apply(
        &self,
        connection: &mut Connection,
        _: &mut Vec<NewEvent>,
    ) -> Result<Written, StoreError> {
        let taken = query(self.sql)
            .bind(&self.key)
            .bind(micros(now()))
            .execute(connection)
            .await
            .map_err(StoreError::write(WHAT))?;
        Ok(if taken == 0 { Written::Stale } else { Written::Done })
    }
}

struct Forget(String);

impl Write for Forget {
    type Output = ();

    async fn apply(
        &self,
        connection: &mut Connection,
        _: &mut Vec<NewEvent>,
    ) -> Result<(), StoreError> {
        let forgotten = query(FORGET_FILE).bind(&self.0).execute(connection).await;
        forgotten.map(drop).map_err(StoreError::write(WHAT))
    }
}

fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

fn decode(row: &Row) -> Result<StoredFile, StoreError> {
    let text = |index: usize| row.text(index).map_err(StoreError::read(WHAT));
    let owner = row.optional_text(1).map_err(StoreError::read(WHAT))?;
    let backend = match text(7)? {
        "bucket" => FileBackend::Bucket,
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
