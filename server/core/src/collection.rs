//! Collections: creating and showing them. How they are changed and deleted is in the modules below.

mod change;
mod definition;
mod removal;
mod status;

use serde_json::Value;
use thiserror::Error;
use tinybase_model::{
    Cause, Collection, CollectionId, CollectionName, FieldViolation, Identity,
    InvalidCollectionName, JsonBytes,
};
use tinybase_store::{CollectionWritten, ListError, StoreError, now};

pub use self::change::{ChangeProblem, ChangeReport, RemovedField};
pub(crate) use self::definition::Definition;
pub use self::status::{
    CollectionStatus, CollectionSummary, CollectionsStatus, Health, IndexStatus, ReferenceStatus,
};
use crate::Core;
use crate::access::{AccessDenied, Actor, Operation, authorize, authorize_admin};
use crate::problem::{Kind, Problem};
use crate::relations::{USERS, targets};
use crate::schema::violation;
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

impl CollectionChange {
    /// Makes the change, which is then to be checked.
    fn apply(self, collection: &mut Collection) {
        if let Some(label) = self.label {
            collection.label = label;
        }
        if let Some(schema) = self.schema {
            collection.schema = JsonBytes::from(&schema);
        }
        if let Some(options) = self.options {
            collection.options = JsonBytes::from(&options);
        }
    }
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
    /// Records that are there don't fit the change.
    #[error("The change would break records that are there: {}", .0.summary())]
    Breaks(Box<ChangeReport>),
    /// Another collection refers to it.
    #[error("Collection '{name}' can't be deleted: the field '{field}' of '{by}' refers to it")]
    Referenced {
        /// The collection.
        name: String,
        /// The other one.
        by: String,
        /// Its field.
        field: String,
    },
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
            Self::Breaks(_) | Self::Referenced { .. } | Self::Changed(_) => Kind::Conflict,
            Self::Denied(denied) => denied.kind(),
            Self::Store(error) => error.kind(),
        }
    }

    fn violations(&self) -> &[FieldViolation] {
        match self {
            Self::Invalid(violations) => violations,
            Self::Breaks(report) => &report.violations,
            Self::NotFound(_)
            | Self::Name(_)
            | Self::Taken(_)
            | Self::Referenced { .. }
            | Self::Changed(_)
            | Self::Denied(_)
            | Self::Store(_) => &[],
        }
    }
}

impl CollectionError {
    /// A list that is put together here has only fields that exist.
    fn list(error: ListError) -> Self {
        match error {
            ListError::Store(error) => Self::Store(error),
            ListError::Field(_) | ListError::Value { .. } => {
                Self::Invalid(vec![violation("/schema", &error.to_string())])
            }
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
        let actor = Actor::client(identity);
        let visible = self.core.visible_collections(actor).await?;
        Ok(visible.iter().map(|shelved| shelved.collection_shown(actor)).collect())
    }

    /// One collection.
    pub async fn get(
        &self,
        identity: &Identity,
        name: &str,
    ) -> Result<Collection, CollectionError> {
        let inner = &self.core.inner;
        let actor = Actor::client(identity);
        match inner.shelf.get(&inner.store, name).await? {
            Some(shelved) if is_visible(actor, &shelved) => Ok(shelved.collection_shown(actor)),
            Some(_) | None => Err(CollectionError::NotFound(name.to_owned())),
        }
    }

    /// Creates a collection; administrators only.
    pub async fn create(
        &self,
        cause: &Cause,
        new: NewCollection,
    ) -> Result<Collection, CollectionError> {
        let (collection, definition) = self.check_new(cause, new).await?;
        let name = collection.name.to_string();
        let write = definition.write(collection.clone());
        match self.core.inner.store.create_collection(write).await? {
            CollectionWritten::Done => {
                self.forget_targets(&definition);
                // Somebody may have looked for it before it was there.
                self.core.inner.shelf.forget(&name);
                self.core.note(cause, "collection.create", "collection", &name);
                Ok(collection)
            }
            CollectionWritten::NameTaken => Err(CollectionError::Taken(name)),
            CollectionWritten::Stale
            | CollectionWritten::NoTarget(_)
            | CollectionWritten::Duplicates(_) => Err(CollectionError::Changed(name)),
        }
    }

    /// Checks a collection that could be created; administrators only.
    pub async fn try_create(
        &self,
        cause: &Cause,
        new: NewCollection,
    ) -> Result<Collection, CollectionError> {
        let (collection, _) = self.check_new(cause, new).await?;
        match self.core.inner.store.collection(collection.name.as_str()).await? {
            Some(_) => Err(CollectionError::Taken(collection.name.to_string())),
            None => Ok(collection),
        }
    }

    async fn check_new(
        &self,
        cause: &Cause,
        new: NewCollection,
    ) -> Result<(Collection, Definition), CollectionError> {
        authorize_admin(&cause.identity)?;
        let name: CollectionName = new.name.parse()?;
        let options = new.options.unwrap_or_else(|| Value::Object(serde_json::Map::new()));
        let at = now();
        let collection = Collection {
            id: CollectionId::generate(),
            name,
            label: new.label,
            schema: JsonBytes::from(&new.schema),
            options: JsonBytes::from(&options),
            created_at: at,
            updated_at: at,
        };
        let definition = Definition::of(&collection)?;
        self.check_targets(&definition, &collection.name).await?;
        Ok((collection, definition))
    }

    /// Whether the collections are there that a definition refers to.
    async fn check_targets(
        &self,
        definition: &Definition,
        own: &CollectionName,
    ) -> Result<(), CollectionError> {
        let mut violations = Vec::new();
        for (index, field) in definition.schema.fields().iter().enumerate() {
            let Some(reference) = field.reference() else { continue };
            let target = reference.collection.as_str();
            if target == USERS || target == own.as_str() {
                continue;
            }
            if self.core.inner.store.collection(target).await?.is_none() {
                let at = format!("/schema/fields/{index}/collection");
                violations.push(violation(&at, &format!("names no collection: {target:?}")));
            }
        }
        if violations.is_empty() { Ok(()) } else { Err(CollectionError::Invalid(violations)) }
    }

    /// Forgets the collections that a definition refers to: they have a new version now, so that
    /// deletions of their records look at the references again.
    fn forget_targets(self, definition: &Definition) {
        for target in targets(&definition.schema) {
            self.core.inner.shelf.forget(target.as_str());
        }
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

pub(crate) fn is_visible(actor: Actor<'_>, shelved: &Shelved) -> bool {
    [Operation::List, Operation::Read, Operation::Create]
        .into_iter()
        .any(|operation| authorize(actor, shelved.attempt(operation, None)).is_ok())
}
