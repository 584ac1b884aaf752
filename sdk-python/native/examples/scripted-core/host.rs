//! The call-backs of the scripted core: records that the test gave, and a log that it reads.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};
use tinybase_proto::v1;
use tinybase_proto::v1::host_service_server::HostService;
use tonic::{Request, Response, Status};

use crate::say;

type Answer<T> = Result<Response<T>, Status>;

/// Records by position; the page token is one.
#[derive(Debug, Clone, Default)]
pub(crate) struct ScriptedHost(Arc<Mutex<Vec<v1::StoredRecord>>>);

impl ScriptedHost {
    /// Takes `[[id, data], …]`.
    pub(crate) fn fill(&self, records: &Value) {
        let list = records.as_array().cloned().unwrap_or_default();
        *self.lock() = list.iter().map(|it| stored(&it[0], it[1].to_string())).collect();
    }

    fn lock(&self) -> MutexGuard<'_, Vec<v1::StoredRecord>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn stored(id: &Value, data: String) -> v1::StoredRecord {
    v1::StoredRecord {
        id: id.as_str().unwrap_or_default().to_owned(),
        collection: "events".to_owned(),
        collection_id: "0193d2a4-7c1e-7f3a-9b1c-2f6a5e4d3c2b".to_owned(),
        data: data.into(),
        created_at: "2026-01-01T00:00:00.123456789Z".to_owned(),
        updated_at: "2026-01-01T00:00:00Z".to_owned(),
        ..v1::StoredRecord::default()
    }
}

macro_rules! service {
    (
        answered: { $($name:ident($request:ident) -> $response:ident;)+ }
        denied: { $($denied:ident($denied_request:ident) -> $denied_response:ident;)+ }
    ) => {
        #[tonic::async_trait]
        impl HostService for ScriptedHost {
            $(async fn $name(&self, request: Request<v1::$request>) -> Answer<v1::$response> {
                self.$name(request).map(Response::new)
            })+
            $(async fn $denied(
                &self,
                _: Request<v1::$denied_request>,
            ) -> Answer<v1::$denied_response> {
                Err(Status::permission_denied("the scripted core doesn't grant this"))
            })+
        }
    };
}

service! {
    answered: {
    get_record(GetRecordRequest) -> GetRecordResponse;
    list_records(ListRecordsRequest) -> ListRecordsResponse;
    write_log(WriteLogRequest) -> WriteLogResponse;
    }
    denied: {
    create_record(CreateRecordRequest) -> CreateRecordResponse;
    update_record(UpdateRecordRequest) -> UpdateRecordResponse;
    delete_record(DeleteRecordRequest) -> DeleteRecordResponse;
    list_collections(ListCollectionsRequest) -> ListCollectionsResponse;
    get_user(GetUserRequest) -> GetUserResponse;
    call_function(CallFunctionRequest) -> CallFunctionResponse;
    get_value(GetValueRequest) -> GetValueResponse;
    set_value(SetValueRequest) -> SetValueResponse;
    delete_value(DeleteValueRequest) -> DeleteValueResponse;
    write_activity(WriteActivityRequest) -> WriteActivityResponse;
    }
}

#[expect(clippy::unnecessary_wraps, clippy::unused_self, reason = "all have one shape")]
impl ScriptedHost {
    fn get_record(
        &self,
        request: Request<v1::GetRecordRequest>,
    ) -> Result<v1::GetRecordResponse, Status> {
        let id = request.into_inner().id;
        let found = self.lock().iter().find(|it| it.id == id).cloned();
        let record = found.ok_or_else(|| Status::not_found(format!("there is no record {id}")))?;
        Ok(v1::GetRecordResponse { record: Some(record) })
    }

    fn list_records(
        &self,
        request: Request<v1::ListRecordsRequest>,
    ) -> Result<v1::ListRecordsResponse, Status> {
        let token = request.metadata().get("tinybase-invocation");
        let token = token.and_then(|it| it.to_str().ok()).unwrap_or_default().to_owned();
        let request = request.into_inner();
        say(&json!({"list_records": token, "conditions": request.conditions.len()}));
        let records = self.lock();
        let start = request.page_token.parse::<usize>().unwrap_or(0);
        let end = records.len().min(start + request.page_size as usize);
        let next_page_token = if end < records.len() { end.to_string() } else { String::new() };
        let records = records[start..end].to_vec();
        Ok(v1::ListRecordsResponse { records, next_page_token })
    }

    fn write_log(
        &self,
        request: Request<v1::WriteLogRequest>,
    ) -> Result<v1::WriteLogResponse, Status> {
        for it in request.into_inner().entries {
            say(&json!({
                "log": it.message, "level": it.level, "logger": it.logger,
                "invocation": it.invocation_id, "time": it.time,
                "fields": String::from_utf8_lossy(&it.fields),
            }));
        }
        Ok(v1::WriteLogResponse::default())
    }
}
