//! Recording function calls and reading the records.

use jiff::Timestamp;
use thiserror::Error;
use tinybase_model::CallId;

use crate::call::{
    CallCounts, CallPage, CallQuery, CallRecord, CallStatus, FinishedCall, StartedCall, Trigger,
};
use crate::event::NewEvent;
use crate::sql::{Connection, Row, Sql, query};
use crate::time::{micros, optional_timestamp, timestamp};
use crate::write::Write;
use crate::{Store, StoreError};

pub(crate) const START_CALL: Sql = Sql::same(
    "
    insert into function_calls
        (id, function_name, extension, status, trigger_type, requested_by_user_id, started_at,
         created_at)
    values ($1, $2, $3, 'running', $4, $5, $6, $6)",
);

/// Also works when the start could not be recorded.
pub(crate) const FINISH_CALL: Sql = Sql::same(
    "
    insert into function_calls
        (id, function_name, extension, trigger_type, requested_by_user_id, started_at, created_at,
         status, finished_at, duration_ms, error_message, error_type)
    values ($1, $2, $3, $4, $5, $6, $6, $7, $8, $9, $10, $11)
    on conflict (id) do update
    set status = excluded.status, finished_at = excluded.finished_at,
        duration_ms = excluded.duration_ms, error_message = excluded.error_message,
        error_type = excluded.error_type",
);

pub(crate) const RUNNING_CALLS: Sql = Sql::same(
    "
    select id, function_name, status, trigger_type, trigger_id, requested_by_user_id, started_at,
           finished_at, duration_ms, error_message, error_type, created_at, extension
    from function_calls where status = 'running' and started_at < $1 order by id limit $2",
);

pub(crate) const CALL_BY_ID: Sql = Sql::same(
    "
    select id, function_name, status, trigger_type, trigger_id, requested_by_user_id, started_at,
           finished_at, duration_ms, error_message, error_type, created_at
    from function_calls where id = $1",
);

pub(crate) const CALLS: Sql = Sql::same(
    "
    select id, function_name, status, trigger_type, trigger_id, requested_by_user_id, started_at,
           finished_at, duration_ms, error_message, error_type, created_at
    from function_calls
    where (cast($1 as text) is null or function_name = $1)
      and (cast($2 as text) is null or status = $2)
      and (cast($3 as text) is null or trigger_type = $3)
    order by id desc limit $4 offset $5",
);

pub(crate) const COUNT_CALLS: Sql = Sql::same(
    "
    select count(*) from function_calls
    where (cast($1 as text) is null or function_name = $1)
      and (cast($2 as text) is null or status = $2)
      and (cast($3 as text) is null or trigger_type = $3)",
);

pub(crate) const CALL_COUNTS: Sql = Sql::same(
    "
    select function_name, count(*), count(*) filter (where status = 'succeeded'),
           count(*) filter (where status = 'failed'), cast(avg(duration_ms) as double precision)
    from function_calls where started_at >= $1 group by function_name order by function_name",
);

const WHAT: &str = "function calls";

impl Store {
    /// Records that a call begins, without waiting: its end is recorded in full, so that nothing is
    /// lost if this fails, and the call doesn't wait for the disk twice.
    pub fn start_call(&self, call: StartedCall) -> Result<(), StoreError> {
        self.enqueue(call).map(drop)
    }

    /// Records how a call ended.
    pub async fn finish_call(&self, call: FinishedCall) -> Result<(), StoreError> {
        self.write(call).await
    }

    /// At most `limit` calls that began before a time and are still running, the oldest first.
    pub async fn running_calls(
        &self,
        before: Timestamp,
        limit: u32,
    ) -> Result<Vec<StartedCall>, StoreError> {
        let rows = query(RUNNING_CALLS)
            .bind(micros(before))
            .bind(limit)
            .fetch_all(self.reader())
            .await
            .map_err(StoreError::read(WHAT))?;
        let started = |row: &Row| {
            let extension = row.text(12).map_err(StoreError::read(WHAT))?;
            let call = decode(row)?;
            Ok(StartedCall {
                id: call.id,
                function_name: call.function_name,
                extension: extension.parse().map_err(StoreError::corrupt("an extension's name"))?,
                trigger_type: call.trigger_type,
                user_id: call.requested_by_user_id,
                started_at: call.started_at,
            })
        };
        rows.iter().map(started).collect()
    }

    /// One recorded call.
    pub async fn call(&self, id: CallId) -> Result<Option<CallRecord>, StoreError> {
        let row = query(CALL_BY_ID)
            .bind(id.to_string())
            .fetch_optional(self.reader())
            .await
            .map_err(StoreError::read(WHAT))?;
        row.as_ref().map(decode).transpose()
    }

    /// Recorded calls, the newest first.
    pub async fn calls(&self, wanted: &CallQuery) -> Result<CallPage, StoreError> {
        let (name, status) =
            (wanted.function_name.as_deref(), wanted.status.map(CallStatus::as_str));
        let trigger = wanted.trigger_type.map(Trigger::as_str);
        let rows = query(CALLS)
            .bind(name)
            .bind(status)
            .bind(trigger)
            .bind(wanted.limit)
            .bind(wanted.offset)
            .fetch_all(self.reader())
            .await
            .map_err(StoreError::read(WHAT))?;
        let total = query(COUNT_CALLS)
            .bind(name)
            .bind(status)
            .bind(trigger)
            .fetch_one(self.reader())
            .await
            .map_err(StoreError::read(WHAT))?;
        Ok(CallPage {
            calls: rows.iter().map(decode).collect::<Result<_, _>>()?,
            total: total.count(0).map_err(StoreError::read(WHAT))?,
            limit: wanted.limit,
            offset: wanted.offset,
        })
    }

    /// How each function's calls since some time went.
    pub async fn call_counts(&self, since: Timestamp) -> Result<Vec<CallCounts>, StoreError> {
        let rows = query(CALL_COUNTS)
            .bind(micros(since))
            .fetch_all(self.reader())
            .await
            .map_err(StoreError::read(WHAT))?;
        let counts = |row: &Row| {
            Ok(CallCounts {
                function_name: row.text(0)?.to_owned(),
                total: row.count(1)?,
                succeeded: row.count(2)?,
                failed: row.count(3)?,
                avg_duration_ms: row.optional_real(4)?,
            })
        };
        rows.iter().map(counts).collect::<Result<_, _>>().map_err(StoreError::read(WHAT))
    }
}

impl Write for StartedCall {
    type Output = ();

    async fn apply(
        &self,
        connection: &mut Connection,
        _: &mut Vec<NewEvent>,
    ) -> Result<(), StoreError> {
        query(START_CALL)
            .bind(self.id.to_string())
            .bind(&self.function_name)
            .bind(self.extension.as_str())
            .bind(self.trigger_type.as_str())
            .bind(self.user_id.map(|id| id.to_string()))
            .bind(micros(self.started_at))
            .execute(connection)
            .await
            .map(drop)
            .map_err(StoreError::write(WHAT))
    }
}

impl Write for FinishedCall {
    type Output = ();

    async fn apply(
        &self,
        connection: &mut Connection,
        events: &mut Vec<NewEvent>,
    ) -> Result<(), StoreError> {
        let status =
            if self.completion.succeeded { CallStatus::Succeeded } else { CallStatus::Failed };
        query(FINISH_CALL)
            .bind(self.started.id.to_string())
            .bind(&self.started.function_name)
            .bind(self.started.extension.as_str())
            .bind(self.started.trigger_type.as_str())
            .bind(self.started.user_id.map(|id| id.to_string()))
            .bind(micros(self.started.started_at))
            .bind(status.as_str())
            .bind(micros(self.finished_at))
            .bind(i64::try_from(self.completion.duration_ms).unwrap_or(i64::MAX))
            .bind(&self.completion.error_message)
            .bind(&self.completion.error_type)
            .execute(connection)
            .await
            .map_err(StoreError::write(WHAT))?;
        events.push(self.event.clone());
        Ok(())
    }
}

fn unsigned(count: i64) -> u64 {
    u64::try_from(count).unwrap_or(0)
}

/// A word that the database should never hold.
#[derive(Debug, Error)]
#[error("{0:?} is not one of the known words")]
struct UnknownWord(String);

fn decode(row: &Row) -> Result<CallRecord, StoreError> {
    let text = |index: usize| row.text(index).map_err(StoreError::read(WHAT));
    let optional = |index: usize| row.optional_text(index).map_err(StoreError::read(WHAT));
    let words = |index: usize| optional(index).map(|text| text.map(str::to_owned));
    let number = |index: usize| row.integer(index).map_err(StoreError::read(WHAT));
    let unknown = |word: &str| StoreError::corrupt("a function call")(UnknownWord(word.to_owned()));
    let (status, trigger) = (text(2)?, text(3)?);
    let finished_at = row.optional_integer(7).map_err(StoreError::read(WHAT))?;
    let duration_ms = row.optional_integer(8).map_err(StoreError::read(WHAT))?;
    Ok(CallRecord {
        id: text(0)?.parse().map_err(StoreError::corrupt("a call's id"))?,
        function_name: text(1)?.to_owned(),
        status: CallStatus::parse(status).ok_or_else(|| unknown(status))?,
        trigger_type: Trigger::parse(trigger).ok_or_else(|| unknown(trigger))?,
        trigger_id: words(4)?,
        requested_by_user_id: optional(5)?
            .map(str::parse)
            .transpose()
            .map_err(StoreError::corrupt("a user's id"))?,
        started_at: timestamp(number(6)?)?,
        finished_at: optional_timestamp(finished_at)?,
        duration_ms: duration_ms.map(unsigned),
        error_message: words(9)?,
        error_type: words(10)?,
        created_at: timestamp(number(11)?)?,
    })
}
