//! In which way an extension is built and started, told from its manifest and its files.

use std::path::{Path, PathBuf};

use crate::manifest::Manifest;

/// In which way an extension is built and started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    /// By the Python SDK, from its entry point.
    Python,
    /// A Rust program, built by cargo.
    Rust,
    /// By the manifest's command; with a Python environment if it needs packages.
    Command { program: Vec<String>, python: bool },
}

impl Kind {
    /// The kind, or a sentence that says what is missing.
    pub(crate) fn of(folder: &Path, manifest: &Manifest) -> Result<Self, String> {
        let has = |name: &str| folder.join(name).is_file();
        if let Some(program) = &manifest.run {
            let python = !manifest.dependencies.is_empty() || has("requirements.txt");
            return Ok(Self::Command { program: program.clone(), python });
        }
        if let Some(entry) = &manifest.entry_point {
            return if has(entry) {
                Ok(Self::Python)
            } else {
                Err(format!("its entry_point {entry:?} is not there"))
            };
        }
        let kind = if has("__init__.py") || has("main.py") {
            Self::Python
        } else if has("Cargo.toml") && manifest.build.is_none() {
            Self::Rust
        } else {
            return Err("it has nothing to run: there is no __init__.py, main.py or Cargo.toml, \
                        and extension.toml has no [extension.run] command"
                .to_owned());
        };
        if kind == Self::Rust && !manifest.dependencies.is_empty() {
            return Err("its [extension.dependencies] are Python packages, and it is written in \
                        Rust; name crates in Cargo.toml"
                .to_owned());
        }
        Ok(kind)
    }

    /// Whether it has a Python environment of its own.
    pub(crate) fn needs_python(&self) -> bool {
        matches!(self, Self::Python | Self::Command { python: true, .. })
    }
}

/// Where a version of an extension lives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    /// The files.
    pub(crate) tree: PathBuf,
    /// The Python environment. It stands beside the files, because it can't be moved.
    pub(crate) environment: PathBuf,
    /// The list of files with their digests.
    pub(crate) listing: PathBuf,
    /// The manifest as it was installed: what it declares holds even when the files are damaged.
    pub(crate) manifest: PathBuf,
}

impl Place {
    pub(crate) fn new(parent: &Path, folder: &str) -> Self {
        Self {
            tree: parent.join(folder),
            environment: parent.join(format!("{folder}.env")),
            listing: parent.join(format!("{folder}.files")),
            manifest: parent.join(format!("{folder}.toml")),
        }
    }

    pub(crate) fn python(&self) -> PathBuf {
        self.environment.join("bin/python")
    }

    /// Program and arguments that start the extension.
    pub(crate) fn command(&self, kind: &Kind, manifest: &Manifest) -> Vec<String> {
        let text = |path: PathBuf| path.to_string_lossy().into_owned();
        match kind {
            Kind::Python => {
                // Without -P a file of the extension could pass for a module of the SDK.
                let python = text(self.python());
                vec![python, "-P".to_owned(), "-m".to_owned(), "tinybase.run".to_owned()]
            }
            Kind::Rust => vec![format!("./bin/{}", manifest.about.name)],
            Kind::Command { program, python } => {
                let mut command = program.clone();
                if let Some(first) = command.first_mut()
                    && *python
                    && matches!(first.as_str(), "python" | "python3")
                {
                    *first = text(self.python());
                }
                command
            }
        }
    }
}
