//! An extension: its name and what it handles.

use std::fmt;
use std::future::Future;

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;
use tinybase_proto::v1;

use crate::client::DEFAULT_CREDIT;
use crate::event::{
    FunctionCall, FunctionComplete, NewRecord, NewUser, RecordCreate, RecordDelete, RecordUpdate,
    UserLogin, UserRegister,
};
use crate::handler::Handlers;
use crate::hook::Filter;
use crate::{Context, Function, Hook, Patch, Result, Schedule};

/// What an extension is made of. Handlers are async functions or closures that return futures;
/// they run beside each other on one thread unless [`Extension::worker_threads`] says otherwise.
#[derive(Default)]
pub struct Extension {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) credit: u32,
    pub(crate) worker_threads: usize,
    hooks: Vec<Hook>,
    functions: Vec<Function>,
    schedules: Vec<Schedule>,
}

impl fmt::Debug for Extension {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Extension")
            .field("name", &self.name)
            .field("hooks", &self.hooks)
            .field("functions", &self.functions)
            .finish_non_exhaustive()
    }
}

/// What is wrong with how an extension is put together.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SetupError {
    /// Two hooks were given the same name.
    #[error(
        "two hooks are named {name:?}; give one a name of its own with `.hook(Hook::….named(…))`"
    )]
    DuplicateHook {
        /// The name.
        name: String,
    },
    /// Two functions have the same name.
    #[error("two functions are named {name:?}; give each a name of its own")]
    DuplicateFunction {
        /// The name.
        name: String,
    },
    /// Two schedules have the same name.
    #[error("two schedules are named {name:?}; give each a name of its own")]
    DuplicateSchedule {
        /// The name.
        name: String,
    },
    /// A schedule calls what isn't there.
    #[error("the schedule {name:?} calls the function {function:?}, which isn't added")]
    UnknownFunction {
        /// The schedule.
        name: String,
        /// The function.
        function: String,
    },
    /// The code and the manifest don't agree on the extension's name.
    #[error(
        "this program calls itself {code:?} and was installed as {manifest:?}; make \
         `Extension::new` and `name` in extension.toml agree"
    )]
    Name {
        /// The name in the code.
        code: String,
        /// The name in the manifest.
        manifest: String,
    },
}

macro_rules! shorthands {
    ($(
        $(#[$doc:meta])+
        $method:ident$(<$data:ident>)? = $hook:ident($event:ty) -> $output:ty;
    )+) => {
        $(
            $(#[$doc])+
            #[must_use]
            pub fn $method<$($data,)? H, F>(
                self,
                filter: impl Into<Filter>,
                handler: H,
            ) -> Self
            where
                $($data: DeserializeOwned + Send + 'static,)?
                H: Fn(Context, $event) -> F + Send + Sync + 'static,
                F: Future<Output = $output> + Send + 'static,
            {
                self.hook(Hook::$hook(filter, handler))
            }
        )+
    };
}

macro_rules! plain_shorthands {
    ($(
        $(#[$doc:meta])+
        $method:ident = $hook:ident($($event:ty)?) -> $output:ty;
    )+) => {
        $(
            $(#[$doc])+
            #[must_use]
            pub fn $method<H, F>(self, handler: H) -> Self
            where
                H: Fn(Context $(, $event)?) -> F + Send + Sync + 'static,
                F: Future<Output = $output> + Send + 'static,
            {
                self.hook(Hook::$hook(handler))
            }
        )+
    };
}

impl Extension {
    /// An extension with its name, as in its manifest.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), credit: DEFAULT_CREDIT, ..Self::default() }
    }

    /// Says the version, for support: `.version(env!("CARGO_PKG_VERSION"))`.
    #[must_use]
    pub fn version(mut self, version: impl Into<String>) -> Self {
        self.version = version.into();
        self
    }

    /// How many invocations may be in hand at once; 64 unless said otherwise.
    #[must_use]
    pub fn concurrency(mut self, invocations: u32) -> Self {
        self.credit = invocations.max(1);
        self
    }

    /// Runs the handlers on this many threads, apart from the connection's.
    ///
    /// Without it, handlers share the connection's thread, which is fastest as long as they
    /// `.await` what takes long: one that blocks for longer than a few milliseconds holds up the
    /// others, and one that blocks for longer than the heartbeat's timeout gets the process
    /// restarted. With it, a blocking handler holds up one of these threads only.
    #[must_use]
    pub fn worker_threads(mut self, threads: usize) -> Self {
        self.worker_threads = threads;
        self
    }

    /// Adds a hook.
    #[must_use]
    pub fn hook(mut self, hook: Hook) -> Self {
        self.hooks.push(hook);
        self
    }

    /// Adds a function that any user may call; [`Function`] says more about one.
    #[must_use]
    pub fn function<I, O, H, F>(self, name: impl Into<String>, handler: H) -> Self
    where
        I: DeserializeOwned + JsonSchema + Send + 'static,
        O: Serialize + JsonSchema,
        H: Fn(Context, I) -> F + Send + Sync + 'static,
        F: Future<Output = Result<O>> + Send + 'static,
    {
        self.add_function(Function::new(name, handler))
    }

    /// Adds a function with all that was said about it.
    #[must_use]
    pub fn add_function(mut self, function: Function) -> Self {
        self.functions.push(function);
        self
    }

    /// Has a function of this extension called by itself.
    #[must_use]
    pub fn schedule(mut self, schedule: Schedule) -> Self {
        self.schedules.push(schedule);
        self
    }

    plain_shorthands! {
        /// Once the process is ready.
        on_startup = startup() -> Result;
        /// Once the process is to stop.
        on_shutdown = shutdown() -> Result;
        /// After a user registered.
        on_user_register = user_register(UserRegister) -> Result;
        /// After a user logged in.
        on_user_login = user_login(UserLogin) -> Result;
        /// Before a user is registered: approve, patch or [`crate::reject`].
        before_user_register = before_user_register(NewUser) -> Result<Patch>;
        /// Before a user is logged in: approve or [`crate::reject`].
        before_user_login = before_user_login(UserLogin) -> Result<Patch>;
    }

    shorthands! {
        /// After a record was created, at least once and in order per record.
        on_record_create<T> = record_create(RecordCreate<T>) -> Result;
        /// After a record was changed, at least once and in order per record.
        on_record_update<T> = record_update(RecordUpdate<T>) -> Result;
        /// After a record was deleted, at least once and in order per record.
        on_record_delete<T> = record_delete(RecordDelete<T>) -> Result;
        /// When a function is called, before it runs; it observes only.
        on_function_call<T> = function_call(FunctionCall<T>) -> Result;
        /// After a function ended.
        on_function_complete = function_complete(FunctionComplete) -> Result;
        /// Before a record is created: approve, patch or [`crate::reject`].
        before_record_create<T> = before_record_create(NewRecord<T>) -> Result<Patch>;
        /// Before a record is changed: approve, patch or [`crate::reject`].
        before_record_update<T> = before_record_update(RecordUpdate<T>) -> Result<Patch>;
        /// Before a record is deleted: approve or [`crate::reject`].
        before_record_delete<T> = before_record_delete(RecordDelete<T>) -> Result<Patch>;
        /// Before a function runs: approve, patch its input or [`crate::reject`].
        before_function_call<T> = before_function_call(FunctionCall<T>) -> Result<Patch>;
    }

    /// Takes the extension apart into what is registered and what runs.
    pub(crate) fn into_parts(self) -> Result<(v1::Register, Handlers), SetupError> {
        let mut register = v1::Register::default();
        let mut handlers = Handlers::default();
        for Hook { binding, handler } in self.hooks {
            if handlers.hooks.insert(binding.handler.clone(), handler).is_some() {
                return Err(SetupError::DuplicateHook { name: binding.handler });
            }
            register.hooks.push(binding);
        }
        for Function { binding, handler } in self.functions {
            if handlers.functions.insert(binding.name.clone(), handler).is_some() {
                return Err(SetupError::DuplicateFunction { name: binding.name });
            }
            register.functions.push(binding);
        }
        for schedule in self.schedules {
            let function = schedule.function().to_owned();
            let binding = schedule.into_binding();
            let name = binding.name.clone();
            if !handlers.functions.contains_key(&function) {
                return Err(SetupError::UnknownFunction { name, function });
            }
            if register.schedules.iter().any(|other| other.name == name) {
                return Err(SetupError::DuplicateSchedule { name });
            }
            register.schedules.push(binding);
        }
        Ok((register, handlers))
    }
}
