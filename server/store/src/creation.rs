//! Creating records: all that wait together go in as one statement.

use std::collections::HashSet;

use serde::Serialize;
use tinybase_model::Record;

use crate::StoreError;
use crate::event::NewEvent;
use crate::group::ends_attempt;
use crate::reference::{Reference, check_references};
use crate::search::set_terms;
use crate::sql::{Connection, Sql, query};
use crate::time::micros;
use crate::transaction::{RELEASE, SAVEPOINT, execute, undo};
use crate::write::Reply;

/// A record to be created, checked against a version of its collection.
#[derive(Debug)]
pub struct RecordCreation {
    /// The record.
    pub record: Record,
    /// The version of the collection that it was checked against.
    pub collection_version: i64,
    /// What it refers to.
    pub references: Vec<Reference>,
    /// Its words, if its collection can be searched.
    pub terms: Option<String>,
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
    has_terms: bool,
    references: Vec<Reference>,
    event: NewEvent,
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
    #[serde(skip_serializing_if = "Option::is_none")]
    x: Option<&'a str>,
}

impl Creation {
    /// Serialises the row on the caller's task, so that the writer only joins texts.
    pub(crate) fn new(
        creation: RecordCreation,
        reply: Reply<Written>,
    ) -> Result<Self, serde_json::Error> {
        let id = creation.record.id.to_string();
        let row = row(&creation)?;
        Ok(Self {
            id,
            row,
            has_terms: creation.terms.is_some(),
            references: creation.references,
            event: creation.event,
            output: Ok(Written::Stale),
            reply,
        })
    }

    /// Forgets an attempt that was undone.
    pub(crate) fn forget(&mut self) {
        self.output = Ok(Written::Stale);
    }

    pub(crate) fn answer(self, committed: Result<(), StoreError>) {
        // Whoever asked may have gone away; what was written stays.
        drop(self.reply.send(self.output.and_then(|written| committed.map(|()| written))));
    }
}

/// A record's row as JSON.
pub(crate) fn row(creation: &RecordCreation) -> Result<String, serde_json::Error> {
    let record = &creation.record;
    serde_json::to_string(&Columns {
        i: &record.id.to_string(),
        c: record.collection_id.to_string(),
        v: creation.collection_version,
        o: record.owner_id.map(|owner| owner.to_string()),
        t: micros(record.created_at),
        d: serde_json::from_slice(record.data.bytes())?,
        x: creation.terms.as_deref(),
    })
}

/// The most JSON that one statement takes, so that memory stays bounded whatever waits.
const STATEMENT_BYTES_MAX: usize = 8 << 20;

/// Creates all records, or tells of each why not. An error ends the attempt of the whole group.
pub(crate) async fn create_all(
    connection: &mut Connection,
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
        execute(connection, SAVEPOINT).await?;
        match create_chunk(connection, chunk, events).await {
            Ok(()) => {
                execute(connection, RELEASE).await?;
                continue;
            }
            Err(error) if ends_attempt(&error) => return Err(error),
            Err(_) => undo(connection).await?,
        }
        // One of them fails the statement: find out which, and keep the others.
        for creation in chunk {
            execute(connection, SAVEPOINT).await?;
            if create_one(connection, creation, events).await? {
                execute(connection, RELEASE).await?;
            } else {
                undo(connection).await?;
            }
        }
    }
    Ok(())
}

/// Creates one record and tells whether that worked; whoever asked learns why not. An error ends
/// the attempt of the whole group.
pub(crate) async fn create_one(
    connection: &mut Connection,
    creation: &mut Creation,
    events: &mut Vec<NewEvent>,
) -> Result<bool, StoreError> {
    match create_chunk(connection, std::slice::from_mut(creation), events).await {
        Ok(()) => Ok(true),
        Err(error) if ends_attempt(&error) => Err(error),
        Err(error) => {
            creation.output = Err(error);
            Ok(false)
        }
    }
}

/// One statement for all rows. A row whose collection has changed meanwhile is left out.
pub(crate) const INSERT_RECORDS: Sql = Sql::each(
    "
    insert into records (id, collection_id, owner_id, data, created_at, updated_at)
    select new.value ->> 'i', new.value ->> 'c', new.value ->> 'o', new.value -> 'd',
           new.value ->> 't', new.value ->> 't'
    from json_each($1) new
    cross join collections c on c.id = new.value ->> 'c' and c.version = new.value ->> 'v'
    order by new.key",
    "
    insert into records (id, collection_id, owner_id, data, created_at, updated_at)
    select new.value ->> 'i', c.id, new.value ->> 'o', new.value -> 'd',
           (new.value ->> 't')::bigint, (new.value ->> 't')::bigint
    from jsonb_array_elements($1::jsonb) with ordinality new (value, key)
    join collections c on c.id = new.value ->> 'c' and c.version = (new.value ->> 'v')::bigint
    order by new.key
    for share of c",
);

/// Which of the rows are there.
pub(crate) const FIND_RECORDS: Sql = Sql::each(
    "select id from records where id in (select value ->> 'i' from json_each($1))",
    "select id from records where id in (select value ->> 'i' from jsonb_array_elements($1::jsonb))",
);

/// Creates one record by its row.
pub(crate) async fn insert(connection: &mut Connection, row: &str) -> Result<Written, StoreError> {
    let rows = json_array(std::iter::once(row));
    let inserted = query(INSERT_RECORDS).bind(&rows).execute(connection).await;
    match inserted.map_err(StoreError::write("a record"))? {
        0 => Ok(Written::Stale),
        _ => Ok(Written::Done),
    }
}

async fn create_chunk(
    connection: &mut Connection,
    chunk: &mut [Creation],
    events: &mut Vec<NewEvent>,
) -> Result<(), StoreError> {
    let fault = || StoreError::write("a record");
    let rows = json_array(chunk.iter().map(|creation| creation.row.as_str()));
    let inserted = query(INSERT_RECORDS).bind(&rows).execute(&mut *connection).await;
    let all = inserted.map_err(fault())? == chunk.len() as u64;
    let found: HashSet<String> = if all {
        HashSet::new()
    } else {
        let found = query(FIND_RECORDS).bind(&rows).fetch_all(&mut *connection).await;
        let found = found.map_err(fault())?;
        let ids = found.iter().map(|row| row.text(0).map(str::to_owned));
        ids.collect::<Result<_, _>>().map_err(fault())?
    };
    let with_terms: Vec<_> = chunk.iter().filter(|creation| creation.has_terms).collect();
    if !with_terms.is_empty() {
        set_terms(connection, with_terms.iter().map(|creation| creation.row.as_str())).await?;
    }
    let references = chunk.iter().flat_map(|creation| &creation.references);
    check_references(connection, references).await?;
    for creation in chunk {
        if all || found.contains(&creation.id) {
            creation.output = Ok(Written::Done);
            events.push(creation.event.clone());
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
