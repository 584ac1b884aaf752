//! Collections.

use tinybase_model::{Cause, Collection, CollectionId, ExtensionName, JsonBytes};

use crate::creation::Written;
use crate::event::NewEvent;
use crate::sql::{Connection, Row, Sql, query};
use crate::time::{micros, now, timestamp};
use crate::write::Write;
use crate::{Store, StoreError};

/// A collection with the version that writes are checked against.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredCollection {
    /// The collection.
    pub collection: Collection,
    /// Grows with every change.
    pub version: i64,
}

/// Whether a collection was created.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CollectionCreated {
    /// It was.
    Done,
    /// The name is taken, and nothing was written.
    NameTaken,
}

pub(crate) const INSERT_COLLECTION: Sql = Sql::same(
    "
    insert into collections (id, name, label, schema, options, created_at, updated_at)
    values ($1, $2, $3, $4, $5, $6, $7) on conflict (name) do nothing",
);

pub(crate) const COLLECTION_BY_NAME: Sql = Sql::same(
    "
    select id, name, label, schema, options, created_at, updated_at, version
    from collections where name = $1",
);

pub(crate) const COLLECTIONS: Sql = Sql::same(
    "
    select id, name, label, schema, options, created_at, updated_at, version
    from collections order by name",
);

pub(crate) const UPDATE_COLLECTION: Sql = Sql::same(
    "
    update collections
    set label = $3, schema = $4, options = $5, updated_at = $6, version = version + 1
    where id = $1 and version = $2",
);

/// An event for each record, with ids made by the database: there may be very many.
pub(crate) const LOG_DELETED_RECORDS: Sql = Sql::each(
    "
    insert into events
        (event_id, kind, subject, order_key, payload, occurred_at, origin, depth, traceparent)
    select lower(substr(random, 1, 8) || '-' || substr(random, 9, 4) || '-4' || substr(random, 14, 3)
               || '-a' || substr(random, 18, 3) || '-' || substr(random, 21, 12)),
           'record.delete', $2, id, json_object('owner_id', owner_id, 'data', json(data)), $3, $4,
           $5, $6
    from (select id, owner_id, data, hex(randomblob(16)) as random
          from records where collection_id = $1 order by id)",
    "
    with gone as (
        select id, owner_id, data, row_number() over (order by id) as number
        from records where collection_id = $1
    ), head as (
        update event_head set position = position + (select count(*) from gone)
        returning position - (select count(*) from gone) as position
    )
    insert into events (position, event_id, kind, subject, order_key, payload, occurred_at, origin,
                        depth, traceparent)
    select head.position + gone.number, gen_random_uuid()::text, 'record.delete', $2, gone.id,
           jsonb_build_object('owner_id', gone.owner_id, 'data', gone.data)::text, $3, $4, $5, $6
    from gone, head order by gone.number",
);

pub(crate) const DELETE_RECORDS: Sql = Sql::same("delete from records where collection_id = $1");

pub(crate) const DELETE_COLLECTION: Sql = Sql::same("delete from collections where id = $1");

impl Store {
    /// Creates a collection unless its name is taken.
    pub async fn create_collection(
        &self,
        collection: Collection,
    ) -> Result<CollectionCreated, StoreError> {
        self.write(Create(collection)).await
    }

    /// A collection by name.
    pub async fn collection(&self, name: &str) -> Result<Option<StoredCollection>, StoreError> {
        let row = query(COLLECTION_BY_NAME)
            .bind(name)
            .fetch_optional(self.reader())
            .await
            .map_err(StoreError::read("a collection"))?;
        row.as_ref().map(decode).transpose()
    }

    /// All collections, by name.
    pub async fn collections(&self) -> Result<Vec<StoredCollection>, StoreError> {
        let rows = query(COLLECTIONS)
            .fetch_all(self.reader())
            .await
            .map_err(StoreError::read("collections"))?;
        rows.iter().map(decode).collect()
    }

    /// Changes label, schema and options of a collection that still has the version.
    pub async fn update_collection(
        &self,
        collection: Collection,
        version: i64,
    ) -> Result<Written, StoreError> {
        self.write(Update { collection, version }).await
    }

    /// Deletes a collection with its records, logs a `record.delete` for each, and tells how many
    /// there were; none if there was no collection.
    pub async fn delete_collection(
        &self,
        collection: Collection,
        cause: Cause,
    ) -> Result<Option<u64>, StoreError> {
        self.write(Delete { collection, cause }).await
    }
}

struct Create(Collection);

impl Write for Create {
    type Output = CollectionCreated;

    async fn apply(
        &self,
        connection: &mut Connection,
        _: &mut Vec<NewEvent>,
    ) -> Result<CollectionCreated, StoreError> {
        let inserted = query(INSERT_COLLECTION)
            .bind(self.0.id.to_string())
            .bind(self.0.name.as_str())
            .bind(&self.0.label)
            .bind(self.0.schema.text())
            .bind(self.0.options.text())
            .bind(micros(self.0.created_at))
            .bind(micros(self.0.updated_at))
            .execute(connection)
            .await
            .map_err(StoreError::write("a collection"))?;
        match inserted {
            0 => Ok(CollectionCreated::NameTaken),
            _ => Ok(CollectionCreated::Done),
        }
    }
}

struct Update {
    collection: Collection,
    version: i64,
}

impl Write for Update {
    type Output = Written;

    async fn apply(
        &self,
        connection: &mut Connection,
        _: &mut Vec<NewEvent>,
    ) -> Result<Written, StoreError> {
        let updated = query(UPDATE_COLLECTION)
            .bind(self.collection.id.to_string())
            .bind(self.version)
            .bind(&self.collection.label)
            .bind(self.collection.schema.text())
            .bind(self.collection.options.text())
            .bind(micros(self.collection.updated_at))
            .execute(connection)
            .await
            .map_err(StoreError::write("a collection"))?;
        Ok(if updated == 0 { Written::Stale } else { Written::Done })
    }
}

struct Delete {
    collection: Collection,
    cause: Cause,
}

impl Write for Delete {
    type Output = Option<u64>;

    async fn apply(
        &self,
        connection: &mut Connection,
        _: &mut Vec<NewEvent>,
    ) -> Result<Option<u64>, StoreError> {
        let id = self.collection.id.to_string();
        let fault = StoreError::write("a collection");
        let run = async {
            query(LOG_DELETED_RECORDS)
                .bind(&id)
                .bind(self.collection.name.as_str())
                .bind(micros(now()))
                .bind(self.cause.origin.as_ref().map(ExtensionName::as_str))
                .bind(self.cause.depth)
                .bind(&self.cause.traceparent)
                .execute(&mut *connection)
                .await?;
            let records = query(DELETE_RECORDS).bind(&id).execute(&mut *connection).await?;
            let deleted = query(DELETE_COLLECTION).bind(&id).execute(connection).await?;
            Ok((deleted > 0).then_some(records))
        };
        run.await.map_err(fault)
    }
}

fn decode(row: &Row) -> Result<StoredCollection, StoreError> {
    let what = "a collection";
    let text = |index: usize| row.text(index).map_err(StoreError::read(what));
    let number = |index: usize| row.integer(index).map_err(StoreError::read(what));
    let id: CollectionId = text(0)?.parse().map_err(StoreError::corrupt("a collection's id"))?;
    Ok(StoredCollection {
        collection: Collection {
            id,
            name: text(1)?.parse().map_err(StoreError::corrupt("a collection's name"))?,
            label: text(2)?.to_owned(),
            schema: json(text(3)?)?,
            options: json(text(4)?)?,
            created_at: timestamp(number(5)?)?,
            updated_at: timestamp(number(6)?)?,
        },
        version: number(7)?,
    })
}

/// A column as JSON.
pub(crate) fn json(text: &str) -> Result<JsonBytes, StoreError> {
    JsonBytes::checked(text.to_owned().into()).map_err(StoreError::corrupt("a JSON column"))
}
