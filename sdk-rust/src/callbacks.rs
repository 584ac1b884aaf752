//! The seam between a handler's context and whoever answers its call-backs: the core, or in
//! tests a fake one.

use async_trait::async_trait;
use tinybase_proto::v1;

use crate::client::{CallScope, Host, HostError};

macro_rules! callbacks {
    ($($name:ident($request:ident) -> $response:ident;)+) => {
        /// What a context may ask for.
        #[async_trait]
        pub(crate) trait Callbacks: Send + Sync {
            $(
                async fn $name(
                    &self,
                    request: v1::$request,
                    scope: CallScope<'_>,
                ) -> Result<v1::$response, HostError>;
            )+
        }

        #[async_trait]
        impl Callbacks for Host {
            $(
                async fn $name(
                    &self,
                    request: v1::$request,
                    scope: CallScope<'_>,
                ) -> Result<v1::$response, HostError> {
                    Host::$name(self, request, scope).await
                }
            )+
        }
    };
}

callbacks! {
    get_record(GetRecordRequest) -> GetRecordResponse;
    list_records(ListRecordsRequest) -> ListRecordsResponse;
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
