//! Recording function calls and reading the records.

use jiff::Timestamp;
use thiserror::Error;
use tinybase_model::{CallId, ExtensionName, ScheduleId};

use crate::call::{
    CallCounts, CallPage, CallQuery, CallRecord, CallStatus, FinishedCall, StartedCall, Trigger,
};
use crate::event::NewEvent;
use crate::idempotency::UsedKey;
use crate::sql::{Connection, Row, Sql, query};
use crate::time::{micros, optional_timestamp, timestamp};
use crate::write::Write;
use crate::{NodeId, Store, StoreError, Written, call_result};

pub(crate) const START_CALL: Sql = Sql::same(
    "
    insert into function_calls
        (id, function_name, extension, version, status, trigger_type, trigger_id,
         requested_by_user_id, started_at, created_at, is_async, node)
    values ($1, $2, $3, $4, 'running', $5, $6, $7, $8, $8, $9, $10)",
);

/// Also works when the start could not be recorded. A call ends once.
pub(crate) const FINISH_CALL: Sql = Sql::same(
    "
    insert into function_calls
        (id, function_name, extension, version, trigger_type, trigger_id, requested_by_user_id,
         started_at, created_at, is_async, node, status, finished_at, duration_ms, error_message,
         error_type)
    values ($1, $2, $3, $4, $5, $6, $7, $8, $8, $9, $10, $11, $12, $13, $14, $15)
    on conflict (id) do update
    set status = excluded.status, finished_at = excluded.finished_at,
        duration_ms = excluded.duration_ms, error_message = excluded.error_message,
        error_type = excluded.error_type
    where function_calls.status = 'running'",
);

pub(crate) const ABANDONED_CALLS: Sql = Sql::same(
    "
    select id, function_name, status, trigger_type, trigger_id, requested_by_user_id, started_at,
           finished_at, duration_ms, error_message, error_type, created_at, extension, version,
           is_async, node
    from function_calls
    where status = 'running' and node <> $1
      and not exists (select 1 from nodes where nodes.id = function_calls.node)
    order by id limit $2",
);

pub(crate) const CALL_BY_ID: Sql = Sql::same(
    "
    select id, function_name, status, trigger_type, trigger_id, requested_by_user_id, started_at,
           finished_at, duration_ms, error_message, error_type, created_at, extension, version,
           is_async
    from function_calls where id = $1",
);

pub(crate) const CALLS: Sql = Sql::same(
    "
    select id, function_name, status, trigger_type, trigger_id, requested_by_user_id, started_at,
           finished_at, duration_ms, error_message, error_type, created_at, extension, version,
           is_async
    from function_calls
    where (cast($1 as text) is null or function_name = $1) and (cast($2 as text) is null or status = $2)
      and (cast($3 as text) is null or trigger_type = $3) and (cast($4 as text) is null or trigger_id = $4)
      and (cast($5 as text) is null or extension = $5)
    order by id desc limit $6 offset $7",
);

pub(crate) const COUNT_CALLS: Sql = Sql::same(
    "
    select count(*) from function_calls
    where (cast($1 as text) is null or function_name = $1) and (cast($2 as text) is null or status = $2)
      and (cast($3 as text) is null or trigger_type = $3) and (cast($4 as text) is null or trigger_id = $4)
      and (cast($5 as text) is null or extension = $5)",
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

    /// Records that a call begins, and waits until that is on the disk. It uses the key up, if it has
    /// one; stale if that was used before.
    pub async fn accept_call(
        &self,
        call: StartedCall,
        key: Option<UsedKey>,
    ) -> Result<Written, StoreError> {
        self.write(AcceptedCall { call, key }).await
    }

    /// Records how a call ended. Whether it was this that ended it.
    pub async fn finish_call(&self, call: FinishedCall) -> Result<bool, StoreError> {
        self.write(call).await
    }

    /// Records how a call ended, without waiting.
    pub fn finish_call_later(&self, call: FinishedCall) -> Result<(), StoreError> {
        self.enqueue(call).map(drop)
    }

    /// At most `limit` calls that run on nodes that are gone, the oldest first.
    pub async fn abandoned_calls(
        &self,
        node: &NodeId,
        limit: u32,
    ) -> Result<Vec<StartedCall>, StoreError> {
        let rows = query(ABANDONED_CALLS)
            .bind(node.as_str())
            .bind(limit)
            .fetch_all(self.reader())
            .await
            .map_err(StoreError::read(WHAT))?;
        let started = |row: &Row| {
            let node = NodeId::from(row.text(15).map_err(StoreError::read(WHAT))?);
            let call = decode(row)?;
            Ok(StartedCall {
                id: call.id,
                function_name: call.function_name,
                extension: call.extension,
                version: call.version.unwrap_or_default(),
                trigger_id: call.trigger_id,
                user_id: call.requested_by_user_id,
                started_at: call.started_at,
                is_async: call.is_async,
                node,
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
        let filtered = |sql: Sql| {
            query(sql)
                .bind(wanted.function_name.as_deref())
                .bind(wanted.status.map(CallStatus::as_str))
                .bind(wanted.trigger_type.map(Trigger::as_str))
                .bind(wanted.trigger_id.map(|id| id.to_string()))
                .bind(wanted.extension.as_ref().map(ExtensionName::as_str))
        };
        let rows = filtered(CALLS)
            .bind(wanted.limit)
            .bind(wanted.offset)
            .fetch_all(self.reader())
            .await
            .map_err(StoreError::read(WHAT))?;
        let total =
            filtered(COUNT_CALLS).fetch_one(self.reader()).await.map_err(StoreError::read(WHAT))?;
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

impl StartedCall {
    fn extension_text(&self) -> &str {
        self.extension.as_ref().map_or("", ExtensionName::as_str)
    }

    fn trigger_text(&self) -> Option<String> {
        self.trigger_id.map(|id| id.to_string())
    }
}

struct AcceptedCall {
    call: StartedCall,
    key: Option<UsedKey>,
}

impl Write for AcceptedCall {
    type Output = Written;

    async fn apply(
        &self,
        connection: &mut Connection,
        events: &mut Vec<NewEvent>,
    ) -> Result<Written, StoreError> {
        if let Some(key) = &self.key
            && key.apply(connection).await? == Written::Stale
        {
            return Ok(Written::Stale);
        }
        self.call.apply(connection, events).await?;
        Ok(Written::Done)
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
            .bind(self.extension_text())
            .bind(&self.version)
            .bind(self.trigger_type().as_str())
            .bind(self.trigger_text())
            .bind(self.user_id.map(|id| id.to_string()))
            .bind(micros(self.started_at))
            .bind(self.is_async)
            .bind(self.node.as_str())
            .execute(connection)
            .await
            .map(drop)
            .map_err(StoreError::write(WHAT))
    }
}

impl Write for FinishedCall {
    type Output = bool;

    async fn apply(
        &self,
        connection: &mut Connection,
        events: &mut Vec<NewEvent>,
    ) -> Result<bool, StoreError> {
        let status =
            if self.completion.succeeded { CallStatus::Succeeded } else { CallStatus::Failed };
        let ended = query(FINISH_CALL)
            .bind(self.started.id.to_string())
            .bind(&self.started.function_name)
            .bind(self.started.extension_text())
            .bind(&self.started.version)
            .bind(self.started.trigger_type().as_str())
            .bind(self.started.trigger_text())
            .bind(self.started.user_id.map(|id| id.to_string()))
            .bind(micros(self.started.started_at))
            .bind(self.started.is_async)
            .bind(self.started.node.as_str())
            .bind(status.as_str())
            .bind(micros(self.finished_at))
            .bind(i64::try_from(self.completion.duration_ms).unwrap_or(i64::MAX))
            .bind(&self.completion.error_message)
            .bind(&self.completion.error_type)
            .execute(&mut *connection)
            .await
            .map_err(StoreError::write(WHAT))?;
        if ended == 0 {
            return Ok(false);
        }
        if let Some(result) = &self.result {
            call_result::keep(connection, self.started.id, result).await?;
        }
        events.push(self.event.clone());
        Ok(true)
    }
}

fn unsigned(count: i64) -> u64 {
    u64::try_from(count).unwrap_or(0)
}

/// A word that the database should never hold.
#[derive(Debug, Error)]
#[error("{0:?} is not one of the known words")]
pub(crate) struct UnknownWord(pub(crate) String);

fn decode(row: &Row) -> Result<CallRecord, StoreError> {
    let text = |index: usize| row.text(index).map_err(StoreError::read(WHAT));
    let optional = |index: usize| row.optional_text(index).map_err(StoreError::read(WHAT));
    let words = |index: usize| optional(index).map(|text| text.map(str::to_owned));
    let number = |index: usize| row.integer(index).map_err(StoreError::read(WHAT));
    let unknown = |word: &str| StoreError::corrupt("a function call")(UnknownWord(word.to_owned()));
    let (status, trigger) = (text(2)?, text(3)?);
    let finished_at = row.optional_integer(7).map_err(StoreError::read(WHAT))?;
    let duration_ms = row.optional_integer(8).map_err(StoreError::read(WHAT))?;
    let given = |index: usize| text(index).map(|text| (!text.is_empty()).then_some(text));
    Ok(CallRecord {
        id: text(0)?.parse().map_err(StoreError::corrupt("a call's id"))?,
        function_name: text(1)?.to_owned(),
        status: CallStatus::parse(status).ok_or_else(|| unknown(status))?,
        trigger_type: Trigger::parse(trigger).ok_or_else(|| unknown(trigger))?,
        trigger_id: optional(4)?
            .map(str::parse::<ScheduleId>)
            .transpose()
            .map_err(StoreError::corrupt("a schedule's id"))?,
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
        extension: given(12)?
            .map(str::parse)
            .transpose()
            .map_err(StoreError::corrupt("an extension's name"))?,
        version: given(13)?.map(str::to_owned),
        is_async: row.boolean(14).map_err(StoreError::read(WHAT))?,
    })
}
