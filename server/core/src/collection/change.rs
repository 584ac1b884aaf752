//! Changing a collection: the records that are there are checked against the new schema first, and
//! a change that would break some is refused with a report.
//!
//! Records are read in batches while others go on writing. What was written meanwhile is in the
//! event log and checked once more in the transaction that makes the change.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;
use serde_json::{Map, Value};
use tinybase_model::{Cause, Collection, FieldViolation, Filter, JsonBytes, Record, RecordId};
use tinybase_store::{
    CollectionUpdate, CollectionWritten, Duplicates, ListHints, PageStart, Recheck, RecordQuery,
    Scope, StoredCollection, now,
};

use super::{CollectionChange, CollectionError, Collections, Definition, TRIES_MAX};
use crate::access::authorize_admin;
use crate::schema::{Schema, violation};
use crate::search::refill;

/// What a change of a schema does to the records that are there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct ChangeReport {
    /// How many records there are.
    pub records: u64,
    /// Why the change can't be made, by field and reason; empty if it can.
    pub problems: Vec<ChangeProblem>,
    /// The first records that don't fit, at most 20.
    #[schema(value_type = Vec<String>)]
    pub record_ids: Vec<RecordId>,
    /// Fields that go away with the values that records have in them.
    pub removed: Vec<RemovedField>,
    /// The problems as an error shows them.
    #[serde(skip)]
    pub(crate) violations: Vec<FieldViolation>,
}

/// One reason why records don't fit a new schema.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct ChangeProblem {
    /// The field, as a JSON pointer into the data.
    pub field: String,
    /// What is wrong.
    pub reason: String,
    /// In how many records.
    pub records: u64,
}

/// A field that goes away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct RemovedField {
    /// Its name.
    pub field: String,
    /// How many records have a value in it.
    pub records: u64,
}

/// How many records are read at once.
const BATCH: u32 = 500;
const RECORD_IDS_MAX: usize = 20;
/// More reasons than anybody reads; further ones aren't told apart.
const PROBLEMS_MAX: usize = 100;

impl Collections<'_> {
    /// Changes a collection; administrators only. With a dry run nothing changes.
    ///
    /// # Errors
    /// [`CollectionError::Breaks`] with a report if records don't fit.
    pub async fn update(
        &self,
        cause: &Cause,
        name: &str,
        change: CollectionChange,
    ) -> Result<Collection, CollectionError> {
        self.change(cause, name, change, false).await.map(|(collection, _)| collection)
    }

    /// What a change would do; administrators only.
    pub async fn try_update(
        &self,
        cause: &Cause,
        name: &str,
        change: CollectionChange,
    ) -> Result<ChangeReport, CollectionError> {
        self.change(cause, name, change, true).await.map(|(_, report)| report)
    }

    async fn change(
        &self,
        cause: &Cause,
        name: &str,
        change: CollectionChange,
        is_dry_run: bool,
    ) -> Result<(Collection, ChangeReport), CollectionError> {
        authorize_admin(&cause.identity)?;
        let inner = &self.core.inner;
        for _ in 0..TRIES_MAX {
            let stored = inner.store.collection(name).await?;
            let Some(StoredCollection { mut collection, version }) = stored else {
                return Err(CollectionError::NotFound(name.to_owned()));
            };
            let old = Definition::of(&collection)?;
            change.clone().apply(&mut collection);
            let new = Definition::of(&collection)?;
            self.check_targets(&new, &collection.name).await?;
            collection.updated_at = now();
            let since = inner.store.events_head().await?;
            let report = self.examine(&collection, &old.schema, &new.schema).await?;
            if is_dry_run {
                let indexes = new.indexes(collection.id);
                let duplicates = inner.store.duplicates(collection.id, &indexes).await?;
                return Ok((collection, report.with_duplicates(duplicates)));
            }
            if !report.problems.is_empty() {
                return Err(report.into_error());
            }
            let schema = new.schema.clone();
            let recheck = Some(Recheck {
                since,
                fits: Arc::new(move |data: &JsonBytes| misfits(&schema, data).is_empty()),
            });
            let refill = refill(collection.id, &old.schema, &new.schema);
            let write = new.write(collection.clone());
            let update = CollectionUpdate { write, version, recheck, refill };
            let written = inner.store.update_collection(update).await;
            inner.shelf.forget(name);
            match written? {
                CollectionWritten::Done => {
                    self.forget_targets(&new);
                    self.core.note(cause, "collection.update", "collection", name);
                    self.drop_removed(&collection, &report).await?;
                    return Ok((collection, report));
                }
                CollectionWritten::Duplicates(duplicates) => {
                    let report = report.with_duplicates(duplicates);
                    return Err(report.into_error());
                }
                CollectionWritten::NameTaken
                | CollectionWritten::Stale
                | CollectionWritten::NoTarget(_) => {}
            }
        }
        Err(CollectionError::Changed(name.to_owned()))
    }

    /// Checks all records against a new schema.
    async fn examine(
        &self,
        collection: &Collection,
        old: &Schema,
        new: &Schema,
    ) -> Result<ChangeReport, CollectionError> {
        let removed = old.fields().iter().filter(|field| !new.has(&field.name));
        let mut examination = Examination {
            schema: new,
            records: 0,
            problems: BTreeMap::new(),
            record_ids: Vec::new(),
            removed: removed.map(|field| (field.name.clone(), 0)).collect(),
        };
        let mut from = PageStart::Offset(0);
        loop {
            let query = RecordQuery {
                scope: Scope::Collection(collection.id),
                filter: Filter::always(),
                sort: Vec::new(),
                from,
                limit: BATCH,
                hints: ListHints::default(),
            };
            let records = self.core.inner.store.list_records(&query).await;
            let records = records.map_err(CollectionError::list)?;
            for record in &records {
                examination.add(record);
            }
            match records.last() {
                Some(last) if records.len() >= BATCH as usize => {
                    from = PageStart::After { values: Vec::new(), id: last.id }
                }
                Some(_) | None => return Ok(examination.report()),
            }
        }
    }

    /// Takes the values of removed fields out of the records, in steps.
    async fn drop_removed(
        &self,
        collection: &Collection,
        report: &ChangeReport,
    ) -> Result<(), CollectionError> {
        let fields: Vec<String> = report.removed.iter().map(|r| r.field.clone()).collect();
        if fields.is_empty() {
            return Ok(());
        }
        let mut after = None;
        loop {
            let step = self.core.inner.store.drop_fields(collection.id, &fields, after).await?;
            match step {
                Some(last) => after = Some(last),
                None => return Ok(()),
            }
        }
    }
}

/// The records that were looked at so far.
struct Examination<'a> {
    schema: &'a Schema,
    records: u64,
    problems: BTreeMap<(String, String), u64>,
    record_ids: Vec<RecordId>,
    removed: BTreeMap<String, u64>,
}

impl Examination<'_> {
    fn add(&mut self, record: &Record) {
        self.records += 1;
        let data: Map<String, Value> = record.data.parse().unwrap_or_default();
        for (field, records) in &mut self.removed {
            *records += u64::from(data.get(field).is_some_and(|value| !value.is_null()));
        }
        let misfits = misfits_of(self.schema, data);
        if misfits.is_empty() {
            return;
        }
        if self.record_ids.len() < RECORD_IDS_MAX {
            self.record_ids.push(record.id);
        }
        for misfit in misfits {
            if self.problems.len() < PROBLEMS_MAX || self.problems.contains_key(&misfit) {
                *self.problems.entry(misfit).or_default() += 1;
            }
        }
    }

    fn report(self) -> ChangeReport {
        let problems = self.problems.into_iter();
        let removed = self.removed.into_iter();
        ChangeReport {
            records: self.records,
            problems: problems
                .map(|((field, reason), records)| ChangeProblem { field, reason, records })
                .collect(),
            record_ids: self.record_ids,
            removed: removed.map(|(field, records)| RemovedField { field, records }).collect(),
            violations: Vec::new(),
        }
    }
}

impl ChangeReport {
    /// The problems in one sentence.
    pub(crate) fn summary(&self) -> String {
        let problems = self.problems.iter().map(|problem| {
            format!("{} {} ({} records)", problem.field, problem.reason, problem.records)
        });
        problems.collect::<Vec<_>>().join("; ")
    }

    fn into_error(mut self) -> CollectionError {
        let problems = self.problems.iter();
        self.violations = problems.map(|p| violation(&p.field, &p.reason)).collect();
        CollectionError::Breaks(Box::new(self))
    }

    fn with_duplicates(mut self, duplicates: Vec<Duplicates>) -> Self {
        for Duplicates { fields, values } in duplicates {
            let shown: Vec<_> =
                values.iter().map(|(value, count)| format!("{value} ({count} records)")).collect();
            self.problems.push(ChangeProblem {
                field: format!("/data/{}", fields.join(", /data/")),
                reason: format!("has values more than once: {}", shown.join(", ")),
                records: values.iter().map(|(_, count)| count).sum(),
            });
        }
        self
    }
}

/// What about stored data doesn't fit a schema.
fn misfits(schema: &Schema, data: &JsonBytes) -> Vec<(String, String)> {
    misfits_of(schema, data.parse().unwrap_or_default())
}

fn misfits_of(schema: &Schema, data: Map<String, Value>) -> Vec<(String, String)> {
    let stored = data.clone();
    let checked = match schema.check(data) {
        Ok(checked) => checked,
        Err(violations) => {
            return violations
                .into_iter()
                .map(|v| (without_indexes(&v.field), v.message))
                .collect();
        }
    };
    // A value that would be stored differently now makes lists and indexes wrong.
    let differs = checked.iter().filter(|(name, value)| {
        stored.get(*name).is_some_and(|old| old != *value && !old.is_null())
    });
    let reason = "would be stored differently; write these records anew first, or keep the type";
    differs.map(|(name, _)| (format!("/data/{name}"), reason.to_owned())).collect()
}

/// A pointer with `*` for positions in lists, so that reasons can be counted.
fn without_indexes(pointer: &str) -> String {
    let parts = pointer.split('/');
    let parts = parts.map(|part| {
        let is_index = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        if is_index { "*" } else { part }
    });
    parts.collect::<Vec<_>>().join("/")
}
