//! The life of one extension as a pure machine: what happens next, and what is to be done for it.
//!
//! It knows no process, clock or randomness. The owner task ([`crate::owner`]) tells it what
//! happened and carries out the effects. Whatever belongs to a former process or timer carries an
//! old number and changes nothing.

mod backoff;
#[cfg(test)]
mod tests;
mod transition;

use std::time::Duration;

use tinybase_model::{ExtensionState, LifecyclePolicy};

pub(crate) use self::backoff::Jitter;
use self::backoff::Restarts;
use crate::failure::{Exit, Failure, HandshakeFault, Span};

/// How long a process whose session is over may take to exit by itself before SIGTERM.
pub(crate) const DEPARTURE_GRACE: Duration = Duration::from_secs(1);
/// How much longer than the start timeout a handshake may take before it is given up: startup
/// hooks get their time even if the process was late.
pub(crate) const START_SLACK: Duration = Duration::from_secs(2);
/// How much longer than its grace a drain may take before it is given up.
pub(crate) const DRAIN_SLACK: Duration = Duration::from_secs(1);

/// Names one process of the extension, counted from the server's start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Run(u64);

/// Names one timer. A later timer replaces it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Timer(u64);

/// When a session counts as wedged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HealthPolicy {
    /// How often sessions are looked at.
    pub check_interval: Duration,
    /// How long a session with heartbeats may be silent.
    pub silence_max: Duration,
    /// How long all slots may be held past their deadlines. One slow call must never reach it.
    pub held_max: Duration,
}

impl Default for HealthPolicy {
    fn default() -> Self {
        Self {
            check_interval: Duration::from_millis(500),
            silence_max: Duration::from_secs(10),
            held_max: Duration::from_secs(30),
        }
    }
}

/// When something happens, and the dice for it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment {
    /// The time since the owner began.
    pub(crate) now: Duration,
    /// The randomness.
    pub(crate) jitter: Jitter,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event {
    /// Somebody wants it to run.
    StartRequested(LifecyclePolicy),
    /// Somebody wants it to run in a new process.
    RestartRequested,
    /// Somebody wants it not to run.
    StopRequested,
    /// The process exists.
    Spawned(Run),
    /// There is no process.
    SpawnFailed(Run, String),
    /// The handshake is done.
    SessionReady(Run),
    /// The handshake came to nothing.
    HandshakeFailed(Run, HandshakeFault),
    /// The session is over.
    SessionClosed(Run, Option<String>),
    /// The session was looked at.
    HealthChecked(Run, Health),
    /// Draining is over.
    Drained(Run),
    /// The process has ended and was reaped.
    Exited(Run, Exit),
    /// A timer ran out.
    TimerFired(Timer),
}

/// What a look at a session showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Health {
    /// For how long nothing was heard of it; none if it doesn't send heartbeats.
    pub(crate) silence: Option<Duration>,
    /// Whether all of its slots are held by work whose deadline has passed.
    pub(crate) all_held: bool,
}

/// What has to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Start a process and shake hands with it.
    Spawn(Run),
    /// Let the session end what it has begun.
    Drain(Run, Duration),
    /// Send SIGTERM to the process group.
    Terminate(Run),
    /// Send SIGKILL to the process group.
    Kill(Run),
    /// Start a timer in place of any other.
    SetTimer(Timer, Duration),
    /// Write a crash report. The process is gone.
    Report(Failure),
}

/// What is to come once a process is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Intent {
    /// Nothing: it was stopped.
    Stop,
    /// The next process, at once.
    Restart,
    /// The next process after a while, or quarantine.
    Recover(Failure),
}

/// How far the end of a process has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// It ends what it has begun.
    Draining,
    /// Its session is over and it may exit by itself.
    Departing,
    /// It was sent SIGTERM.
    Terminating,
    /// It was sent SIGKILL.
    Killing,
}

/// What is odd about a process in service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trouble {
    Silent(Duration),
    Held { since: Duration },
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Phase {
    Stopped,
    Spawning { run: Run, intent: Option<Intent> },
    Starting { run: Run, timer: Timer },
    Ready { run: Run, since: Duration, trouble: Option<Trouble> },
    Ending { run: Run, intent: Intent, stage: Stage, timer: Timer },
    BackingOff { timer: Timer, delay: Duration, failure: Failure },
    Quarantined { failure: Failure },
}

/// The state of one extension.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Lifecycle {
    policy: LifecyclePolicy,
    health: HealthPolicy,
    phase: Phase,
    restarts: Restarts,
    numbers: u64,
}

impl Lifecycle {
    /// An extension that was never started.
    pub(crate) fn new(policy: LifecyclePolicy, health: HealthPolicy) -> Self {
        Self { policy, health, phase: Phase::Stopped, restarts: Restarts::default(), numbers: 0 }
    }

    /// Takes what happened; gives the next state and what has to be done, in order.
    pub(crate) fn step(mut self, event: Event, moment: Moment) -> (Self, Vec<Effect>) {
        let effects = match event {
            Event::StartRequested(policy) => self.start_requested(policy),
            Event::RestartRequested => self.restart_requested(),
            Event::StopRequested => self.stop_requested(),
            Event::Spawned(run) => self.spawned(run),
            Event::SpawnFailed(run, why) => self.spawn_failed(run, why, moment),
            Event::SessionReady(run) => self.session_ready(run, moment),
            Event::HandshakeFailed(run, fault) => self.handshake_failed(run, fault),
            Event::SessionClosed(run, why) => self.session_closed(run, why, moment),
            Event::HealthChecked(run, health) => self.health_checked(run, health, moment),
            Event::Drained(run) => self.drained(run),
            Event::Exited(run, exit) => self.exited(run, exit, moment),
            Event::TimerFired(timer) => self.timer_fired(timer),
        };
        (self, effects)
    }

    /// The state that people see.
    pub(crate) fn state(&self) -> ExtensionState {
        match &self.phase {
            Phase::Stopped => ExtensionState::Stopped,
            Phase::Spawning { intent: None | Some(Intent::Restart), .. }
            | Phase::Starting { .. } => ExtensionState::Starting,
            Phase::Ready { trouble: None, .. } => ExtensionState::Ready,
            Phase::Ready { trouble: Some(_), .. } => ExtensionState::Degraded,
            Phase::Spawning { intent: Some(_), .. }
            | Phase::Ending { intent: Intent::Stop | Intent::Restart, .. } => {
                ExtensionState::Draining
            }
            Phase::Ending { intent: Intent::Recover(_), .. } | Phase::BackingOff { .. } => {
                ExtensionState::BackingOff
            }
            Phase::Quarantined { .. } => ExtensionState::Quarantined,
        }
    }

    /// Whether invocations may go to its session.
    pub(crate) fn takes_work(&self) -> bool {
        matches!(self.phase, Phase::Ready { .. })
    }

    /// Whether nothing runs and nothing will, until somebody asks for it.
    pub(crate) fn is_at_rest(&self) -> bool {
        matches!(self.phase, Phase::Stopped | Phase::Quarantined { .. })
    }

    /// The longest that a stop may take, from any phase, unless the kernel holds the process.
    pub(crate) fn stop_limit(&self) -> Duration {
        let LifecyclePolicy { drain_grace, term_grace, .. } = self.policy;
        drain_grace
            .saturating_add(DRAIN_SLACK)
            .saturating_add(DEPARTURE_GRACE)
            .saturating_add(term_grace)
    }

    /// How often it was started again.
    pub(crate) fn restarts(&self) -> u32 {
        self.restarts.total()
    }

    /// Why it is in its state, in a sentence; none when all is well. `crash` is what is known of
    /// the last failure.
    pub(crate) fn reason(&self, crash: Option<&str>) -> Option<String> {
        let told = |failure: &Failure| crash.map_or_else(|| failure.to_string(), str::to_owned);
        match &self.phase {
            Phase::Stopped
            | Phase::Spawning { .. }
            | Phase::Starting { .. }
            | Phase::Ready { trouble: None, .. }
            | Phase::Ending { intent: Intent::Stop | Intent::Restart, .. } => None,
            Phase::Ready { trouble: Some(Trouble::Silent(_)), .. } => {
                let limit = Span(self.health.silence_max / 2);
                Some(format!("has not answered heartbeats for more than {limit}"))
            }
            Phase::Ready { trouble: Some(Trouble::Held { .. }), .. } => {
                Some("all of its slots are held past their deadlines".to_owned())
            }
            Phase::Ending { intent: Intent::Recover(failure), .. } => Some(failure.to_string()),
            Phase::BackingOff { failure, delay, .. } => {
                Some(format!("{}; starts again after {}", told(failure), Span(*delay)))
            }
            Phase::Quarantined { failure } => Some(format!(
                "{}; not started again, as it failed more than {} times within {}",
                told(failure),
                self.policy.restarts_max,
                Span(self.policy.restart_window)
            )),
        }
    }

    fn next_number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }
}
