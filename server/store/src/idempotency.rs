//! Keys by which clients repeat a request without repeating what it did.
//!
//! A key is written by the same transaction as what its request does: either both are there, or the
//! request did nothing and may be sent again.

use jiff::Timestamp;
use tinybase_model::CallId;

use crate::sql::{Connection, Sql, query};
use crate::time::micros;
use crate::{Store, StoreError, Written};

/// Whose key it is, which, and for what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestKey {
    /// Whoever sent it.
    pub owner: String,
    /// What was sent.
    pub key: String,
    /// The SHA-256 of the request that it stands for.
    pub fingerprint: [u8; 32],
}

/// What says how a request went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeptAnswer {
    /// Its answer, in the words of whoever gave it.
    Text(String),
    /// The record of the call that it made.
    Call(CallId),
}

/// A key that is used up by what is written with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsedKey {
    /// The key.
    pub key: RequestKey,
    /// How its request went.
    pub answer: KeptAnswer,
    /// When.
    pub created_at: Timestamp,
    /// Until when it stands for that.
    pub expires_at: Timestamp,
}

/// What is known of a key that was used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundKey {
    /// The SHA-256 of the request that it stands for.
    pub fingerprint: Vec<u8>,
    /// How that went.
    pub answer: KeptAnswer,
}

/// An expired key may be used again.
pub(crate) const USE_KEY: Sql = Sql::same(
    "
    insert into idempotency_keys
        (owner, key, fingerprint, answer, call_id, size, created_at, expires_at)
    values ($1, $2, $3, $4, $5, $6, $7, $8)
    on conflict (owner, key) do update
    set fingerprint = excluded.fingerprint, answer = excluded.answer, call_id = excluded.call_id,
        size = excluded.size, created_at = excluded.created_at, expires_at = excluded.expires_at
    where idempotency_keys.expires_at <= excluded.created_at",
);

pub(crate) const KEY: Sql = Sql::same(
    "
    select fingerprint, answer, call_id from idempotency_keys
    where owner = $1 and key = $2 and expires_at > $3",
);

pub(crate) const COUNT_KEYS: Sql = Sql::same(
    "
    select count(*) from (select 1 from idempotency_keys where owner = $1 limit $2) as some_keys",
);

pub(crate) const CLEAN_UP_KEYS: Sql = Sql::same(
    "
    delete from idempotency_keys where (owner, key) in (
        select owner, key from idempotency_keys where expires_at <= $1 order by expires_at limit $2
    )",
);

/// The oldest go first.
pub(crate) const TRIM_KEYS: Sql = Sql::same(
    "
    delete from idempotency_keys where (owner, key) in (
        select owner, key from (
            select owner, key, sum(size) over (order by expires_at desc, owner, key) as total
            from idempotency_keys
        ) as sized where total > $1
    )",
);

const WHAT: &str = "keys of requests";

impl Store {
    /// What is known of a key that somebody used and that hasn't expired.
    pub async fn used_key(
        &self,
        key: &RequestKey,
        now: Timestamp,
    ) -> Result<Option<FoundKey>, StoreError> {
        let row = query(KEY)
            .bind(&key.owner)
            .bind(&key.key)
            .bind(micros(now))
            .fetch_optional(self.reader())
            .await
            .map_err(StoreError::read(WHAT))?;
        let Some(row) = row else { return Ok(None) };
        let fingerprint = row.blob(0).map_err(StoreError::read(WHAT))?.to_vec();
        let text = row.optional_text(1).map_err(StoreError::read(WHAT))?;
        let call = row.optional_text(2).map_err(StoreError::read(WHAT))?;
        let answer = match call {
            Some(call) => {
                KeptAnswer::Call(call.parse().map_err(StoreError::corrupt("a call's id"))?)
            }
            None => KeptAnswer::Text(text.unwrap_or_default().to_owned()),
        };
        Ok(Some(FoundKey { fingerprint, answer }))
    }

    /// How many keys somebody has used, counted up to a limit.
    pub async fn count_keys(&self, owner: &str, limit: u32) -> Result<u64, StoreError> {
        let row = query(COUNT_KEYS).bind(owner).bind(limit).fetch_one(self.reader()).await;
        row.and_then(|row| row.count(0)).map_err(StoreError::read(WHAT))
    }

    /// Deletes at most `limit` keys that have expired. How many there were.
    pub async fn clean_up_keys(&self, now: Timestamp, limit: u32) -> Result<u64, StoreError> {
        self.sweep(WHAT, CLEAN_UP_KEYS, [micros(now), limit.into()]).await
    }

    /// Deletes the oldest keys whose answers are over so many bytes together.
    pub async fn trim_keys(&self, bytes_max: u64) -> Result<u64, StoreError> {
        let bytes_max = i64::try_from(bytes_max).unwrap_or(i64::MAX);
        self.sweep(WHAT, TRIM_KEYS, [bytes_max]).await
    }
}

impl UsedKey {
    /// Uses a key up; part of the command that does what the request asks for. Stale if it was used
    /// before.
    pub(crate) async fn apply(&self, connection: &mut Connection) -> Result<Written, StoreError> {
        let (text, call) = match &self.answer {
            KeptAnswer::Text(text) => (Some(text.as_str()), None),
            KeptAnswer::Call(call) => (None, Some(call.to_string())),
        };
        let used = query(USE_KEY)
            .bind(&self.key.owner)
            .bind(&self.key.key)
            .bind(&self.key.fingerprint[..])
            .bind(text)
            .bind(call)
            .bind(i64::try_from(text.map_or(0, str::len) + ROW_BYTES).unwrap_or(i64::MAX))
            .bind(micros(self.created_at))
            .bind(micros(self.expires_at))
            .execute(connection)
            .await
            .map_err(StoreError::write(WHAT))?;
        Ok(if used == 0 { Written::Stale } else { Written::Done })
    }
}

/// About how many bytes a key takes beside its answer.
const ROW_BYTES: usize = 200;
