//! Results of asynchronous calls, wishes to cancel calls, and how long all of it is kept.

use jiff::Timestamp;
use tinybase_model::{CallId, JsonBytes};

use crate::call::KeptResult;
use crate::event::NewEvent;
use crate::sql::{Connection, Sql, query};
use crate::time::micros;
use crate::write::Write;
use crate::{NodeId, Store, StoreError};

pub(crate) const KEEP_RESULT: Sql = Sql::same(
    "
    insert into call_results (call_id, output, size, expires_at) values ($1, $2, $3, $4)
    on conflict (call_id) do nothing",
);

pub(crate) const RESULT: Sql = Sql::same("select output from call_results where call_id = $1");

pub(crate) const REQUEST_CANCEL: Sql = Sql::same(
    "update function_calls set cancel_requested_at = $2 where id = $1 and status = 'running'",
);

pub(crate) const CANCELS: Sql = Sql::same(
    "
    select id from function_calls
    where status = 'running' and node = $1 and cancel_requested_at is not null limit $2",
);

pub(crate) const EXPIRE_RESULTS: Sql = Sql::same("delete from call_results where expires_at < $1");

/// Ids grow, so the oldest results go first.
pub(crate) const TRIM_RESULTS: Sql = Sql::same(
    "
    delete from call_results where call_id in (
        select call_id from (
            select call_id, sum(size) over (order by call_id desc) as total from call_results
        ) as sized where total > $1
    )",
);

pub(crate) const CLEAN_UP_CALLS: Sql = Sql::same(
    "
    delete from function_calls where id in (
        select id from function_calls
        where started_at < $1 and status <> 'running' order by started_at limit $2
    )",
);

/// When the call began that is so many calls old.
pub(crate) const CALL_AT: Sql =
    Sql::same("select started_at from function_calls order by id desc limit 1 offset $1");

const WHAT: &str = "the results of calls";

impl Store {
    /// The result of an asynchronous call, as long as it is kept.
    pub async fn call_result(&self, id: CallId) -> Result<Option<JsonBytes>, StoreError> {
        let row = query(RESULT)
            .bind(id.to_string())
            .fetch_optional(self.reader())
            .await
            .map_err(StoreError::read(WHAT))?;
        let Some(row) = row else { return Ok(None) };
        let output = row.text(0).map_err(StoreError::read(WHAT))?.to_owned();
        let output = JsonBytes::checked(output.into()).map_err(StoreError::corrupt("a result"))?;
        Ok(Some(output))
    }

    /// Notes that a running call is to be cancelled, on whatever node it runs. Whether it runs.
    pub async fn request_cancel(&self, id: CallId, now: Timestamp) -> Result<bool, StoreError> {
        self.write(RequestCancel { id, now }).await
    }

    /// Calls on a node that are to be cancelled, at most so many.
    pub async fn cancels(&self, node: &NodeId, limit: u32) -> Result<Vec<CallId>, StoreError> {
        let rows = query(CANCELS)
            .bind(node.as_str())
            .bind(limit)
            .fetch_all(self.reader())
            .await
            .map_err(StoreError::read(WHAT))?;
        let id = |row: &crate::sql::Row| {
            let text = row.text(0).map_err(StoreError::read(WHAT))?;
            text.parse().map_err(StoreError::corrupt("a call's id"))
        };
        rows.iter().map(id).collect()
    }

    /// Deletes results that have expired, and the oldest ones over so many bytes.
    pub async fn clean_up_results(&self, now: Timestamp, bytes_max: u64) -> Result<(), StoreError> {
        let bytes_max = i64::try_from(bytes_max).unwrap_or(i64::MAX);
        self.write(CleanUpResults { now, bytes_max }).await
    }

    /// Deletes at most `limit` records of calls that began before a time. How many there were.
    pub async fn clean_up_calls(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        self.sweep(WHAT, CLEAN_UP_CALLS, [micros(before), limit.into()]).await
    }

    /// When the call began that is so many calls old; none if there are fewer.
    pub async fn call_start_at(&self, age: u32) -> Result<Option<Timestamp>, StoreError> {
        let row = query(CALL_AT)
            .bind(age)
            .fetch_optional(self.reader())
            .await
            .map_err(StoreError::read(WHAT))?;
        let Some(row) = row else { return Ok(None) };
        let started_at = row.integer(0).map_err(StoreError::read(WHAT))?;
        crate::time::timestamp(started_at).map(Some)
    }
}

/// Keeps a result; part of the command that ends its call.
pub(crate) async fn keep(
    connection: &mut Connection,
    id: CallId,
    result: &KeptResult,
) -> Result<(), StoreError> {
    let output = result.output.text();
    query(KEEP_RESULT)
        .bind(id.to_string())
        .bind(output)
        .bind(i64::try_from(output.len()).unwrap_or(i64::MAX))
        .bind(micros(result.expires_at))
        .execute(connection)
        .await
        .map(drop)
        .map_err(StoreError::write(WHAT))
}

struct RequestCancel {
    id: CallId,
    now: Timestamp,
}

impl Write for RequestCancel {
    type Output = bool;

    async fn apply(
        &self,
        connection: &mut Connection,
        _: &mut Vec<NewEvent>,
    ) -> Result<bool, StoreError> {
        let noted = query(REQUEST_CANCEL)
            .bind(self.id.to_string())
            .bind(micros(self.now))
            .execute(connection)
            .await
            .map_err(StoreError::write(WHAT))?;
        Ok(noted > 0)
    }
}

struct CleanUpResults {
    now: Timestamp,
    bytes_max: i64,
}

impl Write for CleanUpResults {
    type Output = ();

    async fn apply(
        &self,
        connection: &mut Connection,
        _: &mut Vec<NewEvent>,
    ) -> Result<(), StoreError> {
        for (sql, bound) in [(EXPIRE_RESULTS, micros(self.now)), (TRIM_RESULTS, self.bytes_max)] {
            query(sql)
                .bind(bound)
                .execute(&mut *connection)
                .await
                .map_err(StoreError::write(WHAT))?;
        }
        Ok(())
    }
}
