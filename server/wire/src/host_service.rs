//! The RPCs by which an extension asks something of the server.

use std::fmt::Display;
use std::str::FromStr;
use std::sync::Arc;

use bytes::Bytes;
use prost::Message as _;
use tinybase_model::{ActivityNote, Identity, JsonBytes, ListRecords};
use tinybase_proto::v1;
use tinybase_proto::v1::host_service_server::HostService;
use tonic::{Request, Response, Status};

use crate::convert::{
    call_response, condition, log_lines, sort_key, stored_collection, stored_record, stored_user,
};
use crate::seat::bearer;
use crate::service::peer;
use crate::status::Refusal;
use crate::token::InvocationToken;
use crate::wire::Wire;
use crate::{Caller, HostApi};

/// The metadata key of the invocation's token.
const INVOCATION_KEY: &str = "tinybase-invocation";
/// The metadata key of the trace context.
const TRACEPARENT_KEY: &str = "traceparent";
/// The length of a trace context.
const TRACEPARENT_LEN: usize = 55;
/// The longest key of a stored value, in bytes.
const KEY_MAX: usize = 512;

/// `HostService`, as the generated code wants it.
pub(crate) struct HostDoor {
    wire: Wire,
    host: Arc<dyn HostApi>,
}

impl HostDoor {
    pub(crate) fn new(wire: Wire, host: Arc<dyn HostApi>) -> Self {
        Self { wire, host }
    }

    /// Says who calls, and on whose behalf.
    fn caller<T>(&self, request: &Request<T>) -> Result<Caller, Refusal> {
        let metadata = request.metadata();
        let seat = self.wire.find(bearer(metadata)?)?;
        seat.check_again(peer(request)?)?;
        let extension = seat.ticket.extension.clone();
        let text = |key| metadata.get(key).and_then(|value| value.to_str().ok());
        let traceparent = text(TRACEPARENT_KEY)
            .filter(|traceparent| traceparent.len() == TRACEPARENT_LEN)
            .map(str::to_owned);
        seat.core.hear();
        let Some(token) = text(INVOCATION_KEY).filter(|token| !token.is_empty()) else {
            let identity = Identity::Extension(extension.clone());
            let traceparent = traceparent.unwrap_or_default();
            return Ok(Caller { extension, identity, depth: 0, traceparent });
        };
        let token = InvocationToken::parse(token).ok_or_else(|| {
            Refusal::denied("tinybase-invocation is not a token; send Invocation.token as it came")
        })?;
        let acting = seat.core.acting(&token)?;
        let traceparent = traceparent.unwrap_or(acting.traceparent);
        Ok(Caller { extension, identity: acting.identity, depth: acting.depth, traceparent })
    }

    fn body_bytes_max(&self) -> usize {
        self.wire.options().limits.body_bytes_max
    }

    fn json(&self, what: &str, bytes: Bytes) -> Result<JsonBytes, Refusal> {
        self.check_size(what, &bytes)?;
        JsonBytes::checked(bytes)
            .map_err(|error| Refusal::invalid(format!("{what} is not JSON: {error}")))
    }

    fn check_size(&self, what: &str, bytes: &Bytes) -> Result<(), Refusal> {
        let (size, limit) = (bytes.len(), self.body_bytes_max());
        if size > limit {
            return Err(Refusal::exhausted(format!(
                "{what} has {size} bytes; the limit is {limit} (Limits.body_bytes_max)"
            )));
        }
        Ok(())
    }
}

#[tonic::async_trait]
impl HostService for HostDoor {
    async fn get_record(
        &self,
        request: Request<v1::GetRecordRequest>,
    ) -> Result<Response<v1::GetRecordResponse>, Status> {
        let caller = self.caller(&request)?;
        let message = request.into_inner();
        let id = id("id", &message.id)?;
        let record = self.host.get_record(&caller, optional(&message.collection), id).await?;
        Ok(Response::new(v1::GetRecordResponse { record: Some(stored_record(record)) }))
    }

    async fn list_records(
        &self,
        request: Request<v1::ListRecordsRequest>,
    ) -> Result<Response<v1::ListRecordsResponse>, Status> {
        let caller = self.caller(&request)?;
        let message = request.into_inner();
        let conditions = message.conditions.into_iter().map(condition);
        let asked = ListRecords {
            collection: owned(message.collection),
            conditions: conditions.collect::<Result<_, _>>()?,
            sort: message.sort.into_iter().map(sort_key).collect(),
            page_size: message.page_size,
            page_token: owned(message.page_token),
        };
        let page = self.host.list_records(&caller, asked).await?;
        let response = v1::ListRecordsResponse {
            records: page.records.into_iter().map(stored_record).collect(),
            next_page_token: page.next_page_token.unwrap_or_default(),
        };
        let (size, limit) = (response.encoded_len(), self.wire.options().limits.message_bytes_max);
        if size > limit {
            return Err(Refusal::exhausted(format!(
                "the page has {size} bytes; the limit is {limit}: ask for a smaller page_size"
            ))
            .into());
        }
        Ok(Response::new(response))
    }

    async fn create_record(
        &self,
        request: Request<v1::CreateRecordRequest>,
    ) -> Result<Response<v1::CreateRecordResponse>, Status> {
        let caller = self.caller(&request)?;
        let message = request.into_inner();
        let owner = optional(&message.owner_id).map(|text| id("owner_id", text)).transpose()?;
        let data = self.json("data", message.data)?;
        let record = self.host.create_record(&caller, &message.collection, data, owner).await?;
        Ok(Response::new(v1::CreateRecordResponse { record: Some(stored_record(record)) }))
    }

    async fn update_record(
        &self,
        request: Request<v1::UpdateRecordRequest>,
    ) -> Result<Response<v1::UpdateRecordResponse>, Status> {
        let caller = self.caller(&request)?;
        let message = request.into_inner();
        let id = id("id", &message.id)?;
        let data = self.json("data", message.data)?;
        let collection = optional(&message.collection);
        let record = self.host.update_record(&caller, collection, id, data).await?;
        Ok(Response::new(v1::UpdateRecordResponse { record: Some(stored_record(record)) }))
    }

    async fn delete_record(
        &self,
        request: Request<v1::DeleteRecordRequest>,
    ) -> Result<Response<v1::DeleteRecordResponse>, Status> {
        let caller = self.caller(&request)?;
        let message = request.into_inner();
        let id = id("id", &message.id)?;
        self.host.delete_record(&caller, optional(&message.collection), id).await?;
        Ok(Response::new(v1::DeleteRecordResponse {}))
    }

    async fn list_collections(
        &self,
        request: Request<v1::ListCollectionsRequest>,
    ) -> Result<Response<v1::ListCollectionsResponse>, Status> {
        let caller = self.caller(&request)?;
        let collections = self.host.list_collections(&caller).await?;
        let collections = collections.into_iter().map(stored_collection).collect();
        Ok(Response::new(v1::ListCollectionsResponse { collections }))
    }

    async fn get_user(
        &self,
        request: Request<v1::GetUserRequest>,
    ) -> Result<Response<v1::GetUserResponse>, Status> {
        let caller = self.caller(&request)?;
        let id = id("id", &request.into_inner().id)?;
        let user = self.host.get_user(&caller, id).await?;
        Ok(Response::new(v1::GetUserResponse { user: Some(stored_user(user)) }))
    }

    async fn call_function(
        &self,
        request: Request<v1::CallFunctionRequest>,
    ) -> Result<Response<v1::CallFunctionResponse>, Status> {
        let caller = self.caller(&request)?;
        let message = request.into_inner();
        let input = match message.input {
            empty if empty.is_empty() => JsonBytes::empty_object(),
            input => self.json("input", input)?,
        };
        let summary = self.host.call_function(&caller, &message.name, input).await?;
        Ok(Response::new(call_response(summary)))
    }

    async fn get_value(
        &self,
        request: Request<v1::GetValueRequest>,
    ) -> Result<Response<v1::GetValueResponse>, Status> {
        let caller = self.caller(&request)?;
        let key = key(request.into_inner().key)?;
        let value = self.host.get_value(&caller, &key).await?;
        let found = value.is_some();
        Ok(Response::new(v1::GetValueResponse { found, value: value.unwrap_or_default() }))
    }

    async fn set_value(
        &self,
        request: Request<v1::SetValueRequest>,
    ) -> Result<Response<v1::SetValueResponse>, Status> {
        let caller = self.caller(&request)?;
        let message = request.into_inner();
        let key = key(message.key)?;
        self.check_size("value", &message.value)?;
        self.host.set_value(&caller, &key, message.value).await?;
        Ok(Response::new(v1::SetValueResponse {}))
    }

    async fn delete_value(
        &self,
        request: Request<v1::DeleteValueRequest>,
    ) -> Result<Response<v1::DeleteValueResponse>, Status> {
        let caller = self.caller(&request)?;
        let key = key(request.into_inner().key)?;
        self.host.delete_value(&caller, &key).await?;
        Ok(Response::new(v1::DeleteValueResponse {}))
    }

    async fn write_activity(
        &self,
        request: Request<v1::WriteActivityRequest>,
    ) -> Result<Response<v1::WriteActivityResponse>, Status> {
        let caller = self.caller(&request)?;
        let message = request.into_inner();
        let metadata = if message.metadata.is_empty() {
            None
        } else {
            Some(self.json("metadata", message.metadata)?)
        };
        let note = ActivityNote {
            action: message.action,
            resource_type: owned(message.resource_type),
            resource_id: owned(message.resource_id),
            user_id: optional(&message.user_id).map(|text| id("user_id", text)).transpose()?,
            metadata,
            address: optional(&message.ip_address)
                .map(|text| id("ip_address", text))
                .transpose()?,
        };
        self.host.write_activity(&caller, note).await?;
        Ok(Response::new(v1::WriteActivityResponse {}))
    }

    async fn write_log(
        &self,
        request: Request<v1::WriteLogRequest>,
    ) -> Result<Response<v1::WriteLogResponse>, Status> {
        let caller = self.caller(&request)?;
        let lines = log_lines(request.into_inner().entries);
        let dropped = self.host.write_log(&caller, lines).await?;
        Ok(Response::new(v1::WriteLogResponse { dropped }))
    }
}

fn id<T: FromStr<Err: Display>>(field: &str, text: &str) -> Result<T, Refusal> {
    text.parse()
        .map_err(|error| Refusal::invalid(format!("{field} {text:?} can't be read: {error}")))
}

fn key(key: String) -> Result<String, Refusal> {
    if key.is_empty() || key.len() > KEY_MAX {
        return Err(Refusal::invalid(format!(
            "a key has 1 to {KEY_MAX} bytes; this one has {}",
            key.len()
        )));
    }
    Ok(key)
}

fn optional(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

fn owned(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}
