//! A server that extensions can shake hands with and ask for nothing.

use async_trait::async_trait;
use bytes::Bytes;
use tinybase_model::{
    ActivityNote, CallSummary, Collection, JsonBytes, ListRecords, LogLine, Record, RecordId,
    RecordPage, User, UserId,
};
use tinybase_wire::{Caller, HostApi, HostError};

/// It has nothing.
pub(crate) struct EmptyHost;

fn nothing<T>() -> Result<T, HostError> {
    Err(HostError::NotFound("this server has nothing".to_owned()))
}

#[async_trait]
impl HostApi for EmptyHost {
    async fn get_record(
        &self,
        _: &Caller,
        _: Option<&str>,
        _: RecordId,
    ) -> Result<Record, HostError> {
        nothing()
    }

    async fn list_records(&self, _: &Caller, _: ListRecords) -> Result<RecordPage, HostError> {
        nothing()
    }

    async fn create_record(
        &self,
        _: &Caller,
        _: &str,
        _: JsonBytes,
        _: Option<UserId>,
    ) -> Result<Record, HostError> {
        nothing()
    }

    async fn update_record(
        &self,
        _: &Caller,
        _: Option<&str>,
        _: RecordId,
        _: JsonBytes,
    ) -> Result<Record, HostError> {
        nothing()
    }

    async fn delete_record(
        &self,
        _: &Caller,
        _: Option<&str>,
        _: RecordId,
    ) -> Result<(), HostError> {
        nothing()
    }

    async fn list_collections(&self, _: &Caller) -> Result<Vec<Collection>, HostError> {
        nothing()
    }

    async fn get_user(&self, _: &Caller, _: UserId) -> Result<User, HostError> {
        nothing()
    }

    async fn call_function(
        &self,
        _: &Caller,
        _: &str,
        _: JsonBytes,
    ) -> Result<CallSummary, HostError> {
        nothing()
    }

    async fn get_value(&self, _: &Caller, _: &str) -> Result<Option<Bytes>, HostError> {
        nothing()
    }

    async fn set_value(&self, _: &Caller, _: &str, _: Bytes) -> Result<(), HostError> {
        nothing()
    }

    async fn delete_value(&self, _: &Caller, _: &str) -> Result<(), HostError> {
        nothing()
    }

    async fn write_activity(&self, _: &Caller, _: ActivityNote) -> Result<(), HostError> {
        nothing()
    }

    async fn write_log(&self, _: &Caller, _: Vec<LogLine>) -> Result<u32, HostError> {
        nothing()
    }
}
