//! Which of the fake's records a query means, and in which order.

use std::cmp::Ordering;

use serde_json::Value;
use tinybase_proto::v1;

/// Whether a record fulfils all conditions.
pub(super) fn fulfils(record: &v1::StoredRecord, conditions: &[v1::Condition]) -> bool {
    conditions.iter().all(|condition| {
        let actual = field(record, &condition.field);
        let wanted = super::outcome::json(&condition.value);
        let order = order(&actual, &wanted);
        match condition.comparison() {
            v1::Comparison::Unspecified | v1::Comparison::Equal => actual == wanted,
            v1::Comparison::NotEqual => actual != wanted,
            v1::Comparison::Less => order == Some(Ordering::Less),
            v1::Comparison::LessOrEqual => order.is_some_and(Ordering::is_le),
            v1::Comparison::Greater => order == Some(Ordering::Greater),
            v1::Comparison::GreaterOrEqual => order.is_some_and(Ordering::is_ge),
            v1::Comparison::In => wanted.as_array().is_some_and(|all| all.contains(&actual)),
        }
    })
}

/// How two records stand to each other under the keys.
pub(super) fn by_keys(
    left: &v1::StoredRecord,
    right: &v1::StoredRecord,
    keys: &[v1::SortKey],
) -> Ordering {
    keys.iter().fold(Ordering::Equal, |sofar, key| {
        let next = || {
            let order = order(&field(left, &key.field), &field(right, &key.field));
            let order = order.unwrap_or(Ordering::Equal);
            if key.descending { order.reverse() } else { order }
        };
        sofar.then_with(next)
    })
}

fn field(record: &v1::StoredRecord, name: &str) -> Value {
    match name {
        "id" => Value::from(record.id.as_str()),
        "collection_id" => Value::from(record.collection_id.as_str()),
        "owner_id" => Value::from(record.owner_id.as_str()),
        "created_at" => Value::from(record.created_at.as_str()),
        "updated_at" => Value::from(record.updated_at.as_str()),
        _ => {
            let name = name.strip_prefix("data.").unwrap_or(name);
            super::outcome::json(&record.data).get(name).cloned().unwrap_or(Value::Null)
        }
    }
}

/// Numbers and texts have an order; nothing else has.
fn order(left: &Value, right: &Value) -> Option<Ordering> {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => left.as_f64().partial_cmp(&right.as_f64()),
        (Value::String(left), Value::String(right)) => Some(left.cmp(right)),
        _ => None,
    }
}
