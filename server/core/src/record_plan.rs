//! What a write comes to before it is written: checked, and as the before-hooks leave it. It is the
//! same for one that is written alone and for one in a batch.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Map, Value};
use tinybase_model::{
    Event, ExtensionName, Identity, Record, RecordEvent, RecordId, ReferenceTarget, UserId,
};
use tinybase_store::{NewEvent, RecordChange, RecordCreation, RecordDeletion, now};

use crate::Core;
use crate::access::{AccessDenied, Actor, Operation, authorize};
use crate::acting::Acting;
use crate::record::{Found, RecordError};
use crate::record_change::{Edit, FIRST_VERSION, Owner, object};
use crate::schema::violation;
use crate::shelf::Shelved;

/// A new record that the before-hooks have seen.
pub(crate) struct Draft {
    pub(crate) shelved: Arc<Shelved>,
    pub(crate) event: RecordEvent,
    pub(crate) failed_open: Vec<ExtensionName>,
    id: RecordId,
}

impl Core {
    /// Checks a new record and shows it to the before-hooks.
    pub(crate) async fn draft(
        &self,
        acting: Acting<'_>,
        collection: &str,
        mut data: Map<String, Value>,
        owner: Owner,
    ) -> Result<Draft, RecordError> {
        let (shelved, actor) = (self.find_collection(collection).await?, acting.actor());
        authorize(actor, shelved.attempt(Operation::Create, None))?;
        let owner_id = self.owner(actor, actor.identity.user_id(), owner).await?;
        let unseen = shelved.unseen(actor);
        data.retain(|name, _| !unseen.contains(&name.as_str()));
        let event = RecordEvent {
            collection: collection.to_owned(),
            record_id: None,
            owner_id,
            old_owner_id: owner_id,
            data: self.checked(&shelved.schema, data)?,
            old_data: None,
            version: FIRST_VERSION,
        };
        let asked = event.data.clone();
        let (mut event, failed_open) = self.approve(Event::RecordCreate(event), acting).await?;
        if event.data != asked {
            event.data = self.checked(&shelved.schema, object(&event.data)?)?;
        }
        let id = RecordId::generate();
        event.record_id = Some(id);
        Ok(Draft { shelved, event, failed_open, id })
    }

    /// The write that makes a record of a draft.
    pub(crate) async fn creation(
        &self,
        acting: Acting<'_>,
        draft: &Draft,
    ) -> Result<RecordCreation, RecordError> {
        let shelved = &draft.shelved;
        let record = new_record(draft);
        authorize(acting.actor(), shelved.attempt(Operation::Create, Some(&record)))?;
        let event = Event::RecordCreate(draft.event.clone());
        Ok(RecordCreation {
            references: self.references(&shelved.schema, &record.data).await?,
            terms: shelved.terms(&record.data),
            event: NewEvent::new(&event, acting.cause, record.created_at),
            collection_version: shelved.version,
            record,
        })
    }

    /// The write that changes a record, which is then found as it will be.
    pub(crate) async fn change_of(
        &self,
        acting: Acting<'_>,
        found: &mut Found,
        edit: &Edit,
    ) -> Result<(RecordChange, Vec<ExtensionName>), RecordError> {
        let (actor, old) = (acting.actor(), &found.record);
        let owner_id = self.owner(actor, old.owner_id, edit.owner).await?;
        let kept = found.shelved.unseen(actor);
        let data = edit.change.applied_to(&old.data, &kept)?;
        let data = self.checked(&found.shelved.schema, data)?;
        let event = Event::RecordUpdate(RecordEvent {
            owner_id,
            data: data.clone(),
            old_data: Some(old.data.clone()),
            ..event_of(old)
        });
        let (mut event, failed_open) = self.approve(event, acting).await?;
        if event.data != data {
            event.data = self.checked(&found.shelved.schema, object(&event.data)?)?;
        }
        let updated_at = now();
        let read_version = found.version;
        found.record.owner_id = owner_id;
        found.record.data = event.data.clone();
        found.record.updated_at = updated_at;
        found.record.version = event.version;
        let change = RecordChange {
            id: found.record.id,
            version: read_version,
            collection_version: found.shelved.version,
            owner_id,
            data: event.data.clone(),
            references: self.references(&found.shelved.schema, &event.data).await?,
            terms: found.shelved.terms(&event.data),
            updated_at,
            event: NewEvent::new(&Event::RecordUpdate(event), acting.cause, updated_at),
        };
        Ok((change, failed_open))
    }

    /// The write that deletes a record.
    pub(crate) async fn deletion_of(
        &self,
        acting: Acting<'_>,
        found: &Found,
    ) -> Result<(RecordDeletion, Vec<ExtensionName>), RecordError> {
        let event = Event::RecordDelete(event_of(&found.record));
        let (event, failed_open) = self.approve(event, acting).await?;
        let target = ReferenceTarget::Record(found.record.collection_id);
        let deletion = RecordDeletion {
            id: found.record.id,
            version: found.version,
            collection_version: found.shelved.version,
            cascade: self.relations().await?.cascade(target, acting.cause),
            event: NewEvent::new(&Event::RecordDelete(event), acting.cause, now()),
        };
        Ok((deletion, failed_open))
    }

    /// The user to whom a record is to belong. Only administrators, and extensions on their own
    /// behalf, decide that it is another one than it would be.
    async fn owner(
        &self,
        actor: Actor<'_>,
        present: Option<UserId>,
        wanted: Owner,
    ) -> Result<Option<UserId>, RecordError> {
        let wanted = match wanted {
            Owner::Same => return Ok(present),
            Owner::Given(wanted) if wanted == present => return Ok(present),
            Owner::Given(wanted) => wanted,
        };
        if !actor.identity.is_admin() && !matches!(actor.identity, Identity::Extension(_)) {
            return Err(AccessDenied::Owner.into());
        }
        let Some(user) = wanted else { return Ok(None) };
        match self.inner.store.user(user).await? {
            Some(_) => Ok(Some(user)),
            None => Err(RecordError::Invalid(vec![violation("/owner_id", "is no user")])),
        }
    }
}

/// The event of what is about to happen to a record.
fn event_of(record: &Record) -> RecordEvent {
    RecordEvent {
        collection: record.collection.to_string(),
        record_id: Some(record.id),
        owner_id: record.owner_id,
        old_owner_id: record.owner_id,
        data: record.data.clone(),
        old_data: None,
        version: record.version + 1,
    }
}

/// A new record. It was created when its id was, so that both have the same order.
fn new_record(draft: &Draft) -> Record {
    let since_1970 = draft.id.uuid().get_timestamp().map(|at| at.to_unix());
    let created_at = since_1970.and_then(|(seconds, nanoseconds)| {
        let seconds = i64::try_from(seconds).ok()?;
        Timestamp::new(seconds, i32::try_from(nanoseconds).ok()?).ok()
    });
    let created_at = created_at.unwrap_or_else(|| unreachable!("a new id carries its time"));
    let collection = &draft.shelved.collection;
    Record {
        id: draft.id,
        collection_id: collection.id,
        collection: collection.name.clone(),
        owner_id: draft.event.owner_id,
        data: draft.event.data.clone(),
        created_at,
        updated_at: created_at,
        version: FIRST_VERSION,
    }
}
