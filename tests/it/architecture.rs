//! The crate graph is what ARCHITECTURE.md says.

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::Value;
use tinybase_tests::checkout;

/// Who may name whom. Nothing else may.
const GRAPH: &[(&str, &[&str])] = &[
    ("tinybase-proto", &[]),
    ("tinybase-model", &[]),
    ("tinybase-store", &["tinybase-model"]),
    ("tinybase-wire", &["tinybase-model", "tinybase-proto"]),
    ("tinybase-supervisor", &["tinybase-model", "tinybase-wire"]),
    ("tinybase-hooks", &["tinybase-model", "tinybase-supervisor"]),
    ("tinybase-core", &["tinybase-hooks", "tinybase-model", "tinybase-store"]),
    ("tinybase-api", &["tinybase-core", "tinybase-model"]),
    ("tinybase-catalog", &["tinybase-model"]),
    (
        "tinybase",
        &[
            "tinybase-api",
            "tinybase-catalog",
            "tinybase-core",
            "tinybase-hooks",
            "tinybase-model",
            "tinybase-proto",
            "tinybase-store",
            "tinybase-supervisor",
            "tinybase-wire",
        ],
    ),
    ("tinybase-sdk", &["tinybase-proto"]),
    ("tinybase-sdk-python", &["tinybase-sdk"]),
    ("rust-audit", &["tinybase-sdk"]),
    ("tinybase-tests", &["tinybase-proto"]),
    (
        "tinybase-benches",
        &[
            "tinybase-hooks",
            "tinybase-model",
            "tinybase-proto",
            "tinybase-sdk",
            "tinybase-supervisor",
            "tinybase-wire",
        ],
    ),
];

#[test]
fn a_crate_names_only_crates_below_it() {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version=1", "--no-deps", "--offline"])
        .current_dir(checkout())
        .output()
        .expect("cargo runs");
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo speaks JSON");
    let packages = metadata["packages"].as_array().expect("packages");
    let ours: BTreeSet<&str> =
        packages.iter().map(|package| package["name"].as_str().expect("a name")).collect();
    let known: BTreeSet<&str> = GRAPH.iter().map(|(name, _)| *name).collect();
    assert_eq!(ours, known, "a crate came or went: draw it into the graph");
    for package in packages {
        let name = package["name"].as_str().expect("a name");
        let (_, allowed) = GRAPH.iter().find(|(crate_name, _)| *crate_name == name).expect("known");
        let dependencies = package["dependencies"].as_array().expect("dependencies");
        let named = dependencies
            .iter()
            .filter(|dependency| dependency["kind"].is_null())
            .map(|dependency| dependency["name"].as_str().expect("a name"))
            .filter(|dependency| ours.contains(dependency));
        for dependency in named {
            assert!(allowed.contains(&dependency), "{name} may not name {dependency}");
        }
    }
}
