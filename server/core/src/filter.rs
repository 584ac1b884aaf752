//! The language of `filter=`: read, checked against the schema, and made what the store understands.
//! `docs/records.md` describes it.

mod expression;
mod kind;
mod parser;
mod resolve;
#[cfg(test)]
mod tests;
mod token;

use thiserror::Error;
use tinybase_model::Filter;

pub(crate) use kind::Fields;

/// The longest filter, in bytes.
pub(crate) const TEXT_BYTES_MAX: usize = 4096;
/// How deep parentheses and `!` may be nested.
pub(crate) const DEPTH_MAX: usize = 16;
/// The most comparisons.
pub(crate) const TERMS_MAX: usize = 100;
/// The most values of one list.
pub(crate) const LIST_MAX: usize = 200;
/// The most `%` of one pattern: each may have to be tried at every character.
const WILDCARDS_MAX: usize = 8;

/// Why a text is no filter for a collection.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("filter, character {position}: {message}")]
pub struct FilterError {
    /// The character at which it shows; the first is 1.
    pub position: usize,
    /// What is wrong.
    pub message: String,
}

impl FilterError {
    fn new(position: usize, message: impl Into<String>) -> Self {
        Self { position, message: message.into() }
    }
}

/// Reads a filter over the fields of a collection.
///
/// # Errors
/// What is wrong, and where.
pub(crate) fn read(text: &str, fields: Fields<'_>) -> Result<Filter, FilterError> {
    resolve::resolve(&parser::parse(text)?, fields)
}
