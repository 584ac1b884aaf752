//! One call of a function: check, ask, record, run, check again, record.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tinybase_hooks::{CallTerms, ChunkSink, RegisteredFunction};
use tinybase_model::{
    CallId, Cause, Event, ExtensionName, Fault, FieldViolation, FunctionEvent, JsonBytes, Outcome,
};
use tinybase_store::{CallStatus, KeptResult, StartedCall, now};
use tokio::sync::mpsc;

use crate::Core;
use crate::access::authorize_function;
use crate::acting::Acting;
use crate::call_limits::{LimitMet, Places};
use crate::chunk_intake::Intake;
use crate::collection::summary;
use crate::function::{CallOutcome, FunctionError};
use crate::function_schema::{Direction, Mismatch};
use crate::hook_engine::{Approved, CallFailure};
use crate::running_call::OpenCall;
use crate::schema::violation;

/// What went wrong in a function, as the caller is told.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    pub(crate) message: String,
    pub(crate) kind: String,
}

impl Failure {
    pub(crate) fn new(kind: &str, message: &str) -> Self {
        Self { message: message.to_owned(), kind: kind.to_owned() }
    }
}

/// A call that may run. It holds its places until it is dropped.
pub(crate) struct ReadyCall {
    function: Arc<RegisteredFunction>,
    call: FunctionEvent,
    cause: Cause,
    failed_open: Vec<ExtensionName>,
    wrong_input: Option<Failure>,
    places: Places,
}

/// How a ready call is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// Somebody waits for its end.
    Awaited,
    /// Nobody waits: its start is recorded already, and its result is kept.
    Accepted,
    /// Somebody waits, and may ask again: its start is recorded already, and its result is kept.
    Repeatable,
    /// A schedule caused it: its start is recorded already, and it may take so long.
    Scheduled(Duration),
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
        let ready = self.prepare_call(acting, name, input).await?;
        self.perform(ready, Way::Awaited).await
    }

    /// Finds the function, decides whether it may be called, takes a place and asks the
    /// before-hooks.
    pub(crate) async fn prepare_call(
        &self,
        acting: Acting<'_>,
        name: &str,
        input: JsonBytes,
    ) -> Result<ReadyCall, FunctionError> {
        let function = self.find_function(name)?;
        authorize_function(acting.actor(), &function.binding)?;
        let identity = &acting.cause.identity;
        let call = FunctionEvent::new(name.to_owned(), CallId::generate(), identity, input);
        // What an extension calls is part of the call that it handles.
        let counted = if acting.capabilities.is_none() { call.user_id } else { None };
        let places =
            self.take_places(&function, counted.map(|user| (user, self.calls_per_user())))?;
        self.approve_call(function, call, acting.cause.clone(), places).await
    }

    /// Takes a call's places among those that may run at a time.
    pub(crate) fn take_places(
        &self,
        function: &RegisteredFunction,
        user: Option<(tinybase_model::UserId, u32)>,
    ) -> Result<Places, FunctionError> {
        let binding = &function.binding;
        let limit = binding.concurrency.map(|limit| (binding.name.as_str(), limit));
        self.inner.call_limits.enter(user, limit).map_err(|met| match met {
            LimitMet::User(limit) => FunctionError::TooManyOfUser(limit),
            LimitMet::Function(limit) => {
                FunctionError::TooManyOfFunction { name: binding.name.clone(), limit }
            }
        })
    }

    /// Checks the input and asks the before-hooks; what they patched is checked again. An input that
    /// doesn't fit is a failure of the call: nobody is asked, and the function isn't run.
    pub(crate) async fn approve_call(
        &self,
        function: Arc<RegisteredFunction>,
        call: FunctionEvent,
        cause: Cause,
        places: Places,
    ) -> Result<ReadyCall, FunctionError> {
        if let Some(wrong) = self.check_input(&function, &call.input)? {
            let (failed_open, wrong_input) = (Vec::new(), Some(wrong));
            return Ok(ReadyCall { function, call, cause, failed_open, wrong_input, places });
        }
        let asked = call.input.clone();
        let event = Event::FunctionCall(call);
        let Approved { event, failed_open } = self.inner.hooks.before(event, &cause).await?;
        let Event::FunctionCall(call) = event else { unreachable!("hooks keep an event's kind") };
        let patched = call.input != asked;
        let wrong_input = if patched { self.check_input(&function, &call.input)? } else { None };
        Ok(ReadyCall { function, call, cause, failed_open, wrong_input, places })
    }

    /// How a ready call is recorded when it starts.
    pub(crate) fn starting(&self, ready: &ReadyCall, is_async: bool) -> StartedCall {
        StartedCall {
            id: ready.call.call_id,
            function_name: ready.call.name.clone(),
            extension: Some(ready.function.extension.clone()),
            version: ready.function.version.clone(),
            trigger_id: ready.call.schedule,
            user_id: ready.call.user_id,
            started_at: now(),
            is_async,
            node: self.inner.node.clone(),
        }
    }

    /// Runs a ready call and records its end. Chunks are gathered.
    pub(crate) async fn perform(
        &self,
        ready: ReadyCall,
        way: Way,
    ) -> Result<CallOutcome, FunctionError> {
        self.perform_for(ready, way, None).await
    }

    /// The same for somebody who reads the chunks, if there is one.
    pub(crate) async fn perform_for(
        &self,
        ready: ReadyCall,
        way: Way,
        reader: Option<mpsc::Sender<JsonBytes>>,
    ) -> Result<CallOutcome, FunctionError> {
        let started = self.starting(&ready, way == Way::Accepted);
        let ReadyCall { function, call, cause, failed_open, wrong_input, places } = ready;
        if way == Way::Awaited
            && let Err(error) = self.inner.store.start_call(started.clone())
        {
            tracing::warn!(%error, call = %started.id, "a call's start could not be recorded");
        }
        let call_id = started.id;
        let open = OpenCall::new(self, started, cause.clone());
        let cancelled = open.token();
        let timeout = match way {
            Way::Awaited | Way::Accepted | Way::Repeatable => None,
            Way::Scheduled(timeout) => Some(timeout),
        };
        let intake =
            function.binding.streams.then(|| Arc::new(Intake::new(self, &function, reader)));
        let chunks = intake.clone().map(|intake| intake as Arc<dyn ChunkSink>);
        let result = if let Some(failure) = wrong_input {
            Err(failure)
        } else {
            tokio::select! {
                result = self.run(&function, call, &cause, CallTerms { timeout, chunks }) => result,
                // Dropping the other arm tells the extension.
                () = cancelled.cancelled() => {
                    Err(Failure::new("Cancelled", "the call was cancelled"))
                }
            }
        };
        let result = match intake {
            Some(intake) => result.and_then(|_| intake.result()),
            None => result,
        };
        let is_kept = matches!(way, Way::Accepted | Way::Repeatable);
        let kept = result.as_ref().ok().filter(|_| is_kept).map(|output| KeptResult {
            output: output.clone(),
            expires_at: now() + self.inner.options.calls.result_retention,
        });
        let duration_ms = open.finish(&result, kept).await.map_err(FunctionError::NotRecorded)?;
        drop(places);
        Ok(outcome(call_id, result, duration_ms, failed_open))
    }

    pub(crate) fn check_input(
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
        cause: &Cause,
        terms: CallTerms,
    ) -> Result<JsonBytes, Failure> {
        let observed = Event::FunctionCall(call.clone());
        self.inner.hooks.observe_call(observed, cause).await;
        let streams = terms.chunks.is_some();
        let outcome = match self.inner.hooks.call_function(call, cause, terms).await {
            Ok(outcome) => outcome,
            Err(failure) => return Err(Failure::from(&failure)),
        };
        match outcome {
            // Everything was in the chunks.
            Outcome::Success { .. } if streams => Ok(JsonBytes::null()),
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
        let (size, limit) = (output.bytes().len(), self.inner.options.calls.result_bytes_max);
        if size > limit {
            let message = format!("the result has {size} bytes; the limit is {limit}");
            return Err(Failure { message, kind: "ResultSizeError".to_owned() });
        }
        self.check_output_schema(function, &output)?;
        Ok(output)
    }

    /// Checks a result, or a chunk of one, against the function's schema.
    pub(crate) fn check_output_schema(
        &self,
        function: &RegisteredFunction,
        output: &JsonBytes,
    ) -> Result<(), Failure> {
        let binding = &function.binding;
        let Some(schema) = &binding.output_schema else { return Ok(()) };
        let checked = match output.parse::<Value>() {
            Ok(value) => {
                self.inner.validators.check(&binding.name, Direction::Output, schema, &value)
            }
            Err(error) => Err(Mismatch::Value(vec![violation("", &error.to_string())])),
        };
        let extension = &function.extension;
        match checked {
            Ok(()) => Ok(()),
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
}

impl ReadyCall {
    /// Extensions whose before-hook could not be asked.
    pub(crate) fn failed_open(&self) -> &[ExtensionName] {
        &self.failed_open
    }

    /// Whether the function answers with chunks.
    pub(crate) fn streams(&self) -> bool {
        self.function.binding.streams
    }

    pub(crate) const fn call_id(&self) -> CallId {
        self.call.call_id
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
    let duration_ms = Some(duration_ms);
    CallOutcome { call_id, status, result, error_message, error_type, duration_ms, failed_open }
}
