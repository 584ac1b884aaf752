//! Taking ticks and starting runs, each exactly once on however many servers.

use jiff::Timestamp;
use tinybase_model::{Fate, OverlapPolicy, ScheduleId};

use crate::call::CallStatus;
use crate::call_log::UnknownWord;
use crate::event::NewEvent;
use crate::schedule::{
    QueuedRun, RunStatus, RunToStart, ScheduleRun, TickKind, TickTaken, TickToTake,
};
use crate::schedule_log::{duration, json, overlap};
use crate::sql::{Connection, Row, Sql, query};
use crate::time::{micros, optional_timestamp, timestamp};
use crate::write::Write;
use crate::{Store, StoreError};

/// How many runs and queued ticks a schedule has.
pub(crate) const BUSY_RUNS: Sql = Sql::same(
    "
    select (select count(*) from function_calls where trigger_id = $1 and status = 'running'),
           (select count(*) from schedule_runs where schedule_id = $1 and state = 'queued')",
);

/// Holds the schedule until the commit, so that no other server takes the same tick.
pub(crate) const MOVE_ON: Sql = Sql::same(
    "
    update schedules set next_run_at = $3, is_active = case when cast($3 as bigint) is null then 0 else 1 end
    where id = $1 and next_run_at = $2 and is_active = 1 and revision = $4",
);

pub(crate) const TAKE_TICK: Sql = Sql::same(
    "
    insert into schedule_runs
        (schedule_id, tick_at, state, reason, is_manual, call_id, start_at, created_at)
    values ($1, $2, $3, $4, $5, $6, $7, $8)
    on conflict (schedule_id, tick_at) do nothing",
);

pub(crate) const STARTABLE_RUNS: Sql = Sql::same(
    "
    select r.schedule_id, r.tick_at, r.call_id, r.start_at, s.function_name, s.input, s.timeout_ms,
           s.overlap
    from schedule_runs r join schedules s on s.id = r.schedule_id
    where r.state = 'queued' and r.start_at <= $1
      and (s.overlap = 'allow' or not exists (
          select 1 from function_calls c where c.trigger_id = r.schedule_id and c.status = 'running'
      ))
    order by r.start_at limit $2",
);

/// Holds the schedule until the commit, so that two servers don't start two runs of one.
pub(crate) const HOLD: Sql = Sql::same("update schedules set revision = revision where id = $1");

pub(crate) const NOTE_RUN: Sql = Sql::same(
    "
    update schedules
    set last_run_at = case when last_run_at > $2 then last_run_at else $2 end where id = $1",
);

pub(crate) const START_RUN: Sql = Sql::same(
    "
    update schedule_runs set state = 'started'
    where schedule_id = $1 and tick_at = $2 and state = 'queued'",
);

pub(crate) const NEXT_AT: Sql = Sql::same(
    "
    select min(at) from (
        select min(next_run_at) as at from schedules where is_active = 1
        union all
        select min(start_at) as at from schedule_runs where state = 'queued' and start_at > $1
    ) as times",
);

pub(crate) const RUNS: Sql = Sql::same(
    "
    select r.tick_at, r.state, r.reason, r.is_manual, c.id, c.status, c.started_at, c.finished_at,
           c.duration_ms, c.error_message, c.error_type
    from schedule_runs r left join function_calls c on c.id = r.call_id
    where r.schedule_id = $1 and (r.state <> 'started' or c.id is not null)
    order by r.tick_at desc limit $2 offset $3",
);

pub(crate) const COUNT_RUNS: Sql =
    Sql::same("select count(*) from schedule_runs where schedule_id = $1");

pub(crate) const CLEAN_UP_RUNS: Sql =
    Sql::same("delete from schedule_runs where created_at < $1 and state <> 'queued'");

/// The most ticks of one schedule that wait at a time.
const QUEUED_MAX: u64 = 10;

const WHAT: &str = "the runs of schedules";

impl Store {
    /// Takes a tick, unless somebody else did.
    pub async fn take_tick(&self, tick: TickToTake) -> Result<TickTaken, StoreError> {
        self.write(tick).await
    }

    /// At most `limit` runs that may start, the longest waiting first.
    pub async fn startable_runs(
        &self,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<QueuedRun>, StoreError> {
        let rows = query(STARTABLE_RUNS)
            .bind(micros(now))
            .bind(limit)
            .fetch_all(self.reader())
            .await
            .map_err(StoreError::read(WHAT))?;
        rows.iter().map(queued).collect()
    }

    /// Starts a run and records its call, unless somebody else did, or another run of the schedule
    /// goes on beside which it mustn't. Whether it was started.
    pub async fn start_run(&self, run: RunToStart) -> Result<bool, StoreError> {
        self.write(run).await
    }

    /// When the next tick or the next run is due.
    pub async fn next_tick_at(&self, now: Timestamp) -> Result<Option<Timestamp>, StoreError> {
        let row = query(NEXT_AT)
            .bind(micros(now))
            .fetch_one(self.reader())
            .await
            .map_err(StoreError::read(WHAT))?;
        optional_timestamp(row.optional_integer(0).map_err(StoreError::read(WHAT))?)
    }

    /// What became of a schedule's ticks, the latest first, and how many there are in all.
    pub async fn schedule_runs(
        &self,
        id: ScheduleId,
        limit: u32,
        offset: u32,
    ) -> Result<(Vec<ScheduleRun>, u64), StoreError> {
        let rows = query(RUNS)
            .bind(id.to_string())
            .bind(limit)
            .bind(offset)
            .fetch_all(self.reader())
            .await
            .map_err(StoreError::read(WHAT))?;
        let total = query(COUNT_RUNS)
            .bind(id.to_string())
            .fetch_one(self.reader())
            .await
            .and_then(|row| row.count(0))
            .map_err(StoreError::read(WHAT))?;
        Ok((rows.iter().map(run).collect::<Result<_, _>>()?, total))
    }

    /// Forgets what became of ticks that were taken before a time.
    pub async fn clean_up_runs(&self, before: Timestamp) -> Result<u64, StoreError> {
        self.sweep(WHAT, CLEAN_UP_RUNS, [micros(before)]).await
    }
}

/// What becomes of a tick, by what else is going on.
fn decide(tick: &TickToTake, running: u64, queued: u64) -> (TickTaken, Option<&'static str>) {
    let busy = running + queued > 0;
    match (tick.kind, tick.schedule.definition.policy.overlap) {
        (TickKind::Due(Fate::Missed), _) => (TickTaken::Skipped, Some("missed")),
        (_, OverlapPolicy::Allow) if queued >= QUEUED_MAX => (TickTaken::Skipped, Some("busy")),
        (_, OverlapPolicy::Allow) => (TickTaken::Queued, None),
        (TickKind::Due(Fate::CatchUp), _) if busy => (TickTaken::Waits, None),
        (_, OverlapPolicy::Queue) if queued == 0 => (TickTaken::Queued, None),
        (_, OverlapPolicy::Skip) if !busy => (TickTaken::Queued, None),
        (_, OverlapPolicy::Skip | OverlapPolicy::Queue) => (TickTaken::Skipped, Some("overlap")),
    }
}

impl Write for TickToTake {
    type Output = TickTaken;

    async fn apply(
        &self,
        connection: &mut Connection,
        _: &mut Vec<NewEvent>,
    ) -> Result<TickTaken, StoreError> {
        let id = self.schedule.id.to_string();
        let busy = query(BUSY_RUNS)
            .bind(&id)
            .fetch_one(&mut *connection)
            .await
            .map_err(StoreError::write(WHAT))?;
        let count = |index: usize| busy.count(index).map_err(StoreError::write(WHAT));
        let (taken, reason) = decide(self, count(0)?, count(1)?);
        let is_manual = self.kind == TickKind::Manual;
        if taken == TickTaken::Waits || (is_manual && taken == TickTaken::Skipped) {
            return Ok(taken);
        }
        if !is_manual {
            let due = self.schedule.times.next_run_at.map(micros);
            let moved = query(MOVE_ON)
                .bind(&id)
                .bind(due)
                .bind(self.next_at.map(micros))
                .bind(self.schedule.revision)
                .execute(&mut *connection)
                .await
                .map_err(StoreError::write(WHAT))?;
            if moved == 0 {
                return Ok(TickTaken::Lost);
            }
        }
        let state = if taken == TickTaken::Queued { "queued" } else { "skipped" };
        let inserted = query(TAKE_TICK)
            .bind(&id)
            .bind(micros(self.tick_at))
            .bind(state)
            .bind(reason)
            .bind(is_manual)
            .bind(self.call_id.to_string())
            .bind(micros(self.start_at))
            .bind(micros(self.now))
            .execute(connection)
            .await
            .map_err(StoreError::write(WHAT))?;
        Ok(if inserted == 0 { TickTaken::Lost } else { taken })
    }
}

impl Write for RunToStart {
    type Output = bool;

    async fn apply(
        &self,
        connection: &mut Connection,
        events: &mut Vec<NewEvent>,
    ) -> Result<bool, StoreError> {
        let (id, tick_at) = (self.schedule_id.to_string(), micros(self.tick_at));
        let held = query(HOLD)
            .bind(&id)
            .execute(&mut *connection)
            .await
            .map_err(StoreError::write(WHAT))?;
        let busy = query(BUSY_RUNS)
            .bind(&id)
            .fetch_one(&mut *connection)
            .await
            .and_then(|row| row.count(0))
            .map_err(StoreError::write(WHAT))?;
        if held == 0 || (self.overlap != OverlapPolicy::Allow && busy > 0) {
            return Ok(false);
        }
        let started = query(START_RUN)
            .bind(&id)
            .bind(tick_at)
            .execute(&mut *connection)
            .await
            .map_err(StoreError::write(WHAT))?;
        if started == 0 {
            return Ok(false);
        }
        query(NOTE_RUN)
            .bind(&id)
            .bind(tick_at)
            .execute(&mut *connection)
            .await
            .map_err(StoreError::write(WHAT))?;
        self.call.apply(connection, events).await?;
        Ok(true)
    }
}

fn queued(row: &Row) -> Result<QueuedRun, StoreError> {
    let text = |index: usize| row.text(index).map_err(StoreError::read(WHAT));
    let number = |index: usize| row.integer(index).map_err(StoreError::read(WHAT));
    let timeout_ms = row.optional_integer(6).map_err(StoreError::read(WHAT))?;
    Ok(QueuedRun {
        schedule_id: text(0)?.parse().map_err(StoreError::corrupt("a schedule's id"))?,
        tick_at: timestamp(number(1)?)?,
        call_id: text(2)?.parse().map_err(StoreError::corrupt("a call's id"))?,
        start_at: timestamp(number(3)?)?,
        function_name: text(4)?.to_owned(),
        input: json(text(5)?)?,
        timeout: timeout_ms.map(duration),
        overlap: overlap(text(7)?)?,
    })
}

fn run(row: &Row) -> Result<ScheduleRun, StoreError> {
    let optional = |index: usize| row.optional_text(index).map_err(StoreError::read(WHAT));
    let words = |index: usize| optional(index).map(|text| text.map(str::to_owned));
    let maybe = |index: usize| row.optional_integer(index).map_err(StoreError::read(WHAT));
    let unknown = |word: &str| StoreError::corrupt("a run")(UnknownWord(word.to_owned()));
    let state = row.text(1).map_err(StoreError::read(WHAT))?;
    let status = match (state, optional(5)?) {
        ("queued", _) => RunStatus::Queued,
        ("skipped", _) => RunStatus::Skipped,
        ("started", Some(status)) => {
            CallStatus::parse(status).ok_or_else(|| unknown(status))?.into()
        }
        (other, _) => return Err(unknown(other)),
    };
    Ok(ScheduleRun {
        scheduled_for: timestamp(row.integer(0).map_err(StoreError::read(WHAT))?)?,
        status,
        reason: words(2)?,
        is_manual: row.boolean(3).map_err(StoreError::read(WHAT))?,
        call_id: optional(4)?
            .map(str::parse)
            .transpose()
            .map_err(StoreError::corrupt("a call's id"))?,
        started_at: optional_timestamp(maybe(6)?)?,
        finished_at: optional_timestamp(maybe(7)?)?,
        duration_ms: maybe(8)?.map(|millis| u64::try_from(millis).unwrap_or(0)),
        error_message: words(9)?,
        error_type: words(10)?,
    })
}
