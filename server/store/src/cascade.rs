//! What a deletion does to the records that refer to what is deleted, all in its transaction.

use tinybase_model::{
    Cause, CollectionId, Event, OnDelete, Record, RecordEvent, ReferenceTarget, Referrer,
};

use crate::collection::json;
use crate::event::NewEvent;
use crate::filter::referring;
use crate::sql::{Connection, Sql, query};
use crate::time::{micros, now};
use crate::{Refusal, StoreError};

/// Who refers to what is deleted, directly or through others, as it was read before.
#[derive(Debug, Clone)]
pub struct Cascade {
    /// What is deleted.
    pub target: ReferenceTarget,
    /// Every field that may refer to something that goes.
    pub referrers: Vec<Referrer>,
    /// The collections that may be touched, in the versions that were read.
    pub versions: Vec<(CollectionId, i64)>,
    /// Why.
    pub cause: Cause,
}

/// How many records one deletion may touch beside its own, since it holds the writer.
pub(crate) const CASCADE_MAX: usize = 1000;

pub(crate) const IS_VERSION: Sql = Sql::each(
    "select 1 from collections where id = $1 and version = $2",
    "select 1::bigint from collections where id = $1 and version = $2 for share",
);

pub(crate) const DELETE_REFERRING: Sql = Sql::same("delete from records where id = $1");

pub(crate) const CLEAR_REFERENCE: Sql = Sql::each(
    "
    update records
    set data = json_set(data, '$.\"' || $2 || '\"', null), updated_at = $3, version = version + 1
    where id = $1 returning cast(data as text)",
    "
    update records
    set data = jsonb_set(data, array[$2::text], 'null'::jsonb), updated_at = $3,
        version = version + 1
    where id = $1 returning cast(data as text)",
);

impl Cascade {
    /// Whether the collections are still what they were when they were read.
    pub(crate) async fn is_current(&self, connection: &mut Connection) -> Result<bool, StoreError> {
        for (collection, version) in &self.versions {
            let found = query(IS_VERSION)
                .bind(collection.to_string())
                .bind(*version)
                .fetch_optional(&mut *connection)
                .await
                .map_err(StoreError::read("a collection"))?;
            if found.is_none() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Does to all that refer to something deleted what their fields say, and so on.
    pub(crate) async fn follow(
        &self,
        connection: &mut Connection,
        events: &mut Vec<NewEvent>,
        deleted: String,
    ) -> Result<(), StoreError> {
        let mut queue = vec![(self.target, deleted)];
        let mut touched = 0;
        while let Some((target, id)) = queue.pop() {
            for referrer in self.referrers.iter().filter(|referrer| referrer.target == target) {
                let limit = match referrer.on_delete {
                    OnDelete::Restrict => 1,
                    OnDelete::Cascade | OnDelete::SetNull => CASCADE_MAX - touched + 1,
                };
                let limit = u32::try_from(limit).unwrap_or(u32::MAX);
                let records = referring(connection, referrer, &id, limit).await?;
                touched += records.len();
                if touched > CASCADE_MAX {
                    return Err(StoreError::Refused(Refusal::CascadeTooLarge(CASCADE_MAX)));
                }
                for record in records {
                    match referrer.on_delete {
                        OnDelete::Restrict => return Err(restricted(referrer)),
                        OnDelete::Cascade => {
                            let id = record.id.to_string();
                            events.push(self.delete(connection, record).await?);
                            let target = ReferenceTarget::Record(referrer.collection_id);
                            queue.push((target, id));
                        }
                        OnDelete::SetNull => {
                            events.push(self.clear(connection, record, &referrer.field).await?);
                        }
                    }
                }
            }
        }
        Ok(())
    }

    async fn delete(
        &self,
        connection: &mut Connection,
        record: Record,
    ) -> Result<NewEvent, StoreError> {
        query(DELETE_REFERRING)
            .bind(record.id.to_string())
            .execute(connection)
            .await
            .map_err(StoreError::write("a record"))?;
        let event = Event::RecordDelete(RecordEvent {
            collection: record.collection.to_string(),
            record_id: Some(record.id),
            owner_id: record.owner_id,
            old_owner_id: record.owner_id,
            data: record.data,
            old_data: None,
            version: record.version + 1,
        });
        Ok(NewEvent::new(&event, &self.cause, now()))
    }

    async fn clear(
        &self,
        connection: &mut Connection,
        record: Record,
        field: &str,
    ) -> Result<NewEvent, StoreError> {
        let at = now();
        let row = query(CLEAR_REFERENCE)
            .bind(record.id.to_string())
            .bind(field)
            .bind(micros(at))
            .fetch_one(connection)
            .await
            .map_err(StoreError::write("a record"))?;
        let event = Event::RecordUpdate(RecordEvent {
            collection: record.collection.to_string(),
            record_id: Some(record.id),
            owner_id: record.owner_id,
            old_owner_id: record.owner_id,
            data: json(row.text(0).map_err(StoreError::read("a record"))?)?,
            old_data: Some(record.data),
            version: record.version + 1,
        });
        Ok(NewEvent::new(&event, &self.cause, at))
    }
}

fn restricted(referrer: &Referrer) -> StoreError {
    StoreError::Refused(Refusal::Referenced {
        collection: referrer.collection.clone(),
        field: referrer.field.clone(),
    })
}
