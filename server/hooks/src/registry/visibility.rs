//! Which records' events reach an extension, against a table: permissions × hooks × events.

use std::io::Write as _;

use tinybase_model::{
    Event, EventKind, HookBinding, HookDeclaration, HookFilter, Permissions, Phase, RecordEvent,
    Registration,
};

use super::Registry;
use crate::fakes::{hook, json, name};

const EVENTS: [EventKind; 3] =
    [EventKind::RecordCreate, EventKind::RecordUpdate, EventKind::RecordDelete];
const PHASES: [Phase; 2] = [Phase::Before, Phase::After];
const COLLECTIONS: [&str; 3] = ["notes", "orders", "invoices"];

fn filters() -> [HookFilter; 3] {
    [HookFilter::All, named("notes"), named("orders")]
}

fn named(collection: &str) -> HookFilter {
    HookFilter::Named(collection.to_owned())
}

/// A hook, as far as permissions speak of it.
type Wanted = (EventKind, Phase, HookFilter);

/// Every combination of event, phase and filter.
fn every() -> Vec<Wanted> {
    let phases = |event| PHASES.into_iter().map(move |phase| (event, phase));
    let filtered = |(event, phase)| filters().into_iter().map(move |f| (event, phase, f));
    EVENTS.into_iter().flat_map(phases).flat_map(filtered).collect()
}

fn listed(hooks: Option<Vec<HookDeclaration>>) -> Permissions {
    // What may be read by call-backs is another matter.
    let capabilities = ["records:read:*".to_owned()].into();
    Permissions::Listed { capabilities, environment: [].into(), hooks }
}

/// Each with what it lets an extension register.
fn permissions() -> Vec<(Permissions, Vec<Wanted>)> {
    let after = || every().into_iter().filter(|(_, phase, _)| *phase == Phase::After).collect();
    let mut all = vec![
        (Permissions::Broad, after()),
        (listed(None), after()),
        (listed(Some(Vec::new())), Vec::new()),
    ];
    for (event, phase, filter) in every() {
        let within: Vec<_> = match &filter {
            HookFilter::All => filters().into_iter().map(|f| (event, phase, f)).collect(),
            HookFilter::Named(_) => vec![(event, phase, filter.clone())],
        };
        let declaration = HookDeclaration { event, phase, filter, fail_open: false };
        all.push((listed(Some(vec![declaration])), within));
    }
    all
}

fn event(kind: EventKind, collection: &str) -> Event {
    let record = RecordEvent {
        collection: collection.to_owned(),
        record_id: None,
        owner_id: None,
        old_owner_id: None,
        data: json("{}"),
        old_data: None,
        version: 1,
    };
    let events: [fn(RecordEvent) -> Event; 3] =
        [Event::RecordCreate, Event::RecordUpdate, Event::RecordDelete];
    let mut events = events.map(|event| event(record.clone())).into_iter();
    events.find(|event| event.kind() == kind).expect("an event of a record")
}

/// Whether an event reaches the hook that is registered, if any is.
fn reaches(registry: &Registry, kind: EventKind, collection: &str, phase: Phase) -> bool {
    let snapshot = registry.snapshot();
    let event = event(kind, collection);
    match phase {
        Phase::Before => snapshot.before(kind, Some(collection)).iter().any(|hook| hook.registered),
        Phase::After => snapshot
            .durable
            .iter()
            .any(|hook| hook.binding.event == kind && hook.binding.filter.matches(&event)),
    }
}

#[test]
fn events_reach_what_the_manifest_lets_register_and_nobody_else() {
    let mut cases = 0;
    for (permissions, within) in permissions() {
        for wanted in every() {
            let registry = Registry::new();
            registry.permit(&name("shop"), &permissions);
            let (event, phase, filter) = wanted.clone();
            let binding = HookBinding { filter: filter.clone(), ..hook(event, phase, "h") };
            let registration = Registration::new(vec![binding], vec![]).expect("one hook");
            let taken = registry.register(&name("shop"), &registration).is_ok();
            let allowed = within.contains(&wanted);
            assert_eq!(taken, allowed, "{permissions:?} {wanted:?}");
            for kind in EVENTS {
                for collection in COLLECTIONS {
                    let meant =
                        kind == event && (filter == HookFilter::All || filter == named(collection));
                    for way in PHASES {
                        let expected = allowed && meant && way == phase;
                        let found = reaches(&registry, kind, collection, way);
                        assert_eq!(
                            found, expected,
                            "{permissions:?} {wanted:?}: {way:?} {kind:?} of {collection}"
                        );
                        cases += 1;
                    }
                }
            }
        }
    }
    // Not `println!`, which is shown of failed tests only.
    writeln!(std::io::stdout(), "authorization: {cases} cases of which events reach a hook")
        .expect("a terminal");
    assert_eq!(cases, 21 * 18 * 18);
}
