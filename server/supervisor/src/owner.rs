//! The task that owns one extension: it feeds the lifecycle machine and does what it says.
//!
//! Everything that takes time and ends in an event (a handshake, a drain, the end of a session or
//! of a process) is a task in its own `JoinSet`, and all of them belong to the current process.

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::sync::Arc;

use tinybase_model::{ExtensionSpec, LogLevel};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{Duration, Instant, MissedTickBehavior, interval, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use crate::board::Board;
use crate::entry::{Command, Live};
use crate::failure::HandshakeFault;
use crate::lifecycle::{Effect, Event, HealthPolicy, Jitter, Lifecycle, Moment, Run, Timer};
use crate::world::{Handshake, Launched, Link, Process, World};

/// How long the wire may need to see that a process that has ended was in a handshake.
const HANDSHAKE_AFTERMATH: Duration = Duration::from_millis(100);
/// How much longer than its policy allows a final stop may take before the process is abandoned.
const CLOSING_SLACK: Duration = Duration::from_secs(3);

/// The owner of one extension.
pub(crate) struct Owner<W: World> {
    world: Arc<W>,
    board: Board<W::Session>,
    spec: Arc<ExtensionSpec>,
    lifecycle: Lifecycle,
    active: Option<Active<W>>,
    tasks: JoinSet<Happened<W::Session>>,
    clock: Clock,
    waiters: Vec<oneshot::Sender<()>>,
}

/// The process in being.
struct Active<W: World> {
    run: Run,
    process: W::Process,
    live: Option<Arc<Live<W::Session>>>,
}

/// The time since the owner began, and the one timer.
struct Clock {
    began: Instant,
    timer: Option<(Timer, Instant)>,
    /// When a final stop is over, whatever the process does.
    closing: Option<Instant>,
}

/// What a task of the owner's ended with.
enum Happened<S> {
    Session(Run, S),
    NoSession(Run, HandshakeFault),
    /// The process ended and the wire has nothing to say to it.
    NoHandshake(Run),
    SessionClosed(Run, Option<String>),
    Drained(Run),
    ProcessEnded(Run),
}

impl<W: World> Owner<W> {
    /// An owner of an extension that isn't started yet.
    pub(crate) fn new(
        world: Arc<W>,
        board: Board<W::Session>,
        spec: Arc<ExtensionSpec>,
        health: HealthPolicy,
    ) -> Self {
        let lifecycle = Lifecycle::new(spec.policy, health);
        let clock = Clock { began: Instant::now(), timer: None, closing: None };
        let (tasks, waiters) = (JoinSet::new(), Vec::new());
        Self { world, board, spec, lifecycle, active: None, tasks, clock, waiters }
    }

    /// Runs until it is told to forget the extension, or the server stops.
    pub(crate) async fn run(
        mut self,
        mut commands: mpsc::Receiver<Command>,
        health: HealthPolicy,
        stop: CancellationToken,
    ) {
        let mut checks = interval(health.check_interval);
        checks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !self.is_done() {
            let closing = self.clock.closing;
            let timer = self.clock.timer;
            // Every arm is cancel-safe: receiving, joining and sleeping lose nothing.
            tokio::select! {
                () = stop.cancelled(), if closing.is_none() => self.close().await,
                command = commands.recv(), if closing.is_none() => match command {
                    Some(command) => self.obey(command).await,
                    None => self.close().await,
                },
                Some(happened) = self.tasks.join_next(), if !self.tasks.is_empty() => {
                    match happened {
                        Ok(happened) => self.notice(happened).await,
                        Err(error) if error.is_panic() => {
                            tracing::error!(extension = %self.spec.name, %error, "a task panicked");
                        }
                        Err(_) => {}
                    }
                }
                fired = fire(timer) => {
                    self.clock.timer = None;
                    self.advance(Event::TimerFired(fired)).await;
                }
                _ = checks.tick(), if self.lifecycle.takes_work() => self.check_health().await,
                () = until(closing) => break,
            }
        }
        // Whatever is left is killed by its drop.
        self.board.entry().live.store(None);
    }

    fn is_done(&self) -> bool {
        self.clock.closing.is_some() && self.active.is_none() && self.lifecycle.is_at_rest()
    }

    async fn close(&mut self) {
        let limit = self.lifecycle.stop_limit().saturating_add(CLOSING_SLACK);
        self.clock.closing = Some(Instant::now() + limit);
        self.advance(Event::StopRequested).await;
    }

    async fn obey(&mut self, command: Command) {
        match command {
            Command::Start(spec, done) => {
                let changed = *spec != *self.spec && self.active.is_some();
                self.spec = spec;
                self.advance_then(Event::StartRequested(self.spec.policy), Some(done)).await;
                if changed {
                    self.advance(Event::RestartRequested).await;
                }
            }
            Command::Stop(done) => {
                self.waiters.push(done);
                self.advance(Event::StopRequested).await;
            }
            Command::Restart(done) => {
                self.waiters.push(done);
                self.advance(Event::RestartRequested).await;
            }
            Command::Forget(done) => {
                self.waiters.push(done);
                self.close().await;
            }
        }
    }

    async fn notice(&mut self, happened: Happened<W::Session>) {
        match happened {
            Happened::Session(run, session) => {
                self.await_end(run);
                self.install(run, session);
                self.advance(Event::SessionReady(run)).await;
            }
            Happened::NoSession(run, fault) => {
                self.await_end(run);
                self.advance(Event::HandshakeFailed(run, fault)).await;
            }
            Happened::NoHandshake(run) => self.await_end(run),
            Happened::SessionClosed(run, why) => {
                self.advance(Event::SessionClosed(run, why)).await;
            }
            Happened::Drained(run) => self.advance(Event::Drained(run)).await,
            Happened::ProcessEnded(run) => {
                let Some(active) = self.active.take() else { return };
                // Everything that still waits for something waits for this process.
                self.tasks.abort_all();
                self.clock.timer = None;
                self.board.entry().live.store(None);
                let exit = active.process.reap().await;
                self.board.end_run(active.live.map_or(0, |live| live.held_at_end()));
                self.advance(Event::Exited(run, exit)).await;
            }
        }
    }

    async fn check_health(&mut self) {
        let Some((run, session)) = self.current_session() else { return };
        self.board.set_bindings(session.bindings());
        let health = session.health();
        self.advance(Event::HealthChecked(run, health)).await;
    }

    fn current_session(&self) -> Option<(Run, W::Session)> {
        let active = self.active.as_ref()?;
        Some((active.run, active.live.as_ref()?.session.clone()))
    }

    async fn advance(&mut self, event: Event) {
        self.advance_then(event, None).await;
    }

    /// Feeds the machine and does what it says. `seen` is answered once the first step shows.
    async fn advance_then(&mut self, event: Event, mut seen: Option<oneshot::Sender<()>>) {
        let mut events = VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            let moment =
                Moment { now: self.clock.began.elapsed(), jitter: Jitter::new(rand::random()) };
            let (next, effects) = self.lifecycle.clone().step(event, moment);
            self.lifecycle = next;
            self.show(&effects);
            if let Some(seen) = seen.take() {
                // Whoever asked may not wait any more.
                let _ = seen.send(());
            }
            for effect in effects {
                events.extend(self.carry_out(effect).await);
            }
        }
    }

    /// Makes the state public, sessions included, and answers those who wait for a process's end.
    fn show(&mut self, effects: &[Effect]) {
        for effect in effects {
            if let Effect::Report(failure) = effect {
                self.board.report(failure);
            }
        }
        let active = self.active.as_ref();
        let live = active.and_then(|active| active.live.clone());
        self.board.entry().live.store(live.filter(|_| self.lifecycle.takes_work()));
        let pid = active.map(|active| active.process.pid());
        self.board.publish(&self.lifecycle, pid);
        if self.active.is_none() {
            for waiter in self.waiters.drain(..) {
                // Whoever asked may not wait any more.
                let _ = waiter.send(());
            }
        }
    }

    async fn carry_out(&mut self, effect: Effect) -> Option<Event> {
        match effect {
            Effect::Spawn(run) => return Some(self.spawn(run).await),
            Effect::Drain(run, grace) => {
                if let Some((_, session)) = self.current_session() {
                    self.tasks.spawn(async move {
                        session.drain(grace).await;
                        Happened::Drained(run)
                    });
                }
            }
            Effect::Terminate(run) => {
                self.active_run(run).inspect(|active| active.process.terminate());
            }
            Effect::Kill(run) => {
                self.active_run(run).inspect(|active| active.process.kill());
            }
            Effect::SetTimer(timer, after) => {
                let far = Duration::from_hours(24 * 365);
                self.clock.timer = Some((timer, Instant::now() + after.min(far)));
            }
            // Written when the state was shown.
            Effect::Report(_) => {}
        }
        None
    }

    fn active_run(&self, run: Run) -> Option<&Active<W>> {
        self.active.as_ref().filter(|active| active.run == run)
    }

    async fn spawn(&mut self, run: Run) -> Event {
        let log = Arc::clone(&self.board.entry().log);
        self.board.begin_run(&self.spec.version);
        match self.world.launch(&self.spec, &log).await {
            Ok(Launched { process, handshake }) => {
                let pid = process.pid();
                log.note(LogLevel::Info, format!("started as process {pid}"));
                self.tasks = JoinSet::new();
                self.tasks.spawn(shake_hands(run, handshake, process.ended()));
                self.active = Some(Active { run, process, live: None });
                Event::Spawned(run)
            }
            Err(why) => Event::SpawnFailed(run, why),
        }
    }

    /// Waits for the process's end. Not before the handshake is over, so that what the wire has
    /// to say about it comes first.
    fn await_end(&mut self, run: Run) {
        if let Some(active) = self.active_run(run) {
            let ended = active.process.ended();
            self.tasks.spawn(async move {
                ended.await;
                Happened::ProcessEnded(run)
            });
        }
    }

    fn install(&mut self, run: Run, session: W::Session) {
        if let Some(active) = self.active.as_mut().filter(|active| active.run == run) {
            self.board.set_bindings(session.bindings());
            let closed = session.closed();
            active.live = Some(Arc::new(Live::new(session)));
            self.tasks.spawn(async move { Happened::SessionClosed(run, closed.await) });
        }
    }
}

/// Waits for the handshake. If the process ends first, the wire has a moment to say why.
async fn shake_hands<S>(
    run: Run,
    mut handshake: Handshake<S>,
    ended: impl Future<Output = ()>,
) -> Happened<S> {
    let over = tokio::select! {
        biased;
        over = &mut handshake => Some(over),
        () = ended => timeout(HANDSHAKE_AFTERMATH, handshake).await.ok(),
    };
    match over {
        Some(Ok(session)) => Happened::Session(run, session),
        Some(Err(fault)) => Happened::NoSession(run, fault),
        None => Happened::NoHandshake(run),
    }
}

async fn fire(timer: Option<(Timer, Instant)>) -> Timer {
    match timer {
        Some((timer, at)) => {
            sleep_until(at).await;
            timer
        }
        None => std::future::pending().await,
    }
}

async fn until(moment: Option<Instant>) {
    match moment {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}
