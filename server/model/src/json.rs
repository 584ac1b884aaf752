//! JSON that was serialised once and is passed on as it is.

use std::fmt;

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

/// Bytes that are one valid JSON value. Cloning shares them.
#[derive(Clone, PartialEq, Eq)]
pub struct JsonBytes(Bytes);

impl JsonBytes {
    /// Serialises a value. Only types whose serialisation can't fail are to be given.
    ///
    /// # Errors
    /// As `serde_json` has them: a map with keys that aren't strings, or a `Serialize` that fails.
    pub fn of<T: Serialize + ?Sized>(value: &T) -> serde_json::Result<Self> {
        serde_json::to_vec(value).map(|text| Self(text.into()))
    }

    /// Takes bytes that somebody else says are JSON, after a look.
    ///
    /// # Errors
    /// If they aren't exactly one JSON value.
    pub fn checked(bytes: Bytes) -> serde_json::Result<Self> {
        serde_json::from_slice::<&RawValue>(&bytes)?;
        Ok(Self(bytes))
    }

    /// The JSON value `null`.
    pub const fn null() -> Self {
        Self(Bytes::from_static(b"null"))
    }

    /// The JSON value `{}`.
    pub const fn empty_object() -> Self {
        Self(Bytes::from_static(b"{}"))
    }

    /// Reads it as a type.
    ///
    /// # Errors
    /// If the JSON isn't of that type.
    pub fn parse<T: DeserializeOwned>(&self) -> serde_json::Result<T> {
        serde_json::from_slice(&self.0)
    }

    /// The text as bytes.
    pub const fn bytes(&self) -> &Bytes {
        &self.0
    }

    /// The text as bytes, for those who need nothing else.
    pub fn into_bytes(self) -> Bytes {
        self.0
    }

    /// The text.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_else(|_| unreachable!("JSON is UTF-8"))
    }
}

impl From<&serde_json::Value> for JsonBytes {
    fn from(value: &serde_json::Value) -> Self {
        Self(value.to_string().into())
    }
}

impl From<&serde_json::Map<String, serde_json::Value>> for JsonBytes {
    fn from(map: &serde_json::Map<String, serde_json::Value>) -> Self {
        Self::of(map).unwrap_or_else(|_| unreachable!("a JSON map serialises"))
    }
}

impl Serialize for JsonBytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serde_json::from_slice::<&RawValue>(&self.0)
            .map_err(serde::ser::Error::custom)?
            .serialize(serializer)
    }
}

impl fmt::Debug for JsonBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JsonBytes({} bytes)", self.0.len())
    }
}
