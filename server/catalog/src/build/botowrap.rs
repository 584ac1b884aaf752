//! Finds the library `tinybase-botowrap`, which comes with the server as the Python SDK does.

use std::path::{Path, PathBuf};

use super::sdk;
use crate::error::InstallError;
use crate::manifest::Requirement;

/// The package's name, and that of its wheels.
const PACKAGE: &str = "tinybase-botowrap";
const WHEEL_PREFIX: &str = "tinybase_botowrap-";
const NAMED: &str = "TINYBASE_BOTOWRAP_WHEEL";

/// What to install beside the requirements so that they find the library: the wheel that
/// `TINYBASE_BOTOWRAP_WHEEL` names, one beside the server, or the source in the checkout. None if
/// nobody needs it, or if an index has to have it.
pub(super) fn source(
    executable: &Path,
    requirements: &[Requirement],
) -> Result<Option<PathBuf>, InstallError> {
    if !requirements.iter().any(|needed| needed.is(PACKAGE)) {
        return Ok(None);
    }
    if let Some(named) = std::env::var_os(NAMED) {
        let named = PathBuf::from(named);
        if named.is_file() {
            return Ok(Some(named));
        }
        return Err(InstallError::Refused(format!(
            "{NAMED} names {}, which is not there",
            named.display()
        )));
    }
    Ok(found(executable))
}

fn found(executable: &Path) -> Option<PathBuf> {
    let beside = executable.parent().unwrap_or(Path::new("/")).join("wheels");
    sdk::newest_wheel(&beside, WHEEL_PREFIX).or_else(|| {
        let folder = sdk::checkout(executable)?.join("sdk-python/botowrap");
        folder.join("pyproject.toml").is_file().then_some(folder)
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn needs(package: &str) -> Vec<Requirement> {
        vec![Requirement { package: package.to_owned(), versions: String::new() }]
    }

    #[test]
    fn a_wheel_beside_the_server_comes_before_the_checkout() {
        let folder = tempfile::tempdir().expect("a folder");
        let executable = folder.path().join("target/debug/tinybase");
        let find = |package: &str| source(&executable, &needs(package)).expect("no error");
        for file in [
            "sdk-python/pyproject.toml",
            "sdk-rust/Cargo.toml",
            "sdk-python/botowrap/pyproject.toml",
        ] {
            let file = folder.path().join(file);
            fs::create_dir_all(file.parent().expect("a folder")).expect("made");
            fs::write(file, "").expect("written");
        }
        assert_eq!(
            find("TinyBase_botowrap[async]"),
            Some(folder.path().join("sdk-python/botowrap"))
        );
        let wheels = folder.path().join("target/debug/wheels");
        fs::create_dir_all(&wheels).expect("made");
        let wheel = wheels.join("tinybase_botowrap-0.1.1-py3-none-any.whl");
        fs::write(&wheel, "").expect("written");
        fs::write(wheels.join("tinybase_sdk-0.1.0-cp311-abi3-linux_x86_64.whl"), "")
            .expect("written");
        assert_eq!(find(PACKAGE), Some(wheel));
        assert_eq!(find("boto3"), None);
    }
}
