//! Rust extensions: built by cargo in the staging folder, started as one program.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::{BUILD_LIMIT, Build, sdk};
use crate::error::InstallError;
use crate::process::Tool;
use crate::work::Work;

/// Builds the program and puts it at `bin/<name>`.
pub(super) fn build(build: &Build<'_>, work: &Work<'_>) -> Result<(), InstallError> {
    work.report("building with cargo; the first build of an extension takes a while");
    let checkout = sdk::checkout(&build.tools.executable);
    let place = place(build, checkout.as_deref());
    let mut tool = Tool::new("cargo")
        .args(["build", "--message-format=json-render-diagnostics", "--profile"])
        .arg(&place.profile)
        .env("CARGO_TARGET_DIR", &place.folder)
        .env("CARGO_TERM_COLOR", "never")
        .folder(build.staging)
        .limit(BUILD_LIMIT);
    for variable in ["CARGO_BUILD_TARGET", "CARGO_BUILD_TARGET_DIR", "CARGO_MANIFEST_DIR"] {
        tool = tool.env_remove(variable);
    }
    if let Some(checkout) = checkout {
        take_lock(build, &checkout)?;
        let path = checkout.join("sdk-rust");
        tool = tool
            .arg("--config")
            .arg(format!("patch.crates-io.tinybase-sdk.path={:?}", path.display().to_string()));
    }
    let output = tool.run(work).map_err(InstallError::step("cargo build"))?;
    let program = choose(&output, build)?;
    let target = build.staging.join("bin");
    fs::create_dir_all(&target).map_err(InstallError::io("creating", &target))?;
    let target = target.join(build.manifest.about.name.as_str());
    fs::copy(&program, &target).map_err(InstallError::io("copying", program))?;
    Ok(())
}

/// Where cargo builds, and how.
struct Place {
    folder: PathBuf,
    profile: String,
}

/// In a checkout that is where the server itself was built, with its profile, so that what both use
/// is built once.
fn place(build: &Build<'_>, checkout: Option<&Path>) -> Place {
    let named = build.tools.cargo_target_named.clone();
    let own = checkout.map(|checkout| sdk::Target::of(checkout, &build.tools.executable));
    match (named, own) {
        (None, Some(own)) => {
            let profile = own.cargo_profile().to_owned();
            // The distribution's profile is known in our own workspace only.
            let profile = if profile == "dev" { profile } else { "release".to_owned() };
            Place { folder: own.folder, profile }
        }
        (Some(folder), _) => Place { folder, profile: "release".to_owned() },
        (None, None) => {
            Place { folder: build.tools.cargo_target.clone(), profile: "release".to_owned() }
        }
    }
}

/// An extension without a lock file gets the checkout's: the same versions, and nothing to look up.
fn take_lock(build: &Build<'_>, checkout: &Path) -> Result<(), InstallError> {
    let own = build.staging.join("Cargo.lock");
    if own.exists() {
        return Ok(());
    }
    fs::copy(checkout.join("Cargo.lock"), &own).map(drop).map_err(InstallError::io("writing", &own))
}

#[derive(Deserialize)]
struct Message {
    reason: String,
    executable: Option<PathBuf>,
    target: Option<Target>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
}

/// The only program, or the one that is called as the extension.
fn choose(output: &str, build: &Build<'_>) -> Result<PathBuf, InstallError> {
    let programs: Vec<(String, PathBuf)> = output
        .lines()
        .filter_map(|line| serde_json::from_str::<Message>(line).ok())
        .filter(|message| message.reason == "compiler-artifact")
        .filter_map(|message| Some((message.target?.name, message.executable?)))
        .collect();
    let name = build.manifest.about.name.as_str();
    match programs.as_slice() {
        [] => Err(InstallError::Refused(
            "cargo built no program: the package needs a src/main.rs".to_owned(),
        )),
        [(_, only)] => Ok(only.clone()),
        several => several
            .iter()
            .find(|(program, _)| program.replace('_', "-") == name)
            .map(|(_, path)| path.clone())
            .ok_or_else(|| {
                let names: Vec<&str> = several.iter().map(|(name, _)| name.as_str()).collect();
                InstallError::Refused(format!(
                    "cargo built several programs ({}) and none is called {name:?}; name one so, \
                     or set [extension.run] command",
                    names.join(", ")
                ))
            }),
    }
}
