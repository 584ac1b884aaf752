//! What collections have to do with each other and with the database beyond their fields: indexes,
//! uniqueness, references.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use serde_json::{Map, Value};
use tinybase_model::{
    Cause, CollectionId, CollectionName, FieldViolation, JsonBytes, ReferenceTarget, Referrer,
};
use tinybase_store::{Cascade, FieldIndex, Reference, Refusal, Store, StoreError};

use crate::Core;
use crate::field::{Field, Trait};
use crate::record::RecordError;
use crate::schema::{Schema, violation};
use crate::shelf::Shelved;

/// The word by which a reference means users.
pub(crate) const USERS: &str = "users";

/// The groups of fields that have to be unique together, from a collection's options.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct UniqueGroups(Vec<Vec<String>>);

/// More groups, and more fields of one, than anybody needs.
const GROUPS_MAX: usize = 20;
const GROUP_FIELDS_MAX: usize = 5;

impl UniqueGroups {
    /// Reads `{"unique": [["a", "b"]]}`.
    pub(crate) fn from_options(
        options: &Value,
        schema: &Schema,
    ) -> Result<Self, Vec<FieldViolation>> {
        let groups = match options.get("unique") {
            None | Some(Value::Null) => return Ok(Self::default()),
            Some(Value::Array(groups)) if groups.len() <= GROUPS_MAX => groups,
            Some(_) => {
                let message = format!("must be a list of at most {GROUPS_MAX} lists of fields");
                return Err(vec![violation("/options/unique", &message)]);
            }
        };
        let mut read = Vec::new();
        let mut violations = Vec::new();
        for (index, group) in groups.iter().enumerate() {
            match group_of(group, schema) {
                Ok(group) => read.push(group),
                Err(message) => {
                    violations.push(violation(&format!("/options/unique/{index}"), &message));
                }
            }
        }
        if violations.is_empty() { Ok(Self(read)) } else { Err(violations) }
    }
}

fn group_of(group: &Value, schema: &Schema) -> Result<Vec<String>, String> {
    let names: Option<Vec<&str>> =
        group.as_array().and_then(|names| names.iter().map(Value::as_str).collect());
    let names = names.filter(|names| (2..=GROUP_FIELDS_MAX).contains(&names.len()));
    let names = names.ok_or_else(|| format!("must list 2 to {GROUP_FIELDS_MAX} fields"))?;
    let distinct: HashSet<&str> = names.iter().copied().collect();
    if distinct.len() < names.len() {
        return Err("names a field twice".to_owned());
    }
    let longest = crate::field::INDEXED_LENGTH_MAX / names.len();
    for name in &names {
        let field = schema.field(name).ok_or_else(|| format!("there is no field {name:?}"))?;
        if field.scalar().is_none() {
            return Err(format!("{name:?} is no single value"));
        }
        if field.text_length_max().is_some_and(|length| length > longest) {
            return Err(format!("{name:?} needs a max_length of at most {longest}"));
        }
    }
    Ok(names.into_iter().map(str::to_owned).collect())
}

/// The indexes that a collection has.
pub(crate) fn indexes(
    collection: CollectionId,
    schema: &Schema,
    groups: &UniqueGroups,
) -> Vec<FieldIndex> {
    let single = schema.fields().iter().filter(|field| field.is_indexed());
    let single = single.map(|field| (vec![field.name.clone()], field.is(Trait::Unique)));
    let together = groups.0.iter().map(|group| (group.clone(), true));
    single
        .chain(together)
        .filter_map(|(fields, is_unique)| FieldIndex::new(collection, fields, is_unique))
        .collect()
}

/// The collections that a schema refers to.
pub(crate) fn targets(schema: &Schema) -> Vec<CollectionName> {
    let names = schema.fields().iter().filter_map(Field::reference);
    let names = names.map(|reference| reference.collection.as_str()).filter(|name| *name != USERS);
    let mut names: Vec<CollectionName> = names.filter_map(|name| name.parse().ok()).collect();
    names.sort();
    names.dedup();
    names
}

/// Who refers to whom, in all collections.
#[derive(Debug, Default)]
pub(crate) struct Relations {
    referrers: Vec<Referrer>,
    versions: HashMap<CollectionId, i64>,
}

impl Relations {
    /// Reads the collections.
    pub(crate) async fn read(store: &Store) -> Result<Self, StoreError> {
        let mut relations = Self::default();
        let mut read = Vec::new();
        for stored in store.collections().await? {
            read.push(Shelved::read(stored)?);
        }
        let ids: HashMap<&str, CollectionId> =
            read.iter().map(|s| (s.collection.name.as_str(), s.collection.id)).collect();
        for shelved in &read {
            relations.versions.insert(shelved.collection.id, shelved.version);
            for field in shelved.schema.fields() {
                let Some(reference) = field.reference() else { continue };
                let target = match reference.collection.as_str() {
                    USERS => Some(ReferenceTarget::User),
                    name => ids.get(name).copied().map(ReferenceTarget::Record),
                };
                relations.referrers.extend(target.map(|target| Referrer {
                    target,
                    collection_id: shelved.collection.id,
                    collection: shelved.collection.name.clone(),
                    field: field.name.clone(),
                    on_delete: reference.on_delete,
                }));
            }
        }
        Ok(relations)
    }

    /// Who refers to records of a collection, from other collections.
    pub(crate) fn others(&self, collection: CollectionId) -> impl Iterator<Item = &Referrer> {
        self.referrers.iter().filter(move |referrer| {
            referrer.target == ReferenceTarget::Record(collection)
                && referrer.collection_id != collection
        })
    }

    /// What a deletion of a target may touch; nothing if nobody refers to it.
    pub(crate) fn cascade(&self, target: ReferenceTarget, cause: &Cause) -> Option<Cascade> {
        let mut reached = vec![target];
        let mut next = 0;
        while let Some(target) = reached.get(next).copied() {
            next += 1;
            for referrer in self.referrers.iter().filter(|referrer| referrer.target == target) {
                let further = ReferenceTarget::Record(referrer.collection_id);
                if !reached.contains(&further) {
                    reached.push(further);
                }
            }
        }
        let referrers: Vec<Referrer> =
            self.referrers.iter().filter(|r| reached.contains(&r.target)).cloned().collect();
        if referrers.is_empty() {
            return None;
        }
        let versions = reached.iter().filter_map(|target| match target {
            ReferenceTarget::Record(collection) => {
                self.versions.get(collection).map(|version| (*collection, *version))
            }
            ReferenceTarget::User => None,
        });
        Some(Cascade { target, versions: versions.collect(), referrers, cause: cause.clone() })
    }
}

impl Core {
    /// The references that data has, with what they point to.
    pub(crate) async fn references(
        &self,
        schema: &Schema,
        data: &JsonBytes,
    ) -> Result<Vec<Reference>, RecordError> {
        let mut references = Vec::new();
        if schema.fields().iter().all(|field| field.reference().is_none()) {
            return Ok(references);
        }
        let data: Map<String, Value> = data.parse().unwrap_or_default();
        for field in schema.fields() {
            let (Some(reference), Some(Value::String(id))) =
                (field.reference(), data.get(&field.name))
            else {
                continue;
            };
            let target = if reference.collection == USERS {
                ReferenceTarget::User
            } else {
                let inner = &self.inner;
                match inner.shelf.get(&inner.store, &reference.collection).await? {
                    Some(target) => ReferenceTarget::Record(target.collection.id),
                    None => return Err(no_target(&field.name)),
                }
            };
            references.push(Reference { field: field.name.clone(), target, id: id.clone() });
        }
        Ok(references)
    }

    /// Who refers to whom.
    pub(crate) async fn relations(&self) -> Result<Arc<Relations>, StoreError> {
        self.inner.shelf.relations(&self.inner.store).await
    }
}

fn no_target(field: &str) -> RecordError {
    let message = "does not exist: there is nothing with this id to refer to";
    RecordError::Invalid(vec![violation(&format!("/data/{field}"), message)])
}

/// What a refusal of the database means for a record of a collection.
pub(crate) fn refused(shelved: &Shelved, error: StoreError) -> RecordError {
    let StoreError::Refused(refusal) = error else { return RecordError::Store(error) };
    match refusal {
        Refusal::Duplicate(name) => {
            let index = shelved.indexes.iter().find(|index| index.name() == name);
            index.map_or(RecordError::Changed, |index| not_unique(index.fields()))
        }
        Refusal::NoTarget(field) => no_target(&field),
        Refusal::Referenced { collection, field } => RecordError::Referenced { collection, field },
        Refusal::CascadeTooLarge(limit) => RecordError::CascadeTooLarge(limit),
    }
}

fn not_unique(fields: &[String]) -> RecordError {
    let violations = fields.iter().map(|field| {
        violation(&format!("/data/{field}"), "must be unique; another record has this value")
    });
    RecordError::NotUnique { fields: fields.join("', '"), violations: violations.collect() }
}
