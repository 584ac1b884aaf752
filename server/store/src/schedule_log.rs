//! Reading and changing schedules.

use std::time::Duration;

use jiff::Timestamp;
use tinybase_model::{
    ExtensionName, JsonBytes, MissedPolicy, OverlapPolicy, RunPolicy, ScheduleId,
};

use crate::call_log::UnknownWord;
use crate::event::NewEvent;
use crate::schedule::{
    ScheduleDefinition, ScheduleOwner, ScheduleQuery, ScheduleTimes, StoredSchedule,
};
use crate::sql::{Connection, Query, Row, Sql, query};
use crate::time::{micros, optional_timestamp, timestamp};
use crate::write::Write;
use crate::{Store, StoreError};

/// Leaves one that is there as it is.
pub(crate) const INSERT_SCHEDULE: Sql = Sql::same(
    "
    insert into schedules
        (id, name, function_name, timing, input, missed, overlap, timeout_ms, jitter_ms, is_active,
         anchor_at, next_run_at, updated_at, last_run_at, extension, created_by_user_id, created_at)
    values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)
    on conflict (id) do nothing",
);

pub(crate) const UPDATE_SCHEDULE: Sql = Sql::same(
    "
    update schedules
    set name = $2, function_name = $3, timing = $4, input = $5, missed = $6, overlap = $7,
        timeout_ms = $8, jitter_ms = $9, is_active = $10, anchor_at = $11, next_run_at = $12,
        updated_at = $13, revision = revision + 1
    where id = $1 and revision = $14",
);

pub(crate) const DELETE_SCHEDULE: Sql = Sql::same("delete from schedules where id = $1");

pub(crate) const DELETE_QUEUED_RUNS: Sql =
    Sql::same("delete from schedule_runs where schedule_id = $1 and state = 'queued'");

pub(crate) const SCHEDULE_BY_ID: Sql = Sql::same(
    "
    select id, name, function_name, timing, input, missed, overlap, timeout_ms, jitter_ms,
           is_active, anchor_at, next_run_at, updated_at, last_run_at, extension,
           created_by_user_id, created_at, revision
    from schedules where id = $1",
);

pub(crate) const SCHEDULES: Sql = Sql::same(
    "
    select id, name, function_name, timing, input, missed, overlap, timeout_ms, jitter_ms,
           is_active, anchor_at, next_run_at, updated_at, last_run_at, extension,
           created_by_user_id, created_at, revision
    from schedules
    where (cast($1 as text) is null or function_name = $1) and (cast($2 as bigint) is null or is_active = $2)
      and (cast($3 as text) is null or extension = $3)
    order by created_at desc, id desc limit $4 offset $5",
);

pub(crate) const COUNT_SCHEDULES: Sql = Sql::same(
    "
    select count(*) from schedules
    where (cast($1 as text) is null or function_name = $1) and (cast($2 as bigint) is null or is_active = $2)
      and (cast($3 as text) is null or extension = $3)",
);

pub(crate) const SCHEDULES_OF: Sql = Sql::same(
    "
    select id, name, function_name, timing, input, missed, overlap, timeout_ms, jitter_ms,
           is_active, anchor_at, next_run_at, updated_at, last_run_at, extension,
           created_by_user_id, created_at, revision
    from schedules where extension = $1 order by name",
);

pub(crate) const SCHEDULE_OWNERS: Sql =
    Sql::same("select distinct extension from schedules where extension is not null");

pub(crate) const DUE_SCHEDULES: Sql = Sql::same(
    "
    select id, name, function_name, timing, input, missed, overlap, timeout_ms, jitter_ms,
           is_active, anchor_at, next_run_at, updated_at, last_run_at, extension,
           created_by_user_id, created_at, revision
    from schedules where next_run_at <= $1 and is_active = 1 order by next_run_at limit $2",
);

const WHAT: &str = "schedules";

impl Store {
    /// Stores a new schedule, unless one of its id is there. Whether it was stored.
    pub async fn insert_schedule(&self, schedule: StoredSchedule) -> Result<bool, StoreError> {
        self.write(Insert(schedule)).await
    }

    /// Changes a schedule that has had no other change since it was read. Whether it was changed.
    pub async fn update_schedule(&self, schedule: StoredSchedule) -> Result<bool, StoreError> {
        self.write(Update(schedule)).await
    }

    /// Deletes a schedule and what waits to be run for it. Whether it was there.
    pub async fn delete_schedule(&self, id: ScheduleId) -> Result<bool, StoreError> {
        self.write(Delete(id)).await
    }

    /// One schedule.
    pub async fn schedule(&self, id: ScheduleId) -> Result<Option<StoredSchedule>, StoreError> {
        let row = query(SCHEDULE_BY_ID)
            .bind(id.to_string())
            .fetch_optional(self.reader())
            .await
            .map_err(StoreError::read(WHAT))?;
        row.as_ref().map(decode).transpose()
    }

    /// Some schedules, the newest first, and how many there are in all.
    pub async fn schedules(
        &self,
        wanted: &ScheduleQuery,
    ) -> Result<(Vec<StoredSchedule>, u64), StoreError> {
        let filtered = |sql: Sql| {
            query(sql)
                .bind(wanted.function_name.as_deref())
                .bind(wanted.is_active)
                .bind(wanted.extension.as_ref().map(ExtensionName::as_str))
        };
        let rows = filtered(SCHEDULES)
            .bind(wanted.limit)
            .bind(wanted.offset)
            .fetch_all(self.reader())
            .await
            .map_err(StoreError::read(WHAT))?;
        let total = filtered(COUNT_SCHEDULES)
            .fetch_one(self.reader())
            .await
            .and_then(|row| row.count(0))
            .map_err(StoreError::read(WHAT))?;
        Ok((rows.iter().map(decode).collect::<Result<_, _>>()?, total))
    }

    /// All schedules of an extension.
    pub async fn schedules_of(
        &self,
        extension: &ExtensionName,
    ) -> Result<Vec<StoredSchedule>, StoreError> {
        let rows = query(SCHEDULES_OF)
            .bind(extension.as_str())
            .fetch_all(self.reader())
            .await
            .map_err(StoreError::read(WHAT))?;
        rows.iter().map(decode).collect()
    }

    /// The extensions that have schedules.
    pub async fn schedule_owners(&self) -> Result<Vec<ExtensionName>, StoreError> {
        let rows = query(SCHEDULE_OWNERS)
            .fetch_all(self.reader())
            .await
            .map_err(StoreError::read(WHAT))?;
        let name = |row: &Row| {
            let text = row.text(0).map_err(StoreError::read(WHAT))?;
            text.parse().map_err(StoreError::corrupt("an extension's name"))
        };
        rows.iter().map(name).collect()
    }

    /// At most `limit` schedules whose next tick has come, the latest last.
    pub async fn due_schedules(
        &self,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<StoredSchedule>, StoreError> {
        let rows = query(DUE_SCHEDULES)
            .bind(micros(now))
            .bind(limit)
            .fetch_all(self.reader())
            .await
            .map_err(StoreError::read(WHAT))?;
        rows.iter().map(decode).collect()
    }
}

/// Binds the parts that a change may touch.
fn bind_changeable(sql: Sql, schedule: &StoredSchedule) -> Query<'_> {
    let ScheduleDefinition { name, function_name, timing, input, policy } = &schedule.definition;
    let times = &schedule.times;
    query(sql)
        .bind(schedule.id.to_string())
        .bind(name)
        .bind(function_name)
        .bind(timing.text())
        .bind(input.text())
        .bind(policy.missed.as_str())
        .bind(policy.overlap.as_str())
        .bind(policy.timeout.map(millis))
        .bind(millis(policy.jitter))
        .bind(schedule.is_active)
        .bind(micros(times.anchor_at))
        .bind(times.next_run_at.map(micros))
        .bind(micros(times.updated_at))
}

struct Insert(StoredSchedule);

impl Write for Insert {
    type Output = bool;

    async fn apply(
        &self,
        connection: &mut Connection,
        _: &mut Vec<NewEvent>,
    ) -> Result<bool, StoreError> {
        let schedule = &self.0;
        let inserted = bind_changeable(INSERT_SCHEDULE, schedule)
            .bind(schedule.times.last_run_at.map(micros))
            .bind(schedule.owner.extension.as_ref().map(ExtensionName::as_str))
            .bind(schedule.owner.created_by.map(|id| id.to_string()))
            .bind(micros(schedule.times.created_at))
            .execute(connection)
            .await
            .map_err(StoreError::write(WHAT))?;
        Ok(inserted > 0)
    }
}

struct Update(StoredSchedule);

impl Write for Update {
    type Output = bool;

    async fn apply(
        &self,
        connection: &mut Connection,
        _: &mut Vec<NewEvent>,
    ) -> Result<bool, StoreError> {
        let updated = bind_changeable(UPDATE_SCHEDULE, &self.0)
            .bind(self.0.revision)
            .execute(connection)
            .await
            .map_err(StoreError::write(WHAT))?;
        Ok(updated > 0)
    }
}

struct Delete(ScheduleId);

impl Write for Delete {
    type Output = bool;

    async fn apply(
        &self,
        connection: &mut Connection,
        _: &mut Vec<NewEvent>,
    ) -> Result<bool, StoreError> {
        let id = self.0.to_string();
        query(DELETE_QUEUED_RUNS)
            .bind(&id)
            .execute(&mut *connection)
            .await
            .map_err(StoreError::write(WHAT))?;
        let deleted = query(DELETE_SCHEDULE)
            .bind(&id)
            .execute(connection)
            .await
            .map_err(StoreError::write(WHAT))?;
        Ok(deleted > 0)
    }
}

pub(crate) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

pub(crate) fn duration(millis: i64) -> Duration {
    Duration::from_millis(u64::try_from(millis).unwrap_or(0))
}

pub(crate) fn json(text: &str) -> Result<JsonBytes, StoreError> {
    JsonBytes::checked(text.to_owned().into()).map_err(StoreError::corrupt("a schedule's JSON"))
}

pub(crate) fn overlap(word: &str) -> Result<OverlapPolicy, StoreError> {
    let unknown = || StoreError::corrupt("a schedule")(UnknownWord(word.to_owned()));
    OverlapPolicy::parse(word).ok_or_else(unknown)
}

fn decode(row: &Row) -> Result<StoredSchedule, StoreError> {
    let text = |index: usize| row.text(index).map_err(StoreError::read(WHAT));
    let optional = |index: usize| row.optional_text(index).map_err(StoreError::read(WHAT));
    let number = |index: usize| row.integer(index).map_err(StoreError::read(WHAT));
    let maybe = |index: usize| row.optional_integer(index).map_err(StoreError::read(WHAT));
    let missed = text(5)?;
    let unknown = || StoreError::corrupt("a schedule")(UnknownWord(missed.to_owned()));
    let policy = RunPolicy {
        missed: MissedPolicy::parse(missed).ok_or_else(unknown)?,
        overlap: overlap(text(6)?)?,
        timeout: maybe(7)?.map(duration),
        jitter: duration(number(8)?),
    };
    Ok(StoredSchedule {
        id: text(0)?.parse().map_err(StoreError::corrupt("a schedule's id"))?,
        revision: number(17)?,
        definition: ScheduleDefinition {
            name: text(1)?.to_owned(),
            function_name: text(2)?.to_owned(),
            timing: json(text(3)?)?,
            input: json(text(4)?)?,
            policy,
        },
        is_active: row.boolean(9).map_err(StoreError::read(WHAT))?,
        owner: ScheduleOwner {
            extension: optional(14)?
                .map(str::parse)
                .transpose()
                .map_err(StoreError::corrupt("an extension's name"))?,
            created_by: optional(15)?
                .map(str::parse)
                .transpose()
                .map_err(StoreError::corrupt("a user's id"))?,
        },
        times: ScheduleTimes {
            anchor_at: timestamp(number(10)?)?,
            last_run_at: optional_timestamp(maybe(13)?)?,
            next_run_at: optional_timestamp(maybe(11)?)?,
            created_at: timestamp(number(16)?)?,
            updated_at: timestamp(number(12)?)?,
        },
    })
}
