//! References from records to records and users.

use crate::{CollectionId, CollectionName};

/// What a reference points to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ReferenceTarget {
    /// A record of a collection.
    Record(CollectionId),
    /// A user.
    User,
}

/// What becomes of a reference when its target is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnDelete {
    /// The target can't be deleted.
    #[default]
    Restrict,
    /// The record that has the reference is deleted too.
    Cascade,
    /// The reference becomes null.
    SetNull,
}

impl OnDelete {
    /// All of them, with their words in a schema.
    pub const ALL: [(&'static str, Self); 3] =
        [("restrict", Self::Restrict), ("cascade", Self::Cascade), ("set_null", Self::SetNull)];
}

/// A field of a collection that refers to something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Referrer {
    /// What it points to.
    pub target: ReferenceTarget,
    /// The collection that has the field.
    pub collection_id: CollectionId,
    /// Its name.
    pub collection: CollectionName,
    /// The field's name.
    pub field: String,
    /// What a deletion of the target does.
    pub on_delete: OnDelete,
}
