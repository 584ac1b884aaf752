//! `[[extension.hooks]]`: the hooks that an extension may register.

use tinybase_model::{EventKind, HookDeclaration, HookFilter, Phase};

use crate::checked::{Mistake, Section};

/// The declared hooks; none if the manifest doesn't speak of hooks.
pub(super) fn read(extension: &Section<'_>) -> Result<Option<Vec<HookDeclaration>>, Mistake> {
    let sections = extension.sections("hooks")?;
    if sections.is_empty() {
        return Ok(None);
    }
    sections.iter().map(declaration).collect::<Result<_, _>>().map(Some)
}

fn declaration(section: &Section<'_>) -> Result<HookDeclaration, Mistake> {
    let event = section.string("event")?;
    let phase = section.string("phase")?;
    let collection = section.string("collection")?;
    let function = section.string("function")?;
    let failure_policy = section.string("failure_policy")?;
    section.finish()?;

    let event = event.ok_or_else(|| section.lacking("has no event"))?;
    let event: EventKind =
        event.parse().map_err(|error| section.wrong("event", &format!("is wrong: {error}")))?;
    let phase = match phase.as_deref() {
        Some("before") => Phase::Before,
        Some("after") | None => Phase::After,
        Some(other) => {
            let message = format!(r#"must be "before" or "after", not {other:?}"#);
            return Err(section.wrong("phase", &message));
        }
    };
    check_phase(section, event, phase)?;
    Ok(HookDeclaration {
        event,
        phase,
        filter: filter(section, event, collection, function)?,
        fail_open: fail_open(section, phase, failure_policy.as_deref())?,
    })
}

fn check_phase(section: &Section<'_>, event: EventKind, phase: Phase) -> Result<(), Mistake> {
    let has_before = match event {
        EventKind::UserRegister
        | EventKind::UserLogin
        | EventKind::RecordCreate
        | EventKind::RecordUpdate
        | EventKind::RecordDelete
        | EventKind::FunctionCall => true,
        EventKind::Startup | EventKind::Shutdown | EventKind::FunctionComplete => false,
    };
    if phase == Phase::Before && !has_before {
        let message = format!(r#"can't be "before" for {event}, which only has "after""#);
        return Err(section.wrong("phase", &message));
    }
    Ok(())
}

fn filter(
    section: &Section<'_>,
    event: EventKind,
    collection: Option<String>,
    function: Option<String>,
) -> Result<HookFilter, Mistake> {
    if collection.is_some() && !event.is_record() {
        let message = format!("makes no sense for {event}, which is not about a record");
        return Err(section.wrong("collection", &message));
    }
    if function.is_some() && !event.is_function() {
        let message = format!("makes no sense for {event}, which is not about a function");
        return Err(section.wrong("function", &message));
    }
    Ok(match collection.or(function) {
        Some(name) if !name.is_empty() && name != "*" => HookFilter::Named(name),
        Some(_) | None => HookFilter::All,
    })
}

fn fail_open(section: &Section<'_>, phase: Phase, policy: Option<&str>) -> Result<bool, Mistake> {
    if policy.is_some() && phase == Phase::After {
        let message = "is only for before-hooks: an after-hook never changes a response";
        return Err(section.wrong("failure_policy", message));
    }
    match policy {
        Some("open") => Ok(true),
        Some("closed") | None => Ok(false),
        Some(other) => {
            let message = format!(r#"must be "closed" or "open", not {other:?}"#);
            Err(section.wrong("failure_policy", &message))
        }
    }
}
