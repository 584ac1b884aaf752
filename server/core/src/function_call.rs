//! One call of a function: check, ask, record, run, check again, record.

use std::sync::Arc;

use serde_json::Value;
use tinybase_hooks::RegisteredFunction;
use tinybase_model::{
    CallId, CompletionEvent, Event, ExtensionName, Fault, FieldViolation, FunctionEvent, JsonBytes,
    Outcome,
};
use tinybase_store::{CallStatus, FinishedCall, NewEvent, StartedCall, StoreError, Trigger, now};
use tokio::time::Instant;

use crate::Core;
use crate::access::authorize_function;
use crate::acting::Acting;
use crate::collection::summary;
use crate::function::{CallOutcome, FunctionError};
use crate::function_schema::{Direction, Mismatch};
use crate::hook_engine::{Approved, CallFailure};
use crate::schema::violation;

/// What went wrong in a function, as the caller is told.
struct Failure {
    message: String,
    kind: String,
}

/// A call that may run, or the reason why it can't.
struct Approval {
    call: FunctionEvent,
    failed_open: Vec<ExtensionName>,
    wrong_input: Option<Failure>,
}

/// An input that doesn't fit the function's schema.
fn invalid(violations: &[FieldViolation]) -> Failure {
    Failure { message: summary(violations), kind: "ValidationError".to_owned() }
}

impl Core {
    /// Calls a function. Once the call is recorded, whatever goes wrong in the extension is part of
    /// the outcome and no error.
    pub(crate) async fn call_function(
        &self,
        acting: Acting<'_>,
        name: &str,
        input: JsonBytes,
    ) -> Result<CallOutcome, FunctionError> {
        let function = self.find_function(name)?;
        authorize_function(acting.actor(), &function.binding)?;
        let identity = &acting.cause.identity;
        let call = FunctionEvent::new(name.to_owned(), CallId::generate(), identity, input);
        let Approval { call, failed_open, wrong_input } =
            self.approve_call(&function, call, acting).await?;
        let started = StartedCall {
            id: call.call_id,
            function_name: name.to_owned(),
            extension: function.extension.clone(),
            trigger_type: Trigger::Manual,
            user_id: call.user_id,
            started_at: now(),
        };
        if let Err(error) = self.inner.store.start_call(started.clone()) {
            tracing::warn!(%error, call = %started.id, "a call's start could not be recorded");
        }
        let began = Instant::now();
        let result = match wrong_input {
            Some(failure) => Err(failure),
            None => self.run(&function, call, acting).await,
        };
        let duration_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let completion = completion(&started, &result, duration_ms);
        self.record_end(started.clone(), completion, acting)
            .await
            .map_err(FunctionError::NotRecorded)?;
        Ok(outcome(started.id, result, duration_ms, failed_open))
    }

    /// Checks the input and asks the before-hooks; what they patched is checked again. An input that
    /// doesn't fit is a failure of the call: nobody is asked, and the function isn't run.
    async fn approve_call(
        &self,
        function: &RegisteredFunction,
        call: FunctionEvent,
        acting: Acting<'_>,
    ) -> Result<Approval, FunctionError> {
        if let Some(wrong) = self.check_input(function, &call.input)? {
            return Ok(Approval { call, failed_open: Vec::new(), wrong_input: Some(wrong) });
        }
        let asked = call.input.clone();
        let event = Event::FunctionCall(call);
        let Approved { event, failed_open } = self.inner.hooks.before(event, acting.cause).await?;
        let Event::FunctionCall(call) = event else { unreachable!("hooks keep an event's kind") };
        let patched = call.input != asked;
        let wrong_input = if patched { self.check_input(function, &call.input)? } else { None };
        Ok(Approval { call, failed_open, wrong_input })
    }

    fn check_input(
        &self,
        function: &RegisteredFunction,
        input: &JsonBytes,
    ) -> Result<Option<Failure>, FunctionError> {
        let (size, limit) = (input.bytes().len(), self.inner.options.function_input_max);
        if size > limit {
            return Err(FunctionError::TooLarge { size, limit });
        }
        let binding = &function.binding;
        if !input.text().trim_start().starts_with('{') {
            let wrong = violation("", "the input must be a JSON object");
            return Ok(Some(invalid(&[wrong])));
        }
        let Some(schema) = &binding.input_schema else { return Ok(None) };
        let checked = match input.parse::<Value>() {
            Ok(value) => {
                self.inner.validators.check(&binding.name, Direction::Input, schema, &value)
            }
            Err(error) => Err(Mismatch::Value(vec![violation("", &error.to_string())])),
        };
        match checked {
            Ok(()) => Ok(None),
            Err(Mismatch::Value(violations)) => Ok(Some(invalid(&violations))),
            Err(Mismatch::Schema(why)) => Err(FunctionError::BrokenSchema {
                name: binding.name.clone(),
                extension: function.extension.clone(),
                why,
            }),
        }
    }

    /// Lets the extension run it, and checks what comes out.
    async fn run(
        &self,
        function: &Arc<RegisteredFunction>,
        call: FunctionEvent,
        acting: Acting<'_>,
    ) -> Result<JsonBytes, Failure> {
        let observed = Event::FunctionCall(call.clone());
        self.inner.hooks.observe_call(observed, acting.cause).await;
        let outcome = match self.inner.hooks.call_function(call, acting.cause).await {
            Ok(outcome) => outcome,
            Err(failure) => return Err(Failure::from(&failure)),
        };
        match outcome {
            Outcome::Success { output, patch: _ } => {
                self.check_output(function, output.unwrap_or(JsonBytes::null()))
            }
            Outcome::Reject(rejection) => {
                let code = rejection.code;
                let kind = if code.is_empty() { "Rejected".to_owned() } else { code };
                Err(Failure { message: rejection.message, kind })
            }
            Outcome::Fault(Fault { kind, message, stack: _, retry_after: _ }) => {
                Err(Failure { message, kind })
            }
        }
    }

    fn check_output(
        &self,
        function: &RegisteredFunction,
        output: JsonBytes,
    ) -> Result<JsonBytes, Failure> {
        let binding = &function.binding;
        let Some(schema) = &binding.output_schema else { return Ok(output) };
        let checked = match output.parse::<Value>() {
            Ok(value) => {
                self.inner.validators.check(&binding.name, Direction::Output, schema, &value)
            }
            Err(error) => Err(Mismatch::Value(vec![violation("", &error.to_string())])),
        };
        let extension = &function.extension;
        match checked {
            Ok(()) => Ok(output),
            Err(Mismatch::Value(violations)) => Err(Failure {
                message: format!(
                    "the extension '{extension}' gave a result that doesn't fit the function's \
                     schema: {}",
                    summary(&violations)
                ),
                kind: "OutputValidationError".to_owned(),
            }),
            Err(Mismatch::Schema(why)) => Err(Failure {
                message: format!(
                    "the extension '{extension}' registered an output schema that can't be used: \
                     {why}"
                ),
                kind: "InvalidSchema".to_owned(),
            }),
        }
    }

    /// Records the end of a call, with its event in the same commit.
    pub(crate) async fn record_end(
        &self,
        started: StartedCall,
        completion: CompletionEvent,
        acting: Acting<'_>,
    ) -> Result<(), StoreError> {
        let finished_at = now();
        let event = Event::FunctionComplete(completion.clone());
        let event = NewEvent::new(&event, acting.cause, finished_at);
        let finished = FinishedCall { started, finished_at, completion, event };
        self.inner.store.finish_call(finished).await?;
        self.inner.hooks.events_committed();
        Ok(())
    }
}

impl From<&CallFailure> for Failure {
    fn from(failure: &CallFailure) -> Self {
        let kind = match failure {
            CallFailure::Unknown => "FunctionNotFound",
            CallFailure::Invoke { source, .. } => source.kind(),
            CallFailure::TooDeep(_) => "TooDeep",
        };
        Self { message: failure.to_string(), kind: kind.to_owned() }
    }
}

fn completion(
    started: &StartedCall,
    result: &Result<JsonBytes, Failure>,
    duration_ms: u64,
) -> CompletionEvent {
    let failure = result.as_ref().err();
    CompletionEvent {
        name: started.function_name.clone(),
        call_id: started.id,
        user_id: started.user_id,
        succeeded: failure.is_none(),
        duration_ms,
        error_message: failure.map(|failure| failure.message.clone()),
        error_type: failure.map(|failure| failure.kind.clone()),
    }
}

fn outcome(
    call_id: CallId,
    result: Result<JsonBytes, Failure>,
    duration_ms: u64,
    failed_open: Vec<ExtensionName>,
) -> CallOutcome {
    let (status, result, failure) = match result {
        Ok(result) => (CallStatus::Succeeded, Some(result), None),
        Err(failure) => (CallStatus::Failed, None, Some(failure)),
    };
    let (error_message, error_type) =
        failure.map(|failure| (failure.message, failure.kind)).unzip();
    CallOutcome { call_id, status, result, error_message, error_type, duration_ms, failed_open }
}
