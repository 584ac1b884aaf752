//! Writing the rows of stored files: announced first, then whole; condemned first, then gone.

use crate::creation::Written;
use crate::event::NewEvent;
use crate::file::WHAT;
use crate::sql::{Connection, Sql, query};
use crate::time::{micros, now};
use crate::write::Write;
use crate::{FileQuota, Store, StoreError, StoredFile};

/// A file is counted from the moment that it is announced, so that uploads at the same time can't
/// pass the quota together.
pub(crate) const ANNOUNCE_FILE: Sql = Sql::same(
    "
    insert into files
        (key, owner_id, filename, content_type, size, sha256, is_public, backend, state,
         created_at, changed_at, bucket)
    select cast($1 as text), cast($2 as text), cast($3 as text), cast($4 as text),
           cast($5 as bigint), cast($6 as text), cast($7 as bigint), cast($8 as text), 'pending',
           cast($9 as bigint), cast($9 as bigint), cast($12 as text)
    where (cast($10 as bigint) is null or cast($2 as text) is null
           or (select coalesce(sum(size), 0) from files where owner_id = cast($2 as text))
              + cast($5 as bigint) <= cast($10 as bigint))
      and (cast($11 as bigint) is null
           or (select coalesce(sum(size), 0) from files) + cast($5 as bigint)
              <= cast($11 as bigint))",
);

/// The same for a file that was announced before all of it had come.
pub(crate) const MEASURE_FILE: Sql = Sql::same(
    "
    update files set size = $2, sha256 = $3, changed_at = $4
    where key = $1 and state = 'pending'
      and (cast($6 as bigint) is null or cast($5 as text) is null
           or (select coalesce(sum(size), 0) from files
               where owner_id = cast($5 as text) and key <> $1) + $2 <= cast($6 as bigint))
      and (cast($7 as bigint) is null
           or (select coalesce(sum(size), 0) from files where key <> $1) + $2
              <= cast($7 as bigint))",
);

pub(crate) const NOTE_UPLOAD: Sql = Sql::same(
    "update files set upload_id = $2, changed_at = $3 where key = $1 and state = 'pending'",
);

/// What is left of it takes no room from anybody; that it is looked at later stays.
pub(crate) const EMPTY_FILE: Sql =
    Sql::same("update files set size = 0, changed_at = $2 where key = $1 and state <> 'stored'");

pub(crate) const FINISH_FILE: Sql = Sql::same(
    "update files set state = 'stored', changed_at = $2 where key = $1 and state = 'pending'",
);

pub(crate) const CONDEMN_FILE: Sql = Sql::same(
    "update files set state = 'deleting', changed_at = $2 where key = $1 and state = 'stored'",
);

pub(crate) const FORGET_FILE: Sql =
    Sql::same("delete from files where key = $1 and state <> 'stored'");

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

    /// Says what has come of a file that was announced before that was known. [`Written::Stale`]
    /// means that it would pass the quota, or was swept away.
    pub async fn measure_file(
        &self,
        file: StoredFile,
        quota: FileQuota,
    ) -> Result<Written, StoreError> {
        self.write(Measure { file, quota }).await
    }

    /// Says under which id an announced file is uploaded, and that this goes on.
    /// [`Written::Stale`] means that it was swept away.
    pub async fn note_upload(&self, key: &str, upload_id: &str) -> Result<Written, StoreError> {
        let (key, upload_id) = (key.to_owned(), upload_id.to_owned());
        self.write(NoteUpload { key, upload_id }).await
    }

    /// Says that a file that never got whole takes no room, although something may be left of it.
    pub async fn empty_file(&self, key: &str) -> Result<Written, StoreError> {
        self.write(Step { key: key.to_owned(), sql: EMPTY_FILE }).await
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
            .bind(file.backend.bucket())
            .execute(connection)
            .await
            .map_err(StoreError::write(WHAT))?;
        Ok(if announced == 0 { Written::Stale } else { Written::Done })
    }
}

struct Measure {
    file: StoredFile,
    quota: FileQuota,
}

impl Write for Measure {
    type Output = Written;

    async fn apply(
        &self,
        connection: &mut Connection,
        _: &mut Vec<NewEvent>,
    ) -> Result<Written, StoreError> {
        let Self { file, quota } = self;
        let measured = query(MEASURE_FILE)
            .bind(&file.key)
            .bind(signed(file.size))
            .bind(&file.sha256)
            .bind(micros(now()))
            .bind(file.owner_id.map(|id| id.to_string()))
            .bind(quota.user_bytes_max.map(signed))
            .bind(quota.total_bytes_max.map(signed))
            .execute(connection)
            .await
            .map_err(StoreError::write(WHAT))?;
        Ok(if measured == 0 { Written::Stale } else { Written::Done })
    }
}

struct NoteUpload {
    key: String,
    upload_id: String,
}

impl Write for NoteUpload {
    type Output = Written;

    async fn apply(
        &self,
        connection: &mut Connection,
        _: &mut Vec<NewEvent>,
    ) -> Result<Written, StoreError> {
        let noted = query(NOTE_UPLOAD)
            .bind(&self.key)
            .bind(&self.upload_id)
            .bind(micros(now()))
            .execute(connection)
            .await
            .map_err(StoreError::write(WHAT))?;
        Ok(if noted == 0 { Written::Stale } else { Written::Done })
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
