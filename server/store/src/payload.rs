//! An event's payload as the log keeps it: the facts that aren't in columns of their own.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use thiserror::Error;
use tinybase_model::{
    CallId, CompletionEvent, Event, EventKind, FunctionEvent, JsonBytes, RecordEvent, ScheduleId,
    UnknownEvent, UserEvent, UserId,
};

/// A payload and what mustn't be overtaken.
pub(crate) struct Entry {
    pub(crate) order_key: String,
    pub(crate) payload: Box<RawValue>,
}

/// A payload that can't be read.
#[derive(Debug, Error)]
pub(crate) enum BadPayload {
    #[error(transparent)]
    Kind(#[from] UnknownEvent),
    #[error("{0} is never logged")]
    NotLogged(EventKind),
    #[error("its order key is not an id")]
    Key(#[source] uuid::Error),
    #[error("its JSON can't be read")]
    Json(#[from] serde_json::Error),
}

#[derive(Serialize)]
struct RecordOut<'a> {
    owner_id: Option<UserId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    old_owner: Option<OldOwner>,
    data: &'a RawValue,
    #[serde(skip_serializing_if = "Option::is_none")]
    old_data: Option<&'a RawValue>,
    version: i64,
}

/// To whom a record belonged, if that has changed.
#[derive(Serialize, Deserialize)]
struct OldOwner {
    id: Option<UserId>,
}

#[derive(Deserialize)]
struct RecordIn<'a> {
    owner_id: Option<UserId>,
    #[serde(default)]
    old_owner: Option<OldOwner>,
    #[serde(borrow)]
    data: &'a RawValue,
    #[serde(borrow, default)]
    old_data: Option<&'a RawValue>,
    #[serde(default)]
    version: i64,
}

#[derive(Serialize, Deserialize)]
struct UserFacts {
    email: String,
    is_admin: bool,
}

#[derive(Serialize)]
struct CallOut<'a> {
    user_id: Option<UserId>,
    is_admin: bool,
    input: &'a RawValue,
    #[serde(skip_serializing_if = "Option::is_none")]
    schedule: Option<ScheduleId>,
}

#[derive(Deserialize)]
struct CallIn<'a> {
    user_id: Option<UserId>,
    is_admin: bool,
    #[serde(borrow)]
    input: &'a RawValue,
    #[serde(default)]
    schedule: Option<ScheduleId>,
}

#[derive(Serialize, Deserialize)]
struct CompletionFacts {
    user_id: Option<UserId>,
    succeeded: bool,
    duration_ms: u64,
    error_message: Option<String>,
    error_type: Option<String>,
}

/// Serialises an event.
pub(crate) fn encode(event: &Event) -> Entry {
    let key = |id: Option<String>| id.unwrap_or_default();
    match event {
        Event::RecordCreate(record) | Event::RecordUpdate(record) | Event::RecordDelete(record) => {
            Entry {
                order_key: key(record.record_id.map(|id| id.to_string())),
                payload: raw(&RecordOut {
                    owner_id: record.owner_id,
                    old_owner: (record.old_owner_id != record.owner_id)
                        .then_some(OldOwner { id: record.old_owner_id }),
                    data: borrowed(&record.data),
                    old_data: record.old_data.as_ref().map(borrowed),
                    version: record.version,
                }),
            }
        }
        Event::UserRegister(user) | Event::UserLogin(user) => Entry {
            order_key: key(user.user_id.map(|id| id.to_string())),
            payload: raw(&UserFacts { email: user.email.clone(), is_admin: user.is_admin }),
        },
        Event::FunctionCall(call) => Entry {
            order_key: call.call_id.to_string(),
            payload: raw(&CallOut {
                user_id: call.user_id,
                is_admin: call.is_admin,
                input: borrowed(&call.input),
                schedule: call.schedule,
            }),
        },
        Event::FunctionComplete(completion) => Entry {
            order_key: completion.call_id.to_string(),
            payload: raw(&CompletionFacts {
                user_id: completion.user_id,
                succeeded: completion.succeeded,
                duration_ms: completion.duration_ms,
                error_message: completion.error_message.clone(),
                error_type: completion.error_type.clone(),
            }),
        },
    }
}

/// Reads an event back.
pub(crate) fn decode(
    kind: &str,
    subject: &str,
    order_key: &str,
    payload: &str,
) -> Result<Event, BadPayload> {
    let kind: EventKind = kind.parse()?;
    match kind {
        EventKind::RecordCreate => record(subject, order_key, payload).map(Event::RecordCreate),
        EventKind::RecordUpdate => record(subject, order_key, payload).map(Event::RecordUpdate),
        EventKind::RecordDelete => record(subject, order_key, payload).map(Event::RecordDelete),
        EventKind::UserRegister => user(order_key, payload).map(Event::UserRegister),
        EventKind::UserLogin => user(order_key, payload).map(Event::UserLogin),
        EventKind::FunctionCall => {
            let facts: CallIn<'_> = serde_json::from_str(payload)?;
            Ok(Event::FunctionCall(FunctionEvent {
                name: subject.to_owned(),
                call_id: order_key.parse().map_err(BadPayload::Key)?,
                user_id: facts.user_id,
                is_admin: facts.is_admin,
                input: JsonBytes::of(facts.input)?,
                schedule: facts.schedule,
            }))
        }
        EventKind::FunctionComplete => completion(subject, order_key, payload),
        EventKind::Startup | EventKind::Shutdown => Err(BadPayload::NotLogged(kind)),
    }
}

fn record(subject: &str, order_key: &str, payload: &str) -> Result<RecordEvent, BadPayload> {
    let facts: RecordIn<'_> = serde_json::from_str(payload)?;
    Ok(RecordEvent {
        collection: subject.to_owned(),
        record_id: Some(order_key.parse().map_err(BadPayload::Key)?),
        owner_id: facts.owner_id,
        old_owner_id: facts.old_owner.map_or(facts.owner_id, |old| old.id),
        data: JsonBytes::of(facts.data)?,
        old_data: facts.old_data.map(JsonBytes::of).transpose()?,
        version: facts.version,
    })
}

fn user(order_key: &str, payload: &str) -> Result<UserEvent, BadPayload> {
    let facts: UserFacts = serde_json::from_str(payload)?;
    Ok(UserEvent {
        user_id: Some(order_key.parse().map_err(BadPayload::Key)?),
        email: facts.email,
        is_admin: facts.is_admin,
    })
}

fn completion(subject: &str, order_key: &str, payload: &str) -> Result<Event, BadPayload> {
    let facts: CompletionFacts = serde_json::from_str(payload)?;
    let call_id: CallId = order_key.parse().map_err(BadPayload::Key)?;
    Ok(Event::FunctionComplete(CompletionEvent {
        name: subject.to_owned(),
        call_id,
        user_id: facts.user_id,
        succeeded: facts.succeeded,
        duration_ms: facts.duration_ms,
        error_message: facts.error_message,
        error_type: facts.error_type,
    }))
}

fn raw<T: Serialize>(facts: &T) -> Box<RawValue> {
    serde_json::value::to_raw_value(facts)
        .unwrap_or_else(|_| unreachable!("strings, numbers and JSON serialise"))
}

fn borrowed(json: &JsonBytes) -> &RawValue {
    serde_json::from_str(json.text()).unwrap_or_else(|_| unreachable!("it is JSON"))
}
