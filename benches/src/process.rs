//! The other processes of a benchmark.

use std::io;
use std::path::Path;
use std::process::{Child, Command, ExitStatus};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tokio::time::Instant;

/// The first argument by which the benchmark starts itself in another role.
pub const ROLE: &str = "__role";
/// How long a process may take until it listens.
const LISTEN_TIMEOUT: Duration = Duration::from_secs(30);

/// A process that is killed when it is dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
}

impl Process {
    /// Starts a program.
    ///
    /// # Errors
    /// If it can't be started.
    pub fn start(command: &mut Command) -> Result<Self> {
        let child = command.spawn().with_context(|| format!("failed to start {command:?}"))?;
        Ok(Self { child })
    }

    /// This program in another role.
    ///
    /// # Errors
    /// If the program's own path is unknown.
    pub fn role(role: &str) -> Result<Command> {
        let mut command = Command::new(std::env::current_exe().context("where am I?")?);
        command.args([ROLE, role]);
        Ok(command)
    }

    /// Its number.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, if it has.
    ///
    /// # Errors
    /// If the system doesn't say.
    pub fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }

    /// Waits until the process listens on a socket.
    ///
    /// # Errors
    /// If it ends instead, or takes too long.
    pub async fn listens(&mut self, socket: &Path) -> Result<()> {
        let deadline = Instant::now() + LISTEN_TIMEOUT;
        while std::os::unix::net::UnixStream::connect(socket).is_err() {
            if let Some(status) = self.ended()? {
                bail!("the process for {} ended: {status}", socket.display());
            }
            if Instant::now() >= deadline {
                bail!("nobody listened on {} in time", socket.display());
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself; in both cases nothing is left to do.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
