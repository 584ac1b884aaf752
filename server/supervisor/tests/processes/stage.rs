//! A supervisor with a wire, in a folder of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use tinybase_model::{
    ExtensionName, ExtensionSpec, ExtensionState, ExtensionStatus, JsonBytes, LifecyclePolicy,
    Limits, LogLevel, LogLine, Permissions,
};
use tinybase_supervisor::{HealthPolicy, SetupError, Supervisor, SupervisorOptions};
use tinybase_wire::{Wire, WireOptions};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::host::EmptyHost;

/// Longer than anything takes, on any machine.
pub(crate) const DEADLINE: Duration = Duration::from_mins(1);

/// The socket within a folder.
const SOCKET: &str = "run/core.sock";

/// A supervisor with a wire.
pub(crate) struct Stage {
    pub(crate) supervisor: Supervisor,
    stop: CancellationToken,
    wire: JoinSet<()>,
    folder: TempDir,
}

impl Stage {
    /// Opens one in a new folder.
    pub(crate) fn open() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let (supervisor, stop, wire) = open_in(folder.path());
        Self { supervisor, stop, wire, folder }
    }

    /// The folder with everything in it.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The specification of an extension that runs this command.
    pub(crate) fn spec(&self, command: &[&str]) -> ExtensionSpec {
        spec_in(self.folder(), command)
    }

    /// Starts the extension.
    pub(crate) async fn start(&self, spec: ExtensionSpec) {
        self.supervisor.start(spec).await;
    }

    /// Waits until the status is as wanted.
    pub(crate) async fn until(
        &self,
        wanted: impl FnMut(&ExtensionStatus) -> bool,
    ) -> ExtensionStatus {
        let mut status = self.supervisor.watch(&name()).expect("it was started");
        let found = timeout(DEADLINE, status.wait_for(wanted)).await.map(|s| s.map(|s| s.clone()));
        let last = self.supervisor.status(&name());
        found
            .unwrap_or_else(|_| panic!("waited in vain; it is {last:?}"))
            .expect("it is supervised")
    }

    /// Waits for the report of the first crash.
    pub(crate) async fn crash(&self) -> tinybase_model::CrashReport {
        self.until(|status| status.last_crash.is_some()).await.last_crash.expect("a report")
    }

    /// Waits until it is ready.
    pub(crate) async fn ready(&self) -> ExtensionStatus {
        self.until(|status| status.state == ExtensionState::Ready).await
    }

    /// Waits for a line of the log for which the function finds something.
    pub(crate) async fn log<T>(&self, find: impl Fn(&LogLine) -> Option<T>) -> T {
        let look = || self.supervisor.logs(&name(), usize::MAX).iter().find_map(&find);
        wait_for("a line in the log", look).await
    }

    /// Waits for a number that the extension printed after a word.
    pub(crate) async fn number(&self, word: &str) -> u32 {
        self.log(|line| line.message.strip_prefix(word)?.trim().parse().ok()).await
    }

    /// Stops everything.
    pub(crate) async fn close(mut self) {
        timeout(DEADLINE, self.supervisor.shutdown()).await.expect("a bounded shutdown");
        self.stop.cancel();
        while self.wire.join_next().await.is_some() {}
    }
}

/// The one extension's name.
pub(crate) fn name() -> ExtensionName {
    "audit".parse().expect("a name")
}

/// A policy with which a test doesn't take long.
pub(crate) fn hasty() -> LifecyclePolicy {
    LifecyclePolicy {
        start_timeout: DEADLINE,
        drain_grace: Duration::from_millis(500),
        term_grace: Duration::from_millis(300),
        backoff_min: Duration::from_millis(10),
        ..LifecyclePolicy::default()
    }
}

/// This program's own path.
pub(crate) fn this_program() -> String {
    let path = std::env::current_exe().expect("a path");
    path.into_os_string().into_string().expect("a path of text")
}

/// Opens a supervisor in a folder, with a wire that is served.
pub(crate) fn open_in(folder: &Path) -> (Supervisor, CancellationToken, JoinSet<()>) {
    let wire = wire();
    let supervisor = supervisor_in(folder, wire.clone()).expect("a supervisor");
    let bound = wire.bind(&folder.join(SOCKET)).expect("a socket");
    let (stop, mut tasks) = (CancellationToken::new(), JoinSet::new());
    let serve = bound.serve(stop.clone());
    tasks.spawn(serve);
    (supervisor, stop, tasks)
}

/// A supervisor in a folder whose socket nobody serves.
pub(crate) fn supervisor_in(folder: &Path, wire: Wire) -> Result<Supervisor, SetupError> {
    let run_folder = folder.join("run");
    std::fs::create_dir_all(&run_folder).expect("a folder");
    std::fs::set_permissions(&run_folder, std::fs::Permissions::from_mode(0o700)).expect("a mode");
    Supervisor::new(SupervisorOptions {
        wire,
        socket: folder.join(SOCKET),
        shim: this_program().into(),
        run_folder,
        log_folder: folder.join("logs"),
        log_level: LogLevel::Info,
        server_secrets: BTreeSet::from(["CARGO_PKG_NAME".to_owned()]),
        health: HealthPolicy::default(),
    })
}

/// A wire that nobody can reach yet.
pub(crate) fn wire() -> Wire {
    let options = WireOptions {
        limits: Limits::default(),
        server_version: "0.1.0".to_owned(),
        log_level: LogLevel::Info,
    };
    Wire::new(options, Arc::new(EmptyHost))
}

/// The specification of an extension that runs this command in a folder of its own.
pub(crate) fn spec_in(folder: &Path, command: &[&str]) -> ExtensionSpec {
    let folder: PathBuf = folder.join("extension");
    std::fs::create_dir_all(&folder).expect("a folder");
    ExtensionSpec {
        name: name(),
        version: "1.0.0".to_owned(),
        folder,
        command: command.iter().map(|word| (*word).to_owned()).collect(),
        environment: BTreeMap::new(),
        permissions: Permissions::Broad,
        policy: hasty(),
        config: JsonBytes::empty_object(),
    }
}

/// Whether that number is a process that still runs. Here nobody reaps orphans, so a zombie is as
/// good as gone.
pub(crate) fn runs(pid: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    status.lines().any(|line| {
        line.strip_prefix("State:").is_some_and(|state| !state.trim_start().starts_with(['Z', 'X']))
    })
}

/// Whether there is anything under that number, zombies included.
pub(crate) fn exists(pid: u32) -> bool {
    Path::new("/proc").join(pid.to_string()).exists()
}

/// Waits until there is something.
pub(crate) async fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + DEADLINE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < end, "waited in vain for {what}");
        sleep(Duration::from_millis(10)).await;
    }
}

/// Waits until a process has ended.
pub(crate) async fn until_gone(pid: u32) {
    wait_for(&format!("the end of process {pid}"), || (!runs(pid)).then_some(())).await;
}
