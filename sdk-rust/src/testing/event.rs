//! Events that a test sends.

use serde_json::Value;
use tinybase_proto::v1;
use tinybase_proto::v1::invocation::Body;
use uuid::Uuid;

use crate::FunctionFailure;

/// An event for [`super::Harness::emit`] or [`super::Harness::ask`].
#[derive(Debug, Clone)]
pub struct TestEvent {
    pub(super) event: &'static str,
    pub(super) phase: v1::Phase,
    pub(super) body: Body,
    pub(super) attempt: u32,
    pub(super) event_id: String,
}

impl TestEvent {
    fn new(event: &'static str, phase: v1::Phase, body: Body) -> Self {
        Self { event, phase, body, attempt: 1, event_id: Uuid::now_v7().to_string() }
    }

    /// The delivery's count; 1 unless said otherwise.
    #[must_use]
    pub fn attempt(mut self, attempt: u32) -> Self {
        self.attempt = attempt;
        self
    }

    /// The event's id; a new one unless said otherwise.
    #[must_use]
    pub fn event_id(mut self, id: impl Into<String>) -> Self {
        self.event_id = id.into();
        self
    }

    /// The record's id; a new one unless said otherwise.
    #[must_use]
    pub fn record_id(mut self, id: impl Into<String>) -> Self {
        if let Body::Record(record) = &mut self.body {
            record.record_id = id.into();
        }
        self
    }

    /// The owner of the record, or the user who called the function.
    #[must_use]
    pub fn by(mut self, user_id: impl Into<String>) -> Self {
        match &mut self.body {
            Body::Record(record) => record.owner_id = user_id.into(),
            Body::User(user) => user.user_id = user_id.into(),
            Body::Function(call) => call.user_id = user_id.into(),
            Body::Completion(completion) => completion.user_id = user_id.into(),
        }
        self
    }

    /// What a hook's filter looks at.
    pub(super) fn subject(&self) -> &str {
        match &self.body {
            Body::Record(record) => &record.collection,
            Body::User(_) => "",
            Body::Function(call) => &call.name,
            Body::Completion(completion) => &completion.name,
        }
    }

    /// What a before-hook patches.
    pub(super) fn data(&self) -> Value {
        match &self.body {
            Body::Record(record) => super::outcome::json(&record.data),
            Body::User(user) => serde_json::json!({ "email": user.email }),
            Body::Function(call) => super::outcome::json(&call.input),
            Body::Completion(_) => Value::Null,
        }
    }
}

macro_rules! record_events {
    ($($(#[$doc:meta])+ $name:ident($event:literal, $phase:ident, $id:expr);)+) => {
        $(
            $(#[$doc])+
            pub fn $name(collection: &str, data: impl Into<Value>) -> TestEvent {
                TestEvent::new($event, v1::Phase::$phase, record(collection, $id, &data.into()))
            }
        )+
    };
}

record_events! {
    /// A record was created.
    record_create("record.create", After, Uuid::now_v7().to_string());
    /// A record was deleted.
    record_delete("record.delete", After, Uuid::now_v7().to_string());
    /// A record is about to be created.
    before_record_create("record.create", Before, String::new());
    /// A record is about to be deleted.
    before_record_delete("record.delete", Before, Uuid::now_v7().to_string());
}

/// A record was changed.
pub fn record_update(
    collection: &str,
    old_data: impl Into<Value>,
    new_data: impl Into<Value>,
) -> TestEvent {
    TestEvent::new(
        "record.update",
        v1::Phase::After,
        update(collection, &old_data.into(), &new_data.into()),
    )
}

/// A record is about to be changed.
pub fn before_record_update(
    collection: &str,
    old_data: impl Into<Value>,
    new_data: impl Into<Value>,
) -> TestEvent {
    TestEvent::new(
        "record.update",
        v1::Phase::Before,
        update(collection, &old_data.into(), &new_data.into()),
    )
}

/// A user registered.
pub fn user_register(email: &str) -> TestEvent {
    TestEvent::new("user.register", v1::Phase::After, user(email, Uuid::now_v7().to_string()))
}

/// A user logged in.
pub fn user_login(email: &str) -> TestEvent {
    TestEvent::new("user.login", v1::Phase::After, user(email, Uuid::now_v7().to_string()))
}

/// A user is about to be registered.
pub fn before_user_register(email: &str) -> TestEvent {
    TestEvent::new("user.register", v1::Phase::Before, user(email, String::new()))
}

/// A user is about to be logged in.
pub fn before_user_login(email: &str) -> TestEvent {
    TestEvent::new("user.login", v1::Phase::Before, user(email, Uuid::now_v7().to_string()))
}

/// A function is called; the hook observes.
pub fn function_call(name: &str, payload: impl Into<Value>) -> TestEvent {
    TestEvent::new("function.call", v1::Phase::After, Body::Function(call(name, &payload.into())))
}

/// A function is about to run; the hook decides.
pub fn before_function_call(name: &str, payload: impl Into<Value>) -> TestEvent {
    TestEvent::new("function.call", v1::Phase::Before, Body::Function(call(name, &payload.into())))
}

/// A function ended, well or with a failure.
pub fn function_complete(name: &str, failure: Option<FunctionFailure>) -> TestEvent {
    let status = if failure.is_none() { "succeeded" } else { "failed" };
    let (error_type, error_message) =
        failure.map(|failure| (failure.error_type, failure.message)).unwrap_or_default();
    let body = Body::Completion(v1::CompletionBody {
        name: name.to_owned(),
        call_id: Uuid::now_v7().to_string(),
        status: status.to_owned(),
        duration_ms: 1,
        error_message,
        error_type,
        ..v1::CompletionBody::default()
    });
    TestEvent::new("function.complete", v1::Phase::After, body)
}

pub(super) fn call(name: &str, input: &Value) -> v1::FunctionBody {
    v1::FunctionBody {
        name: name.to_owned(),
        input: input.to_string().into(),
        call_id: Uuid::now_v7().to_string(),
        trigger_type: "manual".to_owned(),
        ..v1::FunctionBody::default()
    }
}

fn record(collection: &str, record_id: String, data: &Value) -> Body {
    Body::Record(v1::RecordBody {
        collection: collection.to_owned(),
        record_id,
        data: data.to_string().into(),
        ..v1::RecordBody::default()
    })
}

fn update(collection: &str, old_data: &Value, new_data: &Value) -> Body {
    Body::Record(v1::RecordBody {
        collection: collection.to_owned(),
        record_id: Uuid::now_v7().to_string(),
        data: new_data.to_string().into(),
        old_data: old_data.to_string().into(),
        ..v1::RecordBody::default()
    })
}

fn user(email: &str, user_id: String) -> Body {
    Body::User(v1::UserBody { user_id, email: email.to_owned(), is_admin: false })
}
