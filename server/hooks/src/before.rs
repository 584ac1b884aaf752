//! Before-hooks: a chain within a request that may reject the operation or patch its data.

mod draft;

use std::sync::Arc;
use std::time::Duration;

use arc_swap::Guard;
use jiff::Timestamp;
use thiserror::Error;
use tinybase_model::{
    Body, Cause, Event, EventId, ExtensionName, Fault, Invocation, InvocationTarget, InvokeError,
    JsonBytes, Outcome, Rejection,
};
use tokio::time::Instant;

use self::draft::{Draft, Unpatched};
use crate::invoker::Invoker;
use crate::options::{DEPTH_MAX, HooksOptions};
use crate::registry::{ChainHook, FailurePolicy, Registry};

/// What all before-hooks agreed to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approval {
    /// The event with the hooks' patches: in a record event the data, in a registration the
    /// e-mail, in a function's call the input.
    pub event: Event,
    /// Extensions that couldn't be asked and whose manifest lets the operation go on without.
    pub failed_open: Vec<ExtensionName>,
}

/// Why a chain of before-hooks stops an operation.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Refusal {
    /// An extension refused, as a matter of policy.
    #[error("the extension {extension:?} refused: {}", .rejection.message)]
    Rejected {
        /// Which one.
        extension: ExtensionName,
        /// In its words.
        rejection: Rejection,
    },
    /// An extension that has to be asked couldn't answer.
    #[error("the extension {extension:?} has to be asked first and couldn't answer")]
    Unavailable {
        /// Which one.
        extension: ExtensionName,
        /// Why.
        #[source]
        failure: HookFailure,
    },
    /// Two extensions want different values in one field.
    #[error(
        "the extensions {first:?} and {second:?} want different values in {field:?}; one of them \
         has to leave that field alone"
    )]
    Conflict {
        /// The one that was asked first.
        first: ExtensionName,
        /// The one that undid what the first one wrote.
        second: ExtensionName,
        /// The field, as a JSON pointer.
        field: String,
    },
    /// Extensions caused one another's work too deeply.
    #[error(
        "{DEPTH_MAX} invocations already led to one another, so the hook of the extension \
         {extension:?} isn't run; look for extensions that call each other in a circle"
    )]
    TooDeep {
        /// The one that would have been next.
        extension: ExtensionName,
    },
}

/// Why a hook gave no verdict.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum HookFailure {
    /// There was no outcome.
    #[error(transparent)]
    Invoke(#[from] InvokeError),
    /// The handler failed, or answered with a patch that doesn't fit the event.
    #[error("{}: {}", .0.kind, .0.message)]
    Fault(Fault),
}

/// Asks the before-hooks of an operation.
#[derive(Clone, Copy)]
pub(crate) struct Before<'a> {
    pub(crate) registry: &'a Registry,
    pub(crate) invoker: &'a dyn Invoker,
    pub(crate) options: &'a HooksOptions,
}

impl Before<'_> {
    /// Runs the chain for one event.
    pub(crate) async fn run(self, event: Event, cause: &Cause) -> Result<Approval, Refusal> {
        let snapshot = self.registry.glance();
        if snapshot.before(event.kind(), event.subject()).is_empty() {
            return Ok(Approval { event, failed_open: Vec::new() });
        }
        let snapshot = Guard::into_inner(snapshot);
        let hooks = snapshot.before(event.kind(), event.subject());
        let chain = Chain {
            before: self,
            cause,
            event_id: EventId::generate(),
            occurred_at: Timestamp::now(),
            deadline: Instant::now() + self.options.chain_budget,
        };
        let mut draft = Draft::new(event);
        let mut failed_open = Vec::new();
        for hook in hooks.iter().filter(|hook| wants(hook, cause)) {
            match chain.step(hook, &mut draft).await? {
                Step::Done => {}
                Step::FailedOpen if failed_open.contains(&hook.extension) => {}
                Step::FailedOpen => failed_open.push(hook.extension.clone()),
            }
        }
        Ok(Approval { event: draft.into_event(), failed_open })
    }
}

/// Whether a hook is to run: an extension's own operations don't, unless it asks for them.
pub(crate) fn wants(hook: &Arc<ChainHook>, cause: &Cause) -> bool {
    hook.binding.reentrant || cause.origin.as_ref() != Some(&hook.extension)
}

/// The timeout of a hook within a request.
pub(crate) fn timeout_of(hook: &ChainHook, options: &HooksOptions) -> Duration {
    hook.binding.timeout.unwrap_or(options.before_timeout)
}

/// One chain under way.
struct Chain<'a> {
    before: Before<'a>,
    cause: &'a Cause,
    event_id: EventId,
    occurred_at: Timestamp,
    deadline: Instant,
}

/// What one hook meant for the chain.
enum Step {
    Done,
    FailedOpen,
}

impl Chain<'_> {
    async fn step(&self, hook: &ChainHook, draft: &mut Draft) -> Result<Step, Refusal> {
        let extension = &hook.extension;
        if !hook.registered && self.before.invoker.is_ready(extension) {
            // It declares the hook and runs without having registered it.
            return Ok(Step::Done);
        }
        if self.cause.depth >= DEPTH_MAX {
            return Err(Refusal::TooDeep { extension: extension.clone() });
        }
        match self.ask(hook, draft).await {
            Ok(Outcome::Success { patch: None, .. }) => Ok(Step::Done),
            Ok(Outcome::Success { patch: Some(patch), .. }) => self.patch(hook, draft, &patch),
            Ok(Outcome::Reject(rejection)) => {
                Err(Refusal::Rejected { extension: extension.clone(), rejection })
            }
            Ok(Outcome::Fault(fault)) => self.fail(hook, HookFailure::Fault(fault)),
            Err(error) => self.fail(hook, HookFailure::Invoke(error)),
        }
    }

    async fn ask(&self, hook: &ChainHook, draft: &Draft) -> Result<Outcome, InvokeError> {
        let Before { invoker, options, .. } = self.before;
        if !hook.registered {
            return Err(InvokeError::NotReady { state: "not started" });
        }
        let remaining = self.deadline.saturating_duration_since(Instant::now());
        if remaining.is_zero() {
            return Err(InvokeError::TimedOut(options.chain_budget));
        }
        let invocation = Invocation {
            target: InvocationTarget::Hook {
                event: hook.binding.event,
                phase: hook.binding.phase,
                handler: hook.binding.handler.clone(),
            },
            timeout: timeout_of(hook, options).min(remaining),
            attempt: 1,
            event_id: self.event_id,
            occurred_at: self.occurred_at,
            traceparent: self.cause.traceparent.clone(),
            identity: self.cause.identity.clone(),
            depth: self.cause.depth + 1,
            body: Body::from(draft.event().clone()),
        };
        invoker.invoke(&hook.extension, invocation).await
    }

    fn patch(
        &self,
        hook: &ChainHook,
        draft: &mut Draft,
        patch: &JsonBytes,
    ) -> Result<Step, Refusal> {
        match draft.apply(&hook.extension, patch) {
            Ok(()) => Ok(Step::Done),
            Err(Unpatched::Invalid(message)) => {
                let kind = "InvalidPatch".to_owned();
                let fault = Fault { kind, message, stack: String::new(), retry_after: None };
                self.fail(hook, HookFailure::Fault(fault))
            }
            Err(Unpatched::Conflict { first, field }) => {
                let second = hook.extension.clone();
                tracing::warn!(%first, %second, field, "two before-hooks write one field");
                Err(Refusal::Conflict { first, second, field })
            }
        }
    }

    fn fail(&self, hook: &ChainHook, failure: HookFailure) -> Result<Step, Refusal> {
        log_failure(hook, self.event_id, &failure);
        if hook.policy == FailurePolicy::Open {
            return Ok(Step::FailedOpen);
        }
        Err(Refusal::Unavailable { extension: hook.extension.clone(), failure })
    }
}

/// Writes a failed hook into the log.
pub(crate) fn log_failure(hook: &ChainHook, event_id: EventId, failure: &HookFailure) {
    tracing::warn!(
        extension = %hook.extension,
        handler = hook.binding.handler,
        event = %hook.binding.event,
        phase = hook.binding.phase.as_str(),
        %event_id,
        attempt = 1,
        error = %failure,
        policy = ?hook.policy,
        "a hook failed"
    );
}

#[cfg(test)]
mod tests;
