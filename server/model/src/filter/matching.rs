//! Whether a record in memory fulfils a filter, as the databases would say.

use std::cmp::Ordering;

use jiff::Timestamp;
use serde_json::Value;

use super::pattern::is_like;
use super::{Comparison, Condition, Filter};
use crate::{CollectionId, RecordId, UserId};

/// What a filter can ask about a record.
#[derive(Debug, Clone, Copy)]
pub struct RecordFacts<'a> {
    /// Its id; none before it is created.
    pub id: Option<RecordId>,
    /// The collection's id.
    pub collection_id: CollectionId,
    /// The owner, if there is one.
    pub owner_id: Option<UserId>,
    /// When it was created; none before.
    pub created_at: Option<Timestamp>,
    /// When it was last changed; none before it is created.
    pub updated_at: Option<Timestamp>,
    /// The data, an object.
    pub data: &'a Value,
}

/// A field's value.
enum Fact<'a> {
    Missing,
    Text(String),
    Time(Timestamp),
    Json(&'a Value),
}

impl Filter {
    /// Whether a record fulfils it. What makes no sense, such as a field that can't exist, is never
    /// fulfilled; the store refuses it.
    pub fn matches(&self, record: &RecordFacts<'_>) -> bool {
        match self {
            Self::All(all) => all.iter().all(|filter| filter.matches(record)),
            Self::Any(any) => any.iter().any(|filter| filter.matches(record)),
            Self::Not(filter) => !filter.matches(record),
            Self::Value(condition) => condition.matches(record),
            Self::Fields { left, comparison, right } => {
                fields_match(&fact(record, left), *comparison, &fact(record, right))
            }
            Self::Search(search) => search.matches(record.collection_id, record.data),
        }
    }
}

impl Condition {
    fn matches(&self, record: &RecordFacts<'_>) -> bool {
        let fact = fact(record, &self.field);
        match (self.comparison, &self.value) {
            (Comparison::Equal, Value::Null) => matches!(fact, Fact::Missing),
            (Comparison::NotEqual, Value::Null) => !matches!(fact, Fact::Missing),
            (Comparison::In, Value::Array(values)) => {
                values.iter().any(|value| fact.compare(value) == Some(Ordering::Equal))
            }
            (Comparison::Like, Value::String(pattern)) => {
                fact.text().is_some_and(|text| is_like(text, pattern))
            }
            (Comparison::In | Comparison::Like, _) => false,
            (Comparison::Contains, value) => fact.contains(value),
            (comparison, value) => comparison.holds(fact.compare(value)),
        }
    }
}

impl Comparison {
    /// Whether it holds for things that compare so, or that can't be compared.
    fn holds(self, ordering: Option<Ordering>) -> bool {
        match self {
            Self::Equal => ordering == Some(Ordering::Equal),
            Self::NotEqual => ordering != Some(Ordering::Equal),
            Self::Less => ordering == Some(Ordering::Less),
            Self::LessOrEqual => ordering.is_some_and(Ordering::is_le),
            Self::Greater => ordering == Some(Ordering::Greater),
            Self::GreaterOrEqual => ordering.is_some_and(Ordering::is_ge),
            Self::In | Self::Like | Self::Contains => false,
        }
    }
}

fn fields_match(left: &Fact<'_>, comparison: Comparison, right: &Fact<'_>) -> bool {
    if comparison == Comparison::Contains {
        return match right {
            Fact::Missing | Fact::Time(_) => false,
            Fact::Text(text) => left.contains(&Value::String(text.clone())),
            Fact::Json(value) => left.contains(value),
        };
    }
    let ordering = match (left, right) {
        (Fact::Missing, Fact::Missing) => {
            return matches!(comparison, Comparison::Equal);
        }
        (Fact::Time(left), Fact::Time(right)) => Some(left.cmp(right)),
        (Fact::Text(left), Fact::Text(right)) => Some(left.cmp(right)),
        (left, Fact::Json(right)) => left.compare(right),
        (Fact::Json(left), right) => right.compare(left).map(Ordering::reverse),
        (Fact::Missing, _)
        | (_, Fact::Missing)
        | (Fact::Time(_), Fact::Text(_))
        | (Fact::Text(_), Fact::Time(_)) => None,
    };
    comparison.holds(ordering)
}

fn fact<'a>(record: &RecordFacts<'a>, field: &str) -> Fact<'a> {
    let id = |id: Option<String>| id.map_or(Fact::Missing, Fact::Text);
    let time = |at: Option<Timestamp>| at.map_or(Fact::Missing, Fact::Time);
    match field {
        "id" => id(record.id.map(|id| id.to_string())),
        "collection_id" => Fact::Text(record.collection_id.to_string()),
        "owner_id" => id(record.owner_id.map(|id| id.to_string())),
        "created_at" => time(record.created_at),
        "updated_at" => time(record.updated_at),
        _ => {
            let Some(path) = field.strip_prefix("data.") else { return Fact::Missing };
            // Keys of an object only: a list has no fields.
            let found =
                path.split('.').try_fold(record.data, |value, key| value.as_object()?.get(key));
            match found {
                None | Some(Value::Null) => Fact::Missing,
                Some(value) => Fact::Json(value),
            }
        }
    }
}

impl Fact<'_> {
    /// How it compares with a value; none if they are of different kinds.
    fn compare(&self, value: &Value) -> Option<Ordering> {
        match (self, value) {
            (Self::Text(text), Value::String(value)) => Some(text.as_str().cmp(value)),
            (Self::Time(at), Value::String(value)) => Some(at.cmp(&value.parse().ok()?)),
            (Self::Json(fact), value) => compare(fact, value),
            (Self::Missing | Self::Text(_) | Self::Time(_), _) => None,
        }
    }

    fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Json(value) => value.as_str(),
            Self::Missing | Self::Time(_) => None,
        }
    }

    fn contains(&self, value: &Value) -> bool {
        match self {
            Self::Json(Value::Array(items)) => items
                .iter()
                .any(|item| item == value || compare(item, value).is_some_and(Ordering::is_eq)),
            Self::Missing | Self::Text(_) | Self::Time(_) | Self::Json(_) => {
                match (self.text(), value.as_str()) {
                    (Some(text), Some(part)) => text.contains(part),
                    (None, _) | (_, None) => false,
                }
            }
        }
    }
}

/// How two JSON values compare; none if they are of different kinds, or unequal arrays or objects.
fn compare(left: &Value, right: &Value) -> Option<Ordering> {
    match (left, right) {
        (Value::String(left), Value::String(right)) => Some(left.cmp(right)),
        (Value::Bool(left), Value::Bool(right)) => Some(left.cmp(right)),
        (Value::Number(left), Value::Number(right)) => match (left.as_i128(), right.as_i128()) {
            (Some(left), Some(right)) => Some(left.cmp(&right)),
            (None, _) | (_, None) => left.as_f64()?.partial_cmp(&right.as_f64()?),
        },
        (Value::Array(_), Value::Array(_)) | (Value::Object(_), Value::Object(_)) => {
            (left == right).then_some(Ordering::Equal)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn matches(filter: &Filter, data: &Value) -> bool {
        filter.matches(&RecordFacts {
            id: None,
            collection_id: CollectionId::generate(),
            owner_id: None,
            created_at: Some(Timestamp::UNIX_EPOCH),
            updated_at: Some(Timestamp::UNIX_EPOCH),
            data,
        })
    }

    #[test]
    fn only_things_of_a_kind_compare() {
        let data = json!({"n": 2, "s": "b", "b": true, "l": [1, "x"], "o": {"p": 3}, "z": null});
        for (field, comparison, value, expected) in [
            ("data.n", Comparison::Equal, json!(2.0), true),
            ("data.n", Comparison::Less, json!("3"), false),
            ("data.n", Comparison::NotEqual, json!("2"), true),
            ("data.s", Comparison::Greater, json!("a"), true),
            ("data.b", Comparison::Equal, json!(1), false),
            ("data.b", Comparison::Greater, json!(false), true),
            ("data.o.p", Comparison::GreaterOrEqual, json!(3), true),
            ("data.z", Comparison::Equal, json!(null), true),
            ("data.none", Comparison::Equal, json!(null), true),
            ("data.none", Comparison::NotEqual, json!(1), true),
            ("data.none", Comparison::Less, json!(1), false),
            ("data.l", Comparison::Contains, json!("x"), true),
            ("data.l", Comparison::Contains, json!("1"), false),
            ("data.s", Comparison::In, json!(["a", "b"]), true),
            ("data.n", Comparison::In, json!([null]), false),
            ("created_at", Comparison::LessOrEqual, json!("1970-01-01T01:00:00+01:00"), true),
            ("created_at", Comparison::Less, json!("yesterday"), false),
        ] {
            let filter = Filter::value(field, comparison, value);
            assert_eq!(matches(&filter, &data), expected, "{filter:?}");
            assert_eq!(matches(&Filter::Not(Box::new(filter)), &data), !expected);
        }
        let fields = |left: &str, comparison, right: &str| Filter::Fields {
            left: left.to_owned(),
            comparison,
            right: right.to_owned(),
        };
        assert!(matches(&fields("data.n", Comparison::Less, "data.o.p"), &data));
        assert!(matches(&fields("created_at", Comparison::Equal, "updated_at"), &data));
        assert!(matches(&fields("data.z", Comparison::Equal, "owner_id"), &data));
        assert!(!matches(&fields("data.z", Comparison::LessOrEqual, "owner_id"), &data));
        assert!(matches(&Filter::always(), &data) && !matches(&Filter::never(), &data));
    }
}
