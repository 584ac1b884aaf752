//! `[extension.permissions]`: what an extension asks for.

use std::collections::BTreeSet;

use tinybase_model::{HookDeclaration, Permissions};

use crate::checked::{Mistake, Section, nearest};

/// Capabilities, without the `:name` that some take.
const CAPABILITIES: [(&str, bool); 5] = [
    ("records:read", true),
    ("records:write", true),
    ("users:read", false),
    ("functions:call", true),
    ("activity:write", false),
];

/// A manifest that speaks neither of permissions nor of hooks asks for the documented powers as a
/// whole; one that speaks of either gets what it lists.
pub(super) fn read(
    extension: &Section<'_>,
    hooks: Option<Vec<HookDeclaration>>,
) -> Result<Permissions, Mistake> {
    let Some(section) = extension.section("permissions")? else {
        return Ok(match hooks {
            None => Permissions::Broad,
            hooks @ Some(_) => Permissions::Listed {
                capabilities: BTreeSet::new(),
                environment: BTreeSet::new(),
                hooks,
            },
        });
    };
    let capabilities = section.strings("capabilities")?.unwrap_or_default();
    let environment = section.strings("environment")?.unwrap_or_default();
    section.finish()?;
    for capability in &capabilities {
        if let Some(message) = complaint(capability) {
            return Err(section.wrong("capabilities", &message));
        }
    }
    for name in &environment {
        let valid = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !valid {
            let message = format!("holds {name:?}, which is not the name of a variable");
            return Err(section.wrong("environment", &message));
        }
        if name.starts_with("TINYBASE_") {
            let message = format!("holds {name:?}; TINYBASE_ variables are the server's own");
            return Err(section.wrong("environment", &message));
        }
    }
    Ok(Permissions::Listed {
        capabilities: capabilities.into_iter().collect(),
        environment: environment.into_iter().collect(),
        hooks,
    })
}

fn complaint(capability: &str) -> Option<String> {
    let mut parts = capability.splitn(3, ':');
    let base = [parts.next().unwrap_or_default(), parts.next().unwrap_or_default()].join(":");
    let name = parts.next();
    match CAPABILITIES.iter().find(|(known, _)| *known == base) {
        Some((_, true)) if name.is_none_or(str::is_empty) => {
            Some(format!("holds {capability:?}, which needs a name: {base}:NAME or {base}:*"))
        }
        Some((_, false)) if name.is_some() => {
            Some(format!("holds {capability:?}, which takes no name: write {base:?}"))
        }
        Some(_) => None,
        None => {
            let known: Vec<&str> = CAPABILITIES.iter().map(|(known, _)| *known).collect();
            let hint = match nearest(&base, &known) {
                Some(near) => format!("did you mean {near:?}?"),
                None => format!("there are {}", known.join(", ")),
            };
            Some(format!("holds {capability:?}, which is no capability; {hint}"))
        }
    }
}
