//! A child process with its group and its pipes. It is signalled and reaped in one place, so that
//! no signal goes to a number that was given out again.

use std::io;
use std::os::fd::OwnedFd;
use std::process::Child;
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open, pidfd_send_signal};
use tinybase_model::LogSource;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::failure::Exit;
use crate::log::{Log, Pipes};
use crate::procfs;
use crate::spawner::Spawner;
use crate::world::Process;

/// How long the last words of a process that has ended are read.
const LAST_WORDS_LIMIT: Duration = Duration::from_millis(300);

/// A child process that wasn't reaped yet.
#[derive(Debug)]
pub(crate) struct ChildProcess {
    /// None once it was reaped.
    child: Option<Child>,
    pid: Pid,
    handle: Arc<AsyncFd<OwnedFd>>,
    pipes: Option<Pipes>,
    spawner: Spawner,
}

impl ChildProcess {
    /// Takes a process over and begins to read what it writes.
    pub(crate) fn adopt(mut child: Child, log: &Arc<Log>, spawner: &Spawner) -> io::Result<Self> {
        let pid = Pid::from_child(&child);
        let handle = match watch(&child) {
            Ok(handle) => handle,
            Err(error) => {
                spawner.abandon(child);
                return Err(error);
            }
        };
        let stdout = child.stdout.take().map(OwnedFd::from);
        let stderr = child.stderr.take().map(OwnedFd::from);
        let outputs = [(LogSource::Stdout, stdout), (LogSource::Stderr, stderr)];
        Ok(Self {
            child: Some(child),
            pid,
            handle: Arc::new(handle),
            pipes: Some(Pipes::read(outputs, log)),
            spawner: spawner.clone(),
        })
    }

    fn signal_group(&self, signal: Signal) -> rustix::io::Result<()> {
        kill_process_group(self.pid, signal)
    }
}

/// A handle that becomes readable when the process ends. It must not have been reaped.
#[expect(
    deprecated,
    reason = "an `OwnedFd` keeps its descriptor, which is all that the function that replaces it \
              asks for; but that one is `unsafe`"
)]
pub(crate) fn watch(child: &Child) -> io::Result<AsyncFd<OwnedFd>> {
    let handle = pidfd_open(Pid::from_child(child), PidfdFlags::NONBLOCK)?;
    AsyncFd::with_interest(handle, Interest::READABLE)
}

impl Process for ChildProcess {
    fn pid(&self) -> u32 {
        self.pid.as_raw_nonzero().get().unsigned_abs()
    }

    fn ended(&self) -> impl Future<Output = ()> + Send + 'static {
        let handle = Arc::clone(&self.handle);
        async move {
            // An error means that the runtime is going down; whoever waits is then dropped too.
            let _ = handle.readable().await;
        }
    }

    fn terminate(&self) {
        // A process that has left its own group is still asked itself.
        if self.signal_group(Signal::TERM).is_err() {
            let _ = pidfd_send_signal(&*self.handle, Signal::TERM);
        }
    }

    fn kill(&self) {
        // Errors mean that nobody is left to be killed.
        let _ = self.signal_group(Signal::KILL);
        let _ = pidfd_send_signal(&*self.handle, Signal::KILL);
    }

    async fn reap(mut self) -> Exit {
        // The unreaped process still holds its number, so this can't be somebody else's group.
        procfs::kill_group(self.pid());
        let status = self.child.as_mut().map(Child::try_wait);
        let exit = match status {
            Some(Ok(Some(status))) => Exit::from(status),
            // It hasn't ended after all, or can't be asked: the drop takes care of it.
            Some(Ok(None) | Err(_)) | None => return Exit::Unknown,
        };
        self.child = None;
        if let Some(pipes) = self.pipes.take() {
            pipes.finish(LAST_WORDS_LIMIT).await;
        }
        self.spawner.forget(self.pid()).await;
        exit
    }
}

impl Drop for ChildProcess {
    fn drop(&mut self) {
        if let Some(child) = self.child.take() {
            self.spawner.abandon(child);
        }
    }
}
