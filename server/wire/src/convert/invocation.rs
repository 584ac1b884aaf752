//! An invocation on its way to the extension.

use bytes::Bytes;
use tinybase_model::{
    Body, CompletionEvent, FunctionEvent, Invocation, InvocationTarget, InvokeError, JsonBytes,
    Phase, RecordEvent, UserEvent,
};
use tinybase_proto::v1;
use tinybase_proto::v1::invocation::Body as WireBody;

use crate::work::Acting;

/// The event's name for a function that is to run.
const FUNCTION_INVOKE: &str = "function.invoke";
/// What caused a call that no schedule did.
const MANUAL: &str = "manual";
/// What caused one that a schedule did.
const SCHEDULE: &str = "schedule";

/// Makes the message, less what is only known when it is sent: id, token and time left.
pub(crate) fn invocation_message(
    invocation: Invocation,
    body_bytes_max: usize,
) -> Result<(v1::Invocation, Acting), InvokeError> {
    let body = body(invocation.body, body_bytes_max)?;
    let (event, handler, phase) = match invocation.target {
        InvocationTarget::Hook { event, phase, handler } => (event.as_str(), handler, phase),
        InvocationTarget::Function(name) => (FUNCTION_INVOKE, name, Phase::After),
    };
    let phase = match phase {
        Phase::Before => v1::Phase::Before,
        Phase::After => v1::Phase::After,
    };
    let message = v1::Invocation {
        id: String::new(),
        event: event.to_owned(),
        handler,
        phase: phase.into(),
        timeout_ms: 0,
        attempt: invocation.attempt,
        event_id: invocation.event_id.to_string(),
        token: String::new(),
        traceparent: invocation.traceparent.clone(),
        occurred_at: invocation.occurred_at.to_string(),
        body,
        chunk_credit: 0,
    };
    let acting = Acting {
        identity: invocation.identity,
        depth: invocation.depth,
        traceparent: invocation.traceparent,
    };
    Ok((message, acting))
}

fn body(body: Body, limit: usize) -> Result<Option<WireBody>, InvokeError> {
    Ok(match body {
        Body::Nothing => None,
        Body::Record(record) => Some(WireBody::Record(record_body(record, limit)?)),
        Body::User(user) => Some(WireBody::User(user_body(user))),
        Body::Function(call) => Some(WireBody::Function(function_body(call, limit)?)),
        Body::Completion(completion) => Some(WireBody::Completion(completion_body(completion))),
    })
}

fn json(json: JsonBytes, limit: usize) -> Result<Bytes, InvokeError> {
    let bytes = json.into_bytes();
    if bytes.len() > limit {
        return Err(InvokeError::TooLarge { size: bytes.len(), limit });
    }
    Ok(bytes)
}

fn record_body(record: RecordEvent, limit: usize) -> Result<v1::RecordBody, InvokeError> {
    let old_data = record.old_data.map(|data| json(data, limit)).transpose()?;
    Ok(v1::RecordBody {
        collection: record.collection,
        record_id: text_or_empty(record.record_id),
        owner_id: text_or_empty(record.owner_id),
        data: json(record.data, limit)?,
        old_data: old_data.unwrap_or_default(),
        version: record.version,
    })
}

fn user_body(user: UserEvent) -> v1::UserBody {
    v1::UserBody {
        user_id: text_or_empty(user.user_id),
        email: user.email,
        is_admin: user.is_admin,
    }
}

fn function_body(call: FunctionEvent, limit: usize) -> Result<v1::FunctionBody, InvokeError> {
    Ok(v1::FunctionBody {
        name: call.name,
        input: json(call.input, limit)?,
        user_id: text_or_empty(call.user_id),
        is_admin: call.is_admin,
        call_id: call.call_id.to_string(),
        trigger_type: if call.schedule.is_some() { SCHEDULE } else { MANUAL }.to_owned(),
        trigger_id: text_or_empty(call.schedule),
    })
}

fn completion_body(completion: CompletionEvent) -> v1::CompletionBody {
    let status = if completion.succeeded { "succeeded" } else { "failed" };
    v1::CompletionBody {
        name: completion.name,
        call_id: completion.call_id.to_string(),
        user_id: text_or_empty(completion.user_id),
        status: status.to_owned(),
        duration_ms: completion.duration_ms,
        error_message: completion.error_message.unwrap_or_default(),
        error_type: completion.error_type.unwrap_or_default(),
    }
}

/// The wire's way to say that there is none is an empty string.
pub(super) fn text_or_empty(id: Option<impl ToString>) -> String {
    id.map(|id| id.to_string()).unwrap_or_default()
}
