//! Collections: reading, creating and changing them. How they go is in `collection_removal`.

use std::fmt;
use std::sync::Arc;

use tinybase_model::{Collection, CollectionId, CollectionName, JsonBytes, Position};

use crate::event::NewEvent;
use crate::filter::{find_duplicates, set_indexes};
use crate::search::Refill;
use crate::sql::{Connection, Row, Sql, query};
use crate::time::{micros, timestamp};
use crate::write::Write;
use crate::{Duplicates, FieldIndex, Store, StoreError};

/// A collection with the version that writes are checked against.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredCollection {
    /// The collection.
    pub collection: Collection,
    /// Grows with every change.
    pub version: i64,
}

/// A collection with what hangs on it.
#[derive(Debug, Clone)]
pub struct CollectionWrite {
    /// The collection.
    pub collection: Collection,
    /// The indexes that it is to have.
    pub indexes: Vec<FieldIndex>,
    /// The collections that it refers to. They get a new version, so that whoever is about to
    /// delete a record of theirs looks again who refers to it.
    pub targets: Vec<CollectionName>,
}

impl From<Collection> for CollectionWrite {
    fn from(collection: Collection) -> Self {
        Self { collection, indexes: Vec::new(), targets: Vec::new() }
    }
}

/// A change of a collection that was read before.
#[derive(Debug)]
pub struct CollectionUpdate {
    /// What it becomes.
    pub write: CollectionWrite,
    /// The version that was read.
    pub version: i64,
    /// How records are checked that were written meanwhile.
    pub recheck: Option<Recheck>,
    /// How the words of all records are made anew, if other fields are searched now.
    pub refill: Option<Refill>,
}

/// A check of the records that were written since others were read.
pub struct Recheck {
    /// The end of the event log before the records were read.
    pub since: Position,
    /// Whether data fits.
    pub fits: Arc<dyn Fn(&JsonBytes) -> bool + Send + Sync>,
}

impl fmt::Debug for Recheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recheck").field("since", &self.since).finish_non_exhaustive()
    }
}

/// Whether a collection was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CollectionWritten {
    /// It was.
    Done,
    /// The name is taken.
    NameTaken,
    /// It isn't any more what was read, or records that don't fit were written meanwhile.
    Stale,
    /// There is no such collection to refer to.
    NoTarget(CollectionName),
    /// Records have the same values where only one may.
    Duplicates(Vec<Duplicates>),
}

pub(crate) const INSERT_COLLECTION: Sql = Sql::same(
    "
    insert into collections (id, name, label, schema, options, created_at, updated_at)
    values ($1, $2, $3, $4, $5, $6, $7) on conflict (name) do nothing",
);

pub(crate) const COLLECTION_BY_NAME: Sql = Sql::same(
    "
    select id, name, label, schema, options, created_at, updated_at, version
    from collections where name = $1 and deleted_name is null",
);

pub(crate) const COLLECTIONS: Sql = Sql::same(
    "
    select id, name, label, schema, options, created_at, updated_at, version
    from collections where deleted_name is null order by name",
);

pub(crate) const UPDATE_COLLECTION: Sql = Sql::same(
    "
    update collections
    set label = $3, schema = $4, options = $5, updated_at = $6, version = version + 1
    where id = $1 and version = $2",
);

/// The names of the indexes over fields of a collection, by the beginning that they share.
pub(crate) const FIELD_INDEXES: Sql = Sql::each(
    "
    select name from sqlite_master
    where type = 'index' and tbl_name = 'records' and substr(name, 1, length($1)) = $1",
    "
    select indexname::text from pg_indexes
    where schemaname = current_schema() and tablename = 'records'
      and left(indexname::text, length($1)) = $1",
);

/// Keeps another node from changing the collection or writing records of it until the commit.
pub(crate) const LOCK_COLLECTION: Sql = Sql::each(
    "select 1 from collections where id = $1 and version = $2",
    "select 1::bigint from collections where id = $1 and version = $2 for update",
);

pub(crate) const COLLECTION_EXISTS: Sql = Sql::each(
    "select 1 from collections where name = $1 and deleted_name is null",
    "select 1::bigint from collections where name = $1 and deleted_name is null for update",
);

pub(crate) const TOUCH_COLLECTION: Sql = Sql::same(
    "update collections set version = version + 1 where name = $1 and deleted_name is null",
);

pub(crate) const CHANGED_RECORDS: Sql = Sql::same(
    "
    select cast(r.data as text) from records r
    where r.collection_id = $3
      and r.id in (select e.order_key from events e
                   where e.position > $1 and e.subject = $2
                     and e.kind in ('record.create', 'record.update'))
    limit $4",
);

impl Store {
    /// Creates a collection unless its name is taken.
    pub async fn create_collection(
        &self,
        write: impl Into<CollectionWrite>,
    ) -> Result<CollectionWritten, StoreError> {
        self.write(Create(write.into())).await
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

    /// Changes label, schema, options and indexes of a collection that still has the version.
    pub async fn update_collection(
        &self,
        update: CollectionUpdate,
    ) -> Result<CollectionWritten, StoreError> {
        self.write(update).await
    }
}

struct Create(CollectionWrite);

impl Write for Create {
    type Output = CollectionWritten;

    async fn apply(
        &self,
        connection: &mut Connection,
        _: &mut Vec<NewEvent>,
    ) -> Result<CollectionWritten, StoreError> {
        let CollectionWrite { collection, indexes, .. } = &self.0;
        if let Some(missing) = self.0.missing_target(connection).await? {
            return Ok(CollectionWritten::NoTarget(missing));
        }
        let inserted = query(INSERT_COLLECTION)
            .bind(collection.id.to_string())
            .bind(collection.name.as_str())
            .bind(&collection.label)
            .bind(collection.schema.text())
            .bind(collection.options.text())
            .bind(micros(collection.created_at))
            .bind(micros(collection.updated_at))
            .execute(&mut *connection)
            .await
            .map_err(StoreError::write("a collection"))?;
        if inserted == 0 {
            return Ok(CollectionWritten::NameTaken);
        }
        set_indexes(connection, collection.id, indexes).await?;
        self.0.touch_targets(connection).await?;
        Ok(CollectionWritten::Done)
    }
}

impl CollectionWrite {
    fn others(&self) -> impl Iterator<Item = &CollectionName> {
        self.targets.iter().filter(|target| **target != self.collection.name)
    }

    async fn missing_target(
        &self,
        connection: &mut Connection,
    ) -> Result<Option<CollectionName>, StoreError> {
        for target in self.others() {
            let found = query(COLLECTION_EXISTS)
                .bind(target.as_str())
                .fetch_optional(&mut *connection)
                .await
                .map_err(StoreError::read("a collection"))?;
            if found.is_none() {
                return Ok(Some(target.clone()));
            }
        }
        Ok(None)
    }

    async fn touch_targets(&self, connection: &mut Connection) -> Result<(), StoreError> {
        for target in self.others() {
            query(TOUCH_COLLECTION)
                .bind(target.as_str())
                .execute(&mut *connection)
                .await
                .map_err(StoreError::write("a collection"))?;
        }
        Ok(())
    }
}

/// How many records are checked in the transaction; more are read again before it.
const RECHECKED_MAX: u32 = 2000;

impl Recheck {
    async fn passes(
        &self,
        connection: &mut Connection,
        collection: &Collection,
    ) -> Result<bool, StoreError> {
        let rows = query(CHANGED_RECORDS)
            .bind(self.since.0)
            .bind(collection.name.as_str())
            .bind(collection.id.to_string())
            .bind(RECHECKED_MAX + 1)
            .fetch_all(connection)
            .await
            .map_err(StoreError::read("records"))?;
        if rows.len() > RECHECKED_MAX as usize {
            return Ok(false);
        }
        for row in &rows {
            let data = json(row.text(0).map_err(StoreError::read("a record"))?)?;
            if !(self.fits)(&data) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

impl Write for CollectionUpdate {
    type Output = CollectionWritten;

    async fn apply(
        &self,
        connection: &mut Connection,
        _: &mut Vec<NewEvent>,
    ) -> Result<CollectionWritten, StoreError> {
        let CollectionWrite { collection, indexes, .. } = &self.write;
        let id = collection.id.to_string();
        let locked = query(LOCK_COLLECTION)
            .bind(&id)
            .bind(self.version)
            .fetch_optional(&mut *connection)
            .await
            .map_err(StoreError::read("a collection"))?;
        if locked.is_none() {
            return Ok(CollectionWritten::Stale);
        }
        if let Some(recheck) = &self.recheck
            && !recheck.passes(connection, collection).await?
        {
            return Ok(CollectionWritten::Stale);
        }
        if let Some(missing) = self.write.missing_target(connection).await? {
            return Ok(CollectionWritten::NoTarget(missing));
        }
        let duplicates = find_duplicates(connection, collection.id, indexes).await?;
        if !duplicates.is_empty() {
            return Ok(CollectionWritten::Duplicates(duplicates));
        }
        query(UPDATE_COLLECTION)
            .bind(&id)
            .bind(self.version)
            .bind(&collection.label)
            .bind(collection.schema.text())
            .bind(collection.options.text())
            .bind(micros(collection.updated_at))
            .execute(&mut *connection)
            .await
            .map_err(StoreError::write("a collection"))?;
        set_indexes(connection, collection.id, indexes).await?;
        if let Some(refill) = &self.refill {
            refill.run(connection, collection.id).await?;
        }
        self.write.touch_targets(connection).await?;
        Ok(CollectionWritten::Done)
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
