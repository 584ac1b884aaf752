//! How many records a list has, without making the list slow.
//!
//! Counting takes as long as there are records. So a list counts to a bound; beyond it the exact
//! number is found once and kept for some seconds, however many pages are read meanwhile.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tinybase_model::Filter;
use tinybase_store::{ListError, Scope, Store};
use tokio::time::Instant;

/// Up to here totals are exact and of now.
pub(crate) const COUNTED_MAX: u32 = 1000;
/// How long a larger total is kept.
const KEPT: Duration = Duration::from_secs(10);
/// How many are kept.
const ENTRIES_MAX: usize = 1000;

/// Totals of large lists.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    entries: Mutex<HashMap<String, (u64, Instant)>>,
}

impl Counts {
    /// How many records fulfil a filter.
    pub(crate) async fn total(
        &self,
        store: &Store,
        scope: &Scope,
        filter: &Filter,
    ) -> Result<u64, ListError> {
        let some = store.count_records(scope, filter, Some(COUNTED_MAX + 1)).await?;
        if some <= u64::from(COUNTED_MAX) {
            return Ok(some);
        }
        let key = format!("{scope:?} {filter:?}");
        if let Some((total, kept_until)) = self.lock().get(&key).copied()
            && kept_until > Instant::now()
        {
            return Ok(total);
        }
        let total = store.count_records(scope, filter, None).await?;
        let mut entries = self.lock();
        if entries.len() >= ENTRIES_MAX {
            entries.clear();
        }
        entries.insert(key, (total, Instant::now() + KEPT));
        Ok(total)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, (u64, Instant)>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
