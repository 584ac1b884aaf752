//! A field of a record, as conditions and orders name it, and JSON values to compare it with.

use jiff::Timestamp;
use serde_json::Value;
use uuid::Uuid;

use super::ListError;
use super::statement::{FieldValue, Statement};
use crate::sql::{self, Dialect};
use crate::time::micros;

pub(super) fn bad_value(field: &str, value: &Value, expected: &'static str) -> ListError {
    ListError::Value { field: field.to_owned(), value: value.to_string(), expected }
}

/// A field that can be compared and sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Field<'a> {
    /// A column with a UUID.
    Id(&'static str),
    /// A column with a time.
    Time(&'static str),
    /// A path into the data, of harmless keys.
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

    /// Whether it may have no value.
    pub(super) fn is_nullable(self) -> bool {
        match self {
            Self::Id(column) => column == "r.owner_id",
            Self::Time(_) => false,
            Self::Data(_) => true,
        }
    }

    /// Whether the schema says nothing of its type, so that conditions have to look at it.
    pub(super) fn is_nested(self) -> bool {
        matches!(self, Self::Data(path) if path.contains('.'))
    }

    /// Its value. What isn't there is null, and so is JSON's null. These are the texts that the
    /// indexes over fields have.
    pub(super) fn push(self, statement: &mut Statement) {
        match self {
            Self::Id(column) | Self::Time(column) => statement.push(column),
            Self::Data(path) => match statement.dialect {
                Dialect::Sqlite => statement.push(&format!("(r.data ->> '{}')", sqlite_path(path))),
                Dialect::Postgres => {
                    let value = postgres_path(path, " -> ");
                    statement.push(&format!("nullif({value}, 'null'::jsonb)"));
                }
            },
        }
    }

    /// Its value as text.
    pub(super) fn push_text(self, statement: &mut Statement) {
        match (self, statement.dialect) {
            (Self::Data(path), Dialect::Postgres) => {
                statement.push(&format!("({})", postgres_path(path, " ->> ")));
            }
            (Self::Data(_) | Self::Id(_) | Self::Time(_), Dialect::Sqlite)
            | (Self::Id(_) | Self::Time(_), Dialect::Postgres) => self.push(statement),
        }
    }

    /// The name of its JSON type, for a path into the data.
    pub(super) fn push_type(self, statement: &mut Statement) {
        let Self::Data(path) = self else { return statement.push("null") };
        let text = match statement.dialect {
            Dialect::Sqlite => format!("json_type(r.data, '{}')", sqlite_path(path)),
            Dialect::Postgres => format!("jsonb_typeof({})", postgres_path(path, " -> ")),
        };
        statement.push(&text);
    }

    /// The items of a list, for a path into the data in `SQLite`.
    pub(super) fn push_items(self, statement: &mut Statement) {
        if let Self::Data(path) = self {
            statement.push(&format!("json_each(r.data, '{}') e", sqlite_path(path)));
        }
    }

    /// A JSON value as the database compares it; none for null.
    pub(super) fn value(
        self,
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
                Dialect::Sqlite => sqlite_value(value),
                Dialect::Postgres => Some(FieldValue::Json(value.to_string())),
            }),
        }
    }
}

fn sqlite_path(path: &str) -> String {
    let quoted: Vec<_> = path.split('.').map(|key| format!("\"{key}\"")).collect();
    format!("$.{}", quoted.join("."))
}

/// Key after key, since `#>` would also count into lists; the last one with an operator of its own.
fn postgres_path(path: &str, last: &str) -> String {
    let keys: Vec<_> = path.split('.').collect();
    let mut text = String::from("r.data");
    for (index, key) in keys.iter().enumerate() {
        text.push_str(if index + 1 == keys.len() { last } else { " -> " });
        text.extend(["'", key, "'"]);
    }
    text
}

/// A JSON value as `->>` gives it; none for null.
fn sqlite_value(value: &Value) -> Option<FieldValue> {
    let column: sql::Value<'static> = match value {
        Value::Null => return None,
        Value::String(text) => text.clone().into(),
        // SQLite has true and false as 1 and 0.
        Value::Bool(bool) => (*bool).into(),
        Value::Number(number) => match number.as_i64() {
            Some(integer) => integer.into(),
            None => return Some(FieldValue::Read(value.to_string())),
        },
        Value::Array(_) | Value::Object(_) => value.to_string().into(),
    };
    Some(FieldValue::Column(column))
}

/// Whether a text can be the name of a field: nothing that could end a literal.
fn is_key(key: &str) -> bool {
    !key.is_empty() && key.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-')
}
