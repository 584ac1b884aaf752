//! How many records each collection has.

use crate::sql::{Sql, query};
use crate::{Store, StoreError};

/// How many records a collection has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CollectionSize {
    /// The collection's name.
    pub name: String,
    /// How many.
    pub records: u64,
}

/// Counts in the index that begins with the collection, never in the records themselves.
pub(crate) const COLLECTION_SIZES: Sql = Sql::same(
    "
    select c.name, (select count(*) from records r where r.collection_id = c.id)
    from collections c order by c.name",
);

impl Store {
    /// The sizes of all collections, by name.
    pub async fn collection_sizes(&self) -> Result<Vec<CollectionSize>, StoreError> {
        let fault = StoreError::read("the sizes of collections");
        let read = async {
            let rows = query(COLLECTION_SIZES).fetch_all(self.reader()).await?;
            let size = |row: &crate::sql::Row| {
                Ok(CollectionSize { name: row.text(0)?.to_owned(), records: row.count(1)? })
            };
            rows.iter().map(size).collect::<Result<Vec<_>, sqlx::Error>>()
        };
        read.await.map_err(fault)
    }
}
