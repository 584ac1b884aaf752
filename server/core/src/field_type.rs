//! The types of fields, and how a value becomes one of a type: leniently, as documented, so that
//! `"5"` is an int and `"yes"` a bool, but never with a loss.

use serde_json::{Number, Value};

/// A field's type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FieldType {
    Text,
    Integer,
    Float,
    Bool,
    List(ItemType),
    Object,
}

/// What a list holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ItemType {
    Anything,
    Text,
    Integer,
    Float,
    Bool,
}

/// A word that names no type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct UnknownType {
    pub(crate) nearest: &'static str,
}

const TYPES: [(&str, FieldType); 15] = [
    ("string", FieldType::Text),
    ("int", FieldType::Integer),
    ("integer", FieldType::Integer),
    ("float", FieldType::Float),
    ("number", FieldType::Float),
    ("bool", FieldType::Bool),
    ("boolean", FieldType::Bool),
    ("list", FieldType::List(ItemType::Anything)),
    ("array", FieldType::List(ItemType::Anything)),
    ("list[string]", FieldType::List(ItemType::Text)),
    ("list[int]", FieldType::List(ItemType::Integer)),
    ("list[float]", FieldType::List(ItemType::Float)),
    ("list[bool]", FieldType::List(ItemType::Bool)),
    ("dict", FieldType::Object),
    ("object", FieldType::Object),
];

impl FieldType {
    pub(crate) fn parse(word: &str) -> Result<Self, UnknownType> {
        TYPES.into_iter().find(|(name, _)| *name == word).map(|(_, kind)| kind).ok_or_else(|| {
            let nearest = TYPES.into_iter().map(|(name, _)| name);
            let nearest = nearest.min_by_key(|name| strsim::levenshtein(name, word));
            UnknownType { nearest: nearest.unwrap_or("string") }
        })
    }

    /// The value of an optional field that wasn't given.
    pub(crate) fn empty(self) -> Value {
        match self {
            Self::Text | Self::Integer | Self::Float | Self::Bool => Value::Null,
            Self::List(_) => Value::Array(Vec::new()),
            Self::Object => Value::Object(serde_json::Map::new()),
        }
    }

    /// Makes a value one of this type, or says what it must be.
    pub(crate) fn coerce(self, value: Value) -> Result<Value, String> {
        match (self, value) {
            (Self::Text, value) => text(value),
            (Self::Integer, value) => integer(&value),
            (Self::Float, value) => float(&value),
            (Self::Bool, value) => bool(&value),
            (Self::List(item), Value::Array(values)) => list(item, values),
            (Self::List(_), _) => Err("must be a list".to_owned()),
            (Self::Object, Value::Object(object)) => Ok(Value::Object(object)),
            (Self::Object, _) => Err("must be an object".to_owned()),
        }
    }
}

fn list(item: ItemType, values: Vec<Value>) -> Result<Value, String> {
    let coerce = |(index, value): (usize, Value)| {
        let value = match item {
            ItemType::Anything => Ok(value),
            ItemType::Text => text(value),
            ItemType::Integer => integer(&value),
            ItemType::Float => float(&value),
            ItemType::Bool => bool(&value),
        };
        value.map_err(|message| format!("[{index}] {message}"))
    };
    values.into_iter().enumerate().map(coerce).collect::<Result<_, _>>().map(Value::Array)
}

fn text(value: Value) -> Result<Value, String> {
    if value.is_string() { Ok(value) } else { Err("must be a string".to_owned()) }
}

/// Doubles hold whole numbers exactly up to here.
const EXACT_MAX: f64 = 9_007_199_254_740_992.0;

fn integer(value: &Value) -> Result<Value, String> {
    let number = match value {
        Value::Number(number) if number.is_i64() || number.is_u64() => Some(number.clone()),
        Value::Number(number) => number.as_f64().and_then(whole),
        Value::Bool(bool) => Some(Number::from(u8::from(*bool))),
        Value::String(text) => {
            let text = text.trim();
            let digits =
                text.parse::<i64>().map(Number::from).or(text.parse::<u64>().map(Number::from));
            digits.ok().or_else(|| text.parse().ok().and_then(whole))
        }
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    };
    number.map(Value::Number).ok_or_else(|| "must be a whole number".to_owned())
}

/// A double without a fraction, as an integer.
fn whole(number: f64) -> Option<Number> {
    if number.fract() != 0.0 || number.abs() > EXACT_MAX {
        return None;
    }
    #[expect(clippy::cast_possible_truncation, reason = "it is whole and within 2^53")]
    Some(Number::from(number as i64))
}

fn float(value: &Value) -> Result<Value, String> {
    let number = match value {
        Value::Number(number) => number.as_f64(),
        Value::Bool(bool) => Some(f64::from(u8::from(*bool))),
        Value::String(text) => text.trim().parse().ok(),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    };
    let number = number.and_then(Number::from_f64);
    number.map(Value::Number).ok_or_else(|| "must be a number".to_owned())
}

fn bool(value: &Value) -> Result<Value, String> {
    let truth = match value {
        Value::Bool(bool) => Some(*bool),
        Value::Number(number) => match number.as_f64() {
            Some(0.0) => Some(false),
            Some(1.0) => Some(true),
            Some(_) | None => None,
        },
        Value::String(text) => match text.trim().to_ascii_lowercase().as_str() {
            "true" | "t" | "yes" | "y" | "on" | "1" => Some(true),
            "false" | "f" | "no" | "n" | "off" | "0" => Some(false),
            _ => None,
        },
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    };
    truth.map(Value::Bool).ok_or_else(|| "must be true or false".to_owned())
}
