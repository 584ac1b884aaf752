//! Calls back into the core.

use std::fmt;

use tinybase_proto::v1;
use tinybase_proto::v1::host_service_client::HostServiceClient;
use tokio::time::Instant;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::Channel;
use tonic::{Code, Request};

use super::HostError;

/// The largest answer that is read. The core's own limit is lower; the core is trusted with it.
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// For which invocation a call-back is made: it acts for whoever caused that invocation, joins
/// its trace, and may take no longer than what is left of its time.
#[derive(Debug, Clone, Copy, Default)]
pub struct CallScope<'a> {
    /// The invocation's token; without one the call is the extension's own.
    pub token: Option<&'a str>,
    /// When the invocation's time is over.
    pub deadline: Option<Instant>,
    /// The W3C trace context to pass on; empty if there is none.
    pub traceparent: &'a str,
}

impl<'a> From<Option<&'a str>> for CallScope<'a> {
    fn from(token: Option<&'a str>) -> Self {
        Self { token, ..Self::default() }
    }
}

/// The core's services for an extension, over the session's own connection.
#[derive(Clone)]
pub struct Host {
    client: HostServiceClient<Channel>,
    bearer: MetadataValue<Ascii>,
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Host").finish_non_exhaustive()
    }
}

macro_rules! calls {
    ($($(#[$doc:meta])+ $name:ident($request:ident) -> $response:ident;)+) => {
        impl Host {
            $(
                $(#[$doc])+
                pub async fn $name(
                    &self,
                    request: v1::$request,
                    scope: impl Into<CallScope<'_>>,
                ) -> Result<v1::$response, HostError> {
                    let scope = scope.into();
                    let request = self.request(request, &scope)?;
                    match self.client.clone().$name(request).await {
                        Ok(response) => Ok(response.into_inner()),
                        Err(status) => Err(failure(&status, scope.deadline)),
                    }
                }
            )+
        }
    };
}

calls! {
    /// Reads one record.
    get_record(GetRecordRequest) -> GetRecordResponse;
    /// Reads a page of records.
    list_records(ListRecordsRequest) -> ListRecordsResponse;
    /// Creates a record.
    create_record(CreateRecordRequest) -> CreateRecordResponse;
    /// Merges fields into a record.
    update_record(UpdateRecordRequest) -> UpdateRecordResponse;
    /// Deletes a record.
    delete_record(DeleteRecordRequest) -> DeleteRecordResponse;
    /// Reads the collections and their schemas.
    list_collections(ListCollectionsRequest) -> ListCollectionsResponse;
    /// Reads one user.
    get_user(GetUserRequest) -> GetUserResponse;
    /// Calls a function of any extension.
    call_function(CallFunctionRequest) -> CallFunctionResponse;
    /// Reads a value that this extension stored.
    get_value(GetValueRequest) -> GetValueResponse;
    /// Stores a value under a key of this extension's own.
    set_value(SetValueRequest) -> SetValueResponse;
    /// Forgets a value.
    delete_value(DeleteValueRequest) -> DeleteValueResponse;
    /// Notes something in the server's activity log.
    write_activity(WriteActivityRequest) -> WriteActivityResponse;
    /// Writes lines to the extension's log.
    write_log(WriteLogRequest) -> WriteLogResponse;
}

impl Host {
    pub(crate) fn new(channel: Channel, bearer: MetadataValue<Ascii>) -> Self {
        let client = HostServiceClient::new(channel).max_decoding_message_size(ANSWER_BYTES_MAX);
        Self { client, bearer }
    }

    fn request<T>(&self, message: T, scope: &CallScope<'_>) -> Result<Request<T>, HostError> {
        let mut request = Request::new(message);
        if let Some(deadline) = scope.deadline {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(expired());
            }
            request.set_timeout(left);
        }
        let metadata = request.metadata_mut();
        metadata.insert("authorization", self.bearer.clone());
        if let Some(token) = scope.token {
            let token = token.parse().map_err(|_| {
                HostError::new(Code::Unauthenticated.into(), "the invocation's token is not one")
            })?;
            metadata.insert("tinybase-invocation", token);
        }
        if !scope.traceparent.is_empty()
            && let Ok(traceparent) = scope.traceparent.parse()
        {
            metadata.insert("traceparent", traceparent);
        }
        Ok(request)
    }
}

fn expired() -> HostError {
    HostError::new(Code::DeadlineExceeded.into(), "the invocation's time is over")
}

/// The transport reports its own timer as a cancellation.
fn failure(status: &tonic::Status, deadline: Option<Instant>) -> HostError {
    let late = deadline.is_some_and(|deadline| Instant::now() >= deadline);
    if late && status.code() == Code::Cancelled {
        expired()
    } else {
        HostError::from_status(status)
    }
}
