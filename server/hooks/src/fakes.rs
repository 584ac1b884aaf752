//! An event log in memory and extensions that are a closure, for tests.

mod invoker;
mod log;

use std::sync::Arc;

use tinybase_model::{
    Event, EventKind, ExtensionName, HookBinding, HookDeclaration, HookFilter, JsonBytes,
    Permissions, Phase, RecordEvent,
};

use crate::{Hooks, HooksOptions};

pub(crate) use invoker::{Answer, Call, FakeInvoker, done, fault, patch};
pub(crate) use log::MemoryLog;

pub(crate) fn name(text: &str) -> ExtensionName {
    text.parse().expect("an extension's name")
}

pub(crate) fn json(text: &str) -> JsonBytes {
    JsonBytes::checked(text.to_owned().into()).expect("JSON")
}

pub(crate) fn created(collection: &str, data: &str) -> Event {
    Event::RecordCreate(RecordEvent {
        collection: collection.to_owned(),
        record_id: None,
        owner_id: None,
        old_owner_id: None,
        data: json(data),
        old_data: None,
        version: 1,
    })
}

pub(crate) fn hook(event: EventKind, phase: Phase, handler: &str) -> HookBinding {
    HookBinding {
        event,
        phase,
        filter: HookFilter::All,
        handler: handler.to_owned(),
        priority: 0,
        timeout: None,
        reentrant: false,
    }
}

/// Permissions that declare a before-hook on each event.
pub(crate) fn declares(events: &[EventKind], fail_open: bool) -> Permissions {
    let declaration = |event: &EventKind| HookDeclaration {
        event: *event,
        phase: Phase::Before,
        filter: HookFilter::All,
        fail_open,
    };
    Permissions::Listed {
        capabilities: [].into(),
        environment: [].into(),
        hooks: Some(events.iter().map(declaration).collect()),
    }
}

/// Hooks over fakes.
pub(crate) fn hooks(invoker: &Arc<FakeInvoker>, log: &Arc<MemoryLog>) -> Hooks {
    let invoker: Arc<FakeInvoker> = Arc::clone(invoker);
    let log: Arc<MemoryLog> = Arc::clone(log);
    Hooks::with_invoker(invoker, log, HooksOptions::default())
}
