//! Collections: creating, showing, changing and deleting them.

use serde_json::Value;
use thiserror::Error;
use tinybase_model::{Cause, Collection, FieldViolation, Identity, InvalidCollectionName};
use tinybase_store::StoreError;

use crate::Core;
use crate::access::AccessDenied;
use crate::problem::{Kind, Problem};

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
        todo!()
    }

    /// One collection.
    pub async fn get(
        &self,
        identity: &Identity,
        name: &str,
    ) -> Result<Collection, CollectionError> {
        todo!()
    }

    /// Creates a collection; administrators only.
    pub async fn create(
        &self,
        cause: &Cause,
        new: NewCollection,
    ) -> Result<Collection, CollectionError> {
        todo!()
    }

    /// Changes a collection; administrators only. Records aren't checked again until they change.
    pub async fn update(
        &self,
        cause: &Cause,
        name: &str,
        change: CollectionChange,
    ) -> Result<Collection, CollectionError> {
        todo!()
    }

    /// Deletes a collection with its records, each with its `record.delete` event, and tells how
    /// many there were; administrators only. Before-hooks aren't asked.
    pub async fn delete(&self, cause: &Cause, name: &str) -> Result<u64, CollectionError> {
        todo!()
    }
}
