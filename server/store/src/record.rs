//! Reading, changing and deleting records. How they are created is in `creation`.

use jiff::Timestamp;
use serde::Serialize;
use tinybase_model::{JsonBytes, Record, RecordId, UserId};

use crate::cascade::Cascade;
use crate::collection::json;
use crate::creation::Written;
use crate::event::NewEvent;
use crate::reference::{Reference, check_references};
use crate::search::set_terms_of;
use crate::sql::{Connection, Row, Sql, query};
use crate::time::{micros, timestamp};
use crate::write::Write;
use crate::{Store, StoreError};

/// A record with the version that writes are checked against.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredRecord {
    /// The record.
    pub record: Record,
    /// Grows with every change.
    pub version: i64,
}

/// A change of a record that was read before.
#[derive(Debug, Clone)]
pub struct RecordChange {
    /// The record.
    pub id: RecordId,
    /// The version that was read.
    pub version: i64,
    /// The version of the collection that the data was checked against.
    pub collection_version: i64,
    /// To whom it belongs from now on.
    pub owner_id: Option<UserId>,
    /// All the new data.
    pub data: JsonBytes,
    /// What it refers to.
    pub references: Vec<Reference>,
    /// Its words, if its collection can be searched.
    pub terms: Option<String>,
    /// When.
    pub updated_at: Timestamp,
    /// The event that says so.
    pub event: NewEvent,
}

/// A deletion of a record that was read before.
#[derive(Debug, Clone)]
pub struct RecordDeletion {
    /// The record.
    pub id: RecordId,
    /// The version that was read.
    pub version: i64,
    /// The version of the collection whose rules were checked.
    pub collection_version: i64,
    /// Who refers to it; none if nobody can.
    pub cascade: Option<Cascade>,
    /// The event that says so.
    pub event: NewEvent,
}

pub(crate) const RECORD_BY_ID: Sql = Sql::same(
    "
    select r.id, r.collection_id, c.name, r.owner_id, cast(r.data as text), r.created_at,
           r.updated_at, r.version
    from records r join collections c on c.id = r.collection_id
    where r.id = $1 and c.deleted_name is null",
);

pub(crate) const RECORDS_BY_ID: Sql = Sql::each(
    "
    select r.id, r.collection_id, c.name, r.owner_id, cast(r.data as text), r.created_at,
           r.updated_at, r.version
    from records r join collections c on c.id = r.collection_id
    where r.id in (select value from json_each($1)) and c.deleted_name is null",
    "
    select r.id, r.collection_id, c.name, r.owner_id, cast(r.data as text), r.created_at,
           r.updated_at, r.version
    from records r join collections c on c.id = r.collection_id
    where r.id in (select jsonb_array_elements_text($1::jsonb)) and c.deleted_name is null",
);

pub(crate) const UPDATE_RECORD: Sql = Sql::each(
    "
    update records set data = $4, updated_at = $5, owner_id = $6, version = version + 1
    where id = $1 and version = $2
      and (select version from collections where id = records.collection_id) = $3",
    "
    update records set data = $4::jsonb, updated_at = $5, owner_id = $6, version = records.version + 1
    from (select id from collections
          where id = (select collection_id from records where id = $1) and version = $3
          for share) c
    where records.id = $1 and records.version = $2 and records.collection_id = c.id",
);

pub(crate) const DELETE_RECORD: Sql = Sql::each(
    "
    delete from records
    where id = $1 and version = $2
      and (select version from collections where id = records.collection_id) = $3",
    "
    delete from records
    using (select id from collections
           where id = (select collection_id from records where id = $1) and version = $3
           for share) c
    where records.id = $1 and records.version = $2 and records.collection_id = c.id",
);

impl Store {
    /// A record by id, of any collection.
    pub async fn record(&self, id: RecordId) -> Result<Option<StoredRecord>, StoreError> {
        let row = query(RECORD_BY_ID)
            .bind(id.to_string())
            .fetch_optional(self.reader())
            .await
            .map_err(StoreError::read("a record"))?;
        let Some(row) = row else { return Ok(None) };
        let record = decode(&row)?;
        Ok(Some(StoredRecord { version: record.version, record }))
    }

    /// Those of some records that are there, of any collections.
    pub async fn records_by_id(&self, ids: &[RecordId]) -> Result<Vec<Record>, StoreError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let rows = query(RECORDS_BY_ID)
            .bind(id_array(ids))
            .fetch_all(self.reader())
            .await
            .map_err(StoreError::read("records"))?;
        rows.iter().map(decode).collect()
    }

    /// Changes a record unless it or its collection changed since it was read.
    pub async fn update_record(&self, change: RecordChange) -> Result<Written, StoreError> {
        self.write(change).await
    }

    /// Deletes a record unless it or its collection changed since it was read.
    pub async fn delete_record(&self, deletion: RecordDeletion) -> Result<Written, StoreError> {
        self.write(deletion).await
    }
}

impl Write for RecordChange {
    type Output = Written;

    async fn apply(
        &self,
        connection: &mut Connection,
        events: &mut Vec<NewEvent>,
    ) -> Result<Written, StoreError> {
        let updated = query(UPDATE_RECORD)
            .bind(self.id.to_string())
            .bind(self.version)
            .bind(self.collection_version)
            .bind(self.data.text())
            .bind(micros(self.updated_at))
            .bind(self.owner_id.map(|owner| owner.to_string()))
            .execute(&mut *connection)
            .await
            .map_err(StoreError::write("a record"))?;
        if let (Some(terms), true) = (&self.terms, updated > 0) {
            set_terms_of(connection, &self.id.to_string(), terms).await?;
        }
        check_references(connection, self.references.iter()).await?;
        Ok(logged(updated, &self.event, events))
    }
}

impl Write for RecordDeletion {
    type Output = Written;

    async fn apply(
        &self,
        connection: &mut Connection,
        events: &mut Vec<NewEvent>,
    ) -> Result<Written, StoreError> {
        if let Some(cascade) = &self.cascade
            && !cascade.is_current(connection).await?
        {
            return Ok(Written::Stale);
        }
        let deleted = query(DELETE_RECORD)
            .bind(self.id.to_string())
            .bind(self.version)
            .bind(self.collection_version)
            .execute(&mut *connection)
            .await
            .map_err(StoreError::write("a record"))?;
        let written = logged(deleted, &self.event, events);
        if let (Written::Done, Some(cascade)) = (written, &self.cascade) {
            cascade.follow(connection, events, self.id.to_string()).await?;
        }
        Ok(written)
    }
}

/// Logs the event if a row was touched.
fn logged(rows: u64, event: &NewEvent, events: &mut Vec<NewEvent>) -> Written {
    if rows == 0 {
        return Written::Stale;
    }
    events.push(event.clone());
    Written::Done
}

/// Ids as one value, so that a statement's text doesn't depend on their number.
pub(crate) fn id_array<T: Serialize>(ids: &[T]) -> String {
    serde_json::to_string(ids).unwrap_or_else(|_| unreachable!("ids serialise"))
}

/// Reads the eight columns of a record.
pub(crate) fn decode(row: &Row) -> Result<Record, StoreError> {
    let what = "a record";
    let text = |index: usize| row.text(index).map_err(StoreError::read(what));
    let number = |index: usize| row.integer(index).map_err(StoreError::read(what));
    let owner = row.optional_text(3).map_err(StoreError::read(what))?;
    Ok(Record {
        id: text(0)?.parse().map_err(StoreError::corrupt("a record's id"))?,
        collection_id: text(1)?.parse().map_err(StoreError::corrupt("a collection's id"))?,
        collection: text(2)?.parse().map_err(StoreError::corrupt("a collection's name"))?,
        owner_id: owner
            .map(str::parse)
            .transpose()
            .map_err(StoreError::corrupt("an owner's id"))?,
        data: json(text(4)?)?,
        created_at: timestamp(number(5)?)?,
        updated_at: timestamp(number(6)?)?,
        version: number(7)?,
    })
}
