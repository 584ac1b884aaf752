//! Between the protocol's messages and the test's JSON lines.

use serde_json::{Value, json};
use tinybase_proto::v1;
use tinybase_proto::v1::invocation::Body;
use tinybase_proto::v1::outcome::Result as Ending;

/// What an extension's frame says, a line for each part.
pub(crate) fn frame(frame: v1::SessionRequest) -> Vec<Value> {
    let mut lines = Vec::new();
    if let Some(hello) = frame.hello {
        lines.push(json!({"hello": {
            "extension": hello.extension, "version": hello.version, "sdk": hello.sdk,
            "features": hello.features,
        }}));
    }
    if let Some(register) = frame.register {
        lines.push(json!({"register": {
            "hooks": register.hooks.iter().map(hook).collect::<Vec<_>>(),
            "functions": register.functions.iter().map(function).collect::<Vec<_>>(),
        }}));
    }
    if frame.ready.is_some() {
        lines.push(json!({"ready": true}));
    }
    lines.extend(frame.received.into_iter().map(|id| json!({"received": id})));
    lines.extend(frame.outcomes.into_iter().map(outcome));
    lines.extend(frame.pong.into_iter().map(|pong| json!({"pong": pong.id})));
    lines
}

fn hook(it: &v1::HookBinding) -> Value {
    json!({
        "event": it.event, "phase": it.phase, "collection": it.collection,
        "function": it.function, "handler": it.handler, "priority": it.priority,
        "timeout_ms": it.timeout_ms, "reentrant": it.reentrant,
    })
}

fn function(it: &v1::FunctionBinding) -> Value {
    json!({
        "name": it.name, "description": it.description, "auth": it.auth, "tags": it.tags,
        "input_schema": text(&it.input_schema), "output_schema": text(&it.output_schema),
    })
}

fn outcome(it: v1::Outcome) -> Value {
    let id = it.invocation_id;
    match it.result {
        None => json!({"outcome": id, "success": true}),
        Some(Ending::Success(it)) => json!({
            "outcome": id, "success": true,
            "output": text(&it.output), "patch": text(&it.patch),
        }),
        Some(Ending::Reject(it)) => {
            let violations = it.violations.iter();
            json!({
                "outcome": id, "reject": it.message, "status": it.status, "code": it.code,
                "violations": violations.map(|v| json!([v.field, v.message])).collect::<Vec<_>>(),
            })
        }
        Some(Ending::Fault(it)) => json!({
            "outcome": id, "fault": it.message, "type": it.r#type, "stack": it.stack,
            "retry_after_ms": it.retry_after_ms,
        }),
    }
}

/// The frame that a command asks for, if it asks for one.
pub(crate) fn command(command: &Value) -> Option<v1::SessionResponse> {
    let mut frame = v1::SessionResponse::default();
    if let Some(level) = command.get("welcome") {
        frame.welcome = Some(v1::Welcome {
            protocol: 1,
            features: vec!["ack".to_owned(), "heartbeat".to_owned()],
            log_level: string(level),
            config: br#"{"greeting":"hi"}"#.to_vec().into(),
            ..v1::Welcome::default()
        });
        frame.registered = Some(v1::Registered::default());
    } else if let Some(list) = command.get("invoke").and_then(Value::as_array) {
        frame.invocations = list.iter().map(invocation).collect();
    } else if let Some(id) = command.get("cancel") {
        let reason = "client_gone".to_owned();
        frame.cancels.push(v1::Cancel { invocation_id: string(id), reason });
    } else if let Some(id) = command.get("ping") {
        frame.ping = Some(v1::Ping { id: string(id) });
    } else if command.get("drain").is_some() {
        frame.drain = Some(v1::Drain { grace_ms: 1000, reason: "test".to_owned() });
    } else {
        return None;
    }
    Some(frame)
}

/// An invocation as a test writes it.
pub(crate) fn invocation(it: &Value) -> v1::Invocation {
    let phase = if it["phase"] == "before" { v1::Phase::Before } else { v1::Phase::After };
    v1::Invocation {
        id: string(&it["id"]),
        event: string(&it["event"]),
        handler: string(&it["handler"]),
        phase: phase as i32,
        timeout_ms: 30_000,
        attempt: 1,
        event_id: "event-1".to_owned(),
        token: "token-1".to_owned(),
        body: body(it),
        ..v1::Invocation::default()
    }
}

fn body(it: &Value) -> Option<Body> {
    let event = it["event"].as_str().unwrap_or_default();
    if event.starts_with("record.") {
        return Some(Body::Record(v1::RecordBody {
            collection: string(&it["collection"]),
            record_id: string(&it["record_id"]),
            owner_id: string(&it["owner_id"]),
            data: it["data"].to_string().into(),
            old_data: it["old_data"].to_string().into(),
            version: it["version"].as_i64().unwrap_or_default(),
        }));
    }
    if event.starts_with("user.") {
        return Some(Body::User(v1::UserBody {
            user_id: string(&it["user_id"]),
            email: string(&it["email"]),
            is_admin: it["is_admin"] == true,
        }));
    }
    (event == "function.invoke").then(|| {
        Body::Function(v1::FunctionBody {
            name: string(&it["handler"]),
            input: it["input"].to_string().into(),
            call_id: "0193d2a4-7c1e-7f3a-9b1c-2f6a5e4d3c2b".to_owned(),
            trigger_type: "manual".to_owned(),
            ..v1::FunctionBody::default()
        })
    })
}

fn string(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
