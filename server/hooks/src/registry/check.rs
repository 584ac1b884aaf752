//! Which registrations are refused, and with which words.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;
use thiserror::Error;
use tinybase_model::{
    EventKind, ExtensionName, FunctionBinding, HookBinding, HookDeclaration, HookFilter, JsonBytes,
    Permissions, Phase, Registration, ScheduleBinding,
};

use super::Member;
use crate::options::{BEFORE_TIMEOUT_MAX, TIMEOUT_MAX};

/// The most hooks and functions of one extension.
const BINDINGS_MAX: usize = 1000;

/// The longest name of a function or a handler.
const NAME_LENGTH_MAX: usize = 100;
const HANDLER_LENGTH_MAX: usize = 255;

/// Why a registration isn't taken.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum Refused {
    #[error(
        "the server has no permissions on record for the extension {extension:?}, so it can't \
         register anything; start it with `tinybase extensions restart {extension}`"
    )]
    NotPermitted { extension: ExtensionName },
    #[error(
        "{count} hooks, functions and schedules are too many; an extension may have {BINDINGS_MAX}"
    )]
    TooMany { count: usize },
    #[error("{0}")]
    Hook(String),
    #[error("{0}")]
    Function(String),
    #[error("{0}")]
    Schedule(String),
    #[error(
        "the function {function:?} of the extension {extension:?} can't be registered: the \
         extension {owner:?} has a function of that name; rename one of them"
    )]
    Taken { function: String, extension: ExtensionName, owner: ExtensionName },
}

/// Checks a registration against itself, the permissions and the other extensions.
pub(super) fn registration(
    members: &BTreeMap<ExtensionName, Member>,
    extension: &ExtensionName,
    registration: &Registration,
) -> Result<(), Refused> {
    let Some(member) = members.get(extension) else {
        return Err(Refused::NotPermitted { extension: extension.clone() });
    };
    let count = registration.hooks().len()
        + registration.functions().len()
        + registration.schedules().len();
    if count > BINDINGS_MAX {
        return Err(Refused::TooMany { count });
    }
    for binding in registration.hooks() {
        hook(binding).map_err(|problem| Refused::Hook(about_hook(binding, &problem)))?;
        if !allows(&member.permissions, binding) {
            let problem = outside(&member.permissions, binding);
            return Err(Refused::Hook(about_hook(binding, &problem)));
        }
    }
    for binding in registration.functions() {
        function(binding).map_err(Refused::Function)?;
        if let Some(owner) = owner(members, extension, &binding.name) {
            return Err(Refused::Taken {
                function: binding.name.clone(),
                extension: extension.clone(),
                owner: owner.clone(),
            });
        }
    }
    for binding in registration.schedules() {
        schedule(member, registration, binding).map_err(|problem| {
            let name = &binding.name;
            Refused::Schedule(format!("the schedule {name:?} can't be registered: {problem}"))
        })?;
    }
    Ok(())
}

/// Whether a schedule lies inside what the manifest declares.
fn schedule(
    member: &Member,
    registration: &Registration,
    binding: &ScheduleBinding,
) -> Result<(), String> {
    let ScheduleBinding { name, function, .. } = binding;
    if !registration.functions().iter().any(|known| known.name == *function) {
        return Err(format!("the extension doesn't register the function {function:?}"));
    }
    let declared = &member.offer.schedules;
    let is_broad = member.permissions == Permissions::Broad;
    let Some(declaration) = declared.iter().find(|declared| declared.name == *name) else {
        return if is_broad && declared.is_empty() {
            Ok(())
        } else {
            Err("its manifest doesn't declare it; add an [[extension.schedules]] table with its \
                 name and function"
                .to_owned())
        };
    };
    if declaration.function != *function {
        return Err(format!(
            "its manifest declares it for the function {:?}",
            declaration.function
        ));
    }
    match &declaration.binding {
        Some(fixed) if fixed.timing != binding.timing => {
            Err("its manifest fixes another time; leave the time out there, or here".to_owned())
        }
        Some(_) | None => Ok(()),
    }
}

/// Whether the permissions let an extension register the hook.
pub(super) fn allows(permissions: &Permissions, binding: &HookBinding) -> bool {
    match permissions {
        Permissions::Broad | Permissions::Listed { hooks: None, .. } => {
            binding.phase == Phase::After
        }
        Permissions::Listed { hooks: Some(declared), .. } => {
            is_lifecycle(binding.event) || declaration(declared, binding).is_some()
        }
    }
}

/// The declaration that covers a hook; the one with the same filter if there is one.
pub(super) fn declaration<'a>(
    declared: &'a [HookDeclaration],
    binding: &HookBinding,
) -> Option<&'a HookDeclaration> {
    let mut covering = declared.iter().filter(|declared| {
        declared.event == binding.event
            && declared.phase == binding.phase
            && (declared.filter == HookFilter::All || declared.filter == binding.filter)
    });
    let first = covering.next()?;
    if first.filter == binding.filter {
        return Some(first);
    }
    Some(covering.find(|other| other.filter == binding.filter).unwrap_or(first))
}

pub(super) const fn is_lifecycle(event: EventKind) -> bool {
    matches!(event, EventKind::Startup | EventKind::Shutdown)
}

fn about_hook(binding: &HookBinding, problem: &str) -> String {
    let HookBinding { event, phase, handler, .. } = binding;
    format!("the {}-hook {handler:?} on {event} can't be registered: {problem}", phase.as_str())
}

fn outside(permissions: &Permissions, binding: &HookBinding) -> String {
    let table = match permissions {
        Permissions::Listed { hooks: Some(_), .. } => "its manifest doesn't declare it",
        Permissions::Broad | Permissions::Listed { hooks: None, .. } => {
            "before-hooks work only if the manifest declares them"
        }
    };
    let filter = match &binding.filter {
        HookFilter::All => "everything".to_owned(),
        HookFilter::Named(name) => format!("{name:?}"),
    };
    format!(
        "{table}; declare the event {}, the phase {} and {filter} there",
        binding.event,
        binding.phase.as_str()
    )
}

fn hook(binding: &HookBinding) -> Result<(), String> {
    let HookBinding { event, phase, filter, handler, timeout, .. } = binding;
    if handler.len() > HANDLER_LENGTH_MAX {
        return Err(format!("a handler's name has at most {HANDLER_LENGTH_MAX} bytes"));
    }
    let instants = is_lifecycle(*event) || *event == EventKind::FunctionComplete;
    if *phase == Phase::Before && instants {
        return Err(format!("{event} has no before phase; register it for after"));
    }
    if let HookFilter::Named(name) = filter {
        if !event.is_record() && !event.is_function() {
            return Err(format!(
                "{event} knows no collections and no functions; leave out {name:?}"
            ));
        }
        if name.is_empty() || name.len() > NAME_LENGTH_MAX {
            return Err(format!("a filter is a name of 1 to {NAME_LENGTH_MAX} bytes"));
        }
    }
    let timeout_max = if *phase == Phase::Before || *event == EventKind::FunctionCall {
        BEFORE_TIMEOUT_MAX
    } else {
        TIMEOUT_MAX
    };
    within(*timeout, timeout_max)
}

fn function(binding: &FunctionBinding) -> Result<(), String> {
    let FunctionBinding { name, input_schema, output_schema, timeout, .. } = binding;
    let is_letter = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    let dots = name.chars().all(|c| c == '.');
    if name.len() > NAME_LENGTH_MAX || dots || !name.chars().all(is_letter) {
        return Err(format!(
            "{name:?} can't be a function's name: use letters, digits, '_', '-' and '.', at most \
             {NAME_LENGTH_MAX}, and not only dots"
        ));
    }
    for (what, schema) in [("input", input_schema), ("output", output_schema)] {
        if !schema.as_ref().is_none_or(is_schema) {
            return Err(format!(
                "the {what} schema of the function {name:?} is not a JSON Schema: it has to be a \
                 JSON object, or true or false"
            ));
        }
    }
    within(*timeout, TIMEOUT_MAX)
        .map_err(|problem| format!("the function {name:?} can't be registered: {problem}"))
}

fn within(timeout: Option<Duration>, timeout_max: Duration) -> Result<(), String> {
    match timeout {
        Some(timeout) if timeout > timeout_max => Err(format!(
            "its timeout is {} ms; the most is {} ms",
            timeout.as_millis(),
            timeout_max.as_millis()
        )),
        Some(_) | None => Ok(()),
    }
}

fn is_schema(schema: &JsonBytes) -> bool {
    schema.parse::<Value>().is_ok_and(|schema| schema.is_object() || schema.is_boolean())
}

fn owner<'a>(
    members: &'a BTreeMap<ExtensionName, Member>,
    extension: &ExtensionName,
    function: &str,
) -> Option<&'a ExtensionName> {
    let has = |member: &Member| {
        let functions = member.registration.as_ref().map(|known| known.functions());
        functions.is_some_and(|known| known.iter().any(|known| known.name == function))
    };
    members
        .iter()
        .find(|(other, member)| *other != extension && has(member))
        .map(|(other, _)| other)
}
