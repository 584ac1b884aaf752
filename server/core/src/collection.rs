//! Collections: creating, showing, changing and deleting them.

use serde_json::Value;
use thiserror::Error;
use tinybase_model::{
    Cause, Collection, CollectionId, CollectionName, FieldViolation, Identity,
    InvalidCollectionName, JsonBytes,
};
use tinybase_store::{CollectionCreated, StoreError, StoredCollection, Written, now};

use crate::Core;
use crate::access::{AccessDenied, AccessRules, Actor, Operation, authorize, authorize_admin};
use crate::problem::{Kind, Problem};
use crate::schema::{Schema, violation};
use crate::shelf::Shelved;

/// A collection to be created.
#[derive(Debug, Clone)]
pub struct NewCollection {
    /// Its name.
    pub name: String,
    /// Its name for people.
    pub label: String,
    /// `{"fields": […]}`.
    pub schema: Value,
    /// Options such as `{"access": {"list": "auth"}}`.
    pub options: Option<Value>,
}

/// What to change of a collection.
#[derive(Debug, Clone, Default)]
pub struct CollectionChange {
    /// Its name for people.
    pub label: Option<String>,
    /// The whole schema.
    pub schema: Option<Value>,
    /// All options.
    pub options: Option<Value>,
}

/// Why something about collections wasn't done.
#[derive(Debug, Clone, Error)]
pub enum CollectionError {
    /// There is no such collection, or it isn't for whoever asks.
    #[error("Collection '{0}' not found")]
    NotFound(String),
    /// The name can't be one.
    #[error(transparent)]
    Name(#[from] InvalidCollectionName),
    /// The name is taken.
    #[error("Collection '{0}' already exists")]
    Taken(String),
    /// Label, schema or options are wrong.
    #[error("Invalid schema: {}", crate::collection::summary(.0))]
    Invalid(Vec<FieldViolation>),
    /// Somebody else changed it at the same time.
    #[error("Collection '{0}' was changed by somebody else; try again")]
    Changed(String),
    /// Who acts may not do it.
    #[error(transparent)]
    Denied(#[from] AccessDenied),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Problem for CollectionError {
    fn kind(&self) -> Kind {
        match self {
            Self::NotFound(_) => Kind::NotFound,
            // The documented status of a taken name is 400.
            Self::Name(_) | Self::Taken(_) | Self::Invalid(_) => Kind::Invalid,
            Self::Changed(_) => Kind::Conflict,
            Self::Denied(denied) => denied.kind(),
            Self::Store(error) => error.kind(),
        }
    }

    fn violations(&self) -> &[FieldViolation] {
        match self {
            Self::Invalid(violations) => violations,
            Self::NotFound(_)
            | Self::Name(_)
            | Self::Taken(_)
            | Self::Changed(_)
            | Self::Denied(_)
            | Self::Store(_) => &[],
        }
    }
}

/// The violations in one sentence.
pub(crate) fn summary(violations: &[FieldViolation]) -> String {
    let sentences: Vec<_> =
        violations.iter().map(|v| format!("{} {}", v.field, v.message)).collect();
    sentences.join("; ")
}

/// Collections.
#[derive(Debug, Clone, Copy)]
pub struct Collections<'a> {
    pub(crate) core: &'a Core,
}

impl Collections<'_> {
    /// The collections whose records may be of use to whoever asks, by name.
    pub async fn list(&self, identity: &Identity) -> Result<Vec<Collection>, CollectionError> {
        let shelved = self.core.visible_collections(Actor::client(identity)).await?;
        Ok(shelved.into_iter().map(|shelved| shelved.collection).collect())
    }

    /// One collection.
    pub async fn get(
        &self,
        identity: &Identity,
        name: &str,
    ) -> Result<Collection, CollectionError> {
        let inner = &self.core.inner;
        match inner.shelf.get(&inner.store, name).await? {
            Some(shelved) if is_visible(Actor::client(identity), &shelved) => {
                Ok(shelved.collection.clone())
            }
            Some(_) | None => Err(CollectionError::NotFound(name.to_owned())),
        }
    }

    /// Creates a collection; administrators only.
    pub async fn create(
        &self,
        cause: &Cause,
        new: NewCollection,
    ) -> Result<Collection, CollectionError> {
        authorize_admin(&cause.identity)?;
        let name: CollectionName = new.name.parse()?;
        let options = new.options.unwrap_or_else(|| Value::Object(serde_json::Map::new()));
        check(&new.label, &new.schema, &options)?;
        let at = now();
        let collection = Collection {
            id: CollectionId::generate(),
            name: name.clone(),
            label: new.label,
            schema: JsonBytes::from(&new.schema),
            options: JsonBytes::from(&options),
            created_at: at,
            updated_at: at,
        };
        match self.core.inner.store.create_collection(collection.clone()).await? {
            CollectionCreated::Done => Ok(collection),
            CollectionCreated::NameTaken => Err(CollectionError::Taken(name.to_string())),
        }
    }

    /// Changes a collection; administrators only. Records aren't checked again until they change.
    pub async fn update(
        &self,
        cause: &Cause,
        name: &str,
        change: CollectionChange,
    ) -> Result<Collection, CollectionError> {
        authorize_admin(&cause.identity)?;
        let inner = &self.core.inner;
        for _ in 0..TRIES_MAX {
            let stored = inner.store.collection(name).await?;
            let Some(StoredCollection { mut collection, version }) = stored else {
                return Err(CollectionError::NotFound(name.to_owned()));
            };
            if let Some(label) = &change.label {
                collection.label.clone_from(label);
            }
            if let Some(schema) = &change.schema {
                collection.schema = JsonBytes::from(schema);
            }
            if let Some(options) = &change.options {
                collection.options = JsonBytes::from(options);
            }
            check_stored(&collection)?;
            collection.updated_at = now();
            let written = inner.store.update_collection(collection.clone(), version).await;
            inner.shelf.forget(name);
            match written? {
                Written::Done => return Ok(collection),
                Written::Stale => {}
            }
        }
        Err(CollectionError::Changed(name.to_owned()))
    }

    /// Deletes a collection with its records, each with its `record.delete` event, and tells how
    /// many there were; administrators only. Before-hooks aren't asked.
    pub async fn delete(&self, cause: &Cause, name: &str) -> Result<u64, CollectionError> {
        authorize_admin(&cause.identity)?;
        let inner = &self.core.inner;
        let missing = || CollectionError::NotFound(name.to_owned());
        let stored = inner.store.collection(name).await?.ok_or_else(missing)?;
        let deleted = inner.store.delete_collection(stored.collection, cause.clone()).await;
        inner.shelf.forget(name);
        let records = deleted?.ok_or_else(missing)?;
        inner.hooks.events_committed();
        Ok(records)
    }
}

/// How often a change that others were faster with is tried.
pub(crate) const TRIES_MAX: usize = 5;

impl Core {
    /// The collections that an actor may list, read or add to, by name.
    pub(crate) async fn visible_collections(
        &self,
        actor: Actor<'_>,
    ) -> Result<Vec<Shelved>, StoreError> {
        let stored = self.inner.store.collections().await?;
        let mut visible = Vec::with_capacity(stored.len());
        for stored in stored {
            let shelved = Shelved::read(stored)?;
            if is_visible(actor, &shelved) {
                visible.push(shelved);
            }
        }
        Ok(visible)
    }
}

fn is_visible(actor: Actor<'_>, shelved: &Shelved) -> bool {
    [Operation::List, Operation::Read, Operation::Create].into_iter().any(|operation| {
        authorize(actor, shelved.attempt(operation, actor.identity.user_id())).is_ok()
    })
}

fn check_stored(collection: &Collection) -> Result<(), CollectionError> {
    let parse = |json: &JsonBytes| json.parse().unwrap_or(Value::Null);
    check(&collection.label, &parse(&collection.schema), &parse(&collection.options))
}

fn check(label: &str, schema: &Value, options: &Value) -> Result<(), CollectionError> {
    let mut violations = Vec::new();
    if label.is_empty() || label.chars().count() > 200 {
        violations.push(violation("/label", "must have 1 to 200 characters"));
    }
    if !options.is_object() {
        violations.push(violation("/options", "must be an object"));
    }
    violations.extend(Schema::parse(schema).err().unwrap_or_default());
    violations.extend(AccessRules::from_options(options).err().unwrap_or_default());
    if violations.is_empty() { Ok(()) } else { Err(CollectionError::Invalid(violations)) }
}
