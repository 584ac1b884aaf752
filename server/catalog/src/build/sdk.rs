//! Finds the Python SDK's wheel, or makes it when the server runs from a source checkout.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::{BUILD_LIMIT, python};
use crate::error::InstallError;
use crate::process::{CommandError, Tool};
use crate::work::Work;

const MATURIN: &str = "maturin>=1.16,<2";
const WHEEL_PREFIX: &str = "tinybase_sdk-";

/// The wheel: named by `TINYBASE_SDK_WHEEL`, beside the server, or built in the checkout.
pub(super) fn wheel(executable: &Path, work: &Work<'_>) -> Result<PathBuf, InstallError> {
    if let Some(named) = std::env::var_os("TINYBASE_SDK_WHEEL") {
        let named = PathBuf::from(named);
        if named.is_file() {
            return Ok(named);
        }
        return Err(InstallError::Refused(format!(
            "TINYBASE_SDK_WHEEL names {}, which is not there",
            named.display()
        )));
    }
    let beside = executable.parent().unwrap_or(Path::new("/")).join("wheels");
    if let Some(wheel) = newest_wheel(&beside, WHEEL_PREFIX) {
        return Ok(wheel);
    }
    match checkout(executable) {
        Some(checkout) => build(&Target::of(&checkout, executable), &checkout, work),
        None => Err(InstallError::Refused(format!(
            "the Python SDK is missing: put tinybase_sdk-*.whl into {}, or name it in \
             TINYBASE_SDK_WHEEL",
            beside.display()
        ))),
    }
}

/// The source checkout that the server was built in, if it runs from there.
///
/// A `cargo run` with a target folder elsewhere says where its package is.
pub(super) fn checkout(executable: &Path) -> Option<PathBuf> {
    let package = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let candidates = executable.ancestors().chain(package.iter().flat_map(|path| path.ancestors()));
    let is_ours = |folder: &&Path| {
        folder.join("sdk-python/pyproject.toml").is_file()
            && folder.join("sdk-rust/Cargo.toml").is_file()
    };
    candidates.into_iter().find(is_ours).map(Path::to_owned)
}

/// Where cargo put the server, so that what is built here is made from what is compiled there already.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) folder: PathBuf,
    profile: String,
}

impl Target {
    pub(super) fn of(checkout: &Path, executable: &Path) -> Self {
        let named = executable.ancestors().find_map(|folder| {
            let profile = folder.file_name().and_then(OsStr::to_str)?;
            let known = matches!(profile, "debug" | "release" | "dist");
            known.then(|| (folder.parent().map(Path::to_owned), profile.to_owned()))
        });
        match named {
            Some((Some(folder), profile)) => Self { folder, profile },
            Some((None, _)) | None => {
                Self { folder: checkout.join("target"), profile: "release".to_owned() }
            }
        }
    }

    /// The profile's name, which for `debug` isn't its folder's.
    pub(super) fn cargo_profile(&self) -> &str {
        if self.profile == "debug" { "dev" } else { &self.profile }
    }
}

/// The newest wheel in a folder whose name begins like this.
pub(super) fn newest_wheel(folder: &Path, prefix: &str) -> Option<PathBuf> {
    let entries = fs::read_dir(folder).ok()?.flatten();
    let wheels = entries.filter(|entry| {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        name.starts_with(prefix) && name.ends_with(".whl")
    });
    wheels
        .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
        .max()
        .map(|(_, path)| path)
}

/// Builds the wheel, once, however many servers ask at the same time.
fn build(target: &Target, checkout: &Path, work: &Work<'_>) -> Result<PathBuf, InstallError> {
    let tools = target.folder.join("sdk-python");
    fs::create_dir_all(&tools).map_err(InstallError::io("creating", &tools))?;
    let guard_path = tools.join("lock");
    let guard = File::create(&guard_path).map_err(InstallError::io("creating", &guard_path))?;
    guard.lock().map_err(InstallError::io("locking", &guard_path))?;

    let wheels = target.folder.join("wheels").join(&target.profile);
    if let Some(wheel) =
        newest_wheel(&wheels, WHEEL_PREFIX).filter(|wheel| is_current(wheel, checkout))
    {
        return Ok(wheel);
    }
    work.report("building the Python SDK from the checkout; this happens once");
    let maturin = maturin(&tools, work)?;
    if wheels.exists() {
        fs::remove_dir_all(&wheels).map_err(InstallError::io("removing", &wheels))?;
    }
    let build = || {
        Tool::new(&maturin)
            .args(["build", "--profile", target.cargo_profile(), "--target-dir"])
            .arg(&target.folder)
            .arg("--out")
            .arg(&wheels)
            .arg("--interpreter")
            .arg(tools.join("env/bin/python"))
            .env_remove("CARGO_MANIFEST_DIR")
            .folder(&checkout.join("sdk-python"))
            .limit(BUILD_LIMIT)
            .run(work)
    };
    // A developer's own maturin may use its folder within the target folder at the same time, which
    // ends one of the two. What was compiled is kept, so a second try is quick.
    let outcome = match build() {
        Err(CommandError::Failed { .. }) => build(),
        other => other,
    };
    outcome.map_err(InstallError::step("building the Python SDK"))?;
    newest_wheel(&wheels, WHEEL_PREFIX).ok_or_else(|| {
        InstallError::Refused(format!(
            "building the Python SDK left nothing in {}",
            wheels.display()
        ))
    })
}

/// Whether the wheel is newer than everything that it is made of.
fn is_current(wheel: &Path, checkout: &Path) -> bool {
    let Ok(built) = fs::metadata(wheel).and_then(|meta| meta.modified()) else { return false };
    ["sdk-python", "sdk-rust", "proto"]
        .iter()
        .all(|folder| newest_change(&checkout.join(folder)).is_none_or(|changed| changed <= built))
}

/// When the newest file below a folder was changed, caches aside.
fn newest_change(folder: &Path) -> Option<SystemTime> {
    let entries = fs::read_dir(folder).ok()?.flatten();
    let times = entries.filter_map(|entry| {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with('.') || matches!(&*name, "__pycache__" | "tests" | "target") {
            return None;
        }
        if entry.file_type().ok()?.is_dir() {
            return newest_change(&entry.path());
        }
        entry.metadata().ok()?.modified().ok()
    });
    times.max()
}

fn maturin(tools: &Path, work: &Work<'_>) -> Result<PathBuf, InstallError> {
    let environment = tools.join("env");
    let maturin = environment.join("bin/maturin");
    if !maturin.is_file() {
        python::make_tool_environment(&environment, MATURIN, work)?;
    }
    Ok(maturin)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wheel_is_built_beside_the_server_with_its_profile() {
        let checkout = Path::new("/c");
        let target = |path: &str| Target::of(checkout, Path::new(path));
        let debug = target("/c/target/debug/deps/test-1");
        assert_eq!(
            (debug.folder.as_path(), debug.cargo_profile()),
            (Path::new("/c/target"), "dev")
        );
        let dist = target("/elsewhere/dist/tinybase");
        assert_eq!(
            (dist.folder.as_path(), dist.cargo_profile()),
            (Path::new("/elsewhere"), "dist")
        );
        assert_eq!(target("/usr/bin/tinybase").folder, Path::new("/c/target"));
    }
}
