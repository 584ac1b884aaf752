//! What a record has to fulfil, as a tree: what filters and rules become, and what the store turns
//! into SQL.
//!
//! Every node is true or false, never unknown, so that `Not` is the plain opposite and memory and
//! both databases agree: a comparison with something that isn't there is false.

mod matching;
mod pattern;

pub use matching::RecordFacts;
pub use pattern::{PatternPart, pattern_parts};

use crate::Search;

/// How a field is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Comparison {
    /// It equals the value; null equals null and what isn't there.
    Equal,
    /// The opposite of [`Self::Equal`].
    NotEqual,
    /// It is less. Only numbers, texts (by code points), booleans and times are, among themselves.
    Less,
    /// It is at most that.
    LessOrEqual,
    /// It is greater.
    Greater,
    /// It is at least that.
    GreaterOrEqual,
    /// It is one of the values of an array.
    In,
    /// It is a text like the pattern: `%` stands for any characters, `_` for one, `\` takes the next
    /// as it is. Case counts.
    Like,
    /// It is an array with the value among its items, or a text with the value in it.
    Contains,
}

/// One condition on a record.
#[derive(Debug, Clone, PartialEq)]
pub struct Condition {
    /// `id`, `collection_id`, `owner_id`, `created_at`, `updated_at` or `data.<name>`, where further
    /// names after dots lead into objects.
    pub field: String,
    /// How it is compared.
    pub comparison: Comparison,
    /// With what.
    pub value: serde_json::Value,
}

/// What a record has to fulfil.
#[derive(Debug, Clone, PartialEq)]
pub enum Filter {
    /// All of these; none of them is always fulfilled.
    All(Vec<Self>),
    /// Any of these; none of them is never fulfilled.
    Any(Vec<Self>),
    /// Not this.
    Not(Box<Self>),
    /// A field compared with a value.
    Value(Condition),
    /// Two fields compared, with anything but [`Comparison::In`] and [`Comparison::Like`]. Two that
    /// aren't there are equal.
    Fields {
        /// The one on the left, as in [`Condition::field`].
        left: String,
        /// How they are compared.
        comparison: Comparison,
        /// The one on the right.
        right: String,
    },
    /// It has all the words.
    Search(Search),
}

impl Filter {
    /// What every record fulfils.
    pub const fn always() -> Self {
        Self::All(Vec::new())
    }

    /// What no record fulfils.
    pub const fn never() -> Self {
        Self::Any(Vec::new())
    }

    /// A field compared with a value.
    pub fn value(
        field: impl Into<String>,
        comparison: Comparison,
        value: impl Into<serde_json::Value>,
    ) -> Self {
        Self::Value(Condition { field: field.into(), comparison, value: value.into() })
    }

    /// This and another one.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::All(mut one), Self::All(other)) => {
                one.extend(other);
                Self::All(one)
            }
            (Self::All(mut all), other) => {
                all.push(other);
                Self::All(all)
            }
            (one, Self::All(mut all)) => {
                all.insert(0, one);
                Self::All(all)
            }
            (one, other) => Self::All(vec![one, other]),
        }
    }
}

impl From<Vec<Condition>> for Filter {
    fn from(conditions: Vec<Condition>) -> Self {
        Self::All(conditions.into_iter().map(Self::Value).collect())
    }
}

/// One key of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SortKey {
    /// A field, as in [`Condition::field`].
    pub field: String,
    /// Whether the largest comes first.
    pub descending: bool,
}
