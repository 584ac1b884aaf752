//! What happens to extensions when the server dies.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use super::run;
use crate::server::ARGUMENT;
use crate::stage::{self, runs, until_gone, wait_for};

/// An extension with a grandchild, both of which write their numbers down.
const FAMILY: &str = "sleep 1000 & echo $! > grandchild; echo $$ > child; wait";

struct Server {
    process: Child,
    folder: TempDir,
}

impl Server {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let process = Command::new(stage::this_program())
            .arg(ARGUMENT)
            .arg(folder.path())
            .args(["sh", "-c", FAMILY])
            .stdin(Stdio::piped())
            .spawn()
            .expect("a server");
        Self { process, folder }
    }

    async fn number(&self, file: &str) -> u32 {
        let path = self.folder.path().join("extension").join(file);
        let read = || std::fs::read_to_string(&path).ok()?.trim().parse().ok();
        wait_for(file, read).await
    }

    /// The guard is the server's child that is neither the extension nor a descendant of it.
    async fn guard(&self, extension: u32) -> u32 {
        let server = self.process.id();
        let path = format!("/proc/{server}/task");
        wait_for("the guard", || {
            let tasks = std::fs::read_dir(Path::new(&path)).ok()?;
            tasks
                .filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("children")).ok())
                .flat_map(|list| {
                    list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<u32>>()
                })
                .find(|pid| *pid != extension)
        })
        .await
    }

    fn kill(&mut self) {
        self.process.kill().expect("it runs");
        self.process.wait().expect("it ended");
    }
}

fn kill(pid: u32) {
    let pid = rustix::process::Pid::from_raw(pid.cast_signed()).expect("a number");
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("it runs");
}

pub(super) fn killed() {
    run(async {
        let mut server = Server::start();
        let (child, grandchild) = (server.number("child").await, server.number("grandchild").await);
        let guard = server.guard(child).await;
        assert!(runs(child) && runs(grandchild) && runs(guard));
        server.kill();
        until_gone(child).await;
        until_gone(grandchild).await;
        until_gone(guard).await;
    });
}

pub(super) fn swept() {
    run(async {
        let mut server = Server::start();
        let (child, grandchild) = (server.number("child").await, server.number("grandchild").await);
        // Without its guard a killed server leaves the grandchild behind.
        kill(server.guard(child).await);
        server.kill();
        until_gone(child).await;
        assert!(runs(grandchild));
        let (supervisor, _stop, _wire) = stage::open_in(server.folder.path());
        until_gone(grandchild).await;
        supervisor.shutdown().await;
    });
}

pub(super) fn shared() {
    run(async {
        let mut server = Server::start();
        let grandchild = server.number("grandchild").await;
        server.number("child").await;
        let folder = server.folder.path();
        let error = stage::supervisor_in(folder, stage::wire()).expect_err("it is in use");
        let expected = format!(
            "another server runs on {} as process {}; stop it first",
            folder.join("run").display(),
            server.process.id()
        );
        assert_eq!(error.to_string(), expected);
        // The guard finds its list even if the folder goes with the server.
        server.kill();
        drop(server);
        until_gone(grandchild).await;
    });
}
