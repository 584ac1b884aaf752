//! The core's answers to call-backs, and what it saw.

use std::sync::{Arc, Mutex};

use tinybase_proto::v1;
use tinybase_proto::v1::host_service_server::{HostService, HostServiceServer};
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status};

/// Remembers what it was asked.
#[derive(Clone, Default)]
pub(crate) struct FakeHostService {
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    metadata: Mutex<Vec<MetadataMap>>,
    lines: Mutex<Vec<v1::LogEntry>>,
}

impl FakeHostService {
    pub(crate) fn service(&self) -> HostServiceServer<Self> {
        HostServiceServer::new(self.clone())
    }

    /// The metadata of the calls so far.
    pub(crate) fn metadata(&self) -> Vec<MetadataMap> {
        self.state.metadata.lock().expect("no panic").clone()
    }

    /// The log so far.
    pub(crate) fn lines(&self) -> Vec<v1::LogEntry> {
        self.state.lines.lock().expect("no panic").clone()
    }
}

macro_rules! unanswered {
    ($($name:ident($request:ident) -> $response:ident;)+) => {
        #[tonic::async_trait]
        impl HostService for FakeHostService {
            async fn get_value(
                &self,
                request: Request<v1::GetValueRequest>,
            ) -> Result<Response<v1::GetValueResponse>, Status> {
                let (metadata, _, request) = request.into_parts();
                self.state.metadata.lock().expect("no panic").push(metadata);
                if request.key == "missing" {
                    return Err(Status::permission_denied("the operator did not grant this"));
                }
                Ok(Response::new(v1::GetValueResponse { found: true, value: "7".into() }))
            }

            async fn write_log(
                &self,
                request: Request<v1::WriteLogRequest>,
            ) -> Result<Response<v1::WriteLogResponse>, Status> {
                self.state.lines.lock().expect("no panic").extend(request.into_inner().entries);
                Ok(Response::new(v1::WriteLogResponse { dropped: 0 }))
            }

            $(
                async fn $name(
                    &self,
                    _: Request<v1::$request>,
                ) -> Result<Response<v1::$response>, Status> {
                    Err(Status::unimplemented("no test asks for it"))
                }
            )+
        }
    };
}

unanswered! {
    get_record(GetRecordRequest) -> GetRecordResponse;
    list_records(ListRecordsRequest) -> ListRecordsResponse;
    create_record(CreateRecordRequest) -> CreateRecordResponse;
    update_record(UpdateRecordRequest) -> UpdateRecordResponse;
    delete_record(DeleteRecordRequest) -> DeleteRecordResponse;
    list_collections(ListCollectionsRequest) -> ListCollectionsResponse;
    get_user(GetUserRequest) -> GetUserResponse;
    call_function(CallFunctionRequest) -> CallFunctionResponse;
    set_value(SetValueRequest) -> SetValueResponse;
    delete_value(DeleteValueRequest) -> DeleteValueResponse;
    write_activity(WriteActivityRequest) -> WriteActivityResponse;
}
