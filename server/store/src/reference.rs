//! Whether what a new or changed record refers to is there, checked in the transaction that writes.

use std::collections::HashSet;

use serde::Serialize;
use tinybase_model::ReferenceTarget;

use crate::sql::{Connection, Sql, query};
use crate::{Refusal, StoreError};

/// A reference that a record has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// The field.
    pub field: String,
    /// What it points to.
    pub target: ReferenceTarget,
    /// The id.
    pub id: String,
}

/// Those of the records that are there, kept from being deleted until the commit.
pub(crate) const FIND_TARGETS: Sql = Sql::each(
    "
    select r.id, r.collection_id from json_each($1) wanted
    cross join records r on r.id = wanted.value ->> 'i' and r.collection_id = wanted.value ->> 'c'",
    "
    select r.id, r.collection_id from records r
    join jsonb_array_elements($1::jsonb) wanted on r.id = wanted ->> 'i'
     and r.collection_id = wanted ->> 'c'
    for key share of r",
);

pub(crate) const FIND_TARGET_USERS: Sql = Sql::each(
    "select u.id, '' from json_each($1) wanted cross join users u on u.id = wanted.value ->> 'i'",
    "
    select u.id, '' from users u
    join jsonb_array_elements($1::jsonb) wanted on u.id = wanted ->> 'i'
    for key share of u",
);

#[derive(Serialize)]
struct Wanted<'a> {
    i: &'a str,
    c: String,
}

/// Where a target is: its collection, or among the users.
fn place(target: ReferenceTarget) -> String {
    match target {
        ReferenceTarget::Record(collection) => collection.to_string(),
        ReferenceTarget::User => String::new(),
    }
}

/// Refuses a write if one of its references points to nothing.
pub(crate) async fn check_references(
    connection: &mut Connection,
    references: impl Iterator<Item = &Reference> + Clone + Send,
) -> Result<(), StoreError> {
    let mut users = Vec::new();
    let mut records = Vec::new();
    for reference in references.clone() {
        match reference.target {
            ReferenceTarget::Record(collection) => {
                records.push(Wanted { i: &reference.id, c: collection.to_string() });
            }
            ReferenceTarget::User => {
                users.push(Wanted { i: &reference.id, c: place(reference.target) });
            }
        }
    }
    let mut found = HashSet::new();
    for (sql, wanted) in [(FIND_TARGETS, &records), (FIND_TARGET_USERS, &users)] {
        if wanted.is_empty() {
            continue;
        }
        let json =
            serde_json::to_string(wanted).unwrap_or_else(|_| unreachable!("texts serialise"));
        let rows = query(sql).bind(json).fetch_all(&mut *connection).await;
        for row in rows.map_err(StoreError::read("references"))? {
            let text = |index: usize| row.text(index).map_err(StoreError::read("references"));
            found.insert((text(0)?.to_owned(), text(1)?.to_owned()));
        }
    }
    for reference in references {
        if !found.contains(&(reference.id.clone(), place(reference.target))) {
            return Err(StoreError::Refused(Refusal::NoTarget(reference.field.clone())));
        }
    }
    Ok(())
}
