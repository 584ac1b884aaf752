//! A field of a record, as conditions and orders name it, and JSON values to compare it with.

use jiff::Timestamp;
use serde_json::Value;
use uuid::Uuid;

use super::{Bind, ListError, Statement};
use crate::time::micros;

pub(super) fn bad_value(field: &str, value: &Value, expected: &'static str) -> ListError {
    ListError::Value { field: field.to_owned(), value: value.to_string(), expected }
}

/// A field that can be compared and sorted by.
pub(super) enum Field<'a> {
    /// A column with a UUID.
    Id(&'static str),
    /// A column with a time.
    Time(&'static str),
    /// A path into the data.
    Data(&'a str),
}

impl<'a> Field<'a> {
    pub(super) fn parse(name: &'a str) -> Result<Self, ListError> {
        match name {
            "id" => Ok(Self::Id("r.id")),
            "collection_id" => Ok(Self::Id("r.collection_id")),
            "owner_id" => Ok(Self::Id("r.owner_id")),
            "created_at" => Ok(Self::Time("r.created_at")),
            "updated_at" => Ok(Self::Time("r.updated_at")),
            _ => match name.strip_prefix("data.") {
                Some(path) if path.split('.').all(is_key) => Ok(Self::Data(path)),
                Some(_) | None => Err(ListError::Field(name.to_owned())),
            },
        }
    }

    pub(super) fn push(&self, statement: &mut Statement) {
        match self {
            Self::Id(column) | Self::Time(column) => statement.push(column),
            Self::Data(path) => {
                let quoted: Vec<_> = path.split('.').map(|key| format!("\"{key}\"")).collect();
                statement.push("(r.data ->> ");
                statement.bind(Bind::Text(format!("$.{}", quoted.join("."))));
                statement.push(")");
            }
        }
    }

    /// A JSON value as the column has it; none for null.
    pub(super) fn value(&self, name: &str, value: &Value) -> Result<Option<Bind>, ListError> {
        let bad = |expected| bad_value(name, value, expected);
        match (self, value) {
            (_, Value::Null) => Ok(None),
            (Self::Id(_), Value::String(text)) => {
                let id: Uuid = text.parse().map_err(|_| bad("give a UUID"))?;
                Ok(Some(Bind::Text(id.as_hyphenated().to_string())))
            }
            (Self::Time(_), Value::String(text)) => {
                let at: Timestamp = text.parse().map_err(|_| bad("give an RFC 3339 time"))?;
                Ok(Some(Bind::Integer(micros(at))))
            }
            (Self::Id(_), _) => Err(bad("give a UUID")),
            (Self::Time(_), _) => Err(bad("give an RFC 3339 time")),
            (Self::Data(_), Value::String(text)) => Ok(Some(Bind::Text(text.clone()))),
            // SQLite has true and false as 1 and 0.
            (Self::Data(_), Value::Bool(bool)) => Ok(Some(Bind::Integer((*bool).into()))),
            (Self::Data(_), Value::Number(number)) => match number.as_i64() {
                Some(integer) => Ok(Some(Bind::Integer(integer))),
                None => Ok(number.as_f64().map(Bind::Real)),
            },
            (Self::Data(_), Value::Array(_) | Value::Object(_)) => {
                Ok(Some(Bind::Text(value.to_string())))
            }
        }
    }
}

/// Whether a text can be the name of a field.
fn is_key(key: &str) -> bool {
    !key.is_empty() && key.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-')
}
