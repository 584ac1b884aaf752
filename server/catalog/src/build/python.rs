//! A Python environment of an extension's own, with the SDK and the packages that it needs.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::Path;
use std::time::Duration;

use super::{Build, botowrap, sdk};
use crate::error::InstallError;
use crate::files;
use crate::kind::Kind;
use crate::process::{CommandError, Tool};
use crate::work::Work;

/// The oldest Python that the SDK runs on.
const PYTHON_MIN: (u32, u32) = (3, 11);
const QUICK: Duration = Duration::from_mins(2);
const INSTALL_LIMIT: Duration = Duration::from_mins(15);
/// Packages that extensions use through the SDK, whether or not their manifest says so: the
/// documented example imports both and lists neither.
const IMPLIED: [(&str, &str); 2] =
    [("pydantic", "pydantic>=2.7,<3"), ("sqlmodel", "sqlmodel>=0.0.24")];

/// Makes the environment at the place where it will stay.
pub(super) fn make_environment(build: &Build<'_>, work: &Work<'_>) -> Result<(), InstallError> {
    let environment = &build.place.environment;
    if environment.exists() {
        fs::remove_dir_all(environment).map_err(InstallError::io("removing", environment))?;
    }
    let mut packages = Vec::<OsString>::new();
    if *build.kind == Kind::Python {
        packages.push(sdk::wheel(&build.tools.executable, work)?.into_os_string());
    }
    let dependencies = &build.manifest.dependencies;
    packages.extend(botowrap::source(&build.tools.executable, dependencies)?.map(Into::into));
    packages.extend(dependencies.iter().map(|needed| needed.to_string().into()));
    for implied in implied(build, work)? {
        packages.push(implied.into());
    }
    let requirements = build.staging.join("requirements.txt");
    if requirements.is_file() {
        packages.extend(["-r".into(), requirements.into_os_string()]);
    }
    let installer = Installer::find(work)?;
    work.report("making a Python environment");
    installer.make(environment, work)?;
    work.report("installing Python packages");
    installer.install(environment, &packages, work)
}

/// Makes an environment with one package, for a tool that builds need.
pub(super) fn make_tool_environment(
    environment: &Path,
    package: &str,
    work: &Work<'_>,
) -> Result<(), InstallError> {
    let installer = Installer::find(work)?;
    installer.make(environment, work)?;
    installer.install(environment, &[package.into()], work)
}

/// What the sources import and the manifest doesn't list.
fn implied(build: &Build<'_>, work: &Work<'_>) -> Result<Vec<&'static str>, InstallError> {
    let mut found = [false; IMPLIED.len()];
    files::python_sources(build.staging, &mut |text| {
        for (found, (module, _)) in found.iter_mut().zip(IMPLIED) {
            *found |= imports(text, module);
        }
    })?;
    let mut implied = Vec::new();
    for (found, (module, requirement)) in found.into_iter().zip(IMPLIED) {
        if found && !build.manifest.dependencies.iter().any(|needed| needed.is(module)) {
            work.report(&format!(
                "its code imports {module}, which [extension.dependencies] doesn't list: \
                 installing {requirement}"
            ));
            implied.push(requirement);
        }
    }
    Ok(implied)
}

/// Whether a line of Python imports a module. A line within a text that looks like one installs a
/// package too many, and no harm is done.
fn imports(text: &str, module: &str) -> bool {
    let is_module = |rest: &str| {
        rest.strip_prefix(module)
            .is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_'))
    };
    text.lines().map(str::trim_start).any(|line| {
        if let Some(rest) = line.strip_prefix("from ") {
            return is_module(rest.trim_start());
        }
        let Some(rest) = line.strip_prefix("import ") else { return false };
        rest.split(',').any(|part| is_module(part.trim_start()))
    })
}

/// What makes environments and installs into them.
enum Installer {
    Uv,
    /// This Python, and whether its own pip can install into another environment.
    Venv {
        python: OsString,
        pip: bool,
    },
}

impl Installer {
    fn find(work: &Work<'_>) -> Result<Self, InstallError> {
        if answers(Tool::new("uv").arg("--version"), work)?.is_some() {
            return Ok(Self::Uv);
        }
        let python = find_python(work)?;
        let pip = tool(&python).args(["-m", "pip", "--version"]);
        let pip = answers(pip, work)?.is_some_and(|version| {
            let major = version.split([' ', '.']).nth(1).and_then(|major| major.parse().ok());
            major.is_some_and(|major: u32| major >= 23)
        });
        Ok(Self::Venv { python, pip })
    }

    fn make(&self, environment: &Path, work: &Work<'_>) -> Result<(), InstallError> {
        let tool = match self {
            Self::Uv => {
                let (major, minor) = PYTHON_MIN;
                let tool = Tool::new("uv").args(["venv", "--quiet", "--no-project", "--python"]);
                match std::env::var_os("TINYBASE_PYTHON") {
                    Some(python) => tool.arg(python),
                    None => tool.arg(format!(">={major}.{minor}")),
                }
            }
            Self::Venv { python, pip: true } => tool(python).args(["-m", "venv", "--without-pip"]),
            Self::Venv { python, pip: false } => tool(python).args(["-m", "venv"]),
        };
        tool.arg(environment)
            .limit(INSTALL_LIMIT)
            .run(work)
            .map(drop)
            .map_err(InstallError::step("making the Python environment"))
    }

    fn install(
        &self,
        environment: &Path,
        packages: &[OsString],
        work: &Work<'_>,
    ) -> Result<(), InstallError> {
        if packages.is_empty() {
            return Ok(());
        }
        let python = environment.join("bin/python");
        let quiet = ["--disable-pip-version-check", "--no-input", "--progress-bar=off"];
        let tool = match self {
            Self::Uv => {
                Tool::new("uv").args(["pip", "install", "--no-progress", "--python"]).arg(&python)
            }
            Self::Venv { python: base, pip: true } => {
                tool(base).args(["-m", "pip", "--python"]).arg(&python).arg("install").args(quiet)
            }
            Self::Venv { pip: false, .. } => {
                tool(python.as_os_str()).args(["-m", "pip", "install"]).args(quiet)
            }
        };
        tool.args(packages)
            .limit(INSTALL_LIMIT)
            .run(work)
            .map(drop)
            .map_err(InstallError::step("installing the Python packages"))
    }
}

/// A Python whose outcome doesn't depend on the environment that the server was started from.
fn tool(python: &OsStr) -> Tool {
    let mut tool = Tool::new(python).limit(QUICK);
    let variables =
        ["PYTHONPATH", "PYTHONHOME", "PIP_USER", "PIP_TARGET", "PIP_REQUIRE_VIRTUALENV"];
    for variable in variables {
        tool = tool.env_remove(variable);
    }
    tool
}

/// What a tool prints, if it is there and works.
fn answers(tool: Tool, work: &Work<'_>) -> Result<Option<String>, InstallError> {
    let quiet = Work::new(&|_| {}, work.stop().clone());
    match tool.limit(QUICK).run(&quiet) {
        Ok(output) => Ok(Some(output)),
        Err(CommandError::Stopped) => Err(InstallError::Stopped),
        Err(
            CommandError::NotFound { .. }
            | CommandError::Spawn { .. }
            | CommandError::Failed { .. }
            | CommandError::TimedOut { .. },
        ) => Ok(None),
    }
}

/// `TINYBASE_PYTHON`, or the first Python in PATH that is new enough.
fn find_python(work: &Work<'_>) -> Result<OsString, InstallError> {
    let named = std::env::var_os("TINYBASE_PYTHON");
    let usual = ["python3", "python3.14", "python3.13", "python3.12", "python3.11", "python"];
    let candidates = match named {
        Some(named) => vec![named],
        None => usual.map(OsString::from).to_vec(),
    };
    let mut seen = Vec::new();
    for candidate in candidates {
        let script = "import sys; print(sys.version_info[0], sys.version_info[1])";
        let Some(output) = answers(tool(&candidate).args(["-c", script]), work)? else { continue };
        let mut numbers = output.split_whitespace().filter_map(|number| number.parse().ok());
        let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
        if version >= PYTHON_MIN {
            return Ok(candidate);
        }
        seen.push(format!("{} is {}.{}", candidate.display(), version.0, version.1));
    }
    let seen = if seen.is_empty() { "none was found".to_owned() } else { seen.join(", ") };
    let (major, minor) = PYTHON_MIN;
    Err(InstallError::Refused(format!(
        "Python {major}.{minor} or newer is needed ({seen}); install it, or name it in \
         TINYBASE_PYTHON"
    )))
}

#[cfg(test)]
mod tests {
    use super::imports;

    #[test]
    fn imports_are_seen_wherever_they_stand() {
        for text in [
            "import pydantic",
            "import os, pydantic.v1 as p",
            "from pydantic import BaseModel",
            "def f():\n    from pydantic.fields import x",
        ] {
            assert!(imports(text, "pydantic"), "{text}");
        }
        for text in ["import pydantic_core", "from mine.pydantic import x", "# import pydantic", ""]
        {
            assert!(!imports(text, "pydantic"), "{text}");
        }
    }
}
