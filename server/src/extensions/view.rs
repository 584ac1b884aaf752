//! An installed extension with how it is, as the API shows it.

use tinybase_catalog::{Condition, Grant, Installed};
use tinybase_core::{HookInfo, InstalledExtension};
use tinybase_hooks::{EffectiveHook, FailurePolicy, HooksOptions};
use tinybase_model::{EventKind, ExtensionState, ExtensionStatus, HookFilter, Phase};

/// Puts together what is installed and how it is; `status` is the supervisor's word.
pub(crate) fn installed(
    extension: &Installed,
    status: Option<ExtensionStatus>,
    asleep: bool,
) -> InstalledExtension {
    let at = extension.origin.installed_at;
    let idle = |state, reason: Option<String>| ExtensionStatus {
        name: extension.name.clone(),
        version: extension.version.clone(),
        state,
        reason,
        pid: None,
        since: at,
        restarts: 0,
        hooks: Vec::new(),
        functions: Vec::new(),
        last_crash: None,
    };
    let status = match (&extension.condition, status) {
        (_, _) if !extension.enabled => idle(ExtensionState::Disabled, None),
        (Condition::Broken(reason), None) => idle(ExtensionState::Broken, Some(reason.clone())),
        (_, Some(status)) => status,
        (Condition::Sound(_), None) => {
            let why = "extensions are switched off: the server runs in safe mode, or \
                       [extensions] enabled is false";
            idle(ExtensionState::Installed, asleep.then(|| why.to_owned()))
        }
    };
    InstalledExtension {
        name: extension.name.clone(),
        version: extension.version.clone(),
        description: extension.about.as_ref().and_then(|about| about.description.clone()),
        author: extension.about.as_ref().and_then(|about| about.author.clone()),
        source: extension.origin.source.clone(),
        is_enabled: extension.enabled,
        is_broad: extension.granted == Grant::Broad,
        installed_at: at,
        updated_at: at,
        status,
    }
}

/// One link of the chain.
pub(super) fn hook(hook: EffectiveHook, times: HooksOptions) -> HookInfo {
    let EffectiveHook { extension, binding, policy, registered: _ } = hook;
    let in_request = binding.phase == Phase::Before || binding.event == EventKind::FunctionCall;
    let usual = if in_request { times.before_timeout } else { times.after_timeout };
    let timeout = binding.timeout.unwrap_or(usual);
    HookInfo {
        event: binding.event.as_str().to_owned(),
        phase: binding.phase.as_str().to_owned(),
        filter: match binding.filter {
            HookFilter::All => None,
            HookFilter::Named(name) => Some(name),
        },
        extension,
        handler: binding.handler,
        priority: binding.priority,
        timeout_ms: u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX),
        fail_open: policy == FailurePolicy::Open,
    }
}
