//! Finds the program of an extension before it is started, so that a wrong name gets a clear answer.

use std::ffi::OsStr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// Why there is nothing to run.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum ProgramError {
    /// The command is empty.
    #[error("its command is empty; write it under [extension.run] in extension.toml")]
    NoCommand,
    /// The folder isn't there.
    #[error("its folder {} is not there; install it again", .0.display())]
    NoFolder(PathBuf),
    /// The program isn't in the folder.
    #[error("the program {program} is not in {}", .folder.display())]
    NotInFolder {
        /// As in the command.
        program: String,
        /// Where it was looked for.
        folder: PathBuf,
    },
    /// The program isn't on the path.
    #[error(
        "the program {program} is in none of the folders of PATH ({path}); \
         install it, or write its path"
    )]
    NotOnPath {
        /// As in the command.
        program: String,
        /// Where it was looked for.
        path: String,
    },
    /// It may not be executed.
    #[error("{} is not an executable file; try: chmod +x", .0.display())]
    NotExecutable(PathBuf),
}

/// Looks for the command's program: one with a `/` relative to the folder, else on the path.
pub(crate) fn find(
    command: &[String],
    folder: &Path,
    path: Option<&OsStr>,
) -> Result<PathBuf, ProgramError> {
    let program = command.first().filter(|program| !program.is_empty());
    let program = program.ok_or(ProgramError::NoCommand)?;
    if !folder.is_dir() {
        return Err(ProgramError::NoFolder(folder.to_owned()));
    }
    if program.contains('/') {
        let file = folder.join(program);
        if !file.exists() {
            let (program, folder) = (program.clone(), folder.to_owned());
            return Err(ProgramError::NotInFolder { program, folder });
        }
        return if is_executable(&file) {
            Ok(file)
        } else {
            Err(ProgramError::NotExecutable(file))
        };
    }
    let path = path.unwrap_or_default();
    let mut found = std::env::split_paths(path).map(|place| folder.join(place).join(program));
    found.find(|file| is_executable(file)).ok_or_else(|| ProgramError::NotOnPath {
        program: program.clone(),
        path: path.display().to_string(),
    })
}

fn is_executable(file: &Path) -> bool {
    file.metadata().is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(command: &[&str], folder: &Path, path: &str) -> Result<PathBuf, String> {
        let command: Vec<String> = command.iter().map(|word| (*word).to_owned()).collect();
        find(&command, folder, Some(OsStr::new(path))).map_err(|error| error.to_string())
    }

    #[test]
    fn a_program_is_found_in_the_folder_or_on_the_path() {
        let folder = tempfile::tempdir().expect("a folder");
        let folder = folder.path();
        assert_eq!(found(&["sh", "-c", ":"], folder, "/nowhere:/bin"), Ok("/bin/sh".into()));
        std::fs::copy("/bin/sh", folder.join("run")).expect("a copy");
        assert_eq!(found(&["./run"], folder, ""), Ok(folder.join("./run")));
    }

    #[test]
    fn a_program_that_is_missing_is_named_with_the_place() {
        let folder = tempfile::tempdir().expect("a folder");
        let folder = folder.path();
        let error = found(&["bin/gone"], folder, "/bin").expect_err("not there");
        assert_eq!(error, format!("the program bin/gone is not in {}", folder.display()));
        let error = found(&["no-such-program"], folder, "/nowhere").expect_err("not there");
        assert!(error.contains("no-such-program") && error.contains("/nowhere"), "{error}");
        std::fs::write(folder.join("data"), "x").expect("a file");
        let error = found(&["./data"], folder, "/bin").expect_err("not executable");
        assert!(error.contains("chmod +x"), "{error}");
        assert!(found(&[], folder, "/bin").is_err());
        let gone = folder.join("gone");
        let error = found(&["sh"], &gone, "/bin").expect_err("no folder");
        assert!(error.contains("install it again"), "{error}");
    }
}
