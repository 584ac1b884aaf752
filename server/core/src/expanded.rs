//! Records with what they refer to, as far as whoever asks may read it.
//!
//! Each level of references is one read of records and one of users, however many there are. What may
//! not be read, isn't there or is gone is left out without a word, so that nobody learns which.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use serde::Serialize;
use serde_json::{Map, Value};
use tinybase_model::{Record, RecordId, User, UserId};
use tinybase_store::Store;

use crate::Core;
use crate::access::{Actor, Operation, authorize, authorize_user};
use crate::expansion::{Branch, Expansion, Target};
use crate::record::RecordError;

/// The most bytes of expanded records in an answer: many may refer to a large one.
const BYTES_MAX: usize = 16 << 20;

/// What a record refers to, by field.
pub(crate) type Expand = BTreeMap<String, Arc<Expanded>>;

/// Something that a record refers to.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum Expanded {
    User(User),
    Record(ExpandedRecord),
}

/// A record with what it refers to.
#[derive(Debug, Serialize)]
pub(crate) struct ExpandedRecord {
    #[serde(flatten)]
    record: Record,
    #[serde(skip_serializing_if = "Option::is_none")]
    expand: Option<Expand>,
    #[serde(skip)]
    bytes: usize,
}

/// About how many bytes a record or user has beside its data.
const BYTES_FIXED: usize = 256;

impl Expanded {
    const fn bytes(&self) -> usize {
        match self {
            Self::User(_) => BYTES_FIXED,
            Self::Record(record) => record.bytes,
        }
    }
}

/// What is known of the targets of one reference, by id.
#[derive(Default)]
struct Targets {
    users: HashMap<String, User>,
    records: HashMap<String, (Record, Links)>,
}

/// The ids that a record has in its reference fields.
type Links = Map<String, Value>;

impl Core {
    /// What each of some records refers to.
    pub(crate) async fn expand(
        &self,
        actor: Actor<'_>,
        records: &[Record],
        expansion: &Expansion,
    ) -> Result<Vec<Option<Expand>>, RecordError> {
        if expansion.branches.is_empty() {
            return Ok(records.iter().map(|_| None).collect());
        }
        let mut reading = Reading {
            actor,
            expansion,
            roots: records.iter().map(links).collect(),
            targets: expansion.branches.iter().map(|_| Targets::default()).collect(),
        };
        for level in expansion.levels() {
            reading.read(&self.inner.store, &level).await?;
        }
        let Reading { roots, targets, .. } = reading;
        let built = build(expansion, targets);
        let mut bytes = 0;
        let expanded = roots.iter().map(|links| {
            let (expand, size) = gather(links, expansion.of(None), &built);
            bytes += size;
            Some(expand)
        });
        let expanded = expanded.collect();
        if bytes > BYTES_MAX {
            let detail = format!(
                "expand: what the records refer to has {bytes} bytes, more than {BYTES_MAX}; ask \
                 for fewer records or references"
            );
            return Err(RecordError::Query(detail));
        }
        Ok(expanded)
    }
}

/// What was read so far.
struct Reading<'a> {
    actor: Actor<'a>,
    expansion: &'a Expansion,
    roots: Vec<Links>,
    targets: Vec<Targets>,
}

impl Reading<'_> {
    /// Reads what the references of a level point to, as far as it may be read.
    async fn read(&mut self, store: &Store, level: &[usize]) -> Result<(), RecordError> {
        let wanted: Vec<_> = level.iter().map(|place| (*place, self.ids(*place))).collect();
        let (mut users, mut records) = (BTreeSet::<UserId>::new(), BTreeSet::<RecordId>::new());
        for (place, ids) in &wanted {
            match &self.expansion.branches[*place].target {
                Target::User => users.extend(ids.iter().filter_map(|id| id.parse::<UserId>().ok())),
                Target::Record(_) => {
                    records.extend(ids.iter().filter_map(|id| id.parse::<RecordId>().ok()));
                }
            }
        }
        users.retain(|id| authorize_user(self.actor, *id).is_ok());
        let users = store.users_by_id(&users.into_iter().collect::<Vec<_>>()).await?;
        let users: HashMap<String, User> =
            users.into_iter().map(|user| (user.id.to_string(), user)).collect();
        let records = store.records_by_id(&records.into_iter().collect::<Vec<_>>()).await?;
        let records: HashMap<String, Record> =
            records.into_iter().map(|record| (record.id.to_string(), record)).collect();
        for (place, ids) in wanted {
            let targets = &mut self.targets[place];
            match &self.expansion.branches[place].target {
                Target::User => {
                    let found = ids.into_iter().filter_map(|id| users.get_key_value(&id));
                    targets.users = found.map(|(id, user)| (id.clone(), user.clone())).collect();
                }
                Target::Record(shelved) => {
                    let found = ids.into_iter().filter_map(|id| records.get_key_value(&id));
                    let readable = found.filter(|(_, record)| {
                        let attempt = shelved.attempt(Operation::Read, Some(record));
                        record.collection_id == shelved.collection.id
                            && authorize(self.actor, attempt).is_ok()
                    });
                    let shown = readable.map(|(id, record)| {
                        let shown = shelved.shown(self.actor, record.clone());
                        (id.clone(), (shown, links(record)))
                    });
                    targets.records = shown.collect();
                }
            }
        }
        Ok(())
    }

    /// The ids in a reference of what was read before.
    fn ids(&self, place: usize) -> BTreeSet<String> {
        let branch = &self.expansion.branches[place];
        let id = |links: &Links| links.get(&branch.field)?.as_str().map(str::to_owned);
        match branch.parent {
            None => self.roots.iter().filter_map(id).collect(),
            Some(parent) => {
                self.targets[parent].records.values().filter_map(|(_, links)| id(links)).collect()
            }
        }
    }
}

/// The texts of a record's data, among which its references are.
fn links(record: &Record) -> Links {
    // Data is an object.
    let mut data: Links = record.data.parse().unwrap_or_default();
    data.retain(|_, value| value.as_str().is_some_and(|text| text.len() == UUID_LENGTH));
    data
}

/// How long an id is as text.
const UUID_LENGTH: usize = 36;

/// Everything that references point to, by reference and id.
type Built = Vec<HashMap<String, Arc<Expanded>>>;

/// Puts what was read into each other, from the last references to the first.
fn build(expansion: &Expansion, mut targets: Vec<Targets>) -> Built {
    let mut built: Built = targets.iter().map(|_| HashMap::new()).collect();
    // Each stands after the one that it goes on from.
    for place in (0..targets.len()).rev() {
        let Targets { users, records } = std::mem::take(&mut targets[place]);
        let users = users.into_iter().map(|(id, user)| (id, Arc::new(Expanded::User(user))));
        let goes_on = expansion.of(Some(place)).next().is_some();
        let records = records.into_iter().map(|(id, (record, links))| {
            let (expand, bytes) = gather(&links, expansion.of(Some(place)), &built);
            let bytes = bytes + record.data.bytes().len() + BYTES_FIXED;
            let expand = goes_on.then_some(expand);
            (id, Arc::new(Expanded::Record(ExpandedRecord { record, expand, bytes })))
        });
        let all = users.chain(records).collect();
        built[place] = all;
    }
    built
}

/// What a record refers to, and its size.
fn gather<'a>(
    links: &Links,
    branches: impl Iterator<Item = (usize, &'a Branch)>,
    built: &Built,
) -> (Expand, usize) {
    let found = branches.filter_map(|(place, branch)| {
        let id = links.get(&branch.field)?.as_str()?;
        Some((branch.field.clone(), Arc::clone(built[place].get(id)?)))
    });
    let expand: Expand = found.collect();
    let bytes = expand.values().map(|one| one.bytes()).sum();
    (expand, bytes)
}
