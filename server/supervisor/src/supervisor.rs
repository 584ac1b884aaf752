//! The handle that the rest of the server holds.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use arc_swap::{ArcSwap, ArcSwapOption};
use jiff::Timestamp;
use tinybase_model::{
    ExtensionName, ExtensionSpec, ExtensionState, ExtensionStatus, Fault, Invocation,
    InvocationTarget, InvokeError, LogLevel, LogLine, LogSource, Outcome,
};
use tinybase_wire::{ChunkSink, Registrar, Session};
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::board::Board;
use crate::entry::{Command, Entry, Live};
use crate::guard::GuardKeeper;
use crate::launch::{Machine, TakeAll};
use crate::lifecycle::HealthPolicy;
use crate::log::{Log, LogFiles};
use crate::options::{NotSupervised, SetupError, SupervisorOptions};
use crate::owner::Owner;
use crate::roster::{ClaimError, Roster};
use crate::spawner::Spawner;

/// How many commands may wait for an owner task.
const COMMANDS_MAX: usize = 16;

type Entries = BTreeMap<ExtensionName, Arc<Entry<Session>>>;

/// Keeps extensions running. Cheap to clone; all clones are one supervisor.
#[derive(Clone)]
pub struct Supervisor(Arc<Inner>);

struct Inner {
    machine: Arc<Machine>,
    entries: ArcSwap<Entries>,
    changes: Arc<watch::Sender<u64>>,
    logs: Logs,
    health: HealthPolicy,
    tasks: Tasks,
}

struct Logs {
    files: LogFiles,
    level: LogLevel,
}

struct Tasks {
    owners: TaskTracker,
    stop: CancellationToken,
    guard: TaskTracker,
    guard_stop: CancellationToken,
    guard_up: OnceLock<watch::Receiver<bool>>,
    roster: PathBuf,
}

impl Supervisor {
    /// Ends what a former server left behind and makes everything ready. Starts nothing yet.
    ///
    /// # Errors
    /// If another server uses the run folder, or a folder can't be used.
    pub fn new(options: SupervisorOptions) -> Result<Self, SetupError> {
        let SupervisorOptions {
            wire,
            socket,
            shim,
            run_folder: folder,
            log_folder,
            log_level: level,
            server_secrets,
            health,
        } = options;
        let roster = Roster::claim(&folder).map_err(|error| match error {
            ClaimError::InUse(pid) => SetupError::InUse { folder: folder.clone(), pid },
            ClaimError::Io(source) => SetupError::RunFolder { folder: folder.clone(), source },
        })?;
        let tasks = Tasks::new(absolute(roster.path())?);
        let files = LogFiles::open(&log_folder)
            .map_err(|source| SetupError::LogFolder { folder: log_folder, source })?;
        let machine = Machine {
            wire,
            socket: absolute(&socket)?,
            shim: absolute(&shim)?,
            spawner: Spawner::start(roster).map_err(SetupError::Thread)?,
            server_secrets,
            registrar: RwLock::new(Arc::new(TakeAll)),
        };
        Ok(Self(Arc::new(Inner {
            machine: Arc::new(machine),
            entries: ArcSwap::default(),
            changes: Arc::new(watch::Sender::new(0)),
            logs: Logs { files, level },
            health,
            tasks,
        })))
    }

    /// Says who judges registrations. Those made before are not judged again.
    pub fn set_registrar(&self, registrar: Arc<dyn Registrar>) {
        let slot = &self.0.machine.registrar;
        *slot.write().unwrap_or_else(PoisonError::into_inner) = registrar;
    }

    /// Starts an extension and returns at once. One that was stopped or quarantined is started
    /// afresh; one that runs from another specification gets a new process.
    pub async fn start(&self, spec: ExtensionSpec) {
        let spec = Arc::new(spec);
        self.0.guard().await;
        while !self.0.tasks.stop.is_cancelled() {
            let entry = self.0.entry(&spec);
            let (done, seen) = oneshot::channel();
            let command = Command::Start(Arc::clone(&spec), done);
            if entry.commands.send(command).await.is_ok() && seen.await.is_ok() {
                return;
            }
            // It was being forgotten. Its owner has ended by now, and with it the process.
            self.0.remove(&spec.name, &entry);
        }
    }

    /// Stops an extension: drains it, ends its process group, reaps it.
    ///
    /// # Errors
    /// If it was never started.
    pub async fn stop(&self, name: &ExtensionName) -> Result<(), NotSupervised> {
        self.tell(name, Command::Stop).await
    }

    /// Stops an extension and removes all trace of it here.
    pub async fn forget(&self, name: &ExtensionName) {
        let Some(entry) = self.0.find(name) else { return };
        // An error means that somebody else forgets it as well.
        let _ = self.tell(name, Command::Forget).await;
        self.0.remove(name, &entry);
    }

    /// Stops an extension and starts it again at once. Returns when the old process is gone.
    ///
    /// # Errors
    /// If it was never started.
    pub async fn restart(&self, name: &ExtensionName) -> Result<(), NotSupervised> {
        self.tell(name, Command::Restart).await
    }

    /// How an extension is.
    pub fn status(&self, name: &ExtensionName) -> Option<ExtensionStatus> {
        self.0.find(name).map(|entry| entry.status.borrow().clone())
    }

    /// How all extensions are, by name.
    pub fn statuses(&self) -> Vec<ExtensionStatus> {
        self.0.entries.load().values().map(|entry| entry.status.borrow().clone()).collect()
    }

    /// How an extension is, now and from now on. It ends when the extension is forgotten.
    pub fn watch(&self, name: &ExtensionName) -> Option<watch::Receiver<ExtensionStatus>> {
        self.0.find(name).map(|entry| entry.status.subscribe())
    }

    /// Counts the changes of any extension's status.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.0.changes.subscribe()
    }

    /// Whether an extension takes work.
    pub fn is_ready(&self, name: &ExtensionName) -> bool {
        self.0.entries.load().get(name).is_some_and(|entry| entry.live.load().is_some())
    }

    /// Gives a piece of work to an extension and waits for its end.
    ///
    /// # Errors
    /// If there is no outcome.
    ///
    /// # Cancel safety
    /// Dropping it cancels the work.
    pub async fn invoke(
        &self,
        name: &ExtensionName,
        invocation: Invocation,
    ) -> Result<Outcome, InvokeError> {
        self.run(name, invocation, None).await
    }

    /// The same for a function whose result comes in chunks, which go to the sink one by one.
    ///
    /// # Errors
    /// If there is no outcome.
    ///
    /// # Cancel safety
    /// Dropping it cancels the work.
    pub async fn invoke_streaming(
        &self,
        name: &ExtensionName,
        invocation: Invocation,
        sink: &dyn ChunkSink,
    ) -> Result<Outcome, InvokeError> {
        self.run(name, invocation, Some(sink)).await
    }

    async fn run(
        &self,
        name: &ExtensionName,
        invocation: Invocation,
        sink: Option<&dyn ChunkSink>,
    ) -> Result<Outcome, InvokeError> {
        let live = self.0.live(name)?;
        let held = live.begin();
        let target = invocation.target.clone();
        let ended = match sink {
            None => live.session.invoke(invocation).await,
            Some(sink) => live.session.invoke_streaming(invocation, sink).await,
        };
        match &ended {
            Err(InvokeError::Disconnected) => held.lose(),
            Ok(Outcome::Fault(fault)) => self.write_fault(name, &target, fault),
            Ok(Outcome::Success { .. } | Outcome::Reject(_))
            | Err(
                InvokeError::NotReady { .. }
                | InvokeError::Overloaded
                | InvokeError::TimedOut(_)
                | InvokeError::TooLarge { .. },
            ) => {}
        }
        ended
    }

    /// The latest lines of an extension's log, oldest first; none if it isn't known.
    pub fn logs(&self, name: &ExtensionName, lines: usize) -> Vec<LogLine> {
        self.0.find(name).map(|entry| entry.log.recent(lines)).unwrap_or_default()
    }

    /// Every line of an extension's log from now on. It ends when the extension is forgotten; for
    /// one that isn't known it has ended.
    pub fn follow_logs(&self, name: &ExtensionName) -> broadcast::Receiver<LogLine> {
        match self.0.find(name) {
            Some(entry) => entry.log.follow(),
            None => broadcast::channel(1).1,
        }
    }

    /// Adds lines to an extension's log. Gives how many were dropped for being over the rate limit.
    pub fn write_log(&self, name: &ExtensionName, lines: Vec<LogLine>) -> u32 {
        match self.0.find(name) {
            Some(entry) => entry.log.take_written(lines),
            None => u32::try_from(lines.len()).unwrap_or(u32::MAX),
        }
    }

    /// Puts a handler's failure into the extension's log, where its author looks for it.
    fn write_fault(&self, name: &ExtensionName, target: &InvocationTarget, fault: &Fault) {
        let what = match target {
            InvocationTarget::Hook { event, phase, handler } => {
                format!("{} {event}, handler {handler},", phase.as_str())
            }
            InvocationTarget::Function(function) => format!("function {function}"),
        };
        let Fault { kind, message, stack, retry_after: _ } = fault;
        let separator = if stack.is_empty() { "" } else { "\n" };
        let line = LogLine {
            at: Timestamp::now(),
            level: LogLevel::Error,
            source: LogSource::Supervisor,
            logger: None,
            invocation_id: None,
            message: format!("{what} failed: {kind}: {message}{separator}{stack}"),
        };
        self.write_log(name, vec![line]);
    }

    /// Stops all extensions, in parallel, and everything else here. Each has the time that its
    /// policy gives it, and no more.
    pub async fn shutdown(&self) {
        let tasks = &self.0.tasks;
        tasks.stop.cancel();
        tasks.owners.close();
        tasks.owners.wait().await;
        tasks.guard_stop.cancel();
        tasks.guard.close();
        tasks.guard.wait().await;
        self.0.machine.spawner.quit().await;
        self.0.logs.files.flush().await;
    }

    async fn tell(
        &self,
        name: &ExtensionName,
        command: impl FnOnce(oneshot::Sender<()>) -> Command,
    ) -> Result<(), NotSupervised> {
        let entry = self.0.find(name).ok_or_else(|| NotSupervised(name.clone()))?;
        let (done, answer) = oneshot::channel();
        // Either error means that the owner has ended, and with it the process.
        if entry.commands.send(command(done)).await.is_ok() {
            let _ = answer.await;
        }
        Ok(())
    }
}

impl fmt::Debug for Supervisor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.0.entries.load().keys().cloned().collect();
        f.debug_struct("Supervisor").field("extensions", &names).finish_non_exhaustive()
    }
}

impl Inner {
    fn find(&self, name: &ExtensionName) -> Option<Arc<Entry<Session>>> {
        self.entries.load().get(name).cloned()
    }

    fn live(&self, name: &ExtensionName) -> Result<Arc<Live<Session>>, InvokeError> {
        let entries = self.entries.load();
        let Some(entry) = entries.get(name) else {
            return Err(InvokeError::NotReady { state: ExtensionState::Stopped.as_str() });
        };
        entry.live.load_full().ok_or_else(|| InvokeError::NotReady { state: entry.idle_state() })
    }

    /// The entry of that name; a new one with a new owner task if there is none.
    fn entry(&self, spec: &Arc<ExtensionSpec>) -> Arc<Entry<Session>> {
        if let Some(entry) = self.find(&spec.name) {
            return entry;
        }
        let (commands, queue) = mpsc::channel(COMMANDS_MAX);
        let entry = Arc::new(Entry {
            commands,
            live: ArcSwapOption::empty(),
            status: watch::Sender::new(first_status(spec)),
            log: Arc::new(Log::open(&spec.name, self.logs.level, &self.logs.files)),
        });
        let before = self.entries.rcu(|entries| {
            let mut entries = Entries::clone(entries);
            entries.entry(spec.name.clone()).or_insert_with(|| Arc::clone(&entry));
            entries
        });
        if let Some(earlier) = before.get(&spec.name) {
            return Arc::clone(earlier);
        }
        let board = Board::new(Arc::clone(&entry), Arc::clone(&self.changes));
        let owner = Owner::new(Arc::clone(&self.machine), board, Arc::clone(spec), self.health);
        let stop = self.tasks.stop.child_token();
        self.tasks.owners.spawn(owner.run(queue, self.health, stop));
        entry
    }

    /// Removes an entry, unless another one has taken its place.
    fn remove(&self, name: &ExtensionName, entry: &Arc<Entry<Session>>) {
        self.entries.rcu(|entries| {
            let mut entries = Entries::clone(entries);
            if entries.get(name).is_some_and(|other| Arc::ptr_eq(other, entry)) {
                entries.remove(name);
            }
            entries
        });
        self.changes.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Waits until there is a guard, so that no extension is without one.
    async fn guard(&self) {
        let mut up = self
            .tasks
            .guard_up
            .get_or_init(|| {
                let keeper = GuardKeeper {
                    spawner: self.machine.spawner.clone(),
                    shim: self.machine.shim.clone(),
                    roster: self.tasks.roster.clone(),
                };
                let (up, is_up) = watch::channel(false);
                self.tasks.guard.spawn(keeper.run(self.tasks.guard_stop.clone(), up));
                is_up
            })
            .clone();
        // An error means that the keeper has ended, as after a shutdown.
        let _ = up.wait_for(|up| *up).await;
    }
}

impl Drop for Inner {
    /// The safety net for a supervisor that nobody shut down: its tasks end what they own.
    fn drop(&mut self) {
        self.tasks.stop.cancel();
        self.tasks.guard_stop.cancel();
    }
}

impl Tasks {
    fn new(roster: PathBuf) -> Self {
        Self {
            owners: TaskTracker::new(),
            stop: CancellationToken::new(),
            guard: TaskTracker::new(),
            guard_stop: CancellationToken::new(),
            guard_up: OnceLock::new(),
            roster,
        }
    }
}

fn first_status(spec: &ExtensionSpec) -> ExtensionStatus {
    ExtensionStatus {
        name: spec.name.clone(),
        version: spec.version.clone(),
        state: ExtensionState::Installed,
        reason: None,
        pid: None,
        since: Timestamp::now(),
        restarts: 0,
        hooks: Vec::new(),
        functions: Vec::new(),
        last_crash: None,
    }
}

fn absolute(path: &Path) -> Result<PathBuf, SetupError> {
    std::path::absolute(path).map_err(|source| SetupError::Path { path: path.to_owned(), source })
}
