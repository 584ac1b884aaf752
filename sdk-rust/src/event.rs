//! The events that handlers take, with the author's own types for the data.

use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::Value;
use tinybase_proto::v1;
use tinybase_proto::v1::invocation::Body;

use crate::Error;

/// A record is about to be created. It has no id yet.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct NewRecord<T = Value> {
    /// The collection's name.
    pub collection: String,
    /// The owner's user id.
    pub owner_id: Option<String>,
    /// The data.
    pub data: T,
}

/// A record was created.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct RecordCreate<T = Value> {
    /// The collection's name.
    pub collection: String,
    /// The record's id.
    pub record_id: String,
    /// The owner's user id.
    pub owner_id: Option<String>,
    /// The data.
    pub data: T,
    /// The record's version: 1, and one more with each change and with the deletion.
    pub version: i64,
}

/// A record was changed, or is about to be.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct RecordUpdate<T = Value> {
    /// The collection's name.
    pub collection: String,
    /// The record's id.
    pub record_id: String,
    /// The owner's user id.
    pub owner_id: Option<String>,
    /// The data before the change.
    pub old_data: T,
    /// The data after the change.
    pub new_data: T,
    /// The record's version after the change: of two events of one record the higher is the later.
    pub version: i64,
}

/// A record was deleted, or is about to be.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct RecordDelete<T = Value> {
    /// The collection's name.
    pub collection: String,
    /// The record's id.
    pub record_id: String,
    /// The owner's user id.
    pub owner_id: Option<String>,
    /// The data before the deletion.
    pub data: T,
    /// One more than the record's last version.
    pub version: i64,
}

/// A user is about to be registered. There is no id yet.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct NewUser {
    /// The address.
    pub email: String,
    /// Whether the user is to be an administrator.
    pub is_admin: bool,
}

/// A user registered.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct UserRegister {
    /// The user's id.
    pub user_id: String,
    /// The address.
    pub email: String,
    /// Whether the user is an administrator.
    pub is_admin: bool,
}

/// A user logged in, or is about to.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct UserLogin {
    /// The user's id.
    pub user_id: String,
    /// The address.
    pub email: String,
    /// Whether the user is an administrator.
    pub is_admin: bool,
}

/// A function is about to run.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct FunctionCall<T = Value> {
    /// The function's name.
    pub function_name: String,
    /// The recorded call's id.
    pub call_id: String,
    /// The caller's user id, if somebody is logged in.
    pub user_id: Option<String>,
    /// Whether the caller is an administrator.
    pub is_admin: bool,
    /// The input.
    pub payload: T,
}

/// A function ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FunctionComplete {
    /// The function's name.
    pub function_name: String,
    /// The recorded call's id.
    pub call_id: String,
    /// The caller's user id, if somebody was logged in.
    pub user_id: Option<String>,
    /// How long it took.
    pub duration: Duration,
    /// What went wrong; none if it succeeded.
    pub failure: Option<FunctionFailure>,
}

/// How a function failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{error_type}: {message}")]
#[non_exhaustive]
pub struct FunctionFailure {
    /// The error's type in the language of its extension.
    pub error_type: String,
    /// What went wrong.
    pub message: String,
}

impl FunctionFailure {
    /// A failure with a type and a sentence.
    pub fn new(error_type: impl Into<String>, message: impl Into<String>) -> Self {
        Self { error_type: error_type.into(), message: message.into() }
    }
}

/// What can be read from an invocation's body.
pub(crate) trait FromBody: Sized {
    fn from_body(body: Option<Body>) -> Result<Self, Error>;
}

/// Startup and shutdown.
impl FromBody for () {
    fn from_body(_: Option<Body>) -> Result<Self, Error> {
        Ok(())
    }
}

impl<T: DeserializeOwned> FromBody for NewRecord<T> {
    fn from_body(body: Option<Body>) -> Result<Self, Error> {
        let body = record(body)?;
        let data = parse(&body.data, &what(&body.collection, "record"))?;
        Ok(Self { data, owner_id: optional(body.owner_id), collection: body.collection })
    }
}

impl<T: DeserializeOwned> FromBody for RecordCreate<T> {
    fn from_body(body: Option<Body>) -> Result<Self, Error> {
        let v1::RecordBody { collection, record_id, owner_id, data, old_data: _, version } =
            record(body)?;
        let data = parse(&data, &what(&collection, "record"))?;
        Ok(Self { collection, record_id, owner_id: optional(owner_id), data, version })
    }
}

impl<T: DeserializeOwned> FromBody for RecordUpdate<T> {
    fn from_body(body: Option<Body>) -> Result<Self, Error> {
        let v1::RecordBody { collection, record_id, owner_id, data, old_data, version } =
            record(body)?;
        let owner_id = optional(owner_id);
        let old_data = parse(&old_data, &what(&collection, "old record"))?;
        let new_data = parse(&data, &what(&collection, "new record"))?;
        Ok(Self { collection, record_id, owner_id, old_data, new_data, version })
    }
}

impl<T: DeserializeOwned> FromBody for RecordDelete<T> {
    fn from_body(body: Option<Body>) -> Result<Self, Error> {
        let v1::RecordBody { collection, record_id, owner_id, data, old_data: _, version } =
            record(body)?;
        let data = parse(&data, &what(&collection, "record"))?;
        Ok(Self { collection, record_id, owner_id: optional(owner_id), data, version })
    }
}

impl FromBody for NewUser {
    fn from_body(body: Option<Body>) -> Result<Self, Error> {
        let v1::UserBody { user_id: _, email, is_admin } = user(body)?;
        Ok(Self { email, is_admin })
    }
}

impl FromBody for UserRegister {
    fn from_body(body: Option<Body>) -> Result<Self, Error> {
        let v1::UserBody { user_id, email, is_admin } = user(body)?;
        Ok(Self { user_id, email, is_admin })
    }
}

impl FromBody for UserLogin {
    fn from_body(body: Option<Body>) -> Result<Self, Error> {
        let v1::UserBody { user_id, email, is_admin } = user(body)?;
        Ok(Self { user_id, email, is_admin })
    }
}

impl<T: DeserializeOwned> FromBody for FunctionCall<T> {
    fn from_body(body: Option<Body>) -> Result<Self, Error> {
        let Some(Body::Function(body)) = body else { return Err(misfit("a function's call")) };
        let payload = parse(&body.input, &format!("the input of {:?}", body.name))?;
        Ok(Self {
            function_name: body.name,
            call_id: body.call_id,
            user_id: optional(body.user_id),
            is_admin: body.is_admin,
            payload,
        })
    }
}

impl FromBody for FunctionComplete {
    fn from_body(body: Option<Body>) -> Result<Self, Error> {
        let Some(Body::Completion(body)) = body else { return Err(misfit("a function's end")) };
        let failed = body.status != "succeeded";
        let failure = failed.then(|| FunctionFailure::new(body.error_type, body.error_message));
        Ok(Self {
            function_name: body.name,
            call_id: body.call_id,
            user_id: optional(body.user_id),
            duration: Duration::from_millis(body.duration_ms),
            failure,
        })
    }
}

/// An id, where the protocol writes an absent one as an empty text.
pub(crate) fn optional(id: String) -> Option<String> {
    (!id.is_empty()).then_some(id)
}

fn record(body: Option<Body>) -> Result<v1::RecordBody, Error> {
    if let Some(Body::Record(body)) = body { Ok(body) } else { Err(misfit("a record event")) }
}

fn user(body: Option<Body>) -> Result<v1::UserBody, Error> {
    if let Some(Body::User(body)) = body { Ok(body) } else { Err(misfit("a user event")) }
}

fn misfit(wanted: &str) -> Error {
    Error::fault("ProtocolError", format!("the invocation's body is not that of {wanted}"))
}

fn what(collection: &str, noun: &str) -> String {
    format!("the {noun} in {collection:?}")
}

fn parse<T: DeserializeOwned>(json: &[u8], what: &str) -> Result<T, Error> {
    serde_json::from_slice(json).map_err(|error| {
        let wanted = std::any::type_name::<T>();
        Error::fault("DecodeError", format!("{what} does not fit {wanted}: {error}"))
    })
}
