//! Makes an extension's files ready to run, with the tools of its language.

mod botowrap;
mod cargo;
mod python;
mod sdk;

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::InstallError;
use crate::kind::{Kind, Place};
use crate::manifest::Manifest;
use crate::process::Tool;
use crate::work::Work;

/// How long one build may take; a first Rust build compiles everything below it.
const BUILD_LIMIT: Duration = Duration::from_mins(30);

/// What a build works with.
pub(crate) struct Build<'a> {
    /// Where the files are for now.
    pub(crate) staging: &'a Path,
    /// Where they will live.
    pub(crate) place: &'a Place,
    /// What the extension says about itself.
    pub(crate) manifest: &'a Manifest,
    /// How it is built.
    pub(crate) kind: &'a Kind,
    /// What the server brings along.
    pub(crate) tools: &'a Tools,
}

/// What the server brings along for builds.
#[derive(Debug)]
pub(crate) struct Tools {
    /// The server's own program; the Python SDK is looked for beside it.
    pub(crate) executable: PathBuf,
    /// The protocol's schema.
    pub(crate) proto: PathBuf,
    /// Where cargo keeps what it built for extensions, unless there is a better place.
    pub(crate) cargo_target: PathBuf,
    /// Where the operator wants that.
    pub(crate) cargo_target_named: Option<PathBuf>,
}

impl Build<'_> {
    /// Builds; the Python environment is made where it will live.
    pub(crate) fn run(&self, work: &Work<'_>) -> Result<(), InstallError> {
        if self.kind.needs_python() {
            python::make_environment(self, work)?;
        }
        if *self.kind == Kind::Rust {
            cargo::build(self, work)?;
        }
        if let Some(command) = &self.manifest.build {
            self.run_command(command, work)?;
        }
        Ok(())
    }

    fn run_command(&self, command: &[String], work: &Work<'_>) -> Result<(), InstallError> {
        let Some((program, arguments)) = command.split_first() else { return Ok(()) };
        work.report(&format!("building: {}", command.join(" ")));
        let mut tool = Tool::new(self.program(program))
            .args(arguments)
            .folder(self.staging)
            .env("TINYBASE_PROTO", &self.tools.proto)
            .limit(BUILD_LIMIT);
        if self.kind.needs_python() {
            let mut path = self.place.environment.join("bin").into_os_string();
            if let Some(rest) = std::env::var_os("PATH") {
                path.push(":");
                path.push(rest);
            }
            tool = tool.env("PATH", path).env("VIRTUAL_ENV", &self.place.environment);
        }
        tool.run(work)
            .map(drop)
            .map_err(InstallError::step(format!("the build command {:?}", command.join(" "))))
    }

    /// A program of the extension's own folder, of its Python environment, or of the machine.
    fn program(&self, name: &str) -> PathBuf {
        if name.contains('/') {
            return self.staging.join(name);
        }
        let own = self.place.environment.join("bin").join(name);
        if self.kind.needs_python() && own.exists() { own } else { PathBuf::from(name) }
    }
}
