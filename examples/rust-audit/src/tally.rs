//! How many penguins of each species have come by.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use tinybase_sdk::prelude::*;

use crate::PENGUINS;

/// How often the count of a species is worth a line in the log.
const MILESTONE: usize = 50;

/// The species of each penguin. Kept by record, so that an event that is delivered twice, or a
/// record that is also read at the start, counts once.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    species: Mutex<HashMap<String, String>>,
}

impl Tally {
    /// Notes a penguin and returns how many of its species there are now, if it is a new one.
    fn note(&self, record_id: String, species: &str) -> Option<usize> {
        let mut all = self.species.lock().unwrap_or_else(PoisonError::into_inner);
        if all.insert(record_id, species.to_owned()).is_some() {
            return None;
        }
        Some(all.values().filter(|other| *other == species).count())
    }

    /// How many there are of each species.
    pub(crate) fn counts(&self) -> BTreeMap<String, usize> {
        let all = self.species.lock().unwrap_or_else(PoisonError::into_inner);
        let mut counts = BTreeMap::new();
        for species in all.values() {
            *counts.entry(species.clone()).or_default() += 1;
        }
        counts
    }
}

/// Reads what is there already. Memory doesn't survive a restart, and the events before it don't
/// come again.
pub(crate) async fn prime(ctx: Context, tally: Arc<Tally>) -> Result {
    let stored = match ctx.records().list::<Value>(PENGUINS).page_size(1000).all().await {
        Ok(stored) => stored,
        Err(error) if error.is_not_found() => Vec::new(),
        Err(error) => return Err(error.into()),
    };
    let number = stored.len();
    for penguin in stored {
        tally.note(penguin.id, species(&penguin.data));
    }
    tracing::info!("{number} penguins are here already");
    Ok(())
}

/// Counts a penguin that was created.
pub(crate) async fn count(penguin: RecordCreate, tally: Arc<Tally>) -> Result {
    let species = species(&penguin.data);
    match tally.note(penguin.record_id, species) {
        Some(number) if number % MILESTONE == 0 => {
            tracing::info!(species, number, "{species} penguin number {number}");
        }
        Some(number) => tracing::debug!(species, number, "counted"),
        None => tracing::debug!("counted before"),
    }
    Ok(())
}

pub(crate) fn species(data: &Value) -> &str {
    data["species"].as_str().unwrap_or("unknown")
}
