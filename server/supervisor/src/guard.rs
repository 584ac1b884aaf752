//! Keeps one guard process alive, which ends what is left of the extensions if the server is
//! killed (see [`crate::shim`]).

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::process::watch;
use crate::shim::GUARD;
use crate::spawner::{Spawner, shim_command};

/// How long to wait before a guard that went away is replaced: twice as long each time.
const DELAY_MIN: Duration = Duration::from_secs(1);
const DELAY_MAX: Duration = Duration::from_mins(1);
/// How long a guard may take to see that it isn't needed any more.
const END_LIMIT: Duration = Duration::from_secs(1);

/// What is needed to start a guard.
#[derive(Debug)]
pub(crate) struct GuardKeeper {
    /// Starts it.
    pub(crate) spawner: Spawner,
    /// The program.
    pub(crate) shim: PathBuf,
    /// The list of what it has to end.
    pub(crate) roster: PathBuf,
}

impl GuardKeeper {
    /// Keeps a guard running until it is stopped. `up` is set once the first one was started, or
    /// could not be.
    pub(crate) async fn run(self, stop: CancellationToken, up: watch::Sender<bool>) {
        let mut delay = DELAY_MIN;
        while !stop.is_cancelled() {
            if let Err(error) = self.watch_one(&stop, &up).await {
                tracing::warn!(
                    %error,
                    "no guard process: if the server is killed, \
                     processes that extensions have started could be left over"
                );
            }
            up.send_replace(true);
            tokio::select! {
                () = stop.cancelled() => {}
                () = sleep(delay) => delay = (delay * 2).min(DELAY_MAX),
            }
        }
    }

    async fn watch_one(
        &self,
        stop: &CancellationToken,
        up: &watch::Sender<bool>,
    ) -> io::Result<()> {
        let mut command = shim_command(&self.shim, GUARD);
        command
            .arg(&self.roster)
            .current_dir(Path::new("/"))
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let child = self.spawner.spawn(command, None).await?;
        up.send_replace(true);
        let mut guard = Guard { child: Some(child), spawner: self.spawner.clone() };
        let Some(child) = &mut guard.child else { return Ok(()) };
        let ended = watch(child)?;
        let asked = tokio::select! {
            () = stop.cancelled() => true,
            _ = ended.readable() => false,
        };
        if asked {
            // The end of its input ends it.
            drop(child.stdin.take());
            let _ = timeout(END_LIMIT, ended.readable()).await;
        }
        let status = child.try_wait()?;
        if status.is_some() {
            guard.child = None;
        }
        match status {
            Some(status) if !asked => Err(io::Error::other(format!("it ended: {status}"))),
            Some(_) | None => Ok(()),
        }
    }
}

/// A guard process that is never left as a zombie.
struct Guard {
    child: Option<Child>,
    spawner: Spawner,
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(child) = self.child.take() {
            self.spawner.abandon(child);
        }
    }
}
