//! The handle to the database.

use crate::StoreError;

/// The database. Cloning is cheap and shares everything.
#[derive(Debug, Clone)]
pub struct Store;

impl Store {
    /// Whether the database answers.
    pub async fn ping(&self) -> Result<(), StoreError> {
        todo!()
    }
}
