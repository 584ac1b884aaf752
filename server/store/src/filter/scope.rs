//! Which records somebody may see.

use tinybase_model::{CollectionId, UserId};

use super::statement::Statement;

/// Which records somebody may see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// All of a collection.
    Collection(CollectionId),
    /// Those of a collection that a user owns.
    Owned(CollectionId, UserId),
    /// All records.
    Everything,
    /// All of some collections, and those of others that a user owns.
    Several {
        /// Seen in full.
        full: Vec<CollectionId>,
        /// Seen as far as the owner owns them.
        owned: Vec<CollectionId>,
        /// The owner; none sees nothing of `owned`.
        owner: Option<UserId>,
    },
}

/// `is_large` says that most records are likely of the collection.
pub(super) fn push_scope(statement: &mut Statement, scope: &Scope, is_large: bool) {
    match scope {
        Scope::Everything => statement.push("true"),
        Scope::Collection(collection) => push_collection(statement, *collection, is_large),
        Scope::Owned(collection, owner) => {
            push_collection(statement, *collection, is_large);
            statement.push(" and r.owner_id = ");
            statement.bind(owner.to_string());
        }
        Scope::Several { full, owned, owner } => {
            statement.push("(r.collection_id in ");
            push_ids(statement, full);
            if let Some(owner) = owner {
                statement.push(" or (r.owner_id = ");
                statement.bind(owner.to_string());
                statement.push(" and r.collection_id in ");
                push_ids(statement, owned);
                statement.push(")");
            }
            statement.push(")");
        }
    }
}

/// A collection's id as a literal: the indexes over its fields are for it alone, and no database
/// would take them if it came as a value. A UUID has nothing that could end the literal.
///
/// `SQLite` has no statistics and takes it that few records are of one collection, so that it would
/// rather sort or look through all of them than go by a field's index, unless it is told.
fn push_collection(statement: &mut Statement, collection: CollectionId, is_large: bool) {
    statement.push_each(if is_large { "likelihood(" } else { "" }, "");
    statement.push(&format!("r.collection_id = '{collection}'"));
    statement.push_each(if is_large { ", 0.99)" } else { "" }, "");
}

/// Adds a set of ids as one value, so that the statement's text doesn't depend on their number.
fn push_ids(statement: &mut Statement, ids: &[CollectionId]) {
    let array = serde_json::to_string(ids).unwrap_or_else(|_| unreachable!("ids serialise"));
    statement.push_each("(select value from json_each(", "(select jsonb_array_elements_text((");
    statement.bind(array);
    statement.push_each("))", ")::jsonb))");
}
