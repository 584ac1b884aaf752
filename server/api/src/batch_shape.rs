//! A batch's operations as the document has them: each kind with what it takes.

#![expect(dead_code, reason = "they only describe the operations for the document")]

use serde::Deserialize;
use serde_json::{Map, Value};
use tinybase_model::{RecordId, UserId};
use utoipa::ToSchema;

/// A record's data, as its collection's schema has it.
#[derive(Deserialize, ToSchema)]
#[schema(value_type = Object)]
pub(crate) struct BatchData(Map<String, Value>);

macro_rules! operations {
    ($(#[doc = $words:literal])+ $name:ident { $($collection:tt)* }) => {
        $(#[doc = $words])+
        #[derive(Deserialize, ToSchema)]
        #[serde(tag = "op", rename_all = "lowercase", deny_unknown_fields)]
        pub(crate) enum $name {
            /// A new record.
            Create {
                $($collection)*
                /// Its data.
                data: BatchData,
                /// To whom it is to belong, null for nobody; for administrators.
                #[serde(default)]
                owner_id: Option<UserId>,
            },
            /// Merges the data over the old data.
            Update {
                $($collection)*
                /// The record.
                id: RecordId,
                /// The data.
                data: BatchData,
                /// To whom it is to belong, null for nobody; for administrators.
                #[serde(default)]
                owner_id: Option<UserId>,
                /// The tag that the record must have, as in `if-match`.
                if_match: Option<String>,
            },
            /// Puts the data in the place of the old data.
            Replace {
                $($collection)*
                /// The record.
                id: RecordId,
                /// The data.
                data: BatchData,
                /// To whom it is to belong, null for nobody; for administrators.
                #[serde(default)]
                owner_id: Option<UserId>,
                /// The tag that the record must have, as in `if-match`.
                if_match: Option<String>,
            },
            /// Deletes the record.
            Delete {
                $($collection)*
                /// The record.
                id: RecordId,
                /// The tag that the record must have, as in `if-match`.
                if_match: Option<String>,
            },
        }
    };
}

operations! {
    /// One operation of a batch, on a record of any collection.
    BatchOperation {
        /// The record's collection.
        collection: String,
    }
}

operations! {
    /// One operation of a batch on records of the path's collection.
    CollectionBatchOperation {}
}

/// Operations that take place together or not at all.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BatchBody {
    /// In the order in which they take place.
    #[schema(min_items = 1, max_items = 1000)]
    operations: Vec<BatchOperation>,
}

/// Operations on records of a collection that take place together or not at all.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CollectionBatchBody {
    /// In the order in which they take place.
    #[schema(min_items = 1, max_items = 1000)]
    operations: Vec<CollectionBatchOperation>,
}
