//! How collections go: they vanish at once, and their records are deleted in steps. Values of fields
//! that a schema doesn't have any more go the same way.

use tinybase_model::{Cause, CollectionId, CollectionName, ExtensionName, RecordId};

use crate::creation::Written;
use crate::event::NewEvent;
use crate::filter::set_indexes;
use crate::sql::{Connection, Sql, query};
use crate::time::{micros, now};
use crate::write::Write;
use crate::{Store, StoreError};

/// A collection that nobody sees any more and whose records are being deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CondemnedCollection {
    /// Its id.
    pub id: CollectionId,
    /// The name that it had.
    pub name: CollectionName,
}

pub(crate) const CONDEMN_COLLECTION: Sql = Sql::same(
    "
    update collections
    set deleted_name = name, name = 'deleted_' || replace(id, '-', ''), version = version + 1
    where id = $1 and version = $2 and deleted_name is null",
);

pub(crate) const CONDEMNED_COLLECTIONS: Sql =
    Sql::same("select id, deleted_name from collections where deleted_name is not null");

/// The last record of a step.
pub(crate) const STEP_END: Sql = Sql::same(
    "
    select max(id) from (
        select id from records where collection_id = $1 and id > $2 order by id limit $3
    ) step",
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
          from records where collection_id = $1 and id <= $7 order by id)",
    "
    with gone as (
        select id, owner_id, data, row_number() over (order by id) as number
        from records where collection_id = $1 and id <= $7
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

pub(crate) const DELETE_RECORDS: Sql =
    Sql::same("delete from records where collection_id = $1 and id <= $2");

pub(crate) const DELETE_COLLECTION: Sql =
    Sql::same("delete from collections where id = $1 and deleted_name is not null");

/// Takes a field out of a step's records.
pub(crate) const DROP_FIELD: Sql = Sql::each(
    "
    update records set data = json_remove(data, '$.\"' || $4 || '\"'), version = version + 1
    where collection_id = $1 and id > $2 and id <= $3
      and json_type(data, '$.\"' || $4 || '\"') is not null",
    "
    update records set data = data - $4, version = version + 1
    where collection_id = $1 and id > $2 and id <= $3 and jsonb_exists(data, $4)",
);

/// How many records lose a field in one transaction.
const DROP_STEP: u32 = 500;

impl Store {
    /// Takes a collection away from everybody, if it still has the version. Its records follow with
    /// [`Self::delete_records_of`], and the rest with [`Self::delete_condemned`].
    pub async fn condemn_collection(
        &self,
        collection: CollectionId,
        version: i64,
    ) -> Result<Written, StoreError> {
        self.write(Condemn { collection, version }).await
    }

    /// The collections whose deletion isn't finished.
    pub async fn condemned_collections(&self) -> Result<Vec<CondemnedCollection>, StoreError> {
        let rows = query(CONDEMNED_COLLECTIONS)
            .fetch_all(self.reader())
            .await
            .map_err(StoreError::read("collections"))?;
        let decode = |row: &crate::sql::Row| {
            let text = |index: usize| row.text(index).map_err(StoreError::read("a collection"));
            Ok(CondemnedCollection {
                id: text(0)?.parse().map_err(StoreError::corrupt("a collection's id"))?,
                name: text(1)?.parse().map_err(StoreError::corrupt("a collection's name"))?,
            })
        };
        rows.iter().map(decode).collect()
    }

    /// Deletes at most `limit` records of a condemned collection, logs a `record.delete` for each,
    /// and tells how many there were.
    pub async fn delete_records_of(
        &self,
        collection: CondemnedCollection,
        cause: Cause,
        limit: u32,
    ) -> Result<u64, StoreError> {
        self.write(DeleteRecords { collection, cause, limit }).await
    }

    /// Deletes a condemned collection that has no records any more, with its indexes.
    pub async fn delete_condemned(&self, collection: CollectionId) -> Result<(), StoreError> {
        self.write(DeleteCondemned(collection)).await
    }

    /// Takes fields out of the next records after one, and tells which was the last; none if there
    /// are no more.
    pub async fn drop_fields(
        &self,
        collection: CollectionId,
        fields: &[String],
        after: Option<RecordId>,
    ) -> Result<Option<RecordId>, StoreError> {
        self.write(DropFields { collection, fields: fields.to_vec(), after }).await
    }
}

struct Condemn {
    collection: CollectionId,
    version: i64,
}

impl Write for Condemn {
    type Output = Written;

    async fn apply(
        &self,
        connection: &mut Connection,
        _: &mut Vec<NewEvent>,
    ) -> Result<Written, StoreError> {
        let condemned = query(CONDEMN_COLLECTION)
            .bind(self.collection.to_string())
            .bind(self.version)
            .execute(connection)
            .await
            .map_err(StoreError::write("a collection"))?;
        Ok(if condemned == 0 { Written::Stale } else { Written::Done })
    }
}

/// The last of the next records after one.
async fn step_end(
    connection: &mut Connection,
    collection: CollectionId,
    after: &str,
    limit: u32,
) -> Result<Option<String>, StoreError> {
    let row = query(STEP_END)
        .bind(collection.to_string())
        .bind(after)
        .bind(limit)
        .fetch_one(connection)
        .await
        .map_err(StoreError::read("records"))?;
    let last = row.optional_text(0).map_err(StoreError::read("records"))?;
    Ok(last.map(str::to_owned))
}

struct DeleteRecords {
    collection: CondemnedCollection,
    cause: Cause,
    limit: u32,
}

impl Write for DeleteRecords {
    type Output = u64;

    async fn apply(
        &self,
        connection: &mut Connection,
        _: &mut Vec<NewEvent>,
    ) -> Result<u64, StoreError> {
        let id = self.collection.id;
        let Some(last) = step_end(connection, id, "", self.limit).await? else { return Ok(0) };
        let run = async {
            query(LOG_DELETED_RECORDS)
                .bind(id.to_string())
                .bind(self.collection.name.as_str())
                .bind(micros(now()))
                .bind(self.cause.origin.as_ref().map(ExtensionName::as_str))
                .bind(self.cause.depth)
                .bind(&self.cause.traceparent)
                .bind(&last)
                .execute(&mut *connection)
                .await?;
            query(DELETE_RECORDS).bind(id.to_string()).bind(&last).execute(connection).await
        };
        run.await.map_err(StoreError::write("records"))
    }
}

struct DeleteCondemned(CollectionId);

impl Write for DeleteCondemned {
    type Output = ();

    async fn apply(
        &self,
        connection: &mut Connection,
        _: &mut Vec<NewEvent>,
    ) -> Result<(), StoreError> {
        set_indexes(connection, self.0, &[]).await?;
        query(DELETE_COLLECTION)
            .bind(self.0.to_string())
            .execute(connection)
            .await
            .map(drop)
            .map_err(StoreError::write("a collection"))
    }
}

struct DropFields {
    collection: CollectionId,
    fields: Vec<String>,
    after: Option<RecordId>,
}

impl Write for DropFields {
    type Output = Option<RecordId>;

    async fn apply(
        &self,
        connection: &mut Connection,
        _: &mut Vec<NewEvent>,
    ) -> Result<Option<RecordId>, StoreError> {
        let after = self.after.map(|id| id.to_string()).unwrap_or_default();
        let last = step_end(connection, self.collection, &after, DROP_STEP).await?;
        let Some(last) = last else { return Ok(None) };
        for field in &self.fields {
            query(DROP_FIELD)
                .bind(self.collection.to_string())
                .bind(&after)
                .bind(&last)
                .bind(field)
                .execute(&mut *connection)
                .await
                .map_err(StoreError::write("records"))?;
        }
        last.parse().map(Some).map_err(StoreError::corrupt("a record's id"))
    }
}
