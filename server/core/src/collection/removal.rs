//! Deleting a collection. It vanishes at once; its records go in steps, so that a large one doesn't
//! hold up other writes, and a server that was stopped in between goes on at its next start.

use tinybase_model::{Cause, Collection, Identity};
use tinybase_store::{CondemnedCollection, Written};

use super::{CollectionError, Collections, TRIES_MAX};
use crate::Core;
use crate::access::authorize_admin;
use crate::relations::Relations;

/// How many records go in one transaction.
const STEP: u32 = 500;

impl Collections<'_> {
    /// Deletes a collection with its records, each with its `record.delete` event, and tells how
    /// many there were; administrators only. Before-hooks aren't asked.
    ///
    /// # Errors
    /// [`CollectionError::Referenced`] if another collection refers to it.
    pub async fn delete(&self, cause: &Cause, name: &str) -> Result<u64, CollectionError> {
        authorize_admin(&cause.identity)?;
        let inner = &self.core.inner;
        for _ in 0..TRIES_MAX {
            let missing = || CollectionError::NotFound(name.to_owned());
            let stored = inner.store.collection(name).await?.ok_or_else(missing)?;
            let collection = stored.collection;
            let relations = Relations::read(&inner.store).await?;
            if let Some(referrer) = relations.others(collection.id).next() {
                return Err(CollectionError::Referenced {
                    name: name.to_owned(),
                    by: referrer.collection.to_string(),
                    field: referrer.field.clone(),
                });
            }
            let written = inner.store.condemn_collection(collection.id, stored.version).await;
            inner.shelf.forget(name);
            if written? == Written::Done {
                self.core.note(cause, "collection.delete", "collection", name);
                let condemned = CondemnedCollection { id: collection.id, name: collection.name };
                return Ok(self.core.finish_deletion(&condemned, cause).await?);
            }
        }
        Err(CollectionError::Changed(name.to_owned()))
    }
}

impl Core {
    /// Deletes the records of a condemned collection, then the rest of it.
    async fn finish_deletion(
        &self,
        condemned: &CondemnedCollection,
        cause: &Cause,
    ) -> Result<u64, tinybase_store::StoreError> {
        let store = &self.inner.store;
        let mut total = 0;
        loop {
            let deleted = store.delete_records_of(condemned.clone(), cause.clone(), STEP).await?;
            if deleted == 0 {
                break;
            }
            total += deleted;
            self.events_committed();
        }
        store.delete_condemned(condemned.id).await?;
        Ok(total)
    }

    /// Brings the database in line with the collections: deletions that were interrupted go on, and
    /// indexes that are missing are made. Called at the start.
    pub async fn repair_collections(&self) -> Result<(), CollectionError> {
        let store = &self.inner.store;
        let cause = Cause::request(Identity::Operator, String::new());
        for condemned in store.condemned_collections().await? {
            let records = self.finish_deletion(&condemned, &cause).await?;
            tracing::info!(collection = %condemned.name, records, "finished deleting a collection");
        }
        for stored in store.collections().await? {
            if let Err(error) = self.repair_indexes_of(&stored.collection).await {
                let collection = stored.collection.name;
                tracing::error!(%collection, %error, "the indexes of a collection are incomplete");
            }
        }
        Ok(())
    }

    /// Makes the indexes over fields that the collections should have and the database lacks, such
    /// as one that was copied from the other kind; tells how many collections there are.
    ///
    /// # Errors
    /// If one can't be made.
    pub async fn repair_indexes(&self) -> Result<usize, CollectionError> {
        let collections = self.inner.store.collections().await?;
        for stored in &collections {
            self.repair_indexes_of(&stored.collection).await?;
        }
        Ok(collections.len())
    }

    async fn repair_indexes_of(&self, collection: &Collection) -> Result<(), CollectionError> {
        let indexes = super::Definition::of(collection)?.indexes(collection.id);
        Ok(self.inner.store.repair_field_indexes(collection.id, indexes).await?)
    }
}
