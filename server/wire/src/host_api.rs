//! What the server does for extensions that call back, in terms of the model.

use async_trait::async_trait;
use bytes::Bytes;
use thiserror::Error;
use tinybase_model::{
    ActivityNote, CallSummary, Collection, ExtensionName, Identity, JsonBytes, ListRecords,
    LogLine, Record, RecordId, RecordPage, User, UserId,
};

/// Who calls back, and on whose behalf.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The extension whose process it is.
    pub extension: ExtensionName,
    /// Whoever caused the invocation that is being handled; outside of one, the extension itself.
    pub identity: Identity,
    /// How many invocations led to this call; 0 outside of one.
    pub depth: u32,
    /// The W3C trace context; empty if there is none.
    pub traceparent: String,
}

/// Why a call-back has no answer. Each message is a sentence that the extension's author can act on.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum HostError {
    /// What was asked for isn't there.
    #[error("{0}")]
    NotFound(String),
    /// The caller may not do that.
    #[error("{0}")]
    PermissionDenied(String),
    /// The request makes no sense.
    #[error("{0}")]
    InvalidArgument(String),
    /// The request makes sense, but not in this state.
    #[error("{0}")]
    FailedPrecondition(String),
    /// A limit was met.
    #[error("{0}")]
    ResourceExhausted(String),
    /// It may work later.
    #[error("{0}")]
    Unavailable(String),
    /// The server failed; what is said here is safe to show.
    #[error("{0}")]
    Internal(String),
}

/// What extensions may ask of the server: one method for each RPC of `HostService`.
///
/// Access is decided behind it, from the [`Caller`].
#[async_trait]
pub trait HostApi: Send + Sync {
    /// Reads one record; without a collection's name, from any collection.
    async fn get_record(
        &self,
        caller: &Caller,
        collection: Option<&str>,
        id: RecordId,
    ) -> Result<Record, HostError>;

    /// Reads a page of records.
    async fn list_records(
        &self,
        caller: &Caller,
        request: ListRecords,
    ) -> Result<RecordPage, HostError>;

    /// Creates a record; without an owner it belongs to whoever the call acts for.
    async fn create_record(
        &self,
        caller: &Caller,
        collection: &str,
        data: JsonBytes,
        owner_id: Option<UserId>,
    ) -> Result<Record, HostError>;

    /// Merges fields into a record.
    async fn update_record(
        &self,
        caller: &Caller,
        collection: Option<&str>,
        id: RecordId,
        data: JsonBytes,
    ) -> Result<Record, HostError>;

    /// Deletes a record.
    async fn delete_record(
        &self,
        caller: &Caller,
        collection: Option<&str>,
        id: RecordId,
    ) -> Result<(), HostError>;

    /// Reads the collections, ordered by name.
    async fn list_collections(&self, caller: &Caller) -> Result<Vec<Collection>, HostError>;

    /// Reads one user.
    async fn get_user(&self, caller: &Caller, id: UserId) -> Result<User, HostError>;

    /// Calls a function and waits for its result.
    async fn call_function(
        &self,
        caller: &Caller,
        name: &str,
        input: JsonBytes,
    ) -> Result<CallSummary, HostError>;

    /// Reads a value of the extension's own.
    async fn get_value(&self, caller: &Caller, key: &str) -> Result<Option<Bytes>, HostError>;

    /// Stores a value of the extension's own.
    async fn set_value(&self, caller: &Caller, key: &str, value: Bytes) -> Result<(), HostError>;

    /// Forgets a value of the extension's own.
    async fn delete_value(&self, caller: &Caller, key: &str) -> Result<(), HostError>;

    /// Notes something in the activity log.
    async fn write_activity(&self, caller: &Caller, note: ActivityNote) -> Result<(), HostError>;

    /// Takes lines for the extension's log; says how many were dropped for being over the rate.
    async fn write_log(&self, caller: &Caller, lines: Vec<LogLine>) -> Result<u32, HostError>;
}
