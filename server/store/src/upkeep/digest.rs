//! A checksum over a table's rows that doesn't depend on their order, nor on how a database writes
//! JSON down.

use serde_json::Value as Json;
use sha2::{Digest as _, Sha256};

use crate::sql::Value;

/// The count and the checksum of rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Digest {
    pub(super) rows: u64,
    sum: [u64; 4],
}

impl Digest {
    /// Adds a row. `json` tells which of its values are JSON.
    pub(super) fn add(&mut self, values: &[Value<'_>], json: &[bool]) {
        let mut hash = Sha256::new();
        for (value, json) in values.iter().zip(json) {
            add_value(&mut hash, value, *json);
        }
        self.rows += 1;
        let bytes: [u8; 32] = hash.finalize().into();
        for (sum, part) in self.sum.iter_mut().zip(bytes.chunks_exact(8)) {
            let part = part.iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
            *sum = sum.wrapping_add(part);
        }
    }
}

fn add_value(hash: &mut Sha256, value: &Value<'_>, json: bool) {
    match value {
        Value::Text(Some(text)) if json => match serde_json::from_str(text) {
            Ok(parsed) => add_bytes(hash, b'j', canonical(&parsed).as_bytes()),
            Err(_) => add_bytes(hash, b't', text.as_bytes()),
        },
        Value::Text(Some(text)) => add_bytes(hash, b't', text.as_bytes()),
        Value::Integer(Some(integer)) => add_bytes(hash, b'i', &integer.to_be_bytes()),
        Value::Real(Some(real)) => add_bytes(hash, b'r', &real.to_be_bytes()),
        Value::Blob(Some(bytes)) => add_bytes(hash, b'b', bytes),
        Value::Text(None) | Value::Integer(None) | Value::Real(None) | Value::Blob(None) => {
            hash.update(b"n");
        }
    }
}

fn add_bytes(hash: &mut Sha256, tag: u8, bytes: &[u8]) {
    hash.update([tag]);
    hash.update((bytes.len() as u64).to_be_bytes());
    hash.update(bytes);
}

/// JSON with sorted keys and numbers in one form.
fn canonical(json: &Json) -> String {
    let mut text = String::new();
    push(&mut text, json);
    text
}

fn push(text: &mut String, json: &Json) {
    match json {
        Json::Null | Json::Bool(_) | Json::String(_) => text.push_str(&json.to_string()),
        Json::Number(number) => match (number.as_i64(), number.as_f64()) {
            // One database has no negative zero.
            (_, Some(0.0)) => text.push('0'),
            (None, Some(real)) => text.push_str(&real.to_string()),
            (Some(integer), _) => text.push_str(&integer.to_string()),
            (None, None) => text.push_str(&number.to_string()),
        },
        Json::Array(items) => {
            text.push('[');
            for item in items {
                push(text, item);
                text.push(',');
            }
            text.push(']');
        }
        Json::Object(fields) => {
            let mut fields: Vec<_> = fields.iter().collect();
            fields.sort_by_key(|(key, _)| *key);
            text.push('{');
            for (key, value) in fields {
                text.push_str(&Json::from(key.as_str()).to_string());
                text.push(':');
                push(text, value);
                text.push(',');
            }
            text.push('}');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(rows: &[&str]) -> Digest {
        let mut digest = Digest::default();
        for row in rows {
            digest.add(&[Value::from(*row), Value::from(1_i64)], &[true, false]);
        }
        digest
    }

    #[test]
    fn the_order_of_rows_and_the_form_of_json_make_no_difference() {
        let one = digest(&[r#"{"a":1.0,"b":[1e2,true]}"#, r#"{"c":18446744073709551615}"#]);
        let two = digest(&[r#"{"c": 18446744073709551615}"#, r#"{"b": [100, true], "a": 1.0}"#]);
        assert_eq!(one, two);
    }

    #[test]
    fn any_other_difference_makes_one() {
        let one = digest(&[r#"{"a":1}"#]);
        for other in [r#"{"a":2}"#, r#"{"a":"1"}"#, r#"{"b":1}"#, r#"{"a":1,"b":null}"#, "x"] {
            assert_ne!(one, digest(&[other]), "{other}");
        }
        assert_ne!(one, digest(&[r#"{"a":1}"#, r#"{"a":1}"#]));
    }
}
