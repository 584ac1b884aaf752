//! A registration, checked piece by piece.

use std::time::Duration;

use bytes::Bytes;
use tinybase_model::{
    EventKind, ExtensionName, FunctionAuth, FunctionBinding, HookBinding, HookFilter, JsonBytes,
    MissedPolicy, OverlapPolicy, Phase, Registration, RunPolicy, SCHEDULE_NAME_MAX,
    ScheduleBinding, Timing,
};
use tinybase_proto::v1;
use tracing::warn;

use crate::status::Refusal;

/// The longest name of a function or a handler, in bytes.
const NAME_MAX: usize = 128;

/// Reads a registration. The refusal names the hook or the function that is wrong.
pub(crate) fn registration(
    extension: &ExtensionName,
    message: v1::Register,
) -> Result<Registration, Refusal> {
    let hooks = message.hooks.into_iter().map(|hook| hook_binding(extension, hook));
    let functions = message.functions.into_iter().map(|f| function_binding(extension, f));
    let hooks = hooks.collect::<Result<Vec<_>, _>>()?;
    let functions = functions.collect::<Result<Vec<_>, _>>()?;
    let schedules = message.schedules.into_iter().map(|s| schedule_binding(extension, s));
    let schedules = schedules.collect::<Result<Vec<_>, _>>()?;
    Registration::new(hooks, functions)
        .and_then(|registration| registration.with_schedules(schedules))
        .map_err(|error| Refusal::invalid(error.to_string()))
}

fn schedule_binding(
    extension: &ExtensionName,
    schedule: v1::ScheduleBinding,
) -> Result<ScheduleBinding, Refusal> {
    let name = schedule.name.clone();
    let refuse = |problem: String| Refusal::invalid(format!("the schedule {name:?} {problem}"));
    if name.is_empty() || name.chars().count() > SCHEDULE_NAME_MAX {
        return Err(refuse(format!("needs a name of 1 to {SCHEDULE_NAME_MAX} characters")));
    }
    let timing = serde_json::from_slice(&schedule.timing)
        .map_err(|error| refuse(format!("has a timing that is not JSON: {error}")))?;
    let timing =
        Timing::parse(&timing).map_err(|error| refuse(format!("can't be used: {error}")))?;
    let input = if schedule.input.is_empty() {
        JsonBytes::empty_object()
    } else {
        JsonBytes::checked(schedule.input.clone())
            .map_err(|error| refuse(format!("has an input that is not JSON: {error}")))?
    };
    let policy = RunPolicy {
        missed: missed(extension, &schedule),
        overlap: overlap(extension, &schedule),
        timeout: timeout(schedule.timeout_ms),
        jitter: Duration::from_millis(schedule.jitter_ms.into()),
    };
    if let Some((what, problem)) = policy.complaint() {
        return Err(refuse(format!("has a {what} that {problem}")));
    }
    Ok(ScheduleBinding { name: schedule.name, function: schedule.function, timing, input, policy })
}

/// An enum value from a later version is read as the default, and logged.
fn missed(extension: &ExtensionName, schedule: &v1::ScheduleBinding) -> MissedPolicy {
    match v1::MissedPolicy::try_from(schedule.missed) {
        Ok(v1::MissedPolicy::Skip) => MissedPolicy::Skip,
        Ok(v1::MissedPolicy::RunOnce | v1::MissedPolicy::Unspecified) => MissedPolicy::RunOnce,
        Ok(v1::MissedPolicy::RunAll) => MissedPolicy::RunAll,
        Err(_) => {
            let (name, value) = (&schedule.name, schedule.missed);
            warn!(%extension, name, value, "a schedule has an unknown policy; taken as run once");
            MissedPolicy::RunOnce
        }
    }
}

fn overlap(extension: &ExtensionName, schedule: &v1::ScheduleBinding) -> OverlapPolicy {
    match v1::OverlapPolicy::try_from(schedule.overlap) {
        Ok(v1::OverlapPolicy::Skip | v1::OverlapPolicy::Unspecified) => OverlapPolicy::Skip,
        Ok(v1::OverlapPolicy::Queue) => OverlapPolicy::Queue,
        Ok(v1::OverlapPolicy::Allow) => OverlapPolicy::Allow,
        Err(_) => {
            let (name, value) = (&schedule.name, schedule.overlap);
            warn!(%extension, name, value, "a schedule has an unknown policy; taken as skip");
            OverlapPolicy::Skip
        }
    }
}

fn hook_binding(extension: &ExtensionName, hook: v1::HookBinding) -> Result<HookBinding, Refusal> {
    let event: EventKind = hook
        .event
        .parse()
        .map_err(|error| Refusal::invalid(format!("hook {:?}: {error}", hook.handler)))?;
    let refuse = |problem: &str| Refusal::invalid(format!("the hook on {event} {problem}"));
    let phase = phase(extension, event, hook.phase);
    if phase == Phase::Before && !can_run_before(event) {
        return Err(refuse("can't run before; register it with phase after"));
    }
    let filter = match (hook.collection, hook.function) {
        (collection, function) if collection.is_empty() && function.is_empty() => HookFilter::All,
        (collection, function) if function.is_empty() && event.is_record() => {
            HookFilter::Named(collection)
        }
        (collection, function) if collection.is_empty() && event.is_function() => {
            HookFilter::Named(function)
        }
        (_, function) if function.is_empty() => {
            return Err(refuse("filters by collection; only record events have one"));
        }
        _ => return Err(refuse("filters by function; only function events have one")),
    };
    if hook.handler.len() > NAME_MAX {
        return Err(refuse("has a handler name of more than 128 bytes"));
    }
    let handler =
        if hook.handler.is_empty() { made_up_handler(event, phase, &filter) } else { hook.handler };
    Ok(HookBinding {
        event,
        phase,
        filter,
        handler,
        priority: hook.priority,
        timeout: timeout(hook.timeout_ms),
        reentrant: hook.reentrant,
    })
}

/// An enum value from a later version is read as the unspecified one, and logged.
fn phase(extension: &ExtensionName, event: EventKind, value: i32) -> Phase {
    match v1::Phase::try_from(value) {
        Ok(v1::Phase::Before) => Phase::Before,
        Ok(v1::Phase::After | v1::Phase::Unspecified) => Phase::After,
        Err(_) => {
            warn!(%extension, %event, value, "a hook has an unknown phase; taken as after");
            Phase::After
        }
    }
}

const fn can_run_before(event: EventKind) -> bool {
    match event {
        EventKind::Startup | EventKind::Shutdown | EventKind::FunctionComplete => false,
        EventKind::UserRegister
        | EventKind::UserLogin
        | EventKind::RecordCreate
        | EventKind::RecordUpdate
        | EventKind::RecordDelete
        | EventKind::FunctionCall => true,
    }
}

fn made_up_handler(event: EventKind, phase: Phase, filter: &HookFilter) -> String {
    let phase = match phase {
        Phase::Before => "before:",
        Phase::After => "",
    };
    match filter {
        HookFilter::All => format!("{phase}{event}"),
        HookFilter::Named(name) => format!("{phase}{event}:{name}"),
    }
}

fn function_binding(
    extension: &ExtensionName,
    function: v1::FunctionBinding,
) -> Result<FunctionBinding, Refusal> {
    let name = function.name;
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    if name.is_empty() || name.len() > NAME_MAX || !name.chars().all(fits) {
        return Err(Refusal::invalid(format!(
            "{name:?} is not a function name: use letters, digits, '_', '-' and '.', at most 128"
        )));
    }
    Ok(FunctionBinding {
        auth: auth(extension, &name, function.auth),
        input_schema: schema(&name, "input", function.input_schema)?,
        output_schema: schema(&name, "output", function.output_schema)?,
        name,
        description: function.description,
        tags: function.tags,
        timeout: timeout(function.timeout_ms),
        concurrency: (function.concurrency > 0).then_some(function.concurrency),
        streams: function.streams,
    })
}

/// An enum value from a later version might mean less than all users, so it is read as the
/// narrowest one, and logged.
fn auth(extension: &ExtensionName, function: &str, value: i32) -> FunctionAuth {
    match v1::FunctionAuth::try_from(value) {
        Ok(v1::FunctionAuth::Public) => FunctionAuth::Public,
        Ok(v1::FunctionAuth::Auth | v1::FunctionAuth::Unspecified) => FunctionAuth::Auth,
        Ok(v1::FunctionAuth::Admin) => FunctionAuth::Admin,
        Err(_) => {
            warn!(%extension, function, value, "a function has an unknown auth; taken as admin");
            FunctionAuth::Admin
        }
    }
}

fn schema(function: &str, what: &str, bytes: Bytes) -> Result<Option<JsonBytes>, Refusal> {
    if bytes.is_empty() {
        return Ok(None);
    }
    JsonBytes::checked(bytes).map(Some).map_err(|error| {
        Refusal::invalid(format!("the {what} schema of function {function:?} is not JSON: {error}"))
    })
}

const fn timeout(milliseconds: u32) -> Option<Duration> {
    match milliseconds {
        0 => None,
        set => Some(Duration::from_millis(set as u64)),
    }
}
