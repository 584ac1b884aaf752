//! The shape of a value: its type with all that is inside it, and its bounds.

use serde_json::{Map, Value};
use tinybase_model::{FieldViolation, OnDelete};

use super::{At, Bounds, Field};
use crate::field_type::Scalar;

/// What a value has to be.
#[derive(Debug, Clone)]
pub(crate) struct Shape {
    pub(crate) kind: FieldType,
    pub(crate) bounds: Bounds,
}

/// A type with all that is inside it.
#[derive(Debug, Clone)]
pub(crate) enum FieldType {
    Scalar(Scalar),
    /// The id of a record of a collection, or of a user.
    Reference(Reference),
    /// A list, of anything unless its items have a shape.
    List(Option<Box<Shape>>),
    /// An object, with any members unless it has properties.
    Object(Option<Vec<Field>>),
}

/// What a reference points to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reference {
    /// The collection's name, or `users`.
    pub(crate) collection: String,
    pub(crate) on_delete: OnDelete,
}

/// More mistakes of one value than anybody reads.
const VIOLATIONS_MAX: usize = 50;

impl FieldType {
    /// The value of an optional field that wasn't given.
    pub(crate) fn empty(&self) -> Value {
        match self {
            // What is in an object with properties may be required.
            Self::Scalar(_) | Self::Reference(_) | Self::Object(Some(_)) => Value::Null,
            Self::List(_) => Value::Array(Vec::new()),
            Self::Object(None) => Value::Object(Map::new()),
        }
    }
}

impl Shape {
    /// Makes a value one of this shape, and adds what is wrong with it to `found`.
    pub(crate) fn check(&self, value: Value, at: At<'_>, found: &mut Vec<FieldViolation>) -> Value {
        if found.len() >= VIOLATIONS_MAX {
            return Value::Null;
        }
        let before = found.len();
        let value = self.coerce(value, at, found);
        if found.len() == before
            && let Err(message) = self.bounds.check(&value)
        {
            found.push(at.violation(&message));
        }
        value
    }

    fn coerce(&self, value: Value, at: At<'_>, found: &mut Vec<FieldViolation>) -> Value {
        let coerced = match (&self.kind, value) {
            (FieldType::Scalar(scalar), value) => scalar.coerce(value),
            (FieldType::Reference(_), value) => Scalar::Id.coerce(value),
            (FieldType::List(items), Value::Array(values)) => {
                return list(items.as_deref(), values, at, found);
            }
            (FieldType::List(_), _) => Err("must be a list".to_owned()),
            (FieldType::Object(None), Value::Object(object)) => Ok(Value::Object(object)),
            (FieldType::Object(Some(properties)), Value::Object(object)) => {
                return Value::Object(check_all(properties, object, at, found));
            }
            (FieldType::Object(_), _) => Err("must be an object".to_owned()),
        };
        coerced.unwrap_or_else(|message| {
            found.push(at.violation(&message));
            Value::Null
        })
    }
}

fn list(
    items: Option<&Shape>,
    values: Vec<Value>,
    at: At<'_>,
    found: &mut Vec<FieldViolation>,
) -> Value {
    let Some(shape) = items else { return Value::Array(values) };
    let checked = values.into_iter().enumerate();
    Value::Array(
        checked.map(|(index, value)| shape.check(value, At::Index(&at, index), found)).collect(),
    )
}

/// Checks the members of an object against fields: values coerced, defaults filled in, members that
/// no field knows dropped.
pub(crate) fn check_all(
    fields: &[Field],
    mut object: Map<String, Value>,
    at: At<'_>,
    found: &mut Vec<FieldViolation>,
) -> Map<String, Value> {
    let mut checked = Map::new();
    for field in fields {
        let value = object.remove(&field.name);
        let value = field.check(value, At::Key(&at, &field.name), found);
        checked.insert(field.name.clone(), value);
    }
    checked
}
