//! What is in force at one moment, indexed so that an event nobody listens to costs one look-up.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use jiff::Timestamp;
use tinybase_model::{
    EventKind, ExtensionName, FunctionBinding, FunctionLimits, HookBinding, HookDeclaration,
    HookFilter, Permissions, Phase, Position, ScheduleBinding,
};

use super::{Member, check};

/// A function with the extension that has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegisteredFunction {
    /// The extension.
    pub extension: ExtensionName,
    /// The extension's installed version; empty if it isn't known.
    pub version: String,
    /// What it registered, within the limits of its manifest.
    pub binding: FunctionBinding,
    /// When it was registered.
    pub loaded_at: Timestamp,
}

/// What happens to an operation whose before-hook can't be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailurePolicy {
    /// It is refused.
    Closed,
    /// It goes on. All after-hooks are so.
    Open,
}

/// A hook as it takes effect, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EffectiveHook {
    /// The extension.
    pub extension: ExtensionName,
    /// What it registered; for one that is only declared, what is known of it.
    pub binding: HookBinding,
    /// What happens when it can't be asked.
    pub policy: FailurePolicy,
    /// Whether a process registered it. A before-hook that the installed manifest declares holds
    /// without one.
    pub registered: bool,
}

impl FailurePolicy {
    const fn new(fail_open: bool) -> Self {
        if fail_open { Self::Open } else { Self::Closed }
    }
}

/// A hook in a chain.
pub(crate) type ChainHook = EffectiveHook;

/// An after-hook with a durable subscription.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DurableHook {
    pub(crate) extension: ExtensionName,
    pub(crate) binding: HookBinding,
    /// The version of the registry at which it was registered.
    pub(crate) registered_at: u64,
    /// Where the log stood then, if that was known.
    pub(crate) since: Option<Position>,
}

/// The handlers whose subscriptions live on after a registration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Kept {
    pub(crate) extension: ExtensionName,
    pub(crate) registered_at: u64,
    pub(crate) handlers: Vec<String>,
}

/// All that is in force at one moment. The session itself runs the lifecycle hooks.
#[derive(Debug, Default)]
pub(crate) struct Snapshot {
    pub(crate) version: u64,
    pub(crate) durable: Vec<Arc<DurableHook>>,
    pub(crate) kept: Vec<Kept>,
    before: [Listeners; EventKind::ALL.len()],
    observers: Listeners,
    lifecycle: Vec<Arc<ChainHook>>,
    functions: HashMap<String, Arc<RegisteredFunction>>,
    schedules: Vec<Arc<OwnSchedules>>,
}

/// The schedules of one extension.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnSchedules {
    /// The extension.
    pub extension: ExtensionName,
    /// Those that its manifest declares in full, and those that it registered.
    pub schedules: Vec<ScheduleBinding>,
    /// Whether these are all: whether it has registered since it was permitted.
    pub is_complete: bool,
}

impl Snapshot {
    pub(super) fn of(members: &BTreeMap<ExtensionName, Member>, version: u64) -> Self {
        let mut snapshot = Self { version, ..Self::default() };
        for (extension, member) in members {
            snapshot.add_declared(extension, member);
            snapshot.add_registered(extension, member);
            snapshot.schedules.push(Arc::new(own_schedules(extension, member)));
        }
        snapshot.before.iter_mut().for_each(Listeners::sort);
        snapshot.observers.sort();
        snapshot
    }

    /// The before-hooks for an event, in order.
    pub(crate) fn before(&self, kind: EventKind, subject: Option<&str>) -> &[Arc<ChainHook>] {
        self.before[kind as usize].get(subject)
    }

    /// The hooks that look on when a function is called.
    pub(crate) fn observers(&self, function: &str) -> &[Arc<ChainHook>] {
        self.observers.get(Some(function))
    }

    pub(crate) fn function(&self, name: &str) -> Option<&Arc<RegisteredFunction>> {
        self.functions.get(name)
    }

    /// All functions, by name.
    pub(crate) fn functions(&self) -> Vec<Arc<RegisteredFunction>> {
        let mut functions: Vec<_> = self.functions.values().map(Arc::clone).collect();
        functions.sort_by(|a, b| a.binding.name.cmp(&b.binding.name));
        functions
    }

    /// The schedules of each permitted extension, by its name.
    pub(crate) fn schedules(&self) -> Vec<Arc<OwnSchedules>> {
        self.schedules.clone()
    }

    /// All hooks, by event and phase and then in the order in which they run.
    pub(crate) fn effective(&self) -> Vec<EffectiveHook> {
        let durable = self.durable.iter().map(|hook| EffectiveHook {
            extension: hook.extension.clone(),
            binding: hook.binding.clone(),
            policy: FailurePolicy::Open,
            registered: true,
        });
        let chains = self.before.iter().chain([&self.observers]).flat_map(Listeners::every);
        let others = chains.chain(&self.lifecycle).map(|hook| EffectiveHook::clone(hook));
        let mut hooks: Vec<_> = durable.chain(others).collect();
        hooks.sort_by(|a, b| {
            let step = |hook: &EffectiveHook| (hook.binding.event, hook.binding.phase);
            step(a).cmp(&step(b)).then_with(|| order(a, b))
        });
        hooks
    }

    /// Before-hooks that are declared, while no process has registered under the declaration.
    fn add_declared(&mut self, extension: &ExtensionName, member: &Member) {
        if member.confirmed {
            return;
        }
        for declared in declared(&member.permissions) {
            if declared.phase != Phase::Before || check::is_lifecycle(declared.event) {
                continue;
            }
            let binding = HookBinding {
                event: declared.event,
                phase: Phase::Before,
                filter: declared.filter.clone(),
                handler: String::new(),
                priority: 0,
                timeout: None,
                reentrant: false,
            };
            let policy = FailurePolicy::new(declared.fail_open);
            let extension = extension.clone();
            self.before[declared.event as usize].add(ChainHook {
                extension,
                binding,
                policy,
                registered: false,
            });
        }
    }

    fn add_registered(&mut self, extension: &ExtensionName, member: &Member) {
        let Some(registration) = &member.registration else { return };
        let allowed =
            registration.hooks().iter().filter(|hook| check::allows(&member.permissions, hook));
        for binding in allowed {
            if is_durable(binding) {
                let hook = DurableHook {
                    extension: extension.clone(),
                    binding: binding.clone(),
                    registered_at: member.registered_at,
                    since: member.since,
                };
                self.durable.push(Arc::new(hook));
                continue;
            }
            let declaration = check::declaration(declared(&member.permissions), binding);
            let declared_open = declaration.is_some_and(|declared| declared.fail_open);
            let hook = ChainHook {
                extension: extension.clone(),
                binding: binding.clone(),
                policy: FailurePolicy::new(declared_open || binding.phase == Phase::After),
                registered: true,
            };
            match (binding.phase, binding.event) {
                (Phase::Before, event) => self.before[event as usize].add(hook),
                (Phase::After, EventKind::FunctionCall) => self.observers.add(hook),
                (Phase::After, _) => self.lifecycle.push(Arc::new(hook)),
            }
        }
        self.kept.push(Kept {
            extension: extension.clone(),
            registered_at: member.registered_at,
            handlers: registration
                .hooks()
                .iter()
                .filter(|binding| is_durable(binding))
                .map(|binding| binding.handler.clone())
                .collect(),
        });
        for binding in registration.functions() {
            let function = RegisteredFunction {
                extension: extension.clone(),
                version: member.offer.version.clone(),
                binding: limited(binding.clone(), &member.offer.functions),
                loaded_at: member.loaded_at,
            };
            self.functions.insert(binding.name.clone(), Arc::new(function));
        }
    }
}

/// The hooks of one kind of event, by subject.
#[derive(Debug, Default)]
struct Listeners {
    /// Those without a filter.
    all: Vec<Arc<ChainHook>>,
    /// For each subject that a filter names, all hooks that it meets.
    named: HashMap<String, Vec<Arc<ChainHook>>>,
}

impl Listeners {
    fn get(&self, subject: Option<&str>) -> &[Arc<ChainHook>] {
        subject.and_then(|subject| self.named.get(subject)).unwrap_or(&self.all)
    }

    /// Only to be followed by `sort`, once all are there.
    fn add(&mut self, hook: ChainHook) {
        let hook = Arc::new(hook);
        match &hook.binding.filter {
            HookFilter::All => self.all.push(hook),
            HookFilter::Named(name) => self.named.entry(name.clone()).or_default().push(hook),
        }
    }

    fn sort(&mut self) {
        self.all.sort_by(|a, b| order(a, b));
        for hooks in self.named.values_mut() {
            hooks.extend(self.all.iter().map(Arc::clone));
            hooks.sort_by(|a, b| order(a, b));
        }
    }

    /// Each hook once.
    fn every(&self) -> impl Iterator<Item = &Arc<ChainHook>> {
        let filtered = |hook: &&Arc<ChainHook>| hook.binding.filter != HookFilter::All;
        self.all.iter().chain(self.named.values().flatten().filter(filtered))
    }
}

/// The order of a chain: lower priorities first, ties by the extension's name, then the handler's.
fn order(a: &ChainHook, b: &ChainHook) -> std::cmp::Ordering {
    let rank = |hook: &ChainHook| hook.binding.priority;
    rank(a)
        .cmp(&rank(b))
        .then_with(|| a.extension.cmp(&b.extension))
        .then_with(|| a.binding.handler.cmp(&b.binding.handler))
}

fn is_durable(binding: &HookBinding) -> bool {
    binding.phase == Phase::After
        && !check::is_lifecycle(binding.event)
        && binding.event != EventKind::FunctionCall
}

/// What a process registers stands in place of what the manifest declares under the same name.
fn own_schedules(extension: &ExtensionName, member: &Member) -> OwnSchedules {
    let registered = member.registration.as_ref().filter(|_| member.confirmed);
    let registered = registered.map_or(&[][..], |registration| registration.schedules());
    let declared = member.offer.schedules.iter().filter_map(|declared| declared.binding.as_ref());
    let declared = declared.filter(|declared| registered.iter().all(|r| r.name != declared.name));
    OwnSchedules {
        extension: extension.clone(),
        schedules: declared.chain(registered).cloned().collect(),
        is_complete: member.confirmed,
    }
}

/// A function within the limits of the manifest: the narrower ones hold.
fn limited(binding: FunctionBinding, limits: &[FunctionLimits]) -> FunctionBinding {
    let Some(limits) = limits.iter().find(|limits| limits.name == binding.name) else {
        return binding;
    };
    FunctionBinding {
        timeout: binding.timeout.into_iter().chain(limits.timeout).min(),
        concurrency: binding.concurrency.into_iter().chain(limits.concurrency).min(),
        ..binding
    }
}

fn declared(permissions: &Permissions) -> &[HookDeclaration] {
    match permissions {
        Permissions::Listed { hooks: Some(declared), .. } => declared,
        Permissions::Broad | Permissions::Listed { hooks: None, .. } => &[],
    }
}
