//! How the fake server answers call-backs.

use std::collections::BTreeSet;

use async_trait::async_trait;
use jiff::Timestamp;
use tinybase_proto::v1;
use uuid::Uuid;

use super::compare::{by_keys, fulfils};
use super::fake::{FakeHost, not_found};
use super::outcome::{json, merge};
use crate::callbacks::Callbacks;
use crate::client::{CallScope, HostError, HostErrorKind};

/// The page size that the server uses unless asked.
const PAGE_SIZE: usize = 100;

impl FakeHost {
    fn check(&self) -> Result<(), HostError> {
        self.lock().failure.take().map_or(Ok(()), Err)
    }
}

#[async_trait]
impl Callbacks for FakeHost {
    async fn get_record(
        &self,
        request: v1::GetRecordRequest,
        _: CallScope<'_>,
    ) -> Result<v1::GetRecordResponse, HostError> {
        self.check()?;
        let state = self.lock();
        let position = state.position(&request.collection, &request.id)?;
        Ok(v1::GetRecordResponse { record: Some(state.records[position].clone()) })
    }

    async fn list_records(
        &self,
        request: v1::ListRecordsRequest,
        _: CallScope<'_>,
    ) -> Result<v1::ListRecordsResponse, HostError> {
        self.check()?;
        let skip = match request.page_token.as_str() {
            "" => 0,
            token => token.parse().map_err(|_| {
                HostError::new(HostErrorKind::InvalidArgument, "the page token is not one")
            })?,
        };
        let size = match request.page_size as usize {
            0 => PAGE_SIZE,
            size => size.min(1000),
        };
        let state = self.lock();
        let in_collection = |record: &&v1::StoredRecord| {
            request.collection.is_empty() || record.collection == request.collection
        };
        let mut found: Vec<_> = state.records.iter().filter(in_collection).collect();
        found.retain(|record| fulfils(record, &request.conditions));
        found.sort_by(|left, right| by_keys(left, right, &request.sort));
        let more = found.len() > skip + size;
        let next_page_token = if more { (skip + size).to_string() } else { String::new() };
        let records = found.into_iter().skip(skip).take(size).cloned().collect();
        Ok(v1::ListRecordsResponse { records, next_page_token })
    }

    async fn create_record(
        &self,
        request: v1::CreateRecordRequest,
        _: CallScope<'_>,
    ) -> Result<v1::CreateRecordResponse, HostError> {
        self.check()?;
        let record = self.lock().insert(&request.collection, request.data, request.owner_id);
        Ok(v1::CreateRecordResponse { record: Some(record) })
    }

    async fn update_record(
        &self,
        request: v1::UpdateRecordRequest,
        _: CallScope<'_>,
    ) -> Result<v1::UpdateRecordResponse, HostError> {
        self.check()?;
        let mut state = self.lock();
        let position = state.position(&request.collection, &request.id)?;
        let record = &mut state.records[position];
        let mut data = json(&record.data);
        merge(&mut data, &json(&request.data));
        record.data = data.to_string().into();
        record.updated_at = Timestamp::now().to_string();
        record.version += 1;
        Ok(v1::UpdateRecordResponse { record: Some(record.clone()) })
    }

    async fn delete_record(
        &self,
        request: v1::DeleteRecordRequest,
        _: CallScope<'_>,
    ) -> Result<v1::DeleteRecordResponse, HostError> {
        self.check()?;
        let mut state = self.lock();
        let position = state.position(&request.collection, &request.id)?;
        state.records.remove(position);
        Ok(v1::DeleteRecordResponse {})
    }

    async fn list_collections(
        &self,
        _: v1::ListCollectionsRequest,
        _: CallScope<'_>,
    ) -> Result<v1::ListCollectionsResponse, HostError> {
        self.check()?;
        let state = self.lock();
        let names: BTreeSet<_> = state.records.iter().map(|record| &record.collection).collect();
        let collections = names.into_iter().map(|name| v1::StoredCollection {
            id: format!("collection-{name}"),
            name: name.clone(),
            ..v1::StoredCollection::default()
        });
        Ok(v1::ListCollectionsResponse { collections: collections.collect() })
    }

    async fn get_user(
        &self,
        request: v1::GetUserRequest,
        _: CallScope<'_>,
    ) -> Result<v1::GetUserResponse, HostError> {
        self.check()?;
        let user = self.lock().users.get(&request.id).cloned();
        Ok(v1::GetUserResponse { user: Some(user.ok_or_else(|| not_found("user", &request.id))?) })
    }

    async fn call_function(
        &self,
        request: v1::CallFunctionRequest,
        _: CallScope<'_>,
    ) -> Result<v1::CallFunctionResponse, HostError> {
        self.check()?;
        let function = self.lock().functions.get(&request.name).cloned();
        let function = function.ok_or_else(|| not_found("function", &request.name))?;
        let mut response = v1::CallFunctionResponse {
            call_id: Uuid::now_v7().to_string(),
            status: "succeeded".to_owned(),
            ..v1::CallFunctionResponse::default()
        };
        match function(json(&request.input)) {
            Ok(output) => response.output = output.to_string().into(),
            Err(failure) => {
                "failed".clone_into(&mut response.status);
                response.error_type = failure.error_type;
                response.error_message = failure.message;
            }
        }
        Ok(response)
    }

    async fn get_value(
        &self,
        request: v1::GetValueRequest,
        _: CallScope<'_>,
    ) -> Result<v1::GetValueResponse, HostError> {
        self.check()?;
        let value = self.lock().values.get(&request.key).cloned();
        Ok(v1::GetValueResponse { found: value.is_some(), value: value.unwrap_or_default() })
    }

    async fn set_value(
        &self,
        request: v1::SetValueRequest,
        _: CallScope<'_>,
    ) -> Result<v1::SetValueResponse, HostError> {
        self.check()?;
        self.lock().values.insert(request.key, request.value);
        Ok(v1::SetValueResponse {})
    }

    async fn delete_value(
        &self,
        request: v1::DeleteValueRequest,
        _: CallScope<'_>,
    ) -> Result<v1::DeleteValueResponse, HostError> {
        self.check()?;
        self.lock().values.remove(&request.key);
        Ok(v1::DeleteValueResponse {})
    }

    async fn write_activity(
        &self,
        request: v1::WriteActivityRequest,
        _: CallScope<'_>,
    ) -> Result<v1::WriteActivityResponse, HostError> {
        self.check()?;
        self.lock().activities.push(request);
        Ok(v1::WriteActivityResponse {})
    }
}
