//! The place in a list where a page ended: the last record's values for the order, and its id.
//!
//! It holds no secret and opens no door, since rules and filter are asked again for each page. The
//! checksum is there so that a cut, mixed-up or invented one is refused and not half understood.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use tinybase_model::{CollectionId, Record, RecordId, SortKey};

use crate::record::RecordError;

/// The longest value of a cursor, in bytes of JSON: it has to fit into an address.
const VALUE_BYTES_MAX: usize = 1000;
/// The longest cursor.
const TEXT_BYTES_MAX: usize = 16_000;
/// Bytes of the checksum.
const CHECKSUM: usize = 8;

/// The place in a list where a page ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Cursor {
    /// The order, as it was asked for.
    #[serde(rename = "s")]
    pub(crate) sort: String,
    /// The last record's values for it.
    #[serde(rename = "v")]
    pub(crate) values: Vec<Value>,
    /// The last record.
    #[serde(rename = "i")]
    pub(crate) id: RecordId,
}

impl Cursor {
    /// The place after a record. None if it has a text that is too long to be told in an address.
    pub(crate) fn after(record: &Record, sort: String, keys: &[SortKey]) -> Option<Self> {
        // Data is an object; what isn't there is null.
        let data: Value = record.data.parse().unwrap_or_default();
        let value = |key: &SortKey| match key.field.as_str() {
            "id" => Value::from(record.id.to_string()),
            "owner_id" => record.owner_id.map_or(Value::Null, |id| id.to_string().into()),
            "created_at" => record.created_at.to_string().into(),
            "updated_at" => record.updated_at.to_string().into(),
            field => {
                let path = field.strip_prefix("data.").unwrap_or(field);
                let found = path.split('.').try_fold(&data, |value, key| value.get(key));
                found.cloned().unwrap_or_default()
            }
        };
        let values: Vec<_> = keys.iter().map(value).collect();
        let fits = values.iter().all(|value| value.to_string().len() <= VALUE_BYTES_MAX);
        fits.then_some(Self { sort, values, id: record.id })
    }

    /// As a client gets it, for a list of a collection with a filter.
    pub(crate) fn text(&self, collection: CollectionId, filter: &str) -> String {
        let json =
            serde_json::to_vec(self).unwrap_or_else(|_| unreachable!("texts and JSON serialise"));
        let mut bytes = checksum(collection, filter, &json).to_vec();
        bytes.extend(json);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Reads one that [`Self::text`] made for the same list.
    pub(crate) fn read(
        text: &str,
        collection: CollectionId,
        filter: &str,
    ) -> Result<Self, RecordError> {
        let wrong = || RecordError::Query("cursor is not one of this list's".to_owned());
        if text.len() > TEXT_BYTES_MAX {
            return Err(wrong());
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| wrong())?;
        let (sum, json) = bytes.split_at_checked(CHECKSUM).ok_or_else(wrong)?;
        if sum != checksum(collection, filter, json) {
            return Err(wrong());
        }
        serde_json::from_slice(json).map_err(|_| wrong())
    }
}

fn checksum(collection: CollectionId, filter: &str, json: &[u8]) -> [u8; CHECKSUM] {
    let mut hasher = Sha256::new();
    for part in [collection.to_string().as_bytes(), filter.as_bytes(), json] {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part);
    }
    let mut sum = [0; CHECKSUM];
    sum.copy_from_slice(&hasher.finalize()[..CHECKSUM]);
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_good_for_its_list_only() {
        let (mine, other) = (CollectionId::generate(), CollectionId::generate());
        let cursor = Cursor {
            sort: "-n".to_owned(),
            values: vec![serde_json::json!(i64::MAX), Value::Null],
            id: RecordId::generate(),
        };
        let text = cursor.text(mine, "n > 1");
        assert_eq!(Cursor::read(&text, mine, "n > 1").expect("a cursor"), cursor);
        assert!(Cursor::read(&text, other, "n > 1").is_err());
        assert!(Cursor::read(&text, mine, "n > 2").is_err());
        let cut = &text[..text.len() - 4];
        let turned: String = text.chars().rev().collect();
        for wrong in ["", "x", cut, &turned, &"A".repeat(TEXT_BYTES_MAX + 1)] {
            assert!(Cursor::read(wrong, mine, "n > 1").is_err(), "{wrong}");
        }
    }
}
