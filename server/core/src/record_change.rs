//! Creating, changing and deleting records: check, ask the before-hooks, write what was checked.
//!
//! Hooks run outside the transaction. What the write rests on (the collection's version, the
//! record's version) is checked again inside it; if it has changed, everything is done again.

use jiff::Timestamp;
use serde_json::{Map, Value};
use tinybase_model::{
    Collection, Event, FieldViolation, JsonBytes, Record, RecordEvent, RecordId, ReferenceTarget,
    UserId,
};
use tinybase_store::{NewEvent, RecordChange, RecordCreation, RecordDeletion, Written, now};

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

impl Core {
    /// Creates a record with an owner.
    pub(crate) async fn create_record(
        &self,
        acting: Acting<'_>,
        collection: &str,
        mut data: Map<String, Value>,
        owner_id: Option<UserId>,
    ) -> Result<Committed<Record>, RecordError> {
        let mut shelved = self.find_collection(collection).await?;
        authorize(acting.actor(), shelved.attempt(Operation::Create, None))?;
        let unseen = shelved.unseen(acting.actor());
        data.retain(|name, _| !unseen.contains(&name.as_str()));
        let draft = RecordEvent {
            collection: collection.to_owned(),
            record_id: None,
            owner_id,
            data: self.checked(&shelved.schema, data)?,
            old_data: None,
            version: FIRST_VERSION,
        };
        let asked = draft.data.clone();
        let (mut draft, failed_open) = self.approve(Event::RecordCreate(draft), acting).await?;
        if draft.data != asked {
            draft.data = self.checked(&shelved.schema, object(&draft.data)?)?;
        }
        let id = RecordId::generate();
        draft.record_id = Some(id);
        for _ in 0..TRIES_MAX {
            let record = new_record(id, &shelved.collection, &draft);
            authorize(acting.actor(), shelved.attempt(Operation::Create, Some(&record)))?;
            let event = Event::RecordCreate(draft);
            let creation = RecordCreation {
                references: self.references(&shelved.schema, &record.data).await?,
                terms: shelved.terms(&record.data),
                event: NewEvent::new(&event, acting.cause, record.created_at),
                collection_version: shelved.version,
                record: record.clone(),
            };
            let created = self.inner.store.create_record(creation).await;
            match created.map_err(|error| refused(&shelved, error))? {
                Written::Done => {
                    self.events_committed();
                    let value = shelved.shown(acting.actor(), record);
                    return Ok(Committed { value, failed_open });
                }
                Written::Stale => {
                    self.inner.shelf.forget(collection);
                    shelved = self.find_collection(collection).await?;
                    authorize(acting.actor(), shelved.attempt(Operation::Create, None))?;
                    draft = record_event(event);
                    draft.data = self.checked(&shelved.schema, object(&draft.data)?)?;
                }
            }
        }
        Err(RecordError::Changed)
    }

    /// Changes a record's data.
    pub(crate) async fn change_record(
        &self,
        acting: Acting<'_>,
        address: &RecordAddress<'_>,
        change: Change,
    ) -> Result<Committed<Record>, RecordError> {
        for _ in 0..TRIES_MAX {
            let mut found = self.reach(acting.actor(), Operation::Update, address).await?;
            found.expect(&address.expected)?;
            let kept = found.shelved.unseen(acting.actor());
            let data = change.applied_to(&found.record.data, &kept)?;
            let data = self.checked(&found.shelved.schema, data)?;
            let event = Event::RecordUpdate(RecordEvent {
                data: data.clone(),
                old_data: Some(found.record.data.clone()),
                ..event_of(&found.record)
            });
            let (mut draft, failed_open) = self.approve(event, acting).await?;
            if draft.data != data {
                draft.data = self.checked(&found.shelved.schema, object(&draft.data)?)?;
            }
            found.record.data = draft.data.clone();
            found.record.updated_at = now();
            found.record.version = draft.version;
            let written = RecordChange {
                id: address.id,
                version: found.version,
                collection_version: found.shelved.version,
                data: draft.data.clone(),
                references: self.references(&found.shelved.schema, &draft.data).await?,
                terms: found.shelved.terms(&draft.data),
                updated_at: found.record.updated_at,
                event: NewEvent::new(
                    &Event::RecordUpdate(draft),
                    acting.cause,
                    found.record.updated_at,
                ),
            };
            let written = self.inner.store.update_record(written).await;
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
            let event = Event::RecordDelete(event_of(&found.record));
            let (draft, failed_open) = self.approve(event, acting).await?;
            let deletion = RecordDeletion {
                id: address.id,
                version: found.version,
                collection_version: found.shelved.version,
                cascade: self
                    .relations()
                    .await?
                    .cascade(ReferenceTarget::Record(found.record.collection_id), acting.cause),
                event: NewEvent::new(&Event::RecordDelete(draft), acting.cause, now()),
            };
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

/// The event of what is about to happen to a record.
pub(crate) fn event_of(record: &Record) -> RecordEvent {
    RecordEvent {
        collection: record.collection.to_string(),
        record_id: Some(record.id),
        owner_id: record.owner_id,
        data: record.data.clone(),
        old_data: None,
        version: record.version + 1,
    }
}

/// A new record. It was created when its id was, so that both have the same order.
pub(crate) fn new_record(id: RecordId, collection: &Collection, draft: &RecordEvent) -> Record {
    let since_1970 = id.uuid().get_timestamp().map(|at| at.to_unix());
    let created_at = since_1970.and_then(|(seconds, nanoseconds)| {
        let seconds = i64::try_from(seconds).ok()?;
        Timestamp::new(seconds, i32::try_from(nanoseconds).ok()?).ok()
    });
    let created_at = created_at.unwrap_or_else(|| unreachable!("a new id carries its time"));
    Record {
        id,
        collection_id: collection.id,
        collection: collection.name.clone(),
        owner_id: draft.owner_id,
        data: draft.data.clone(),
        created_at,
        updated_at: created_at,
        version: FIRST_VERSION,
    }
}

/// Data as an object; only a hook can have made it something else.
pub(crate) fn object(data: &JsonBytes) -> Result<Map<String, Value>, RecordError> {
    data.parse().map_err(|_| {
        let violations: Vec<FieldViolation> = vec![violation("/data", "must be an object")];
        RecordError::Invalid(violations)
    })
}
