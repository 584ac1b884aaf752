//! Functions: who looks on when one is called, and the call itself.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::Guard;
use futures_util::future::join_all;
use jiff::Timestamp;
use thiserror::Error;
use tinybase_model::{
    Body, Cause, Event, EventId, ExtensionName, FunctionEvent, Invocation, InvocationTarget,
    InvokeError, Outcome,
};
use tinybase_supervisor::ChunkSink;

use crate::before::{HookFailure, log_failure, timeout_of, wants};
use crate::invoker::Invoker;
use crate::options::{DEPTH_MAX, HooksOptions};
use crate::registry::{ChainHook, Registry};

/// Why a function's call has no outcome.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CallError {
    /// No extension has it.
    #[error("there is no function {name:?}")]
    UnknownFunction {
        /// The name that was asked for.
        name: String,
    },
    /// The extension gave no outcome.
    #[error("the extension {extension:?} didn't run the function")]
    Invoke {
        /// Which one.
        extension: ExtensionName,
        /// Why.
        #[source]
        error: InvokeError,
    },
    /// Extensions caused one another's work too deeply.
    #[error(
        "{DEPTH_MAX} invocations already led to one another, so the function {name:?} isn't run; \
         look for extensions that call each other in a circle"
    )]
    TooDeep {
        /// The function.
        name: String,
    },
}

/// What one call asks for beside its input.
#[derive(Debug, Clone, Default)]
pub struct CallTerms {
    /// How long it may take, over what the function says; none means the function's own time.
    pub timeout: Option<Duration>,
    /// Where the chunks of the result go; for functions that stream.
    pub chunks: Option<Arc<dyn ChunkSink>>,
}

/// Calls functions.
#[derive(Clone, Copy)]
pub(crate) struct Calls<'a> {
    pub(crate) registry: &'a Registry,
    pub(crate) invoker: &'a dyn Invoker,
    pub(crate) options: &'a HooksOptions,
}

impl Calls<'_> {
    /// Tells the observers of a function that it is about to run, all at once, and waits for them.
    pub(crate) async fn observe(self, call: FunctionEvent, cause: &Cause) {
        let snapshot = self.registry.glance();
        if snapshot.observers(&call.name).is_empty() || cause.depth >= DEPTH_MAX {
            return;
        }
        let snapshot = Guard::into_inner(snapshot);
        let hooks = snapshot.observers(&call.name);
        let event_id = EventId::generate();
        let occurred_at = Timestamp::now();
        let invocation = |hook: &ChainHook| Invocation {
            target: InvocationTarget::Hook {
                event: hook.binding.event,
                phase: hook.binding.phase,
                handler: hook.binding.handler.clone(),
            },
            timeout: timeout_of(hook, self.options),
            attempt: 1,
            event_id,
            occurred_at,
            traceparent: cause.traceparent.clone(),
            identity: cause.identity.clone(),
            depth: cause.depth + 1,
            body: Body::from(Event::FunctionCall(call.clone())),
        };
        let wanted = hooks.iter().filter(|hook| wants(hook, cause));
        join_all(wanted.map(|hook| self.tell(hook, invocation(hook)))).await;
    }

    /// Runs a function in the extension that has it.
    pub(crate) async fn call(
        self,
        call: FunctionEvent,
        cause: &Cause,
        terms: CallTerms,
    ) -> Result<Outcome, CallError> {
        let snapshot = self.registry.glance();
        let function = snapshot.function(&call.name).map(Arc::clone);
        drop(snapshot);
        let Some(function) = function else {
            return Err(CallError::UnknownFunction { name: call.name });
        };
        if cause.depth >= DEPTH_MAX {
            return Err(CallError::TooDeep { name: call.name });
        }
        let extension = &function.extension;
        let invocation = Invocation {
            target: InvocationTarget::Function(call.name.clone()),
            timeout: terms
                .timeout
                .or(function.binding.timeout)
                .unwrap_or(self.options.function_timeout),
            attempt: 1,
            event_id: EventId::from(call.call_id.uuid()),
            occurred_at: Timestamp::now(),
            traceparent: cause.traceparent.clone(),
            identity: cause.identity.clone(),
            depth: cause.depth + 1,
            body: Body::Function(call),
        };
        let outcome = match terms.chunks {
            None => self.invoker.invoke(extension, invocation).await,
            Some(sink) => self.invoker.invoke_streaming(extension, invocation, &*sink).await,
        };
        outcome.map_err(|error| CallError::Invoke { extension: extension.clone(), error })
    }

    async fn tell(self, hook: &ChainHook, invocation: Invocation) {
        let event_id = invocation.event_id;
        let failure = match self.invoker.invoke(&hook.extension, invocation).await {
            Ok(Outcome::Success { .. }) => return,
            Ok(Outcome::Reject(rejection)) => {
                tracing::warn!(
                    extension = %hook.extension,
                    handler = hook.binding.handler,
                    %event_id,
                    code = rejection.code,
                    "a hook that only looks on refused; a before-hook on function.call can refuse"
                );
                return;
            }
            Ok(Outcome::Fault(fault)) => HookFailure::Fault(fault),
            Err(error) => HookFailure::Invoke(error),
        };
        log_failure(hook, event_id, &failure);
    }
}

#[cfg(test)]
mod tests;
