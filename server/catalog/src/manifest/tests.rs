//! Good and bad manifests.

use std::time::Duration;

use tinybase_model::{EventKind, HookDeclaration, HookFilter, OverlapPolicy, Permissions, Phase};

use super::Manifest;

/// The manifest of the documented example, as it is printed there.
const DOCUMENTED: &str = r#"[extension]
name = "my-extension"
version = "1.0.0"
description = "My awesome TinyBase extension"
author = "Your Name"
license = "MIT"

[extension.tinybase]
min_version = "0.3.0"

[extension.dependencies]
requests = ">=2.28.0"
"#;

fn mistake(text: &str) -> String {
    Manifest::parse(text).expect_err("a mistake").to_string()
}

/// The mistake of an otherwise good manifest; the addition begins at line 4.
fn mistake_in(addition: &str) -> String {
    mistake(&format!("[extension]\nname = \"a\"\nversion = \"1.0.0\"\n{addition}"))
}

#[test]
fn the_documented_manifest_is_valid_as_it_is_and_asks_for_broad_permissions() {
    let manifest = Manifest::parse(DOCUMENTED).expect("valid");
    assert_eq!(manifest.about.name.as_str(), "my-extension");
    assert_eq!(manifest.about.version.to_string(), "1.0.0");
    assert_eq!(manifest.about.license.as_deref(), Some("MIT"));
    assert_eq!(manifest.dependencies[0].to_string(), "requests>=2.28.0");
    assert_eq!(manifest.permissions, Permissions::Broad);
}

#[test]
fn all_of_our_own_tables_are_understood() {
    let manifest = Manifest::parse(
        r#"
        [extension]
        name = "gate"
        version = "0.2.0"
        entry_point = "app/main.py"
        [extension.run]
        command = ["./bin/gate", "--fast"]
        [extension.build]
        command = ["make"]
        [extension.permissions]
        capabilities = ["records:read:orders", "users:read", "functions:call:*"]
        environment = ["GATE_KEY"]
        [[extension.hooks]]
        event = "record.create"
        phase = "before"
        collection = "orders"
        failure_policy = "open"
        [[extension.hooks]]
        event = "function.complete"
        [extension.limits]
        start_timeout = "1m"
        restarts_max = 2
        [extension.config]
        url = "https://example.com"
        retries = 3
        nested = { deep = [1.5, true, { x = "y" }] }
        "#,
    )
    .expect("valid");
    let Permissions::Listed { capabilities, environment, hooks } = &manifest.permissions else {
        panic!("listed permissions are not broad")
    };
    assert_eq!(capabilities.len(), 3);
    assert!(environment.contains("GATE_KEY"));
    let hooks = hooks.as_deref().expect("declared");
    assert_eq!(
        hooks[0],
        HookDeclaration {
            event: EventKind::RecordCreate,
            phase: Phase::Before,
            filter: HookFilter::Named("orders".into()),
            fail_open: true,
        }
    );
    assert_eq!(hooks[1].filter, HookFilter::All);
    assert_eq!(manifest.policy.start_timeout, Duration::from_mins(1));
    assert_eq!(manifest.policy.restarts_max, 2);
    assert_eq!(
        manifest.config.parse::<serde_json::Value>().expect("JSON"),
        serde_json::json!({
            "url": "https://example.com", "retries": 3,
            "nested": {"deep": [1.5, true, {"x": "y"}]},
        })
    );
}

#[test]
fn declared_hooks_without_a_permissions_table_are_all_that_is_granted() {
    let text = "[extension]\nname=\"a\"\nversion=\"1.0.0\"\n[[extension.hooks]]\nevent=\"startup\"";
    let manifest = Manifest::parse(text).expect("valid");
    let Permissions::Listed { capabilities, hooks, .. } = manifest.permissions else {
        panic!("not broad")
    };
    assert!(capabilities.is_empty());
    assert_eq!(hooks.map(|hooks| hooks.len()), Some(1));
}

#[test]
fn a_newer_min_version_is_refused_with_both_versions() {
    assert_eq!(
        mistake_in("[extension.tinybase]\nmin_version = \"99.0.0\""),
        "extension.toml, line 5: min_version asks for TinyBase 99.0.0 or newer; this server offers the \
         extension interface of TinyBase 0.3.0. Upgrade the server, or install an older version \
         of the extension"
    );
}

#[test]
fn misspelt_keys_name_the_nearest() {
    assert_eq!(
        mistake("[extension]\nnaem = \"a\"\nversion = \"1.0.0\""),
        r#"extension.toml, line 2: unknown key "naem" in [extension]; did you mean "name"?"#
    );
    assert_eq!(
        mistake("[extention]\nname = \"a\""),
        r#"extension.toml, line 1: unknown key "extention" at the top of the file; did you mean "extension"?"#
    );
    assert_eq!(
        mistake_in("[extension.dependancies]\nrequests = \"*\""),
        r#"extension.toml, line 4: unknown key "dependancies" in [extension]; did you mean "dependencies"?"#
    );
    assert_eq!(
        mistake_in("[extension.limits]\nstart_timeuot = \"1s\""),
        r#"extension.toml, line 5: unknown key "start_timeuot" in [extension.limits]; did you mean "start_timeout"?"#
    );
}

#[test]
fn what_is_missing_is_named() {
    assert_eq!(mistake(""), "extension.toml: [extension] is missing; it holds name and version");
    assert_eq!(
        mistake("[extension]\nversion = \"1.0.0\""),
        "extension.toml, line 1: [extension] has no name"
    );
    assert_eq!(
        mistake("[extension]\nname = \"a\""),
        "extension.toml, line 1: [extension] has no version"
    );
    assert_eq!(
        mistake_in("[extension.run]"),
        "extension.toml, line 4: [extension.run] has no command"
    );
}

#[test]
fn names_and_versions_are_checked() {
    assert_eq!(
        mistake("[extension]\nname = \"My_Ext\"\nversion = \"1.0.0\""),
        "extension.toml, line 2: name is wrong: \"My_Ext\" is not an extension name: use lower-case \
         letters, digits and '-', starting with a letter, at most 64"
    );
    assert_eq!(
        mistake("[extension]\nname = \"a\"\nversion = \"1.0\""),
        "extension.toml, line 3: version must be a version like \"1.2.3\", not \"1.0\" (unexpected end \
         of input while parsing minor version number)"
    );
    assert_eq!(
        mistake("[extension]\nname = \"a\"\nversion = 1"),
        "extension.toml, line 3: version must be a string, but it is a whole number"
    );
}

#[test]
fn programs_and_entry_points_outside_the_folder_are_refused() {
    for outside in ["../tool", "a/../../b"] {
        let text = mistake_in(&format!("[extension.run]\ncommand = [{outside:?}]"));
        assert!(text.starts_with("extension.toml, line 5: command must begin with"), "{text}");
    }
    for outside in ["/etc/x.py", "../x.py"] {
        let text = mistake_in(&format!("entry_point = {outside:?}"));
        assert!(
            text.starts_with("extension.toml, line 4: entry_point must be a file inside"),
            "{text}"
        );
    }
    let text = mistake_in("[extension.run]\ncommand = \"node main.js\"");
    assert_eq!(
        text,
        "extension.toml, line 5: command must be a list of strings, such as [\"one\", \"two\"], but it is a string"
    );
}

#[test]
fn hooks_are_checked() {
    let hook = |text: &str| mistake_in(&format!("[[extension.hooks]]\n{text}"));
    assert_eq!(
        hook("event = \"record.creat\""),
        "extension.toml, line 5: event is wrong: there is no event \"record.creat\"; did you mean \
         \"record.create\"?"
    );
    assert_eq!(
        hook("event = \"startup\"\nphase = \"before\""),
        "extension.toml, line 6: phase can't be \"before\" for startup, which only has \"after\""
    );
    assert_eq!(
        hook("event = \"user.login\"\ncollection = \"x\""),
        "extension.toml, line 6: collection makes no sense for user.login, which is not about a record"
    );
    assert_eq!(
        hook("event = \"record.create\"\nfailure_policy = \"open\""),
        "extension.toml, line 6: failure_policy is only for before-hooks: an after-hook never changes a \
         response"
    );
}

#[test]
fn permissions_and_dependencies_are_checked() {
    let permissions = |text: &str| mistake_in(&format!("[extension.permissions]\n{text}"));
    assert_eq!(
        permissions("capabilities = [\"record:read:x\"]"),
        "extension.toml, line 5: capabilities holds \"record:read:x\", which is no capability; did you \
         mean \"records:read\"?"
    );
    assert_eq!(
        permissions("capabilities = [\"records:read\"]"),
        "extension.toml, line 5: capabilities holds \"records:read\", which needs a name: \
         records:read:NAME or records:read:*"
    );
    assert_eq!(
        permissions("environment = [\"TINYBASE_TOKEN\"]"),
        "extension.toml, line 5: environment holds \"TINYBASE_TOKEN\"; TINYBASE_ variables are the \
         server's own"
    );
    assert_eq!(
        mistake_in("[extension.dependencies]\nrequests = \"^2.0\""),
        "extension.toml, line 5: requests must be versions as PEP 440 writes them, such as \
         \">=2.28.0,<3\", not \"^2.0\""
    );
    let text = mistake_in("[extension.dependencies]\n\"--index-url\" = \"*\"");
    assert_eq!(text, "extension.toml, line 5: --index-url is not the name of a Python package");
}

#[test]
fn limits_are_bounded() {
    assert_eq!(
        mistake_in("[extension.limits]\nstart_timeout = 30"),
        "extension.toml, line 5: start_timeout must be a duration, such as \"30s\", but it is a whole number"
    );
    assert_eq!(
        mistake_in("[extension.limits]\nstart_timeout = \"2h\""),
        "extension.toml, line 5: start_timeout must be between 1s and 600s, not \"2h\""
    );
}

#[test]
fn limits_of_functions_and_schedules_are_understood() {
    let manifest = Manifest::parse(
        r#"
        [extension]
        name = "shop"
        version = "1.0.0"
        [[extension.functions]]
        name = "sync"
        timeout = "2m"
        concurrency = 1
        [[extension.schedules]]
        name = "nightly"
        function = "sync"
        cron = "30 2 * * *"
        timezone = "Europe/Berlin"
        input = { days = 30 }
        missed = "run_all"
        overlap = "queue"
        timeout = "10m"
        jitter = "1m"
        [[extension.schedules]]
        name = "often"
        function = "sync"
        every = "5m"
        [[extension.schedules]]
        name = "once"
        function = "sync"
        at = "2097-01-31T18:00:00"
        [[extension.schedules]]
        name = "whenever"
        function = "sync"
        "#,
    )
    .expect("valid");
    let [limits] = manifest.offer.functions.as_slice() else { panic!("one function") };
    assert_eq!((limits.timeout, limits.concurrency), (Some(Duration::from_mins(2)), Some(1)));
    let schedules = &manifest.offer.schedules;
    let nightly = schedules[0].binding.as_ref().expect("it says when");
    assert_eq!(nightly.input.text(), r#"{"days":30}"#);
    assert_eq!(nightly.policy.timeout, Some(Duration::from_mins(10)));
    assert_eq!(nightly.policy.overlap, OverlapPolicy::Queue);
    assert!(schedules[1].binding.is_some() && schedules[2].binding.is_some());
    assert_eq!(schedules[3].binding, None, "the extension says when");
    assert_eq!(manifest.permissions, Permissions::Broad, "limits and schedules are no permissions");
}

#[test]
fn a_schedule_that_can_never_run_has_its_line_told() {
    for (keys, line, words) in [
        ("function = \"f\"", 4, "has no name"),
        ("name = \"n\"", 4, "has no function"),
        ("name = \"n\"\nfunction = \"f\"\ncron = \"x\"", 7, "five fields"),
        ("name = \"n\"\nfunction = \"f\"\ncron = \"* * * * *\"\ntimezone = \"Mars\"", 8, "Mars"),
        ("name = \"n\"\nfunction = \"f\"\ntimezone = \"UTC\"", 7, "needs cron"),
        ("name = \"n\"\nfunction = \"f\"\nevery = \"500ms\"", 7, "between"),
        ("name = \"n\"\nfunction = \"f\"\nat = \"soon\"", 7, "date and time"),
        ("name = \"n\"\nfunction = \"f\"\noverlap = \"maybe\"", 7, "skip, queue or allow"),
        ("name = \"n\"\nfunction = \"f\"\nevry = \"5m\"", 7, "every"),
    ] {
        let mistake = mistake_in(&format!("[[extension.schedules]]\n{keys}\n"));
        assert!(mistake.contains(&format!("line {line}:")), "{mistake}");
        assert!(mistake.contains(words), "{mistake}");
    }
}
