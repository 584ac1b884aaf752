//! The event log: appending, reading and cleaning it up.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::value::RawValue;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};
use tinybase_model::{Cause, Event, EventId, LoggedEvent, Position};

use crate::creation::json_array;
use crate::payload::{self, Entry};
use crate::time::{micros, timestamp};
use crate::write::Write;
use crate::{Store, StoreError};

/// An event on its way into the log, already serialised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEvent {
    row: String,
}

#[derive(Serialize)]
struct Columns<'a> {
    i: EventId,
    k: &'static str,
    s: &'a str,
    o: &'a str,
    p: &'a RawValue,
    t: i64,
    x: Option<&'a str>,
    d: u32,
    r: &'a str,
}

impl NewEvent {
    /// An event that happens now, for this reason.
    pub fn new(event: &Event, cause: &Cause, at: Timestamp) -> Self {
        let Entry { order_key, payload } = payload::encode(event);
        let columns = Columns {
            i: EventId::generate(),
            k: event.kind().as_str(),
            s: event.subject().unwrap_or_default(),
            o: &order_key,
            p: &payload,
            t: micros(at),
            x: cause.origin.as_ref().map(tinybase_model::ExtensionName::as_str),
            d: cause.depth,
            r: &cause.traceparent,
        };
        let row = serde_json::to_string(&columns)
            .unwrap_or_else(|_| unreachable!("strings and numbers serialise"));
        Self { row }
    }
}

pub(crate) const APPEND_EVENTS: &str = "
    insert into events
        (event_id, kind, subject, order_key, payload, occurred_at, origin, depth, traceparent)
    select new.value ->> 'i', new.value ->> 'k', new.value ->> 's', new.value ->> 'o',
           new.value -> 'p', new.value ->> 't', new.value ->> 'x', new.value ->> 'd',
           new.value ->> 'r'
    from json_each($1) new
    order by new.key";

/// The most JSON that one statement takes.
const STATEMENT_BYTES_MAX: usize = 8 << 20;

/// Appends events in their order.
pub(crate) async fn append(
    connection: &mut SqliteConnection,
    events: &[NewEvent],
) -> Result<(), StoreError> {
    let mut rest = events;
    while !rest.is_empty() {
        let mut bytes = 0;
        let fits = rest.iter().take_while(|event| {
            bytes += event.row.len();
            bytes <= STATEMENT_BYTES_MAX
        });
        let (chunk, others) = rest.split_at(fits.count().max(1));
        rest = others;
        let rows = json_array(chunk.iter().map(|event| event.row.as_str()));
        sqlx::query(APPEND_EVENTS)
            .bind(rows)
            .execute(&mut *connection)
            .await
            .map_err(StoreError::write("events"))?;
    }
    Ok(())
}

pub(crate) const HEAD: &str =
    "select coalesce((select seq from sqlite_sequence where name = 'events'), 0)";

pub(crate) const READ_EVENTS: &str = "
    select position, event_id, kind, subject, order_key, payload, occurred_at, origin, depth,
           traceparent
    from events where position > $1 order by position limit $2";

pub(crate) const READ_EVENT: &str = "
    select position, event_id, kind, subject, order_key, payload, occurred_at, origin, depth,
           traceparent
    from events where position = $1";

impl Store {
    /// The position of the last event that was ever appended.
    pub async fn events_head(&self) -> Result<Position, StoreError> {
        let row = sqlx::query(HEAD).fetch_one(self.readers()).await;
        let row = row.map_err(StoreError::read("the event log"))?;
        Ok(Position(row.try_get(0).map_err(StoreError::read("the event log"))?))
    }

    /// At most `limit` events after a position, in order.
    pub async fn events_after(
        &self,
        after: Position,
        limit: u32,
    ) -> Result<Vec<LoggedEvent>, StoreError> {
        let rows = sqlx::query(READ_EVENTS)
            .bind(after.0)
            .bind(limit)
            .fetch_all(self.readers())
            .await
            .map_err(StoreError::read("events"))?;
        rows.iter().map(decode).collect()
    }

    /// One event; none if the clean-up took it.
    pub async fn event(&self, position: Position) -> Result<Option<LoggedEvent>, StoreError> {
        let row = sqlx::query(READ_EVENT)
            .bind(position.0)
            .fetch_optional(self.readers())
            .await
            .map_err(StoreError::read("an event"))?;
        row.as_ref().map(decode).transpose()
    }

    /// Deletes at most `limit` events from before a time that no subscription, parked delivery or
    /// dead letter needs any more, and tells how many.
    pub async fn clean_up_events(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        self.write(CleanUp { before, limit }).await
    }
}

struct CleanUp {
    before: Timestamp,
    limit: u32,
}

/// Scans the oldest events only: it stops at the first one that is young enough, at the lowest
/// cursor and at the limit.
pub(crate) const CLEAN_UP_EVENTS: &str = "
    delete from events where position in (
        select e.position from events e
        where e.position <= coalesce((select min(cursor) from subscriptions), 9223372036854775807)
          and e.position < coalesce(
              (select position from events where occurred_at >= $1 order by position limit 1),
              9223372036854775807)
          and not exists (select 1 from parked_deliveries p where p.position = e.position)
          and not exists (select 1 from dead_letters d where d.position = e.position)
        order by e.position limit $2)";

impl Write for CleanUp {
    type Output = u64;

    async fn apply(
        &self,
        connection: &mut SqliteConnection,
        _: &mut Vec<NewEvent>,
    ) -> Result<u64, StoreError> {
        let deleted = sqlx::query(CLEAN_UP_EVENTS)
            .bind(micros(self.before))
            .bind(self.limit)
            .execute(connection)
            .await
            .map_err(StoreError::write("the event log"))?;
        Ok(deleted.rows_affected())
    }
}

fn decode(row: &SqliteRow) -> Result<LoggedEvent, StoreError> {
    let get = || -> Result<_, sqlx::Error> {
        let kind: &str = row.try_get(2)?;
        let subject: &str = row.try_get(3)?;
        let order_key: String = row.try_get(4)?;
        let payload: &str = row.try_get(5)?;
        Ok((kind, subject, order_key, payload))
    };
    let (kind, subject, order_key, payload) = get().map_err(StoreError::read("an event"))?;
    let event = payload::decode(kind, subject, &order_key, payload)
        .map_err(StoreError::corrupt("an event's payload"))?;
    let id: &str = row.try_get(1).map_err(StoreError::read("an event"))?;
    let origin: Option<&str> = row.try_get(7).map_err(StoreError::read("an event"))?;
    Ok(LoggedEvent {
        position: Position(row.try_get(0).map_err(StoreError::read("an event"))?),
        id: id.parse().map_err(StoreError::corrupt("an event's id"))?,
        order_key,
        occurred_at: timestamp(row.try_get(6).map_err(StoreError::read("an event"))?)?,
        origin: origin
            .map(str::parse)
            .transpose()
            .map_err(StoreError::corrupt("an event's origin"))?,
        depth: row.try_get(8).map_err(StoreError::read("an event"))?,
        traceparent: row.try_get(9).map_err(StoreError::read("an event"))?,
        event,
    })
}
