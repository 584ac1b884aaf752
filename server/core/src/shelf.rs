//! Collections as records are checked against them, read once and kept in memory.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use serde_json::Value;
use thiserror::Error;
use tinybase_model::{Collection, FieldViolation, Record};
use tinybase_store::{FieldIndex, Store, StoreError, StoredCollection};

use crate::access::{AccessRules, Attempt, Operation};
use crate::collection::Definition;
use crate::relations::Relations;
use crate::schema::Schema;

/// A collection with its schema and rules read.
#[derive(Debug)]
pub(crate) struct Shelved {
    pub(crate) collection: Collection,
    pub(crate) version: i64,
    pub(crate) schema: Schema,
    pub(crate) rules: AccessRules,
    pub(crate) indexes: Vec<FieldIndex>,
}

/// The collections that were used. What is written rests on the version, so that an entry that is
/// out of date leads to another try and never to a wrong record.
#[derive(Debug, Default)]
pub(crate) struct Shelf {
    entries: RwLock<HashMap<String, Arc<Shelved>>>,
    relations: RwLock<Option<Arc<Relations>>>,
    /// Grows when an entry is thrown away, so that what was read before isn't put back.
    epoch: AtomicU64,
}

impl Shelf {
    /// A collection by name.
    pub(crate) async fn get(
        &self,
        store: &Store,
        name: &str,
    ) -> Result<Option<Arc<Shelved>>, StoreError> {
        if let Some(entry) = self.entries.read().unwrap_or_else(PoisonError::into_inner).get(name) {
            return Ok(Some(Arc::clone(entry)));
        }
        let epoch = self.epoch.load(Ordering::Acquire);
        let Some(stored) = store.collection(name).await? else { return Ok(None) };
        let entry = Arc::new(Shelved::read(stored)?);
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        if self.epoch.load(Ordering::Acquire) == epoch {
            entries.insert(name.to_owned(), Arc::clone(&entry));
        }
        Ok(Some(entry))
    }

    /// Forgets all, so that what other nodes changed shows.
    pub(crate) fn forget_all(&self) {
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        self.epoch.fetch_add(1, Ordering::AcqRel);
        entries.clear();
        *self.relations.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Forgets a collection that has changed or may have.
    pub(crate) fn forget(&self, name: &str) {
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        self.epoch.fetch_add(1, Ordering::AcqRel);
        entries.remove(name);
        *self.relations.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Who refers to whom.
    pub(crate) async fn relations(&self, store: &Store) -> Result<Arc<Relations>, StoreError> {
        let known = self.relations.read().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(relations) = known {
            return Ok(relations);
        }
        let epoch = self.epoch.load(Ordering::Acquire);
        let read = Arc::new(Relations::read(store).await?);
        let mut relations = self.relations.write().unwrap_or_else(PoisonError::into_inner);
        if self.epoch.load(Ordering::Acquire) == epoch {
            *relations = Some(Arc::clone(&read));
        }
        Ok(read)
    }
}

/// A collection in the database that a server of this version would have refused.
#[derive(Debug, Error)]
#[error("{0}")]
struct Unreadable(String);

impl Shelved {
    /// Something that is to be done with records of it.
    pub(crate) const fn attempt<'a>(
        &'a self,
        operation: Operation,
        record: Option<&'a Record>,
    ) -> Attempt<'a> {
        Attempt { operation, collection: &self.collection.name, rules: &self.rules, record }
    }

    /// Whether an index is over this field first, as the store knows it.
    pub(crate) fn has_index(&self, field: &str) -> bool {
        let name = field.strip_prefix("data.");
        self.indexes.iter().any(|index| match index.fields() {
            [first] => Some(first.as_str()) == name,
            _ => false,
        })
    }

    /// Reads schema and rules.
    pub(crate) fn read(stored: StoredCollection) -> Result<Self, StoreError> {
        let corrupt = |why: String| StoreError::Corrupt {
            what: "a collection",
            source: Arc::new(Unreadable(why)),
        };
        let StoredCollection { collection, version } = stored;
        let unfit = |violations: Vec<FieldViolation>| {
            corrupt(format!("{}: {}", collection.name, crate::collection::summary(&violations)))
        };
        let schema: Value =
            collection.schema.parse().map_err(|error| corrupt(error.to_string()))?;
        let options: Value =
            collection.options.parse().map_err(|error| corrupt(error.to_string()))?;
        let definition = Definition::read(&schema, &options).map_err(unfit)?;
        let indexes = definition.indexes(collection.id);
        let Definition { schema, rules, .. } = definition;
        Ok(Self { collection, version, schema, rules, indexes })
    }
}
