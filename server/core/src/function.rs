//! Functions: listing and calling what extensions offer, and the record of the calls.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use thiserror::Error;
use tinybase_hooks::RegisteredFunction;
use tinybase_model::{
    CallId, Cause, ExtensionName, FieldViolation, FunctionBinding, Identity, JsonBytes,
};
use tinybase_store::{CallCounts, CallPage, CallQuery, CallRecord, CallStatus, StoreError, now};
use utoipa::ToSchema;

use crate::Core;
use crate::access::{AccessDenied, Actor, authorize_admin, authorize_function};
use crate::acting::Acting;
use crate::hook_engine::HookRefusal;
use crate::idempotency::KeyError;
use crate::problem::{Kind, Problem};

/// A function, for those who may call it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct FunctionInfo {
    /// Its name.
    pub name: String,
    /// What it does.
    pub description: Option<String>,
    /// `public`, `auth` or `admin`.
    pub auth: &'static str,
    /// Words to group functions by.
    pub tags: Vec<String>,
    /// The extension that offers it.
    pub extension: ExtensionName,
    /// Whether it answers with chunks.
    pub streams: bool,
    /// What it takes and gives, if that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schemas: Option<Schemas>,
}

/// The JSON Schemas of a function.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Schemas {
    /// Of the input; null if it takes any object.
    #[schema(value_type = Option<Object>)]
    pub input: Option<JsonBytes>,
    /// Of the result, or of a chunk of it; null if it gives any value.
    #[schema(value_type = Option<Object>)]
    pub output: Option<JsonBytes>,
}

/// Which functions to list, and with what.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FunctionQuery {
    /// Only functions with this tag.
    pub tag: Option<String>,
    /// Only functions of this extension.
    pub extension: Option<String>,
    /// Whether schemas are told.
    pub with_schemas: bool,
}

/// A function, for administrators.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[expect(clippy::struct_excessive_bools, reason = "the documented shape of the JSON")]
pub struct FunctionDetails {
    /// Its name.
    pub name: String,
    /// What it does.
    pub description: Option<String>,
    /// `public`, `auth` or `admin`.
    pub auth: &'static str,
    /// Words to group functions by.
    pub tags: Vec<String>,
    /// Where its code is; always the extension's name.
    pub module: String,
    /// The file that it was read from; always empty, since an extension is a program.
    pub file_path: &'static str,
    /// When the extension registered it.
    pub last_loaded_at: Timestamp,
    /// Whether the input has a schema.
    pub has_input_model: bool,
    /// Whether the output has a schema.
    pub has_output_model: bool,
    /// Whether the code is asynchronous; always false, since the server doesn't know.
    pub is_async: bool,
    /// The extension that offers it.
    pub extension: ExtensionName,
    /// The extension's version.
    pub version: String,
    /// How long a call may take, if it says so, in milliseconds.
    pub timeout_ms: Option<u64>,
    /// How many calls may run at a time on a server, if it says so.
    pub concurrency: Option<u32>,
    /// Whether it answers with chunks.
    pub streams: bool,
}

/// What a function takes and gives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[expect(clippy::struct_excessive_bools, reason = "the documented shape of the JSON")]
pub struct FunctionSchema {
    /// Its name.
    pub name: String,
    /// Whether the input has a schema.
    pub has_input_model: bool,
    /// Whether the output has a schema.
    pub has_output_model: bool,
    /// JSON Schema of the input.
    #[schema(value_type = Option<Object>)]
    pub input_schema: Option<JsonBytes>,
    /// JSON Schema of the output, or of a chunk of it.
    #[schema(value_type = Option<Object>)]
    pub output_schema: Option<JsonBytes>,
}

/// How a call ended. A function that failed is a value too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct CallOutcome {
    /// The recorded call.
    pub call_id: CallId,
    /// `succeeded` or `failed`.
    pub status: CallStatus,
    /// What the function gave; null for a failure.
    #[schema(value_type = Option<Value>)]
    pub result: Option<JsonBytes>,
    /// For a failure, what went wrong.
    pub error_message: Option<String>,
    /// For a failure, its type: the exception's, the code of a rejection or `Rejected`, or what
    /// kept the extension from answering, such as `TimeoutError`.
    pub error_type: Option<String>,
    /// How long it took, in milliseconds; null while it runs.
    pub duration_ms: Option<u64>,
    /// Extensions whose before-hook could not be asked; to be shown in a response header.
    #[serde(skip)]
    pub failed_open: Vec<ExtensionName>,
}

/// A function's calls within a period.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, ToSchema)]
pub struct FunctionMetrics {
    /// How many there were.
    pub total_calls: u64,
    /// How many succeeded.
    pub succeeded: u64,
    /// How many failed; a call that still runs is in neither.
    pub failed: u64,
    /// How long an ended call took on average.
    pub avg_duration_ms: Option<f64>,
}

/// Why a function wasn't called, or something about calls can't be told.
#[derive(Debug, Clone, Error)]
pub enum FunctionError {
    /// There is no such function.
    #[error("Function '{0}' not found")]
    NotFound(String),
    /// There is no such recorded call.
    #[error("Function call '{0}' not found")]
    NoCall(CallId),
    /// The call has ended already.
    #[error("Function call '{0}' has ended already")]
    HasEnded(CallId),
    /// The result isn't kept any more, or never was.
    #[error(
        "the result of the function call '{0}' is not kept: results of asynchronous calls are kept \
         for a while, results of others are not"
    )]
    ResultGone(CallId),
    /// The user has too many calls running.
    #[error("Too many concurrent function executions: at most {0} of one user; try again later")]
    TooManyOfUser(u32),
    /// The function has too many calls running.
    #[error("the function '{name}' is running {limit} times, which is its limit; try again later")]
    TooManyOfFunction {
        /// The function.
        name: String,
        /// How often it may run at a time.
        limit: u32,
    },
    /// Too many asynchronous calls are running.
    #[error("too many asynchronous calls are running; try again later")]
    Busy,
    /// The server is about to stop.
    #[error("the server is stopping")]
    Stopping,
    /// The input is too large.
    #[error("the input has {size} bytes; the limit is {limit}")]
    TooLarge {
        /// Its size in bytes of JSON.
        size: usize,
        /// The limit.
        limit: usize,
    },
    /// The function's schema can't be used; its extension is at fault.
    #[error(
        "the extension '{extension}' registered '{name}' with a schema that can't be used: {why}"
    )]
    BrokenSchema {
        /// The function.
        name: String,
        /// The extension.
        extension: ExtensionName,
        /// Why.
        why: String,
    },
    /// The request's key can't be used.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// It ran, but its end could not be recorded.
    #[error("the function ran, but its end could not be recorded")]
    NotRecorded(#[source] StoreError),
    /// Who acts may not do it.
    #[error(transparent)]
    Denied(#[from] AccessDenied),
    /// An extension refused.
    #[error(transparent)]
    Refused(#[from] HookRefusal),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Problem for FunctionError {
    fn kind(&self) -> Kind {
        match self {
            Self::NotFound(_) | Self::NoCall(_) => Kind::NotFound,
            Self::HasEnded(_) => Kind::Conflict,
            Self::ResultGone(_) => Kind::Gone,
            Self::TooManyOfUser(_) | Self::TooManyOfFunction { .. } => Kind::TooManyRequests,
            Self::Busy | Self::Stopping => Kind::Overloaded,
            Self::TooLarge { .. } => Kind::TooLarge,
            Self::BrokenSchema { .. } => Kind::Unavailable,
            Self::NotRecorded(error) | Self::Store(error) => error.kind(),
            Self::Key(error) => error.kind(),
            Self::Denied(denied) => denied.kind(),
            Self::Refused(refusal) => refusal.kind(),
        }
    }

    fn violations(&self) -> &[FieldViolation] {
        match self {
            Self::Refused(refusal) => refusal.violations(),
            Self::NotFound(_)
            | Self::NoCall(_)
            | Self::HasEnded(_)
            | Self::ResultGone(_)
            | Self::TooManyOfUser(_)
            | Self::TooManyOfFunction { .. }
            | Self::Busy
            | Self::Stopping
            | Self::TooLarge { .. }
            | Self::BrokenSchema { .. }
            | Self::NotRecorded(_)
            | Self::Key(_)
            | Self::Denied(_)
            | Self::Store(_) => &[],
        }
    }

    fn refusal(&self) -> Option<&HookRefusal> {
        if let Self::Refused(refusal) = self { Some(refusal) } else { None }
    }
}

/// Functions.
#[derive(Debug, Clone, Copy)]
pub struct Functions<'a> {
    pub(crate) core: &'a Core,
}

impl Functions<'_> {
    /// The functions that whoever asks may call, by name.
    pub fn list(&self, identity: &Identity, query: &FunctionQuery) -> Vec<FunctionInfo> {
        let actor = Actor::client(identity);
        let functions = self.core.inner.hooks.functions();
        let mut visible: Vec<_> = functions
            .iter()
            .filter(|function| authorize_function(actor, &function.binding).is_ok())
            .filter(|function| query.matches(function))
            .map(|function| FunctionInfo::of(function, query.with_schemas))
            .collect();
        visible.sort_by(|a, b| a.name.cmp(&b.name));
        visible
    }

    /// All functions by name, with what administrators want to know; administrators only.
    pub fn details(&self, identity: &Identity) -> Result<Vec<FunctionDetails>, FunctionError> {
        authorize_admin(identity)?;
        let functions = self.core.inner.hooks.functions();
        let mut all: Vec<_> =
            functions.iter().map(|function| FunctionDetails::of(function)).collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(all)
    }

    /// What a function takes and gives, for those who may call it.
    pub fn schema(&self, identity: &Identity, name: &str) -> Result<FunctionSchema, FunctionError> {
        let function = self.core.find_function(name)?;
        let FunctionBinding { input_schema, output_schema, .. } = &function.binding;
        authorize_function(Actor::client(identity), &function.binding)?;
        Ok(FunctionSchema {
            name: name.to_owned(),
            has_input_model: input_schema.is_some(),
            has_output_model: output_schema.is_some(),
            input_schema: input_schema.clone(),
            output_schema: output_schema.clone(),
        })
    }

    /// Calls a function, records the call and waits for its end.
    pub async fn call(
        &self,
        cause: &Cause,
        name: &str,
        input: JsonBytes,
    ) -> Result<CallOutcome, FunctionError> {
        self.core.call_function(Acting::client(cause), name, input).await
    }

    /// Recorded calls, the newest first; administrators only.
    pub async fn calls(
        &self,
        identity: &Identity,
        query: &CallQuery,
    ) -> Result<CallPage, FunctionError> {
        authorize_admin(identity)?;
        Ok(self.core.inner.store.calls(query).await?)
    }

    /// One recorded call; administrators only.
    pub async fn recorded_call(
        &self,
        identity: &Identity,
        id: CallId,
    ) -> Result<CallRecord, FunctionError> {
        authorize_admin(identity)?;
        self.core.inner.store.call(id).await?.ok_or(FunctionError::NoCall(id))
    }

    /// Calls of the last hours, by function; administrators only.
    pub async fn metrics(
        &self,
        identity: &Identity,
        hours: u32,
    ) -> Result<BTreeMap<String, FunctionMetrics>, FunctionError> {
        authorize_admin(identity)?;
        let since = now() - Duration::from_hours(hours.into());
        let counts = self.core.inner.store.call_counts(since).await?;
        let metrics = counts.into_iter().map(|counts| {
            let CallCounts { function_name, total, succeeded, failed, avg_duration_ms } = counts;
            let metrics =
                FunctionMetrics { total_calls: total, succeeded, failed, avg_duration_ms };
            (function_name, metrics)
        });
        Ok(metrics.collect())
    }
}

impl FunctionQuery {
    fn matches(&self, function: &RegisteredFunction) -> bool {
        let tags = &function.binding.tags;
        self.tag.as_ref().is_none_or(|tag| tags.contains(tag))
            && self.extension.as_ref().is_none_or(|name| function.extension.as_str() == name)
    }
}

impl FunctionInfo {
    fn of(function: &RegisteredFunction, with_schemas: bool) -> Self {
        let FunctionBinding { name, description, auth, tags, .. } = &function.binding;
        Self {
            name: name.clone(),
            description: (!description.is_empty()).then(|| description.clone()),
            auth: auth.as_str(),
            tags: tags.clone(),
            extension: function.extension.clone(),
            streams: function.binding.streams,
            schemas: with_schemas.then(|| Schemas {
                input: function.binding.input_schema.clone(),
                output: function.binding.output_schema.clone(),
            }),
        }
    }
}

impl FunctionDetails {
    fn of(function: &RegisteredFunction) -> Self {
        let FunctionBinding { name, description, auth, tags, timeout, concurrency, .. } =
            &function.binding;
        let milliseconds =
            |timeout: Duration| u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
        Self {
            name: name.clone(),
            description: (!description.is_empty()).then(|| description.clone()),
            auth: auth.as_str(),
            tags: tags.clone(),
            module: function.extension.to_string(),
            file_path: "",
            last_loaded_at: function.loaded_at,
            has_input_model: function.binding.input_schema.is_some(),
            has_output_model: function.binding.output_schema.is_some(),
            is_async: false,
            extension: function.extension.clone(),
            version: function.version.clone(),
            timeout_ms: timeout.map(milliseconds),
            concurrency: *concurrency,
            streams: function.binding.streams,
        }
    }
}

impl Core {
    /// A function, or the error that there is none.
    pub(crate) fn find_function(
        &self,
        name: &str,
    ) -> Result<Arc<RegisteredFunction>, FunctionError> {
        let function = self.inner.hooks.function(name);
        function.ok_or_else(|| FunctionError::NotFound(name.to_owned()))
    }
}
