//! Finds a Python with the SDK, and one with grpcio.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::SystemTime;

use anyhow::{Context as _, Result, bail, ensure};

/// The interpreter for the SDK, `python3` unless set.
pub const PYTHON: &str = "TINYBASE_BENCH_PYTHON";
/// The interpreter that has grpcio, the same one unless set.
pub const GRPCIO_PYTHON: &str = "TINYBASE_BENCH_GRPCIO_PYTHON";
/// The SDK's wheel, the newest in `target/wheels/dist` unless set.
pub const WHEEL: &str = "TINYBASE_SDK_WHEEL";

/// A Python that can run an extension.
#[derive(Debug)]
pub struct SdkPython {
    interpreter: PathBuf,
    modules: PathBuf,
}

impl SdkPython {
    /// Unpacks the SDK's wheel into a folder, from where an interpreter can import it.
    ///
    /// # Errors
    /// If there is no interpreter or no wheel, with what to do about it.
    pub fn find(folder: &Path) -> Result<Self> {
        let interpreter = resolve(&interpreter(PYTHON))?;
        let wheel = wheel()?;
        let modules = folder.join("python");
        let unpacked = Command::new(&interpreter)
            .args(["-m", "zipfile", "-e"])
            .args([&wheel, &modules])
            .status()
            .with_context(|| format!("failed to run {}", interpreter.display()))?;
        ensure!(unpacked.success(), "failed to unpack {}", wheel.display());
        let python = Self { interpreter, modules };
        let tried = python.command().args(["-c", "import tinybase._native"]).output()?;
        ensure!(
            tried.status.success(),
            "{} can't load the SDK of {}: {}",
            python.interpreter.display(),
            wheel.display(),
            String::from_utf8_lossy(&tried.stderr).lines().last().unwrap_or_default()
        );
        Ok(python)
    }

    /// An interpreter that has the SDK.
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.interpreter);
        command.env("PYTHONPATH", &self.modules);
        command
    }

    /// An interpreter that runs the measured extension.
    pub fn extension(&self) -> Command {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("python/hook_extension");
        let mut command = self.command();
        command.args(["-m", "tinybase.run"]).env("TINYBASE_EXTENSION_DIR", &folder);
        command.current_dir(folder);
        command
    }
}

/// An interpreter that has grpcio.
///
/// # Errors
/// If there is none, with what to do about it.
pub fn with_grpcio() -> Result<PathBuf> {
    let name = if std::env::var_os(GRPCIO_PYTHON).is_some() { GRPCIO_PYTHON } else { PYTHON };
    let python = interpreter(name);
    if !runs(Command::new(&python).args(["-c", "import grpc"])) {
        bail!(
            "{} has no grpcio; `pip install grpcio` into an environment and name its interpreter \
             in {GRPCIO_PYTHON}",
            python.display()
        );
    }
    Ok(python)
}

fn interpreter(variable: &str) -> PathBuf {
    std::env::var_os(variable).map_or_else(|| PathBuf::from("python3"), PathBuf::from)
}

/// The interpreter itself: a version manager's `python3` may be a script that takes longer than
/// everything that is measured, on both sides of a ratio, which then looks like 1.
fn resolve(python: &Path) -> Result<PathBuf> {
    let asked = Command::new(python).args(["-c", "import sys; print(sys.executable)"]).output();
    let asked = asked.with_context(|| format!("failed to run {}", python.display()))?;
    ensure!(asked.status.success(), "{} is no Python", python.display());
    Ok(PathBuf::from(String::from_utf8(asked.stdout)?.trim_end()))
}

fn runs(command: &mut Command) -> bool {
    let quiet = command.stdout(Stdio::null()).stderr(Stdio::null());
    quiet.status().is_ok_and(|status| status.success())
}

fn wheel() -> Result<PathBuf> {
    if let Some(wheel) = std::env::var_os(WHEEL) {
        return Ok(wheel.into());
    }
    let program = std::env::current_exe()?;
    let target = program.ancestors().nth(2).context("this program isn't in a target folder")?;
    let folder = target.join("wheels/dist");
    let made = |path: &PathBuf| {
        path.metadata().and_then(|metadata| metadata.modified()).unwrap_or(SystemTime::UNIX_EPOCH)
    };
    let wheels = std::fs::read_dir(&folder).into_iter().flatten().flatten();
    let newest = wheels
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "whl"))
        .max_by_key(made);
    newest.with_context(|| {
        format!(
            "there is no SDK wheel in {}; make one with `maturin build --profile dist \
             --manifest-path sdk-python/native/Cargo.toml --out {}`, or name one in {WHEEL}",
            folder.display(),
            folder.display()
        )
    })
}
