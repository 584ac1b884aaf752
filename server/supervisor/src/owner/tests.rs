//! The owner task against a scripted outside, with the clock paused.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

use arc_swap::ArcSwapOption;
use jiff::Timestamp;
use tempfile::TempDir;
use tinybase_model::{
    ExtensionState, ExtensionStatus, JsonBytes, LifecyclePolicy, LogSource, Permissions,
};
use tokio::sync::watch;

use super::*;
use crate::entry::Entry;
use crate::failure::Exit;
use crate::lifecycle::Health;
use crate::log::{Log, LogFiles};
use crate::world::Bindings;

/// What one process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Script {
    /// It can't be started.
    Missing,
    /// It ends at once, with that status, before Hello.
    DiesEarly(i32),
    /// It never says Hello.
    Mute,
    /// It is ready at once; it ends after that time.
    Serves(Duration),
    /// It is ready at once, and only SIGKILL ends it.
    Stubborn,
}

/// A scripted outside.
struct Stage {
    scripts: Mutex<VecDeque<Script>>,
    launched: AtomicU32,
    alive: Arc<AtomicU32>,
    held: Arc<AtomicBool>,
}

struct Actor {
    pid: u32,
    script: Script,
    end: watch::Sender<Option<Exit>>,
    alive: Arc<AtomicU32>,
}

#[derive(Debug, Clone)]
struct Talk {
    end: watch::Receiver<Option<Exit>>,
    held: Arc<AtomicBool>,
}

impl World for Stage {
    type Process = Actor;
    type Session = Talk;

    async fn launch(
        &self,
        _: &Arc<ExtensionSpec>,
        log: &Arc<Log>,
    ) -> Result<Launched<Actor, Talk>, String> {
        let mut scripts = self.scripts.lock().unwrap_or_else(PoisonError::into_inner);
        let script = scripts.pop_front().unwrap_or(Script::Mute);
        if script == Script::Missing {
            return Err("the program gone is not in /ext".to_owned());
        }
        assert_eq!(self.alive.fetch_add(1, Ordering::SeqCst), 0, "one process at a time");
        let pid = self.launched.fetch_add(1, Ordering::SeqCst) + 1;
        let end = watch::Sender::new(None);
        if let Script::DiesEarly(status) = script {
            log.take_output(LogSource::Stderr, b"ModuleNotFoundError: No module named 'x'");
            end.send_replace(Some(Exit::Code(status)));
        }
        let talk = Talk { end: end.subscribe(), held: Arc::clone(&self.held) };
        let actor = Actor { pid, script, end, alive: Arc::clone(&self.alive) };
        Ok(Launched {
            process: actor,
            handshake: Box::pin(async move {
                match script {
                    Script::Serves(_) | Script::Stubborn => Ok(talk),
                    Script::Missing | Script::DiesEarly(_) | Script::Mute => {
                        std::future::pending().await
                    }
                }
            }),
        })
    }
}

impl Process for Actor {
    fn pid(&self) -> u32 {
        self.pid
    }

    fn ended(&self) -> impl Future<Output = ()> + Send + 'static {
        let mut end = self.end.subscribe();
        let script = self.script;
        async move {
            let ended = async { drop(end.wait_for(Option::is_some).await) };
            match script {
                Script::Serves(time) => drop(timeout(time, ended).await),
                Script::Missing | Script::DiesEarly(_) | Script::Mute | Script::Stubborn => {
                    ended.await;
                }
            }
        }
    }

    fn terminate(&self) {
        if self.script != Script::Stubborn {
            self.end.send_replace(Some(Exit::Signal(15)));
        }
    }

    fn kill(&self) {
        self.end.send_replace(Some(Exit::Signal(9)));
    }

    async fn reap(self) -> Exit {
        self.end.borrow().unwrap_or(Exit::Code(1))
    }
}

impl Drop for Actor {
    fn drop(&mut self) {
        self.alive.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Link for Talk {
    fn bindings(&self) -> Bindings {
        Bindings { hooks: vec!["record.create".to_owned()], functions: Vec::new() }
    }

    fn health(&self) -> Health {
        Health { silence: Some(Duration::ZERO), all_held: self.held.load(Ordering::SeqCst) }
    }

    fn drain(&self, grace: Duration) -> impl Future<Output = ()> + Send + 'static {
        tokio::time::sleep(grace / 2)
    }

    fn closed(&self) -> impl Future<Output = Option<String>> + Send + 'static {
        let mut end = self.end.clone();
        async move {
            drop(end.wait_for(Option::is_some).await);
            Some("the stream ended".to_owned())
        }
    }
}

/// An owner task on a stage.
struct Play {
    stage: Arc<Stage>,
    entry: Arc<Entry<Talk>>,
    stop: CancellationToken,
    owners: JoinSet<()>,
    _folder: TempDir,
}

impl Play {
    async fn begin(scripts: &[Script]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let files = LogFiles::open(folder.path()).expect("a log folder");
        let spec = Arc::new(spec());
        let (commands, queue) = mpsc::channel(16);
        let entry = Arc::new(Entry {
            commands,
            live: ArcSwapOption::empty(),
            status: watch::Sender::new(installed()),
            log: Arc::new(Log::open(&spec.name, LogLevel::Info, &files)),
        });
        let stage = Arc::new(Stage {
            scripts: Mutex::new(scripts.iter().copied().collect()),
            launched: AtomicU32::new(0),
            alive: Arc::default(),
            held: Arc::default(),
        });
        let board = Board::new(Arc::clone(&entry), Arc::new(watch::Sender::new(0)));
        let health = HealthPolicy::default();
        let owner = Owner::new(Arc::clone(&stage), board, Arc::clone(&spec), health);
        let (stop, mut owners) = (CancellationToken::new(), JoinSet::new());
        owners.spawn(owner.run(queue, health, stop.clone()));
        let play = Self { stage, entry, stop, owners, _folder: folder };
        play.start(&spec).await;
        play
    }

    async fn start(&self, spec: &Arc<ExtensionSpec>) {
        let (done, seen) = oneshot::channel();
        self.entry.commands.send(Command::Start(Arc::clone(spec), done)).await.expect("an owner");
        seen.await.expect("an owner");
    }

    async fn order(&self, command: impl FnOnce(oneshot::Sender<()>) -> Command) {
        let (done, seen) = oneshot::channel();
        self.entry.commands.send(command(done)).await.expect("an owner");
        seen.await.expect("an owner");
    }

    async fn state(&self, wanted: ExtensionState) -> ExtensionStatus {
        let mut status = self.entry.status.subscribe();
        let reached = status.wait_for(|status| status.state == wanted);
        timeout(Duration::from_hours(1), reached).await.expect("in time").expect("an owner").clone()
    }

    fn launched(&self) -> u32 {
        self.stage.launched.load(Ordering::SeqCst)
    }
}

fn spec() -> ExtensionSpec {
    ExtensionSpec {
        name: "audit".parse().expect("a name"),
        version: "1.2.3".to_owned(),
        folder: "/ext".into(),
        command: vec!["run".to_owned()],
        environment: std::collections::BTreeMap::new(),
        permissions: Permissions::Broad,
        policy: LifecyclePolicy::default(),
        config: JsonBytes::empty_object(),
    }
}

fn installed() -> ExtensionStatus {
    ExtensionStatus {
        name: "audit".parse().expect("a name"),
        version: "1.2.3".to_owned(),
        state: ExtensionState::Installed,
        reason: None,
        pid: None,
        since: Timestamp::UNIX_EPOCH,
        restarts: 0,
        hooks: Vec::new(),
        functions: Vec::new(),
        last_crash: None,
    }
}

#[tokio::test(start_paused = true)]
async fn a_crash_is_reported_and_the_next_process_takes_over() {
    let play = Play::begin(&[Script::Serves(Duration::from_secs(5)), Script::Stubborn]).await;
    let first = play.state(ExtensionState::Ready).await;
    assert_eq!((first.pid, first.hooks.len()), (Some(1), 1));
    let live = play.entry.live.load_full().expect("a session");
    let work = live.begin();
    play.state(ExtensionState::BackingOff).await;
    assert!(play.entry.live.load().is_none());
    let second = play.state(ExtensionState::Ready).await;
    let crash = second.last_crash.expect("a crash report");
    assert_eq!((crash.reason.as_str(), crash.in_flight), ("exited with status 1", 1));
    assert_eq!((second.pid, second.restarts), (Some(2), 1));
    drop(work);
}

#[tokio::test(start_paused = true)]
async fn an_exit_before_hello_is_told_with_its_last_words() {
    let play = Play::begin(&[Script::DiesEarly(3); 6]).await;
    let status = play.state(ExtensionState::Quarantined).await;
    let crash = status.last_crash.expect("a crash report");
    let reason =
        "exited with status 3 before it said Hello: ModuleNotFoundError: No module named 'x'";
    assert_eq!(crash.reason, reason);
    assert_eq!(crash.last_lines, ["ModuleNotFoundError: No module named 'x'"]);
    assert!(status.reason.expect("a reason").starts_with(reason));
    assert_eq!(play.launched(), 6);
}

#[tokio::test(start_paused = true)]
async fn a_missing_program_is_named() {
    let play = Play::begin(&[Script::Missing; 6]).await;
    let status = play.state(ExtensionState::Quarantined).await;
    let crash = status.last_crash.expect("a crash report");
    assert_eq!(crash.reason, "could not be started: the program gone is not in /ext");
}

#[tokio::test(start_paused = true)]
async fn a_process_that_never_says_hello_is_replaced() {
    let play = Play::begin(&[Script::Mute, Script::Stubborn]).await;
    let begun = Instant::now();
    let status = play.state(ExtensionState::Ready).await;
    assert!(begun.elapsed() >= LifecyclePolicy::default().start_timeout);
    assert_eq!(status.last_crash.expect("a crash report").reason, "was not ready after 30 s");
}

#[tokio::test(start_paused = true)]
async fn slots_that_are_held_for_good_cost_the_process() {
    let play = Play::begin(&[Script::Stubborn, Script::Stubborn]).await;
    play.state(ExtensionState::Ready).await;
    play.stage.held.store(true, Ordering::SeqCst);
    play.state(ExtensionState::Degraded).await;
    assert!(play.entry.live.load().is_some(), "a degraded extension still takes work");
    play.state(ExtensionState::BackingOff).await;
    play.stage.held.store(false, Ordering::SeqCst);
    let status = play.state(ExtensionState::Ready).await;
    let reason = status.last_crash.expect("a crash report").reason;
    assert!(reason.starts_with("held all of its slots past their deadlines for 30"), "{reason}");
}

#[tokio::test(start_paused = true)]
async fn a_stop_is_answered_once_the_process_is_gone() {
    let play = Play::begin(&[Script::Stubborn]).await;
    play.state(ExtensionState::Ready).await;
    play.order(Command::Stop).await;
    assert_eq!(play.stage.alive.load(Ordering::SeqCst), 0);
    assert_eq!(play.state(ExtensionState::Stopped).await.pid, None);
    play.order(Command::Stop).await;
}

#[tokio::test(start_paused = true)]
async fn a_restart_brings_a_new_process() {
    let play = Play::begin(&[Script::Stubborn, Script::Stubborn]).await;
    play.state(ExtensionState::Ready).await;
    play.order(Command::Restart).await;
    let status = play.state(ExtensionState::Ready).await;
    assert_eq!((status.pid, status.restarts, status.last_crash), (Some(2), 1, None));
}

#[tokio::test(start_paused = true)]
async fn another_specification_replaces_the_process_and_the_same_one_does_not() {
    let play = Play::begin(&[Script::Stubborn, Script::Stubborn]).await;
    play.state(ExtensionState::Ready).await;
    play.start(&Arc::new(spec())).await;
    assert_eq!(play.launched(), 1);
    let newer = ExtensionSpec { version: "2.0.0".to_owned(), ..spec() };
    play.start(&Arc::new(newer)).await;
    let mut status = play.entry.status.subscribe();
    let replaced = status.wait_for(|status| status.pid == Some(2));
    let status = timeout(Duration::from_hours(1), replaced).await.expect("in time");
    assert_eq!(status.expect("an owner").version, "2.0.0");
}

#[tokio::test(start_paused = true)]
async fn the_end_of_the_server_ends_the_process_and_the_task() {
    let mut play = Play::begin(&[Script::Stubborn]).await;
    play.state(ExtensionState::Ready).await;
    play.stop.cancel();
    let ended = timeout(Duration::from_mins(1), play.owners.join_next()).await.expect("in time");
    ended.expect("a task").expect("no panic");
    assert_eq!(play.stage.alive.load(Ordering::SeqCst), 0);
}
