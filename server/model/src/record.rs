//! Users, collections and records as the API shows them.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::Serialize;
use thiserror::Error;
use utoipa::ToSchema;

use crate::{CollectionId, JsonBytes, RecordId, UserId};

/// A user; never with a password.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct User {
    /// Its id.
    pub id: UserId,
    /// The address, lower case.
    pub email: String,
    /// Whether it is an administrator.
    pub is_admin: bool,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// A collection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Collection {
    /// Its id.
    pub id: CollectionId,
    /// Its name.
    pub name: CollectionName,
    /// Its name for people.
    pub label: String,
    /// Its fields: `{"fields": […]}`.
    #[schema(value_type = Object)]
    pub schema: JsonBytes,
    /// Its options, such as access rules.
    #[schema(value_type = Object)]
    pub options: JsonBytes,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// A record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Record {
    /// Its id.
    pub id: RecordId,
    /// The collection's id.
    pub collection_id: CollectionId,
    /// The collection's name; not part of the API's record.
    #[serde(skip)]
    pub collection: CollectionName,
    /// The owner, if there is one.
    pub owner_id: Option<UserId>,
    /// The data.
    #[schema(value_type = Object)]
    pub data: JsonBytes,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// Grows with every change; not part of the API's record.
    #[serde(skip)]
    pub version: i64,
}

/// A collection's name: `^[a-z][a-z0-9_]*$`, at most 100.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, ToSchema)]
#[serde(transparent)]
#[schema(value_type = String, max_length = 100, pattern = "^[a-z][a-z0-9_]*$")]
pub struct CollectionName(std::sync::Arc<str>);

/// A text that can't be a collection's name.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "{text:?} is not a collection name: use lower-case letters, digits and '_', \
     starting with a letter, at most 100"
)]
pub struct InvalidCollectionName {
    text: String,
}

impl CollectionName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for CollectionName {
    type Err = InvalidCollectionName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let valid = text.len() <= 100
            && text.starts_with(|c: char| c.is_ascii_lowercase())
            && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
        if valid {
            Ok(Self(text.into()))
        } else {
            Err(InvalidCollectionName { text: text.to_owned() })
        }
    }
}

impl fmt::Display for CollectionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for CollectionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
