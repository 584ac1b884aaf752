//! What a before-hook changes.

use bytes::Bytes;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::Error;

/// A before-hook's change to the data, as a JSON merge patch: what is set replaces the field,
/// what is removed goes away, all else stays.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Patch {
    fields: Map<String, Value>,
    refusal: Option<String>,
}

impl Patch {
    /// Approves without a change.
    pub fn none() -> Self {
        Self::default()
    }

    /// A change of one field.
    pub fn set(field: impl Into<String>, value: impl Serialize) -> Self {
        Self::none().and_set(field, value)
    }

    /// The removal of one field.
    pub fn remove(field: impl Into<String>) -> Self {
        Self::none().and_remove(field)
    }

    /// Changes one field more.
    #[must_use]
    pub fn and_set(mut self, field: impl Into<String>, value: impl Serialize) -> Self {
        let field = field.into();
        match serde_json::to_value(value) {
            Ok(value) => {
                self.fields.insert(field, value);
            }
            Err(error) => self.refusal = Some(format!("the new value of {field:?}: {error}")),
        }
        self
    }

    /// Removes one field more.
    #[must_use]
    pub fn and_remove(mut self, field: impl Into<String>) -> Self {
        self.fields.insert(field.into(), Value::Null);
        self
    }

    /// Whether nothing changes.
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty() && self.refusal.is_none()
    }

    pub(crate) fn into_bytes(self) -> Result<Bytes, Error> {
        if let Some(refusal) = self.refusal {
            return Err(Error::fault("EncodeError", refusal));
        }
        if self.fields.is_empty() {
            return Ok(Bytes::new());
        }
        Ok(serde_json::to_vec(&self.fields)?.into())
    }
}

impl From<Map<String, Value>> for Patch {
    fn from(fields: Map<String, Value>) -> Self {
        Self { fields, refusal: None }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn a_patch_is_a_json_merge_patch() {
        let patch = Patch::set("species", "Adelie").and_remove("draft");
        let json = patch.into_bytes().expect("it is JSON");
        assert_eq!(json, r#"{"draft":null,"species":"Adelie"}"#.as_bytes());
        assert!(Patch::none().into_bytes().expect("empty").is_empty());
    }

    #[test]
    fn a_value_that_is_not_json_is_a_fault_of_the_handler() {
        let patch = Patch::set("map", BTreeMap::from([((1, 2), 3)]));
        let error = patch.into_bytes().expect_err("keys must be text");
        assert!(error.message().starts_with(r#"the new value of "map""#), "{error}");
    }
}
