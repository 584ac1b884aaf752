//! Functions: their types, who may call them, and what runs.

use std::fmt;
use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tinybase_proto::v1;

use crate::handler::{self, Handler};
use crate::hook::milliseconds;
use crate::{Chunks, Context, Result};

/// Who may call a function.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Auth {
    /// Anybody.
    Public,
    /// Any user who is logged in.
    #[default]
    User,
    /// Administrators.
    Admin,
}

/// One function, for [`crate::Extension::function`] when the short form doesn't say enough.
pub struct Function {
    pub(crate) binding: v1::FunctionBinding,
    pub(crate) handler: Handler,
}

impl fmt::Debug for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Function").field("binding", &self.binding).finish_non_exhaustive()
    }
}

impl Function {
    /// A function that any user may call. The handler's types give its JSON Schemas, which the
    /// server checks on the way in and on the way out.
    pub fn new<I, O, H, F>(name: impl Into<String>, handler: H) -> Self
    where
        I: DeserializeOwned + JsonSchema + Send + 'static,
        O: Serialize + JsonSchema,
        H: Fn(Context, I) -> F + Send + Sync + 'static,
        F: Future<Output = Result<O>> + Send + 'static,
    {
        let binding = v1::FunctionBinding {
            name: name.into(),
            auth: v1::FunctionAuth::Auth.into(),
            input_schema: schema::<I>(SchemaSettings::draft2020_12().for_deserialize()),
            output_schema: schema::<O>(SchemaSettings::draft2020_12().for_serialize()),
            ..v1::FunctionBinding::default()
        };
        Self { binding, handler: handler::function(handler) }
    }

    /// A function that makes its result bit by bit: the handler gets [`Chunks`] to send the parts,
    /// and returns when there are no more. Any user may call it, and read the parts as they come.
    pub fn streaming<I, C, H, F>(name: impl Into<String>, handler: H) -> Self
    where
        I: DeserializeOwned + JsonSchema + Send + 'static,
        C: Serialize + JsonSchema + 'static,
        H: Fn(Context, I, Chunks<C>) -> F + Send + Sync + 'static,
        F: Future<Output = Result> + Send + 'static,
    {
        let binding = v1::FunctionBinding {
            name: name.into(),
            auth: v1::FunctionAuth::Auth.into(),
            input_schema: schema::<I>(SchemaSettings::draft2020_12().for_deserialize()),
            output_schema: schema::<C>(SchemaSettings::draft2020_12().for_serialize()),
            streams: true,
            ..v1::FunctionBinding::default()
        };
        Self { binding, handler: handler::streaming(handler) }
    }

    /// Says what the function does, for people.
    #[must_use]
    pub fn description(mut self, description: impl Into<String>) -> Self {
        self.binding.description = description.into();
        self
    }

    /// Says who may call it.
    #[must_use]
    pub fn auth(mut self, auth: Auth) -> Self {
        let auth = match auth {
            Auth::Public => v1::FunctionAuth::Public,
            Auth::User => v1::FunctionAuth::Auth,
            Auth::Admin => v1::FunctionAuth::Admin,
        };
        self.binding.auth = auth.into();
        self
    }

    /// Adds words to group functions by.
    #[must_use]
    pub fn tags<T: Into<String>>(mut self, tags: impl IntoIterator<Item = T>) -> Self {
        self.binding.tags.extend(tags.into_iter().map(Into::into));
        self
    }

    /// How long a call may take.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.binding.timeout_ms = milliseconds(timeout);
        self
    }

    /// How many calls may run at a time on a server; further ones are refused with 429.
    #[must_use]
    pub fn concurrency(mut self, calls: u32) -> Self {
        self.binding.concurrency = calls.max(1);
        self
    }
}

/// A schema is made of JSON by construction; one that couldn't be written would say nothing.
fn schema<T: JsonSchema>(settings: SchemaSettings) -> Bytes {
    let schema = settings.into_generator().into_root_schema_for::<T>();
    serde_json::to_vec(&schema).map(Bytes::from).unwrap_or_default()
}
