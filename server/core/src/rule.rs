//! Rule expressions over a record and whoever asks, such as
//! `record.status == 'draft' && record.owner_id == user.id`.
//!
//! An expression is read and checked against the schema when a collection is created or changed.
//! For an identity it becomes a [`Filter`], which is evaluated for one record or made a condition of
//! a list: there is one meaning for both.

mod parse;
mod token;

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;
use thiserror::Error;
use tinybase_model::{Comparison, Filter, Identity};

use crate::schema::Schema;

/// A rule as an expression. Cloning is cheap.
#[derive(Clone)]
pub struct Expression {
    text: Arc<str>,
    root: Arc<Node>,
}

/// Why a text is no rule.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("at character {position}: {message}")]
pub(crate) struct RuleError {
    /// Where it shows, counted in characters from 1.
    pub(crate) position: usize,
    pub(crate) message: String,
}

/// A part of an expression that is true or false. Fields are named as in a [`Filter`].
#[derive(Debug, Clone, PartialEq)]
enum Node {
    Constant(bool),
    All(Vec<Node>),
    Any(Vec<Node>),
    Not(Box<Node>),
    /// Something about whoever asks.
    Asker(Asker),
    /// A field compared with a value. Nobody's id compares with nothing.
    Compare(String, Comparison, Term),
    /// Two fields that are equal.
    Same(String, String),
}

/// What an expression demands once it is known who asks.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Demand {
    /// Nothing, or what no record can fulfil.
    Constant(bool),
    /// Something of the record.
    Filter(Filter),
}

/// What an expression may ask about whoever asks.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Asker {
    IsAdmin,
    IsLoggedIn,
    /// It is this user.
    Is(String),
}

/// A value that is known as soon as it is known who asks.
#[derive(Debug, Clone, PartialEq)]
enum Term {
    Literal(Value),
    /// The user's id. Nobody's id equals nothing, not even null.
    UserId,
    /// The time, as text.
    Now,
}

impl Expression {
    /// Reads an expression and checks it against the fields of a schema.
    pub(crate) fn parse(text: &str, schema: &Schema) -> Result<Self, RuleError> {
        let root = parse::parse(text, schema)?;
        Ok(Self { text: text.into(), root: Arc::new(root) })
    }

    /// Whether it speaks of a field of the data.
    pub(crate) fn names(&self, field: &str) -> bool {
        self.root.names(field)
    }

    /// What it demands of records when this identity asks at this time.
    pub(crate) fn demand(&self, identity: &Identity, now: Timestamp) -> Demand {
        self.root.demand(&Asking { identity, now })
    }
}

impl PartialEq for Expression {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text && self.root == other.root
    }
}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Expression({:?})", self.text)
    }
}

struct Asking<'a> {
    identity: &'a Identity,
    now: Timestamp,
}

impl Asking<'_> {
    fn value(&self, term: &Term) -> Option<Value> {
        match term {
            Term::Literal(value) => Some(value.clone()),
            Term::UserId => self.identity.user_id().map(|id| id.to_string().into()),
            Term::Now => Some(format!("{:.6}", self.now).into()),
        }
    }

    fn is(&self, asker: &Asker) -> bool {
        match asker {
            Asker::IsAdmin => self.identity.is_admin(),
            Asker::IsLoggedIn => self.identity.user_id().is_some(),
            Asker::Is(id) => self.identity.user_id().is_some_and(|user| user.to_string() == *id),
        }
    }
}

impl Node {
    fn names(&self, field: &str) -> bool {
        let is_it = |name: &str| {
            let path = name.strip_prefix("data.").unwrap_or_default();
            path.split('.').next() == Some(field)
        };
        match self {
            Self::Constant(_) | Self::Asker(_) => false,
            Self::All(nodes) | Self::Any(nodes) => nodes.iter().any(|node| node.names(field)),
            Self::Not(node) => node.names(field),
            Self::Compare(name, ..) => is_it(name),
            Self::Same(left, right) => is_it(left) || is_it(right),
        }
    }

    /// What it comes to, as simply as it can be said.
    fn demand(&self, asking: &Asking<'_>) -> Demand {
        match self {
            Self::Constant(truth) => Demand::Constant(*truth),
            Self::Asker(asker) => Demand::Constant(asking.is(asker)),
            Self::All(nodes) => join(nodes, asking, false, Filter::All),
            Self::Any(nodes) => join(nodes, asking, true, Filter::Any),
            Self::Not(node) => match node.demand(asking) {
                Demand::Constant(truth) => Demand::Constant(!truth),
                Demand::Filter(filter) => Demand::Filter(Filter::Not(Box::new(filter))),
            },
            Self::Compare(field, comparison, term) => match asking.value(term) {
                Some(value) => Demand::Filter(Filter::value(field, *comparison, value)),
                None => Demand::Constant(false),
            },
            Self::Same(left, right) => Demand::Filter(Filter::Fields {
                left: left.clone(),
                comparison: Comparison::Equal,
                right: right.clone(),
            }),
        }
    }
}

/// Joins what nodes come to, of which one constant that is `absorbing` decides everything.
fn join(
    nodes: &[Node],
    asking: &Asking<'_>,
    absorbing: bool,
    joined: impl Fn(Vec<Filter>) -> Filter,
) -> Demand {
    let mut filters = Vec::with_capacity(nodes.len());
    for node in nodes {
        match node.demand(asking) {
            Demand::Constant(truth) if truth == absorbing => return Demand::Constant(absorbing),
            Demand::Constant(_) => {}
            Demand::Filter(filter) => filters.push(filter),
        }
    }
    match filters.len() {
        0 => Demand::Constant(!absorbing),
        1 => Demand::Filter(filters.swap_remove(0)),
        _ => Demand::Filter(joined(filters)),
    }
}

#[cfg(test)]
mod tests;
