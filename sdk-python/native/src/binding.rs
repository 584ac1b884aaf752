//! What Python registers: the protocol's message, and what to call for each name.

use std::collections::HashMap;
use std::time::Duration;

use pyo3::prelude::*;
use tinybase_sdk::client::v1;

use crate::pace::Pace;

/// See `HookTuple` in `_native.pyi`.
pub(crate) type Hook = (String, i32, String, String, String, i32, u32, bool, Py<PyAny>, bool);
/// See `FunctionTuple` in `_native.pyi`.
pub(crate) type Function =
    (String, String, i32, String, String, Vec<String>, u32, u32, bool, Py<PyAny>, bool);
/// See `ScheduleTuple` in `_native.pyi`.
pub(crate) type Schedule = (String, String, String, String, i32, i32, u32, u32);

/// What to call for invocations of one name.
#[derive(Debug)]
pub(crate) struct Handler {
    pub(crate) entry: Py<PyAny>,
    pub(crate) is_async: bool,
    /// None if it streams, and so takes as long as whoever reads its result.
    pace: Option<Pace>,
}

impl Handler {
    fn new(entry: Py<PyAny>, is_async: bool) -> Self {
        Self { entry, is_async, pace: Some(Pace::default()) }
    }

    /// Whether its next call is likely to take long.
    pub(crate) fn is_slow(&self) -> bool {
        self.pace.as_ref().is_none_or(Pace::is_slow)
    }

    /// Notes how long a call took.
    pub(crate) fn note(&self, took: Duration) {
        if let Some(pace) = &self.pace {
            pace.note(took);
        }
    }
}

/// All handlers by name.
#[derive(Debug, Default)]
pub(crate) struct Handlers {
    hooks: HashMap<String, Handler>,
    functions: HashMap<String, Handler>,
}

impl Handlers {
    /// The handler for an invocation, if there is one.
    pub(crate) fn find(&self, invocation: &v1::Invocation) -> Option<&Handler> {
        let names =
            if invocation.event == "function.invoke" { &self.functions } else { &self.hooks };
        names.get(&invocation.handler)
    }
}

/// Splits what Python registers.
pub(crate) fn read(
    hooks: Vec<Hook>,
    functions: Vec<Function>,
    schedules: Vec<Schedule>,
) -> (v1::Register, Handlers) {
    let mut register = v1::Register::default();
    let mut handlers = Handlers::default();
    for hook in hooks {
        let (event, phase, collection, function, handler, priority, timeout_ms, reentrant, ..) =
            &hook;
        register.hooks.push(v1::HookBinding {
            event: event.clone(),
            phase: *phase,
            collection: collection.clone(),
            function: function.clone(),
            handler: handler.clone(),
            priority: *priority,
            timeout_ms: *timeout_ms,
            reentrant: *reentrant,
        });
        handlers.hooks.insert(hook.4, Handler::new(hook.8, hook.9));
    }
    for function in functions {
        let (name, description, auth, input, output, tags, ..) = &function;
        register.functions.push(v1::FunctionBinding {
            name: name.clone(),
            description: description.clone(),
            auth: *auth,
            input_schema: input.clone().into_bytes().into(),
            output_schema: output.clone().into_bytes().into(),
            tags: tags.clone(),
            timeout_ms: function.6,
            concurrency: function.7,
            streams: function.8,
        });
        let mut handler = Handler::new(function.9, function.10);
        if function.8 {
            handler.pace = None;
        }
        handlers.functions.insert(function.0, handler);
    }
    for (name, function, timing, input, missed, overlap, timeout_ms, jitter_ms) in schedules {
        register.schedules.push(v1::ScheduleBinding {
            name,
            function,
            timing: timing.into_bytes().into(),
            input: input.into_bytes().into(),
            missed,
            overlap,
            timeout_ms,
            jitter_ms,
        });
    }
    (register, handlers)
}
