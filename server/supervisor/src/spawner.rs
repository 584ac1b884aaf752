//! The one thread that starts processes, for as long as the supervisor lives.
//!
//! The parent-death signal follows the *thread* that forked, so no worker thread of a runtime may
//! do it. The thread also keeps the roster of running processes, and reaps those whose owner task
//! was dropped.

use std::ffi::OsString;
use std::io::{self, Write};
use std::process::{Child, Command, Stdio};

use tinybase_model::ExtensionName;
use tokio::sync::{mpsc, oneshot};

use crate::procfs;
use crate::roster::Roster;

const QUEUE_MAX: usize = 64;

/// A handle to the thread. The thread ends when it is told to, or with the last handle.
#[derive(Debug, Clone)]
pub(crate) struct Spawner {
    requests: mpsc::Sender<Request>,
}

#[derive(Debug)]
enum Request {
    Spawn { command: Box<Command>, extension: Option<ExtensionName>, reply: Reply },
    Reap(Child),
    Reaped(u32),
    Quit(oneshot::Sender<()>),
}

type Reply = oneshot::Sender<io::Result<Child>>;

impl Spawner {
    /// Starts the thread.
    pub(crate) fn start(roster: Roster) -> io::Result<Self> {
        let (requests, queue) = mpsc::channel(QUEUE_MAX);
        std::thread::Builder::new()
            .name("tinybase-spawn".to_owned())
            .spawn(move || serve(roster, queue))?;
        Ok(Self { requests })
    }

    /// Starts a process from the thread. With an extension's name it is listed in the roster until
    /// it is reaped.
    pub(crate) async fn spawn(
        &self,
        command: Command,
        extension: Option<ExtensionName>,
    ) -> io::Result<Child> {
        let (reply, spawned) = oneshot::channel();
        let request = Request::Spawn { command: Box::new(command), extension, reply };
        let ended = || io::Error::other("the thread that starts processes has ended");
        self.requests.send(request).await.map_err(|_| ended())?;
        spawned.await.map_err(|_| ended())?
    }

    /// Takes a process that was reaped off the roster.
    pub(crate) async fn forget(&self, pid: u32) {
        // If the thread has ended, so has the roster's use.
        let _ = self.requests.send(Request::Reaped(pid)).await;
    }

    /// Ends the thread once it has done what was asked of it before.
    pub(crate) async fn quit(&self) {
        let (done, ended) = oneshot::channel();
        if self.requests.send(Request::Quit(done)).await.is_ok() {
            // An error means that it has ended already.
            let _ = ended.await;
        }
    }

    /// Kills a process with its group and leaves it to the thread to be reaped: for a `drop`, which
    /// can't wait.
    pub(crate) fn abandon(&self, child: Child) {
        procfs::kill_group(child.id());
        if let Err(
            mpsc::error::TrySendError::Full(request) | mpsc::error::TrySendError::Closed(request),
        ) = self.requests.try_send(Request::Reap(child))
            && let Request::Reap(mut child) = request
        {
            end(&mut child);
        }
    }
}

/// The command that starts this binary as a shim, in a process group of its own.
pub(crate) fn shim_command(shim: &std::path::Path, role: &str) -> Command {
    use std::os::unix::process::CommandExt;
    let mut command = Command::new(shim);
    command
        .args([crate::shim::ARGUMENT, role])
        .arg(OsString::from(std::process::id().to_string()))
        .arg("--")
        .env_clear()
        .stdin(Stdio::piped())
        .process_group(0);
    command
}

fn serve(mut roster: Roster, mut queue: mpsc::Receiver<Request>) {
    while let Some(request) = queue.blocking_recv() {
        match request {
            Request::Spawn { mut command, extension, reply } => {
                let mut spawned = command.spawn();
                if let (Ok(child), Some(extension)) = (&mut spawned, &extension) {
                    roster.add(child.id(), extension);
                    release(child);
                }
                // Whoever asked may be gone.
                if let Err(Ok(mut child)) = reply.send(spawned) {
                    end(&mut child);
                    roster.remove(child.id());
                }
            }
            Request::Reap(mut child) => {
                end(&mut child);
                roster.remove(child.id());
            }
            Request::Reaped(pid) => roster.remove(pid),
            Request::Quit(done) => {
                // Nobody may wait any more.
                let _ = done.send(());
                return;
            }
        }
    }
}

/// Lets a shim go on, which waits until it is listed.
fn release(child: &mut Child) {
    if let Some(mut shim) = child.stdin.take() {
        // It fails if the process is dead already, which its owner will see.
        let _ = shim.write_all(b"\n");
    }
}

/// Kills a process with its group and reaps it.
fn end(child: &mut Child) {
    procfs::kill_group(child.id());
    // Both fail only if it was reaped already.
    let _ = child.kill();
    let _ = child.wait();
}
