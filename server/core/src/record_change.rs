//! Creating, changing and deleting records: check, ask the before-hooks, write what was checked.
//!
//! Hooks run outside the transaction. What the write rests on (the collection's version, the
//! record's version) is checked again inside it; if it has changed, everything is done again.

use serde_json::{Map, Value};
use tinybase_model::{Event, FieldViolation, JsonBytes, Record, RecordEvent, RecordId, UserId};
use tinybase_store::Written;

use crate::access::{Operation, authorize};
use crate::acting::Acting;
use crate::collection::TRIES_MAX;
use crate::hook_engine::{Approved, HookRefusal};
use crate::record::RecordError;
use crate::relations::refused;
use crate::schema::{Schema, violation};
use crate::{Committed, Core};

/// The version of a record that was just created.
pub(crate) const FIRST_VERSION: i64 = 1;

/// Which record is to be changed, and what it is expected to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordAddress<'a> {
    /// The collection; none for a record of any.
    pub collection: Option<&'a str>,
    /// The record.
    pub id: RecordId,
    /// In which version.
    pub expected: Expected,
}

impl<'a> RecordAddress<'a> {
    /// A record as it is.
    pub const fn any(collection: Option<&'a str>, id: RecordId) -> Self {
        Self { collection, id, expected: Expected::Any }
    }
}

/// In which version a record may be changed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Expected {
    /// In any.
    #[default]
    Any,
    /// In one of these.
    OneOf(Vec<i64>),
}

impl Expected {
    /// Whether a version is expected.
    pub fn admits(&self, version: i64) -> bool {
        match self {
            Self::Any => true,
            Self::OneOf(versions) => versions.contains(&version),
        }
    }
}

/// How a record's data changes.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// These fields are put over the old ones.
    Merge(Map<String, Value>),
    /// This takes the place of the old data.
    Replace(Map<String, Value>),
}

impl Change {
    /// The new data. What is `kept` isn't there for whoever changes the record, and stays.
    pub(crate) fn applied_to(
        &self,
        old: &JsonBytes,
        kept: &[&str],
    ) -> Result<Map<String, Value>, RecordError> {
        let is_kept = |name: &String| kept.contains(&name.as_str());
        let (fields, mut data) = match self {
            Self::Merge(fields) => (fields, object(old)?),
            Self::Replace(fields) if kept.is_empty() => return Ok(fields.clone()),
            Self::Replace(fields) => {
                let mut old = object(old)?;
                old.retain(|name, _| is_kept(name));
                (fields, old)
            }
        };
        let given = fields.iter().filter(|(name, _)| !is_kept(name));
        data.extend(given.map(|(name, value)| (name.clone(), value.clone())));
        Ok(data)
    }
}

/// A change of a record's data, and of its owner if that is asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Edit {
    /// How the data changes.
    pub change: Change,
    /// To whom it is to belong.
    pub owner: Owner,
}

impl From<Change> for Edit {
    fn from(change: Change) -> Self {
        Self { change, owner: Owner::Same }
    }
}

/// To whom a record is to belong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Owner {
    /// To whom it belongs already; a new one to whoever creates it.
    #[default]
    Same,
    /// To this user, or to nobody.
    Given(Option<UserId>),
}

impl Core {
    /// Creates a record with an owner.
    pub(crate) async fn create_record(
        &self,
        acting: Acting<'_>,
        collection: &str,
        data: Map<String, Value>,
        owner: Owner,
    ) -> Result<Committed<Record>, RecordError> {
        let mut draft = self.draft(acting, collection, data, owner).await?;
        for _ in 0..TRIES_MAX {
            let creation = self.creation(acting, &draft).await?;
            let record = creation.record.clone();
            let created = self.inner.store.create_record(creation).await;
            match created.map_err(|error| refused(&draft.shelved, error))? {
                Written::Done => {
                    self.events_committed();
                    let value = draft.shelved.shown(acting.actor(), record);
                    return Ok(Committed { value, failed_open: draft.failed_open });
                }
                Written::Stale => {
                    self.inner.shelf.forget(collection);
                    draft.shelved = self.find_collection(collection).await?;
                    let attempt = draft.shelved.attempt(Operation::Create, None);
                    authorize(acting.actor(), attempt)?;
                    let data = object(&draft.event.data)?;
                    draft.event.data = self.checked(&draft.shelved.schema, data)?;
                }
            }
        }
        Err(RecordError::Changed)
    }

    /// Changes a record.
    pub(crate) async fn change_record(
        &self,
        acting: Acting<'_>,
        address: &RecordAddress<'_>,
        edit: Edit,
    ) -> Result<Committed<Record>, RecordError> {
        for _ in 0..TRIES_MAX {
            let mut found = self.reach(acting.actor(), Operation::Update, address).await?;
            found.expect(&address.expected)?;
            let (change, failed_open) = self.change_of(acting, &mut found, &edit).await?;
            let written = self.inner.store.update_record(change).await;
            if written.map_err(|error| refused(&found.shelved, error))? == Written::Done {
                self.events_committed();
                let value = found.shelved.shown(acting.actor(), found.record);
                return Ok(Committed { value, failed_open });
            }
            self.inner.shelf.forget(found.record.collection.as_str());
        }
        Err(RecordError::Changed)
    }

    /// Deletes a record.
    pub(crate) async fn delete_record(
        &self,
        acting: Acting<'_>,
        address: &RecordAddress<'_>,
    ) -> Result<Committed<()>, RecordError> {
        for _ in 0..TRIES_MAX {
            let found = self.reach(acting.actor(), Operation::Delete, address).await?;
            found.expect(&address.expected)?;
            let (deletion, failed_open) = self.deletion_of(acting, &found).await?;
            let written = self.inner.store.delete_record(deletion).await;
            if written.map_err(|error| refused(&found.shelved, error))? == Written::Done {
                self.events_committed();
                return Ok(Committed { value: (), failed_open });
            }
            self.inner.shelf.forget(found.record.collection.as_str());
        }
        Err(RecordError::Changed)
    }

    /// Asks the before-hooks about a record.
    pub(crate) async fn approve(
        &self,
        event: Event,
        acting: Acting<'_>,
    ) -> Result<(RecordEvent, Vec<tinybase_model::ExtensionName>), HookRefusal> {
        let Approved { event, failed_open } = self.inner.hooks.before(event, acting.cause).await?;
        Ok((record_event(event), failed_open))
    }

    /// Data that fits the schema, as it is stored.
    pub(crate) fn checked(
        &self,
        schema: &Schema,
        data: Map<String, Value>,
    ) -> Result<JsonBytes, RecordError> {
        let data = schema.check(data).map_err(RecordError::Invalid)?;
        let data = JsonBytes::from(&data);
        let (size, limit) = (data.bytes().len(), self.inner.options.record_bytes_max);
        if size > limit {
            return Err(RecordError::TooLarge { size, limit });
        }
        Ok(data)
    }
}

/// The record in an event about one.
fn record_event(event: Event) -> RecordEvent {
    match event {
        Event::RecordCreate(record) | Event::RecordUpdate(record) | Event::RecordDelete(record) => {
            record
        }
        Event::UserRegister(_)
        | Event::UserLogin(_)
        | Event::FunctionCall(_)
        | Event::FunctionComplete(_) => unreachable!("hooks keep an event's kind"),
    }
}

/// Data as an object; only a hook can have made it something else.
pub(crate) fn object(data: &JsonBytes) -> Result<Map<String, Value>, RecordError> {
    data.parse().map_err(|_| {
        let violations: Vec<FieldViolation> = vec![violation("/data", "must be an object")];
        RecordError::Invalid(violations)
    })
}
