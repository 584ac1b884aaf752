//! A field of a record, as conditions and orders name it, and JSON values to compare it with.

use jiff::Timestamp;
use serde_json::Value;
use tinybase_model::Condition;
use uuid::Uuid;

use super::{ListError, Statement};
use crate::sql::{self, Dialect};
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
            Self::Data(path) => push_path(statement, path),
        }
    }

    /// A condition's value as the database compares it; none for null.
    pub(super) fn value(
        &self,
        dialect: Dialect,
        condition: &Condition,
    ) -> Result<Option<FieldValue>, ListError> {
        self.column_value(dialect, &condition.field, &condition.value)
    }

    /// A JSON value as the database compares it; none for null.
    pub(super) fn column_value(
        &self,
        dialect: Dialect,
        name: &str,
        value: &Value,
    ) -> Result<Option<FieldValue>, ListError> {
        let bad = |expected| bad_value(name, value, expected);
        match (self, value) {
            (_, Value::Null) => Ok(None),
            (Self::Id(_), Value::String(text)) => {
                let id: Uuid = text.parse().map_err(|_| bad("give a UUID"))?;
                Ok(Some(FieldValue::Column(id.as_hyphenated().to_string().into())))
            }
            (Self::Time(_), Value::String(text)) => {
                let at: Timestamp = text.parse().map_err(|_| bad("give an RFC 3339 time"))?;
                Ok(Some(FieldValue::Column(micros(at).into())))
            }
            (Self::Id(_), _) => Err(bad("give a UUID")),
            (Self::Time(_), _) => Err(bad("give an RFC 3339 time")),
            (Self::Data(_), _) => Ok(match dialect {
                Dialect::Sqlite => sqlite_value(value).map(FieldValue::Column),
                Dialect::Postgres => Some(FieldValue::Json(value.to_string())),
            }),
        }
    }
}

/// A value to compare a field with.
pub(super) enum FieldValue {
    /// As it is.
    Column(sql::Value<'static>),
    /// As JSON, which only `PostgreSQL` compares.
    Json(String),
}

/// Adds a path into the data. What isn't there is null, and so is JSON's null.
fn push_path(statement: &mut Statement, path: &str) {
    match statement.dialect {
        Dialect::Sqlite => {
            let quoted: Vec<_> = path.split('.').map(|key| format!("\"{key}\"")).collect();
            statement.push("(r.data ->> ");
            statement.bind(format!("$.{}", quoted.join(".")));
            statement.push(")");
        }
        Dialect::Postgres => {
            statement.push("nullif(r.data");
            for key in path.split('.') {
                statement.push(" -> ");
                statement.bind(key.to_owned());
            }
            statement.push(", 'null'::jsonb)");
        }
    }
}

/// A JSON value as `->>` gives it; none for null.
fn sqlite_value(value: &Value) -> Option<sql::Value<'static>> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone().into()),
        // SQLite has true and false as 1 and 0.
        Value::Bool(bool) => Some((*bool).into()),
        Value::Number(number) => match number.as_i64() {
            Some(integer) => Some(integer.into()),
            None => number.as_f64().map(Into::into),
        },
        Value::Array(_) | Value::Object(_) => Some(value.to_string().into()),
    }
}

/// Whether a text can be the name of a field.
fn is_key(key: &str) -> bool {
    !key.is_empty() && key.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-')
}
