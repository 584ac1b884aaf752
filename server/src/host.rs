//! Answers the call-backs of extensions, over the core: who asks, with which permissions.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use async_trait::async_trait;
use bytes::Bytes;
use tinybase_core::{Core, Kind, Problem};
use tinybase_model::{
    ActivityNote, CallSummary, Cause, Collection, ExtensionName, JsonBytes, ListRecords, LogLine,
    Permissions, Record, RecordId, RecordPage, User, UserId,
};
use tinybase_supervisor::Supervisor;
use tinybase_wire::{Caller, HostApi, HostError};

/// The server, as extensions see it.
///
/// The wire needs it before there is a core, which stands on the wire; so the core is handed in
/// once it is there. Until then no extension runs that could ask.
#[derive(Default)]
pub(crate) struct Host {
    server: OnceLock<(Core, Supervisor)>,
    permissions: RwLock<HashMap<ExtensionName, Arc<Permissions>>>,
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Host")
            .field("connected", &self.server.get().is_some())
            .finish_non_exhaustive()
    }
}

impl Host {
    /// Hands in what answers. Once is enough.
    pub(crate) fn connect(&self, core: Core, supervisor: Supervisor) {
        self.server.get_or_init(|| (core, supervisor));
    }

    /// Notes what an extension may do, before it is started.
    pub(crate) fn permit(&self, name: &ExtensionName, permissions: &Permissions) {
        let mut all = self.permissions.write().unwrap_or_else(PoisonError::into_inner);
        all.insert(name.clone(), Arc::new(permissions.clone()));
    }

    /// Takes everything from an extension.
    pub(crate) fn forget(&self, name: &ExtensionName) {
        self.permissions.write().unwrap_or_else(PoisonError::into_inner).remove(name);
    }

    fn server(&self) -> Result<&(Core, Supervisor), HostError> {
        let starting = || HostError::Unavailable("the server is still starting".to_owned());
        self.server.get().ok_or_else(starting)
    }

    /// What one call-back needs.
    fn call(&self, caller: &Caller) -> Result<Call<'_>, HostError> {
        let (core, _) = self.server()?;
        let all = self.permissions.read().unwrap_or_else(PoisonError::into_inner);
        let Some(permissions) = all.get(&caller.extension) else {
            let name = &caller.extension;
            return Err(HostError::PermissionDenied(format!("the extension {name} is disabled")));
        };
        let cause = Cause {
            identity: caller.identity.clone(),
            origin: Some(caller.extension.clone()),
            depth: caller.depth,
            traceparent: caller.traceparent.clone(),
            address: None,
        };
        let extension = caller.extension.clone();
        Ok(Call { core, extension, permissions: Arc::clone(permissions), cause })
    }
}

/// One call-back, with everything that decides what comes of it.
struct Call<'a> {
    core: &'a Core,
    extension: ExtensionName,
    permissions: Arc<Permissions>,
    cause: Cause,
}

impl Call<'_> {
    fn host(&self) -> tinybase_core::Host<'_> {
        self.core.host(&self.extension, &self.permissions, &self.cause)
    }
}

/// Turns what the core says into what the wire can say.
#[expect(clippy::needless_pass_by_value, reason = "it is handed to map_err")]
fn refused(problem: impl Problem) -> HostError {
    let message = problem.to_string();
    match problem.kind() {
        Kind::NotFound | Kind::Gone => HostError::NotFound(message),
        Kind::Invalid | Kind::Unprocessable => HostError::InvalidArgument(message),
        Kind::Unauthenticated | Kind::Forbidden => HostError::PermissionDenied(message),
        Kind::Conflict
        | Kind::PreconditionFailed
        | Kind::KeyInUse
        | Kind::KeyReused
        | Kind::Rejected(_) => HostError::FailedPrecondition(message),
        Kind::TooLarge | Kind::Overloaded | Kind::TooManyRequests => {
            HostError::ResourceExhausted(message)
        }
        Kind::Unavailable => HostError::Unavailable(message),
        Kind::Internal => {
            tracing::error!(error = &problem as &dyn std::error::Error, "a call-back failed");
            HostError::Internal("the server failed; its log says why".to_owned())
        }
    }
}

#[async_trait]
impl HostApi for Host {
    async fn get_record(
        &self,
        caller: &Caller,
        collection: Option<&str>,
        id: RecordId,
    ) -> Result<Record, HostError> {
        self.call(caller)?.host().get_record(collection, id).await.map_err(refused)
    }

    async fn list_records(
        &self,
        caller: &Caller,
        request: ListRecords,
    ) -> Result<RecordPage, HostError> {
        self.call(caller)?.host().list_records(request).await.map_err(refused)
    }

    async fn create_record(
        &self,
        caller: &Caller,
        collection: &str,
        data: JsonBytes,
        owner_id: Option<UserId>,
    ) -> Result<Record, HostError> {
        let call = self.call(caller)?;
        call.host().create_record(collection, &data, owner_id).await.map_err(refused)
    }

    async fn update_record(
        &self,
        caller: &Caller,
        collection: Option<&str>,
        id: RecordId,
        data: JsonBytes,
    ) -> Result<Record, HostError> {
        self.call(caller)?.host().update_record(collection, id, &data).await.map_err(refused)
    }

    async fn delete_record(
        &self,
        caller: &Caller,
        collection: Option<&str>,
        id: RecordId,
    ) -> Result<(), HostError> {
        self.call(caller)?.host().delete_record(collection, id).await.map_err(refused)
    }

    async fn list_collections(&self, caller: &Caller) -> Result<Vec<Collection>, HostError> {
        self.call(caller)?.host().list_collections().await.map_err(refused)
    }

    async fn get_user(&self, caller: &Caller, id: UserId) -> Result<User, HostError> {
        self.call(caller)?.host().get_user(id).await.map_err(refused)
    }

    async fn call_function(
        &self,
        caller: &Caller,
        name: &str,
        input: JsonBytes,
    ) -> Result<CallSummary, HostError> {
        self.call(caller)?.host().call_function(name, input).await.map_err(refused)
    }

    async fn get_value(&self, caller: &Caller, key: &str) -> Result<Option<Bytes>, HostError> {
        self.call(caller)?.host().get_value(key).await.map_err(refused)
    }

    async fn set_value(&self, caller: &Caller, key: &str, value: Bytes) -> Result<(), HostError> {
        self.call(caller)?.host().set_value(key, value).await.map_err(refused)
    }

    async fn delete_value(&self, caller: &Caller, key: &str) -> Result<(), HostError> {
        self.call(caller)?.host().delete_value(key).await.map_err(refused)
    }

    async fn write_activity(&self, caller: &Caller, note: ActivityNote) -> Result<(), HostError> {
        self.call(caller)?.host().write_activity(&note).map_err(refused)
    }

    async fn write_log(&self, caller: &Caller, lines: Vec<LogLine>) -> Result<u32, HostError> {
        let (_, supervisor) = self.server()?;
        Ok(supervisor.write_log(&caller.extension, lines))
    }
}
