//! The types of single values, and how a value becomes one: leniently, as documented, so that `"5"`
//! is an int and `"yes"` a bool, but never with a loss.

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{Timestamp, Unit};
use serde_json::{Number, Value};
use uuid::Uuid;

/// The type of a single value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scalar {
    Text,
    Integer,
    Float,
    Bool,
    /// Kept as `2026-01-31`.
    Date,
    /// Kept in UTC with microseconds, so that texts have the order of the times.
    DateTime,
    /// The id of a record or a user.
    Id,
}

/// What a word for a type means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Word {
    Scalar(Scalar),
    Reference,
    /// A list whose `items` say what it holds.
    List,
    /// A list that says so itself.
    ListOf(Scalar),
    Object,
}

/// A word that names no type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct UnknownType {
    pub(crate) nearest: &'static str,
}

const SCALARS: [(&str, Scalar); 9] = [
    ("string", Scalar::Text),
    ("int", Scalar::Integer),
    ("integer", Scalar::Integer),
    ("float", Scalar::Float),
    ("number", Scalar::Float),
    ("bool", Scalar::Bool),
    ("boolean", Scalar::Bool),
    ("date", Scalar::Date),
    ("datetime", Scalar::DateTime),
];

const OTHERS: [(&str, Word); 5] = [
    ("list", Word::List),
    ("array", Word::List),
    ("dict", Word::Object),
    ("object", Word::Object),
    ("reference", Word::Reference),
];

impl Word {
    pub(crate) fn parse(word: &str) -> Result<Self, UnknownType> {
        if let Some(scalar) = Scalar::parse(word) {
            return Ok(Self::Scalar(scalar));
        }
        if let Some((_, kind)) = OTHERS.into_iter().find(|(name, _)| *name == word) {
            return Ok(kind);
        }
        let item = word.strip_prefix("list[").and_then(|rest| rest.strip_suffix(']'));
        if let Some(scalar) = item.and_then(Scalar::parse) {
            return Ok(Self::ListOf(scalar));
        }
        let names = SCALARS.map(|(name, _)| name).into_iter().chain(OTHERS.map(|(name, _)| name));
        let names = names.chain(["list[string]", "list[int]", "list[float]", "list[bool]"]);
        let nearest = names.min_by_key(|name| strsim::levenshtein(name, word));
        Err(UnknownType { nearest: nearest.unwrap_or("string") })
    }
}

impl Scalar {
    fn parse(word: &str) -> Option<Self> {
        SCALARS.into_iter().find(|(name, _)| *name == word).map(|(_, scalar)| scalar)
    }

    /// Makes a value one of this type, or says what it must be.
    pub(crate) fn coerce(self, value: Value) -> Result<Value, String> {
        match self {
            Self::Text => text(value),
            Self::Integer => integer(&value),
            Self::Float => float(&value),
            Self::Bool => bool(&value),
            Self::Date => date(&value),
            Self::DateTime => datetime(&value),
            Self::Id => id(&value),
        }
    }
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

/// A point in time that a client wrote; one without an offset is in UTC.
fn time(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    if let Ok(at) = text.parse::<Timestamp>() {
        return Some(at);
    }
    let civil: DateTime = text.parse().ok()?;
    civil.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
}

/// A day; a time at midnight is one too, as the original writes days.
fn date(value: &Value) -> Result<Value, String> {
    let wrong = || "must be a date such as \"2026-01-31\"".to_owned();
    let text = value.as_str().ok_or_else(wrong)?.trim();
    let day = match text.len() {
        10 => text.parse::<Date>().ok(),
        _ => time(text)
            .map(|at| at.to_zoned(TimeZone::UTC).datetime())
            .filter(|at| *at == at.date().to_datetime(jiff::civil::Time::midnight()))
            .map(DateTime::date),
    };
    let day = day.filter(|day| day.year() >= 0).ok_or_else(wrong)?;
    Ok(Value::String(day.to_string()))
}

fn datetime(value: &Value) -> Result<Value, String> {
    let wrong = || "must be a time such as \"2026-01-31T08:00:00Z\"".to_owned();
    let at = value.as_str().and_then(time).ok_or_else(wrong)?;
    let at = at.round(Unit::Microsecond).map_err(|_| wrong())?;
    if at.to_zoned(TimeZone::UTC).year() < 0 {
        return Err(wrong());
    }
    Ok(Value::String(format!("{at:.6}")))
}

fn id(value: &Value) -> Result<Value, String> {
    let id = value.as_str().and_then(|text| text.parse::<Uuid>().ok());
    let id = id.ok_or_else(|| "must be an id; it is not a valid UUID".to_owned())?;
    Ok(Value::String(id.as_hyphenated().to_string()))
}
