//! The event log: appending, reading and cleaning it up.

use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::value::RawValue;
use tinybase_model::{Cause, Event, EventId, LoggedEvent, Position};

use crate::activity::{self, NewActivity, Noting};
use crate::creation::json_array;
use crate::payload::{self, Entry};
use crate::sql::{Connection, Row, Sql, query};
use crate::time::{micros, timestamp};
use crate::{Store, StoreError};

/// An event on its way into the log, already serialised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEvent {
    /// Shared, because a write that is tried again logs it again.
    row: Arc<str>,
    activity: Option<NewActivity>,
    is_record: bool,
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
        let activity = NewActivity::of_event(event, cause, at);
        Self { row: row.into(), activity, is_record: event.kind().is_record() }
    }
}

pub(crate) const APPEND_EVENTS: Sql = Sql::each(
    "
    insert into events
        (event_id, kind, subject, order_key, payload, occurred_at, origin, depth, traceparent)
    select new.value ->> 'i', new.value ->> 'k', new.value ->> 's', new.value ->> 'o',
           new.value -> 'p', new.value ->> 't', new.value ->> 'x', new.value ->> 'd',
           new.value ->> 'r'
    from json_each($1) new
    order by new.key",
    "
    with new as (
        select value, number from json_array_elements($1::json) with ordinality list (value, number)
    ), head as (
        update event_head set position = position + (select count(*) from new)
        returning position - (select count(*) from new) as position
    )
    insert into events (position, event_id, kind, subject, order_key, payload, occurred_at, origin,
                        depth, traceparent)
    select head.position + new.number, new.value ->> 'i', new.value ->> 'k', new.value ->> 's',
           new.value ->> 'o', (new.value -> 'p')::text, (new.value ->> 't')::bigint,
           new.value ->> 'x', (new.value ->> 'd')::bigint, new.value ->> 'r'
    from new, head order by new.number",
);

/// The most JSON that one statement takes.
const STATEMENT_BYTES_MAX: usize = 8 << 20;

/// Appends events in their order, and what they say that somebody did to the activity log; changes
/// of records only if these are noted.
pub(crate) async fn append(
    connection: &mut Connection,
    events: &[NewEvent],
    noting: Noting,
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
        let rows = json_array(chunk.iter().map(|event| &*event.row));
        query(APPEND_EVENTS)
            .bind(rows)
            .execute(&mut *connection)
            .await
            .map_err(StoreError::write("events"))?;
        let noted = chunk.iter().filter(|event| noting == Noting::Everything || !event.is_record);
        let noted: Vec<_> = noted.filter_map(|event| event.activity.as_ref()).collect();
        activity::append(connection, &noted).await?;
    }
    Ok(())
}

pub(crate) const HEAD: Sql = Sql::each(
    "select coalesce((select seq from sqlite_sequence where name = 'events'), 0)",
    "select position from event_head",
);

pub(crate) const FIRST_EVENT: Sql = Sql::same("select coalesce(min(position), 0) from events");

pub(crate) const READ_EVENTS: Sql = Sql::same(
    "
    select position, event_id, kind, subject, order_key, payload, occurred_at, origin, depth,
           traceparent
    from events where position > $1 order by position limit $2",
);

pub(crate) const READ_EVENT: Sql = Sql::same(
    "
    select position, event_id, kind, subject, order_key, payload, occurred_at, origin, depth,
           traceparent
    from events where position = $1",
);

impl Store {
    /// The position of the last event that was ever appended.
    pub async fn events_head(&self) -> Result<Position, StoreError> {
        let row = query(HEAD).fetch_one(self.reader()).await;
        let row = row.map_err(StoreError::read("the event log"))?;
        row.integer(0).map(Position).map_err(StoreError::read("the event log"))
    }

    /// The position of the oldest event that is kept; the default position if there is none.
    pub async fn events_first(&self) -> Result<Position, StoreError> {
        let row = query(FIRST_EVENT).fetch_one(self.reader()).await;
        let first = row.and_then(|row| row.integer(0));
        Ok(Position(first.map_err(StoreError::read("the event log"))?))
    }

    /// At most `limit` events after a position, in order.
    pub async fn events_after(
        &self,
        after: Position,
        limit: u32,
    ) -> Result<Vec<LoggedEvent>, StoreError> {
        let rows = query(READ_EVENTS)
            .bind(after.0)
            .bind(limit)
            .fetch_all(self.reader())
            .await
            .map_err(StoreError::read("events"))?;
        rows.iter().map(decode).collect()
    }

    /// One event; none if the clean-up took it.
    pub async fn event(&self, position: Position) -> Result<Option<LoggedEvent>, StoreError> {
        let row = query(READ_EVENT)
            .bind(position.0)
            .fetch_optional(self.reader())
            .await
            .map_err(StoreError::read("an event"))?;
        row.as_ref().map(decode).transpose()
    }

    /// Deletes at most `limit` events from before a time that no subscription, parked delivery or
    /// dead letter needs any more, and tells how many.
    pub async fn clean_up_events(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        self.sweep("the event log", CLEAN_UP_EVENTS, [micros(before), limit.into()]).await
    }
}

/// Scans the oldest events only: it stops at the first one that is young enough, at the lowest
/// cursor and at the limit.
pub(crate) const CLEAN_UP_EVENTS: Sql = Sql::same(
    "
    delete from events where position in (
        select e.position from events e
        where e.position <= coalesce((select min(cursor) from subscriptions), 9223372036854775807)
          and e.position < coalesce(
              (select position from events where occurred_at >= $1 order by position limit 1),
              9223372036854775807)
          and not exists (select 1 from parked_deliveries p where p.position = e.position)
          and not exists (select 1 from dead_letters d where d.position = e.position)
        order by e.position limit $2)",
);

fn decode(row: &Row) -> Result<LoggedEvent, StoreError> {
    let what = "an event";
    let text = |index: usize| row.text(index).map_err(StoreError::read(what));
    let number = |index: usize| row.integer(index).map_err(StoreError::read(what));
    let origin = row.optional_text(7).map_err(StoreError::read(what))?;
    let order_key = text(4)?.to_owned();
    let event = payload::decode(text(2)?, text(3)?, &order_key, text(5)?)
        .map_err(StoreError::corrupt("an event's payload"))?;
    Ok(LoggedEvent {
        position: Position(number(0)?),
        id: text(1)?.parse().map_err(StoreError::corrupt("an event's id"))?,
        order_key,
        occurred_at: timestamp(number(6)?)?,
        origin: origin
            .map(str::parse)
            .transpose()
            .map_err(StoreError::corrupt("an event's origin"))?,
        depth: u32::try_from(number(8)?).map_err(StoreError::corrupt("an event's depth"))?,
        traceparent: text(9)?.to_owned(),
        event,
    })
}
