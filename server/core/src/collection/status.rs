//! How collections are doing: how many records they have, and whether their indexes and the targets
//! of their references are there.

use jiff::Timestamp;
use serde::Serialize;
use tinybase_model::{Collection, Filter, Identity};
use tinybase_store::{Scope, StoreError, StoredCollection};

use super::{CollectionError, Collections};
use crate::access::authorize_admin;
use crate::field::{Field, Trait};
use crate::relations::USERS;
use crate::shelf::Shelved;

/// All collections at a glance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct CollectionsStatus {
    /// Each of them, by name.
    pub collections: Vec<CollectionSummary>,
    /// How many there are.
    pub total_collections: u64,
    /// How many records they have together.
    pub total_records: u64,
}

/// One collection at a glance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct CollectionSummary {
    /// Its name.
    pub name: String,
    /// Its name for people.
    pub label: String,
    /// How many records it has.
    pub record_count: u64,
    /// Whether all is well.
    pub health_status: Health,
}

/// Whether all is well with a collection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    /// It is.
    Healthy,
    /// An index is missing, so that lists are slow.
    Warning,
    /// Uniqueness isn't kept, or a reference points nowhere.
    Error,
}

/// A collection with its indexes and references.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct CollectionStatus {
    /// Its name.
    pub collection: String,
    /// Its name for people.
    pub label: String,
    /// How many records it has.
    pub record_count: u64,
    /// How many fields its schema has.
    pub schema_fields: u64,
    /// The fields that are unique by themselves.
    pub unique_fields: Vec<String>,
    /// The indexes that it should have.
    pub indexes: Vec<IndexStatus>,
    /// What it refers to.
    pub references: Vec<ReferenceStatus>,
    /// When it was last changed.
    pub last_updated: Timestamp,
    /// Whether all is well.
    pub health_status: Health,
}

/// An index of a collection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct IndexStatus {
    /// The field, or the fields with commas between them.
    pub field: String,
    /// Its name in the database.
    pub index_name: String,
    /// Whether it is there.
    pub has_index: bool,
    /// `active` or `missing`.
    pub status: &'static str,
}

/// A reference of a collection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct ReferenceStatus {
    /// The field.
    pub field: String,
    /// What it refers to.
    pub target_collection: String,
    /// Whether that is there.
    pub target_exists: bool,
}

impl Collections<'_> {
    /// How all collections are doing; administrators only.
    pub async fn status_of_all(
        &self,
        identity: &Identity,
    ) -> Result<CollectionsStatus, CollectionError> {
        authorize_admin(identity)?;
        let stored = self.core.inner.store.collections().await?;
        let mut collections = Vec::with_capacity(stored.len());
        for stored in stored {
            let status = self.examine_status(stored).await?;
            collections.push(CollectionSummary {
                name: status.collection,
                label: status.label,
                record_count: status.record_count,
                health_status: status.health_status,
            });
        }
        Ok(CollectionsStatus {
            total_collections: collections.len() as u64,
            total_records: collections.iter().map(|collection| collection.record_count).sum(),
            collections,
        })
    }

    /// How one collection is doing; administrators only.
    pub async fn status(
        &self,
        identity: &Identity,
        name: &str,
    ) -> Result<CollectionStatus, CollectionError> {
        authorize_admin(identity)?;
        let stored = self.core.inner.store.collection(name).await?;
        let stored = stored.ok_or_else(|| CollectionError::NotFound(name.to_owned()))?;
        self.examine_status(stored).await
    }

    async fn examine_status(
        &self,
        stored: StoredCollection,
    ) -> Result<CollectionStatus, CollectionError> {
        let store = &self.core.inner.store;
        let shelved = Shelved::read(stored)?;
        let Collection { id, name, label, updated_at, .. } = &shelved.collection;
        let there = store.field_indexes(*id).await?;
        let indexes: Vec<IndexStatus> = shelved
            .indexes
            .iter()
            .map(|index| {
                let index_name = index.name();
                let has_index = there.contains(&index_name);
                let status = if has_index { "active" } else { "missing" };
                IndexStatus { field: index.fields().join(","), index_name, has_index, status }
            })
            .collect();
        let fields = shelved.schema.fields();
        let mut references = Vec::new();
        for field in fields {
            references.extend(self.reference_status(field).await?);
        }
        let counted = store.count_records(&Scope::Collection(*id), &Filter::always(), None).await;
        let unique = fields.iter().filter(|field| field.is(Trait::Unique));
        Ok(CollectionStatus {
            health_status: health(&shelved, &indexes, &references),
            collection: name.to_string(),
            label: label.clone(),
            record_count: counted.map_err(CollectionError::list)?,
            schema_fields: fields.len() as u64,
            unique_fields: unique.map(|field| field.name.clone()).collect(),
            indexes,
            references,
            last_updated: *updated_at,
        })
    }

    async fn reference_status(&self, field: &Field) -> Result<Option<ReferenceStatus>, StoreError> {
        let Some(reference) = field.reference() else { return Ok(None) };
        let target = reference.collection.clone();
        let inner = &self.core.inner;
        let exists = target == USERS || inner.shelf.get(&inner.store, &target).await?.is_some();
        Ok(Some(ReferenceStatus {
            field: field.name.clone(),
            target_collection: target,
            target_exists: exists,
        }))
    }
}

fn health(shelved: &Shelved, indexes: &[IndexStatus], references: &[ReferenceStatus]) -> Health {
    let missing = shelved.indexes.iter().zip(indexes).filter(|(_, status)| !status.has_index);
    let worst =
        missing.map(|(index, _)| if index.is_unique() { Health::Error } else { Health::Warning });
    let dangling = references.iter().any(|reference| !reference.target_exists);
    worst.chain(dangling.then_some(Health::Error)).max().unwrap_or(Health::Healthy)
}
