//! Which fields there are to filter, sort and select by, and what each holds.

use serde_json::Value;

use crate::field::{Field, FieldType, Trait};
use crate::field_type::Scalar;
use crate::schema::Schema;

/// The fields that somebody may name.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fields<'a> {
    pub(crate) schema: &'a Schema,
    /// Whether hidden ones are among them; if not, it is as if they weren't there.
    pub(crate) with_hidden: bool,
}

/// What a field holds, as far as comparing it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FieldKind {
    /// A field of the data with a single value.
    Scalar(Scalar),
    /// A column with a time.
    Time,
    /// A column with an id.
    Id,
    List,
    Object,
    /// Anything: what the schema says nothing about.
    Any,
}

impl FieldKind {
    /// What it is called in a sentence.
    pub(crate) const fn noun(self) -> &'static str {
        match self {
            Self::Scalar(Scalar::Text) => "a text",
            Self::Scalar(Scalar::Integer | Scalar::Float) => "a number",
            Self::Scalar(Scalar::Bool) => "true or false",
            Self::Scalar(Scalar::Date) => "a date",
            Self::Scalar(Scalar::DateTime) | Self::Time => "a time",
            Self::Scalar(Scalar::Id) | Self::Id => "an id",
            Self::List => "a list",
            Self::Object => "an object",
            Self::Any => "of no declared type",
        }
    }

    /// Whether records can be put in its order.
    pub(crate) const fn is_sortable(self) -> bool {
        match self {
            Self::Scalar(_) | Self::Time | Self::Id => true,
            Self::List | Self::Object | Self::Any => false,
        }
    }

    /// A value as such a field has it; none if it never has.
    pub(crate) fn value(self, value: &Value) -> Option<Value> {
        match (self, value) {
            (Self::Scalar(Scalar::Integer | Scalar::Float), Value::Number(_))
            | (Self::Scalar(Scalar::Text), Value::String(_))
            | (Self::Scalar(Scalar::Bool), Value::Bool(_))
            | (Self::Any, Value::String(_) | Value::Number(_) | Value::Bool(_)) => {
                Some(value.clone())
            }
            (
                Self::Scalar(scalar @ (Scalar::Date | Scalar::DateTime | Scalar::Id)),
                Value::String(_),
            ) => scalar.coerce(value.clone()).ok(),
            (Self::Id, Value::String(_)) => Scalar::Id.coerce(value.clone()).ok(),
            (Self::Time, Value::String(text)) => {
                text.parse::<jiff::Timestamp>().is_ok().then(|| value.clone())
            }
            _ => None,
        }
    }
}

/// The most keys of a path into the data.
const KEYS_MAX: usize = 8;

impl Fields<'_> {
    /// Finds a field by its path: the name by which the store knows it, and what it holds. `data.`
    /// in front may be left out unless the field is called like one of the record's own.
    pub(crate) fn find(self, keys: &[String]) -> Option<(String, FieldKind)> {
        let keys = match keys {
            [name] => match name.as_str() {
                "id" | "owner_id" => return Some((name.clone(), FieldKind::Id)),
                "created_at" | "updated_at" => return Some((name.clone(), FieldKind::Time)),
                _ => keys,
            },
            [first, rest @ ..] if first == "data" => rest,
            keys => keys,
        };
        let (name, inner) = keys.split_first()?;
        let field = self.schema.field(name)?;
        if field.is(Trait::Hidden) && !self.with_hidden || keys.len() > KEYS_MAX {
            return None;
        }
        // What is a name to one database and a place in a list to the other is neither here.
        let is_key =
            |key: &String| !key.bytes().all(|byte| byte.is_ascii_digit()) && !key.contains('@');
        let kind = kind(field, inner)?;
        keys.iter().all(is_key).then(|| (format!("data.{}", keys.join(".")), kind))
    }
}

/// What is within a field.
fn kind(field: &Field, inner: &[String]) -> Option<FieldKind> {
    match (&field.shape.kind, inner.split_first()) {
        (FieldType::Scalar(scalar), None) => Some(FieldKind::Scalar(*scalar)),
        (FieldType::Reference(_), None) => Some(FieldKind::Scalar(Scalar::Id)),
        (FieldType::List(_), None) => Some(FieldKind::List),
        (FieldType::Object(_), None) => Some(FieldKind::Object),
        (FieldType::Object(None), Some(_)) => Some(FieldKind::Any),
        (FieldType::Object(Some(properties)), Some((name, rest))) => {
            kind(properties.iter().find(|property| property.name == *name)?, rest)
        }
        (FieldType::Scalar(_) | FieldType::Reference(_) | FieldType::List(_), Some(_)) => None,
    }
}
