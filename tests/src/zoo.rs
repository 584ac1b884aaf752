//! Folders that can be installed: misbehaving extensions and copies of the checkout's examples.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// The folder of the checkout that the tests were built from.
pub fn checkout() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or_else(|| unreachable!("not the root"))
}

/// Makes folders of extensions that run `misbehave` in one of its modes.
#[derive(Debug)]
pub struct Zoo {
    folder: TempDir,
}

impl Zoo {
    /// An empty zoo.
    ///
    /// # Errors
    /// If there is no room for a folder.
    pub fn new() -> anyhow::Result<Self> {
        Ok(Self { folder: tempfile::tempdir()? })
    }

    /// An extension of that name that runs `misbehave MODE`.
    ///
    /// # Errors
    /// If its folder can't be written.
    pub fn extension(&self, name: &str, mode: &str) -> anyhow::Result<PathBuf> {
        self.extension_with(name, mode, "")
    }

    /// The same, with more tables at the end of its manifest.
    ///
    /// # Errors
    /// If its folder can't be written.
    pub fn extension_with(&self, name: &str, mode: &str, tables: &str) -> anyhow::Result<PathBuf> {
        let misbehave = crate::binary("misbehave")?;
        let manifest = format!(
            "[extension]\nname = \"{name}\"\nversion = \"1.0.0\"\n\n\
             [extension.run]\ncommand = [{:?}, \"{mode}\"]\n{tables}",
            misbehave.display().to_string(),
        );
        self.folder(name, &[("extension.toml", &manifest)])
    }

    /// A folder with these files.
    ///
    /// # Errors
    /// If it can't be written.
    pub fn folder(&self, name: &str, files: &[(&str, &str)]) -> anyhow::Result<PathBuf> {
        let folder = self.folder.path().join(name);
        for (path, text) in files {
            let file = folder.join(path);
            if let Some(parent) = file.parent() {
                fs::create_dir_all(parent)?;
            }
            fs::write(file, text)?;
        }
        Ok(folder)
    }
}

/// Copies a folder with everything in it.
///
/// # Errors
/// If something can't be read or written.
pub fn copy_folder(from: &Path, to: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
