//! Hooks: which events, when, and what runs.

use std::fmt;
use std::future::Future;
use std::time::Duration;

use serde::de::DeserializeOwned;
use tinybase_proto::v1;

use crate::event::{
    FromBody, FunctionCall, FunctionComplete, NewRecord, NewUser, RecordCreate, RecordDelete,
    RecordUpdate, UserLogin, UserRegister,
};
use crate::handler::{self, Handler};
use crate::{Context, Patch, Result};

/// Every collection, or every function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct All;

/// Which collections, or which functions, a hook is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter(String);

impl From<All> for Filter {
    fn from(_: All) -> Self {
        Self(String::new())
    }
}

impl From<&str> for Filter {
    fn from(name: &str) -> Self {
        Self(name.to_owned())
    }
}

impl From<String> for Filter {
    fn from(name: String) -> Self {
        Self(name)
    }
}

/// One hook, for [`crate::Extension::hook`] when the short forms don't say enough.
pub struct Hook {
    pub(crate) binding: v1::HookBinding,
    pub(crate) handler: Handler,
}

impl fmt::Debug for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hook").field("binding", &self.binding).finish_non_exhaustive()
    }
}

/// Shorthand for the bounds on an author's handler.
macro_rules! hooks {
    ($(
        $(#[$doc:meta])+
        $name:ident$(<$data:ident>)?($event:literal, $phase:ident, $filter:ident)
            -> $wrap:ident($type:ty) -> $output:ty;
    )+) => {
        impl Hook {
            $(
                $(#[$doc])+
                pub fn $name<$($data,)? H, F>(
                    filter: impl Into<Filter>,
                    handler: H,
                ) -> Self
                where
                    $($data: DeserializeOwned + Send + 'static,)?
                    H: Fn(Context, $type) -> F + Send + Sync + 'static,
                    F: Future<Output = $output> + Send + 'static,
                {
                    let binding = binding($event, v1::Phase::$phase);
                    let binding = $filter(binding, filter.into());
                    Self { binding, handler: handler::$wrap::<$type, H, F>(handler) }
                }
            )+
        }
    };
}

hooks! {
    /// After a record was created.
    record_create<T>("record.create", After, collection) -> after(RecordCreate<T>) -> Result;
    /// After a record was changed.
    record_update<T>("record.update", After, collection) -> after(RecordUpdate<T>) -> Result;
    /// After a record was deleted.
    record_delete<T>("record.delete", After, collection) -> after(RecordDelete<T>) -> Result;
    /// When a function is called; it observes only.
    function_call<T>("function.call", After, function) -> after(FunctionCall<T>) -> Result;
    /// After a function ended.
    function_complete("function.complete", After, function) -> after(FunctionComplete) -> Result;
    /// Before a record is created.
    before_record_create<T>("record.create", Before, collection)
        -> before(NewRecord<T>) -> Result<Patch>;
    /// Before a record is changed.
    before_record_update<T>("record.update", Before, collection)
        -> before(RecordUpdate<T>) -> Result<Patch>;
    /// Before a record is deleted.
    before_record_delete<T>("record.delete", Before, collection)
        -> before(RecordDelete<T>) -> Result<Patch>;
    /// Before a function runs. A patch changes its input.
    before_function_call<T>("function.call", Before, function)
        -> before(FunctionCall<T>) -> Result<Patch>;
}

impl Hook {
    /// Once the process is ready.
    pub fn startup<H, F>(handler: H) -> Self
    where
        H: Fn(Context) -> F + Send + Sync + 'static,
        F: Future<Output = Result> + Send + 'static,
    {
        Self::plain("startup", move |context, ()| handler(context))
    }

    /// Once the process is to stop.
    pub fn shutdown<H, F>(handler: H) -> Self
    where
        H: Fn(Context) -> F + Send + Sync + 'static,
        F: Future<Output = Result> + Send + 'static,
    {
        Self::plain("shutdown", move |context, ()| handler(context))
    }

    /// After a user registered.
    pub fn user_register<H, F>(handler: H) -> Self
    where
        H: Fn(Context, UserRegister) -> F + Send + Sync + 'static,
        F: Future<Output = Result> + Send + 'static,
    {
        Self::plain("user.register", handler)
    }

    /// After a user logged in.
    pub fn user_login<H, F>(handler: H) -> Self
    where
        H: Fn(Context, UserLogin) -> F + Send + Sync + 'static,
        F: Future<Output = Result> + Send + 'static,
    {
        Self::plain("user.login", handler)
    }

    /// Before a user is registered.
    pub fn before_user_register<H, F>(handler: H) -> Self
    where
        H: Fn(Context, NewUser) -> F + Send + Sync + 'static,
        F: Future<Output = Result<Patch>> + Send + 'static,
    {
        let binding = binding("user.register", v1::Phase::Before);
        Self { binding, handler: handler::before(handler) }
    }

    /// Before a user is logged in.
    pub fn before_user_login<H, F>(handler: H) -> Self
    where
        H: Fn(Context, UserLogin) -> F + Send + Sync + 'static,
        F: Future<Output = Result<Patch>> + Send + 'static,
    {
        let binding = binding("user.login", v1::Phase::Before);
        Self { binding, handler: handler::before(handler) }
    }

    /// Gives the handler a name. With the extension's name it identifies a durable subscription,
    /// so a hook keeps its place in the events when its code moves, as long as the name stays.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.binding.handler = name.into();
        self
    }

    /// Where a before-hook stands in the chain: lower first, ties by extension name.
    #[must_use]
    pub fn priority(mut self, priority: i32) -> Self {
        self.binding.priority = priority;
        self
    }

    /// How long the handler may take.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.binding.timeout_ms = milliseconds(timeout);
        self
    }

    /// Runs the hook for writes that this extension made itself, too.
    #[must_use]
    pub fn reentrant(mut self) -> Self {
        self.binding.reentrant = true;
        self
    }

    fn plain<E, H, F>(event: &str, handler: H) -> Self
    where
        E: FromBody + Send + 'static,
        H: Fn(Context, E) -> F + Send + Sync + 'static,
        F: Future<Output = Result> + Send + 'static,
    {
        Self { binding: binding(event, v1::Phase::After), handler: handler::after(handler) }
    }
}

/// A duration as the protocol writes it, where 0 would mean the default.
pub(crate) fn milliseconds(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX).max(1)
}

/// Starts with a handler name made from the event; the filter is added to it.
fn binding(event: &str, phase: v1::Phase) -> v1::HookBinding {
    let handler = match phase {
        v1::Phase::Before => format!("before.{event}"),
        v1::Phase::After | v1::Phase::Unspecified => event.to_owned(),
    };
    v1::HookBinding {
        event: event.to_owned(),
        phase: phase.into(),
        handler,
        ..v1::HookBinding::default()
    }
}

fn collection(mut binding: v1::HookBinding, Filter(name): Filter) -> v1::HookBinding {
    extend(&mut binding.handler, &name);
    binding.collection = name;
    binding
}

fn function(mut binding: v1::HookBinding, Filter(name): Filter) -> v1::HookBinding {
    extend(&mut binding.handler, &name);
    binding.function = name;
    binding
}

fn extend(handler: &mut String, name: &str) {
    if !name.is_empty() {
        handler.push(':');
        handler.push_str(name);
    }
}
