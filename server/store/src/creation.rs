//! Creating records: all that wait together go in as one statement.

use std::collections::HashSet;

use serde::Serialize;
use sqlx::{Row, SqliteConnection};
use tinybase_model::Record;

use crate::StoreError;
use crate::event::NewEvent;
use crate::time::micros;
use crate::write::Reply;
use crate::writer::{execute, undo};

/// A record to be created, checked against a version of its collection.
#[derive(Debug)]
pub struct RecordCreation {
    /// The record.
    pub record: Record,
    /// The version of the collection that it was checked against.
    pub collection_version: i64,
    /// The event that says so.
    pub event: NewEvent,
}

/// Whether a write that rests on something read before took place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// It did.
    Done,
    /// What it rests on has changed or is gone, and nothing was written.
    Stale,
}

/// A creation that waits for its commit.
pub(crate) struct Creation {
    id: String,
    row: String,
    event: Option<NewEvent>,
    output: Result<Written, StoreError>,
    reply: Reply<Written>,
}

#[derive(Serialize)]
struct Columns<'a> {
    i: &'a str,
    c: String,
    v: i64,
    o: Option<String>,
    t: i64,
    d: &'a serde_json::value::RawValue,
}

impl Creation {
    /// Serialises the row on the caller's task, so that the writer only joins texts.
    pub(crate) fn new(
        creation: RecordCreation,
        reply: Reply<Written>,
    ) -> Result<Self, serde_json::Error> {
        let record = &creation.record;
        let id = record.id.to_string();
        let row = serde_json::to_string(&Columns {
            i: &id,
            c: record.collection_id.to_string(),
            v: creation.collection_version,
            o: record.owner_id.map(|owner| owner.to_string()),
            t: micros(record.created_at),
            d: serde_json::from_slice(record.data.bytes())?,
        })?;
        Ok(Self { id, row, event: Some(creation.event), output: Ok(Written::Stale), reply })
    }

    pub(crate) fn answer(self, committed: Result<(), StoreError>) {
        // Whoever asked may have gone away; what was written stays.
        drop(self.reply.send(self.output.and_then(|written| committed.map(|()| written))));
    }
}

/// The most JSON that one statement takes, so that memory stays bounded whatever waits.
const STATEMENT_BYTES_MAX: usize = 8 << 20;

/// Creates all records, or tells of each why not. An error means that the connection failed.
pub(crate) async fn create_all(
    connection: &mut SqliteConnection,
    creations: &mut [Creation],
    events: &mut Vec<NewEvent>,
) -> Result<(), StoreError> {
    let mut rest = creations;
    while !rest.is_empty() {
        let mut bytes = 0;
        let fits = rest.iter().take_while(|creation| {
            bytes += creation.row.len();
            bytes <= STATEMENT_BYTES_MAX
        });
        let count = fits.count().max(1);
        let (chunk, others) = rest.split_at_mut(count);
        rest = others;
        execute(connection, "savepoint command").await?;
        if create_chunk(connection, chunk, events).await.is_ok() {
            execute(connection, "release command").await?;
            continue;
        }
        undo(connection).await?;
        // One of them fails the statement: find out which, and keep the others.
        for creation in chunk {
            execute(connection, "savepoint command").await?;
            if create_one(connection, creation, events).await {
                execute(connection, "release command").await?;
            } else {
                undo(connection).await?;
            }
        }
    }
    Ok(())
}

/// Creates one record and tells whether that worked; whoever asked learns why not.
pub(crate) async fn create_one(
    connection: &mut SqliteConnection,
    creation: &mut Creation,
    events: &mut Vec<NewEvent>,
) -> bool {
    let created = create_chunk(connection, std::slice::from_mut(creation), events).await;
    if let Err(error) = created {
        creation.output = Err(StoreError::write("a record")(error));
        return false;
    }
    true
}

/// One statement for all rows. A row whose collection has changed meanwhile is left out.
pub(crate) const INSERT_RECORDS: &str = "
    insert into records (id, collection_id, owner_id, data, created_at, updated_at)
    select new.value ->> 'i', new.value ->> 'c', new.value ->> 'o', new.value -> 'd',
           new.value ->> 't', new.value ->> 't'
    from json_each($1) new
    cross join collections c on c.id = new.value ->> 'c' and c.version = new.value ->> 'v'
    order by new.key";

/// Which of the rows are there.
pub(crate) const FIND_RECORDS: &str = "
    select id from records where id in (select value ->> 'i' from json_each($1))";

async fn create_chunk(
    connection: &mut SqliteConnection,
    chunk: &mut [Creation],
    events: &mut Vec<NewEvent>,
) -> Result<(), sqlx::Error> {
    let rows = json_array(chunk.iter().map(|creation| creation.row.as_str()));
    let inserted = sqlx::query(INSERT_RECORDS).bind(&rows).execute(&mut *connection).await?;
    let all = inserted.rows_affected() == chunk.len() as u64;
    let found: HashSet<String> = if all {
        HashSet::new()
    } else {
        let found = sqlx::query(FIND_RECORDS).bind(&rows).fetch_all(connection).await?;
        found.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?
    };
    for creation in chunk {
        if all || found.contains(&creation.id) {
            creation.output = Ok(Written::Done);
            events.extend(creation.event.take());
        }
    }
    Ok(())
}

/// Joins JSON texts to an array.
pub(crate) fn json_array<'a>(items: impl Iterator<Item = &'a str>) -> String {
    let mut array = String::from("[");
    for (index, item) in items.enumerate() {
        if index > 0 {
            array.push(',');
        }
        array.push_str(item);
    }
    array.push(']');
    array
}
