//! Values that an extension keeps in the core, under keys of its own.

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tinybase_proto::v1;

use super::records::json;
use super::{CallbackError, Context};

/// The extension's own values. No other extension sees them.
#[derive(Debug)]
pub struct Values<'a> {
    context: &'a Context,
}

impl<'a> Values<'a> {
    pub(super) const fn new(context: &'a Context) -> Self {
        Self { context }
    }

    /// Reads a value that [`Values::set`] stored; none if there is none.
    pub async fn get<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, CallbackError> {
        let Some(value) = self.get_bytes(key).await? else { return Ok(None) };
        serde_json::from_slice(&value)
            .map(Some)
            .map_err(|error| CallbackError::decode("the stored value", error))
    }

    /// Stores a value as JSON.
    pub async fn set(&self, key: &str, value: &impl Serialize) -> Result<(), CallbackError> {
        self.set_bytes(key, json("the value", value)?).await
    }

    /// Reads a value as it is; none if there is none.
    pub async fn get_bytes(&self, key: &str) -> Result<Option<Bytes>, CallbackError> {
        let request = v1::GetValueRequest { key: key.to_owned() };
        let answer = self.context.callbacks().get_value(request, self.context.scope()).await?;
        Ok(answer.found.then_some(answer.value))
    }

    /// Stores a value as it is.
    pub async fn set_bytes(&self, key: &str, value: impl Into<Bytes>) -> Result<(), CallbackError> {
        let request = v1::SetValueRequest { key: key.to_owned(), value: value.into() };
        self.context.callbacks().set_value(request, self.context.scope()).await?;
        Ok(())
    }

    /// Forgets a value.
    pub async fn delete(&self, key: &str) -> Result<(), CallbackError> {
        let request = v1::DeleteValueRequest { key: key.to_owned() };
        self.context.callbacks().delete_value(request, self.context.scope()).await?;
        Ok(())
    }
}
