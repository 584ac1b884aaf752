use std::time::Duration;

use tinybase_model::{
    EventKind, FunctionAuth, FunctionBinding, HookBinding, HookDeclaration, HookFilter, JsonBytes,
    Permissions, Phase, Registration,
};

use super::Registry;
use crate::fakes::{declares, hook, json, name};

fn function(name: &str) -> FunctionBinding {
    FunctionBinding {
        name: name.to_owned(),
        description: String::new(),
        auth: FunctionAuth::Auth,
        input_schema: None,
        output_schema: None,
        tags: Vec::new(),
        timeout: None,
        concurrency: None,
        streams: false,
    }
}

fn with_schema(schema: JsonBytes) -> FunctionBinding {
    FunctionBinding { output_schema: Some(schema), ..function("f") }
}

fn on(collection: &str, binding: HookBinding) -> HookBinding {
    HookBinding { filter: HookFilter::Named(collection.to_owned()), ..binding }
}

fn broad(extensions: &[&str]) -> Registry {
    let registry = Registry::new();
    for extension in extensions {
        registry.permit(&name(extension), &Permissions::Broad);
    }
    registry
}

fn refusal(
    registry: &Registry,
    hooks: Vec<HookBinding>,
    functions: Vec<FunctionBinding>,
) -> String {
    let registration = Registration::new(hooks, functions).expect("distinct names");
    let refused = registry.register(&name("shop"), &registration);
    refused.expect_err("it is refused").to_string()
}

fn take(
    registry: &Registry,
    extension: &str,
    hooks: Vec<HookBinding>,
    functions: Vec<FunctionBinding>,
) {
    let registration = Registration::new(hooks, functions).expect("distinct names");
    registry.register(&name(extension), &registration).expect("it is taken");
}

#[test]
fn an_extension_without_permissions_on_record_registers_nothing() {
    let refused = refusal(&Registry::new(), vec![], vec![]);
    assert!(refused.contains("tinybase extensions restart shop"), "{refused}");
}

#[test]
fn a_function_name_that_is_taken_is_refused_with_both_names() {
    let registry = broad(&["shop", "billing"]);
    take(&registry, "billing", vec![], vec![function("pay")]);
    let refused = refusal(&registry, vec![], vec![function("pay")]);
    for part in ["\"pay\"", "shop", "billing"] {
        assert!(refused.contains(part), "{refused}");
    }
    let owner = registry.glance().function("pay").map(|known| known.extension.clone());
    assert_eq!(owner, Some(name("billing")));
}

#[test]
fn a_function_name_is_free_again_once_its_extension_is_forgotten() {
    let registry = broad(&["shop", "billing"]);
    take(&registry, "billing", vec![], vec![function("pay")]);
    registry.forget(&name("billing"));
    take(&registry, "shop", vec![], vec![function("pay")]);
    assert_eq!(registry.glance().functions().len(), 1);
}

#[test]
fn a_registration_replaces_the_former_one() {
    let registry = broad(&["shop"]);
    take(&registry, "shop", vec![], vec![function("a"), function("b")]);
    take(&registry, "shop", vec![], vec![function("b"), function("c")]);
    let names = registry.glance().functions();
    let names: Vec<_> = names.iter().map(|function| function.binding.name.as_str()).collect();
    assert_eq!(names, ["b", "c"]);
}

#[test]
fn function_names_are_letters_digits_and_three_signs() {
    let registry = broad(&["shop"]);
    for good in ["a", "A-1_x.y", &"x".repeat(100)] {
        take(&registry, "shop", vec![], vec![function(good)]);
    }
    for bad in ["", "a b", "a/b", "é", "..", ".", &"x".repeat(101)] {
        let refused = refusal(&registry, vec![], vec![function(bad)]);
        assert!(refused.contains("can't be a function's name"), "{bad:?}: {refused}");
    }
}

#[test]
fn a_schema_is_an_object_or_a_boolean() {
    let registry = broad(&["shop"]);
    for good in ["{}", "true", r#"{"type":"object"}"#] {
        take(&registry, "shop", vec![], vec![with_schema(json(good))]);
    }
    for bad in ["[]", "3", "null", "\"x\""] {
        let refused = refusal(&registry, vec![], vec![with_schema(json(bad))]);
        assert!(refused.contains("output schema of the function \"f\""), "{refused}");
    }
}

#[test]
fn without_a_table_any_after_hook_is_allowed_and_no_before_hook() {
    let registry = broad(&["shop"]);
    let after = |event: EventKind| hook(event, Phase::After, event.as_str());
    take(&registry, "shop", EventKind::ALL.map(after).into(), vec![]);
    let before = hook(EventKind::RecordCreate, Phase::Before, "h");
    let refused = refusal(&registry, vec![before], vec![]);
    assert!(refused.contains("before-hooks work only if the manifest declares them"), "{refused}");
}

#[test]
fn with_a_table_only_declared_hooks_are_allowed() {
    let registry = Registry::new();
    let declared = HookDeclaration {
        event: EventKind::RecordCreate,
        phase: Phase::After,
        filter: HookFilter::Named("orders".to_owned()),
        fail_open: false,
    };
    let permissions = Permissions::Listed {
        capabilities: [].into(),
        environment: [].into(),
        hooks: Some(vec![declared]),
    };
    registry.permit(&name("shop"), &permissions);
    let created = hook(EventKind::RecordCreate, Phase::After, "h");
    let started = hook(EventKind::Startup, Phase::After, "s");
    take(&registry, "shop", vec![on("orders", created.clone()), started], vec![]);
    for other in [
        created.clone(),
        on("users", created),
        on("orders", hook(EventKind::RecordDelete, Phase::After, "h")),
        on("orders", hook(EventKind::RecordCreate, Phase::Before, "h")),
    ] {
        let refused = refusal(&registry, vec![other], vec![]);
        assert!(refused.contains("its manifest doesn't declare it"), "{refused}");
    }
}

#[test]
fn hooks_that_make_no_sense_are_refused() {
    let registry = broad(&["shop"]);
    let late = Some(Duration::from_hours(1));
    for (binding, problem) in [
        (on("orders", hook(EventKind::UserLogin, Phase::After, "h")), "knows no collections"),
        (on("", hook(EventKind::RecordCreate, Phase::After, "h")), "a filter is a name"),
        (hook(EventKind::Startup, Phase::Before, "h"), "has no before phase"),
        (hook(EventKind::FunctionComplete, Phase::Before, "h"), "has no before phase"),
        (
            HookBinding { timeout: late, ..hook(EventKind::UserLogin, Phase::After, "h") },
            "its timeout is 3600000 ms; the most is 900000 ms",
        ),
    ] {
        let refused = refusal(&registry, vec![binding], vec![]);
        assert!(refused.contains(problem), "{refused}");
    }
}

#[test]
fn too_many_bindings_are_refused() {
    let registry = broad(&["shop"]);
    let many = (0..1001).map(|n| function(&format!("f{n}"))).collect();
    let refused = refusal(&registry, vec![], many);
    assert_eq!(
        refused,
        "1001 hooks, functions and schedules are too many; an extension may have 1000"
    );
}

#[test]
fn a_chain_is_ordered_by_priority_and_then_by_extension() {
    let registry = Registry::new();
    let at = |priority, binding| HookBinding { priority, ..binding };
    let before = || hook(EventKind::RecordCreate, Phase::Before, "h");
    for (extension, binding) in [
        ("c", at(0, before())),
        ("b", at(-1, on("orders", before()))),
        ("a", at(0, on("orders", before()))),
        ("d", at(5, on("other", before()))),
    ] {
        registry.permit(&name(extension), &declares(&[EventKind::RecordCreate], false));
        take(&registry, extension, vec![binding], vec![]);
    }
    let snapshot = registry.snapshot();
    let chain = |subject| {
        let hooks = snapshot.before(EventKind::RecordCreate, subject);
        hooks.iter().map(|hook| hook.extension.as_str()).collect::<Vec<_>>()
    };
    assert_eq!(chain(Some("orders")), ["b", "a", "c"]);
    assert_eq!(chain(Some("other")), ["c", "d"]);
    assert_eq!(chain(Some("third")), ["c"]);
    let all: Vec<_> = snapshot.effective().into_iter().map(|hook| hook.extension).collect();
    assert_eq!(all, ["b", "a", "c", "d"].map(name));
}

#[test]
fn what_an_operator_no_longer_permits_ends_at_once() {
    let registry = Registry::new();
    let events = [EventKind::RecordCreate, EventKind::RecordDelete];
    registry.permit(&name("shop"), &declares(&events, false));
    let hooks = events.map(|event| hook(event, Phase::Before, event.as_str()));
    take(&registry, "shop", hooks.into(), vec![]);
    registry.permit(&name("shop"), &declares(&[EventKind::RecordDelete], false));
    let snapshot = registry.snapshot();
    assert!(snapshot.before(EventKind::RecordCreate, Some("orders")).is_empty());
    assert!(!snapshot.before(EventKind::RecordDelete, Some("orders")).is_empty());
}
