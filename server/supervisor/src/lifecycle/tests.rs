//! Claims about the machine, checked against worlds that behave in every order that is possible.

use std::time::Duration;

use proptest::prelude::*;
use tinybase_model::{ExtensionState, LifecyclePolicy};

use super::{Effect, Event, Health, HealthPolicy, Jitter, Lifecycle, Moment, Phase, Run, Timer};
use crate::failure::{Exit, Failure, HandshakeFault};

const POLICY: LifecyclePolicy = LifecyclePolicy {
    start_timeout: Duration::from_secs(30),
    drain_grace: Duration::from_secs(5),
    term_grace: Duration::from_secs(2),
    backoff_min: Duration::from_millis(100),
    backoff_max: Duration::from_secs(30),
    backoff_reset: Duration::from_mins(1),
    restarts_max: 5,
    restart_window: Duration::from_mins(5),
};

/// The outside of a machine: at most one process, at most one timer, and a clock.
struct World {
    machine: Lifecycle,
    now: Duration,
    process: Option<Run>,
    spawning: Option<Run>,
    timer: Option<(Timer, Duration)>,
    spent_timers: Vec<Timer>,
    past_runs: Vec<Run>,
    killed: bool,
    effects: Vec<Effect>,
}

/// What the outside does next. Numbers choose among what is possible.
#[derive(Debug, Clone)]
enum Move {
    Start,
    Stop,
    Restart,
    Spawned(bool),
    Ready,
    Handshake(u8),
    Close,
    Health { silence: Option<u64>, all_held: bool },
    Drained,
    Exit(i32),
    Wait(u64),
    Stale(u8),
}

fn moves() -> impl Strategy<Value = Move> {
    prop_oneof![
        2 => Just(Move::Start),
        1 => Just(Move::Stop),
        1 => Just(Move::Restart),
        8 => any::<bool>().prop_map(Move::Spawned),
        6 => Just(Move::Ready),
        2 => any::<u8>().prop_map(Move::Handshake),
        2 => Just(Move::Close),
        2 => (prop::option::of(0..20_u64), any::<bool>())
            .prop_map(|(silence, all_held)| Move::Health { silence, all_held }),
        2 => Just(Move::Drained),
        5 => (0..4_i32).prop_map(Move::Exit),
        8 => (0..90_000_u64).prop_map(Move::Wait),
        3 => any::<u8>().prop_map(Move::Stale),
    ]
}

impl World {
    fn new() -> Self {
        Self {
            machine: Lifecycle::new(POLICY, HealthPolicy::default()),
            now: Duration::ZERO,
            process: None,
            spawning: None,
            timer: None,
            spent_timers: Vec::new(),
            past_runs: Vec::new(),
            killed: false,
            effects: Vec::new(),
        }
    }

    fn step(&mut self, event: Event, bits: u32) {
        let at_rest = self.machine.is_at_rest();
        let asked = matches!(event, Event::StartRequested(_) | Event::RestartRequested);
        let moment = Moment { now: self.now, jitter: Jitter::new(bits) };
        let (machine, effects) = self.machine.clone().step(event, moment);
        if at_rest && !asked {
            assert_eq!(effects, [], "nothing is done for an extension at rest");
        }
        self.machine = machine;
        for effect in effects {
            self.carry_out(&effect);
            self.effects.push(effect);
        }
    }

    fn carry_out(&mut self, effect: &Effect) {
        match effect {
            Effect::Spawn(run) => {
                assert_eq!(self.process, None, "the former process must have been reaped");
                assert_eq!(self.spawning, None, "only one process at a time");
                assert!(!self.past_runs.contains(run), "a number names one process only");
                self.spawning = Some(*run);
            }
            Effect::Drain(run, _) | Effect::Terminate(run) => {
                assert_eq!(self.process, Some(*run), "only a process that is there is ended");
            }
            Effect::Kill(run) => {
                assert_eq!(self.process, Some(*run), "only a process that is there is ended");
                self.killed = true;
            }
            Effect::SetTimer(timer, after) => {
                self.spent_timers.extend(self.timer.take().map(|(timer, _)| timer));
                self.timer = Some((*timer, self.now + *after));
            }
            Effect::Report(_) => assert_eq!(self.process, None, "a report comes after the end"),
        }
    }

    fn apply(&mut self, next: &Move, bits: u32) {
        match next {
            Move::Start => self.step(Event::StartRequested(POLICY), bits),
            Move::Stop => self.step(Event::StopRequested, bits),
            Move::Restart => self.step(Event::RestartRequested, bits),
            Move::Spawned(true) => self.spawned(bits),
            Move::Spawned(false) => {
                if let Some(run) = self.spawning.take() {
                    self.past_runs.push(run);
                    self.step(Event::SpawnFailed(run, "not found".to_owned()), bits);
                }
            }
            Move::Ready => self.about_process(Event::SessionReady, bits),
            Move::Handshake(kind) => self.about_process(|run| handshake(run, *kind), bits),
            Move::Close => self.about_process(|run| Event::SessionClosed(run, None), bits),
            Move::Health { silence, all_held } => {
                let silence = silence.map(Duration::from_secs);
                let health = Health { silence, all_held: *all_held };
                self.about_process(|run| Event::HealthChecked(run, health), bits);
            }
            Move::Drained => self.about_process(Event::Drained, bits),
            Move::Exit(code) => self.exit(*code, bits),
            Move::Wait(millis) => self.wait(Duration::from_millis(*millis), bits),
            Move::Stale(kind) => self.stale(*kind, bits),
        }
    }

    fn spawned(&mut self, bits: u32) {
        if let Some(run) = self.spawning.take() {
            self.process = Some(run);
            self.killed = false;
            self.step(Event::Spawned(run), bits);
        }
    }

    fn about_process(&mut self, event: impl FnOnce(Run) -> Event, bits: u32) {
        if let Some(run) = self.process {
            self.step(event(run), bits);
        }
    }

    fn exit(&mut self, code: i32, bits: u32) {
        if let Some(run) = self.process.take() {
            self.past_runs.push(run);
            self.step(Event::Exited(run, Exit::Code(code)), bits);
        }
    }

    fn wait(&mut self, time: Duration, bits: u32) {
        let until = self.now + time;
        match self.timer {
            Some((timer, at)) if at <= until => {
                self.now = at;
                self.timer = None;
                self.spent_timers.push(timer);
                self.step(Event::TimerFired(timer), bits);
            }
            _ => self.now = until,
        }
    }

    /// Lets time pass, and every timer that falls into it fire.
    fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        while self.now < until {
            self.wait(until.saturating_sub(self.now), 0);
        }
    }

    /// What belongs to a former process or timer changes nothing and has no effect.
    fn stale(&mut self, kind: u8, bits: u32) {
        let (before, effects) = (self.machine.clone(), self.effects.len());
        if let Some(run) = self.past_runs.last().copied() {
            self.step(
                match kind % 6 {
                    0 => Event::Exited(run, Exit::Unknown),
                    1 => Event::SessionReady(run),
                    2 => Event::SessionClosed(run, None),
                    3 => Event::Drained(run),
                    4 => Event::Spawned(run),
                    _ => handshake(run, kind),
                },
                bits,
            );
        }
        if let Some(timer) = self.spent_timers.last().copied() {
            self.step(Event::TimerFired(timer), bits);
        }
        assert_eq!(self.machine, before);
        assert_eq!(self.effects.len(), effects);
    }
}

fn handshake(run: Run, kind: u8) -> Event {
    let text = "because".to_owned();
    let fault = match kind % 3 {
        0 => HandshakeFault::Refused(text),
        1 => HandshakeFault::Left(text),
        _ => HandshakeFault::TimedOut(text),
    };
    Event::HandshakeFailed(run, fault)
}

fn played(moves: &[(Move, u32)]) -> World {
    let mut world = World::new();
    for (next, bits) in moves {
        world.apply(next, *bits);
    }
    world
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// The world's own assertions: one process at a time, reaped before the next; only a process
    /// that is there is signalled; nothing happens at rest; what is stale is ignored.
    #[test]
    fn one_process_at_a_time_whatever_happens(moves in prop::collection::vec((moves(), any::<u32>()), 0..120)) {
        let world = played(&moves);
        prop_assert_eq!(
            world.machine.takes_work(),
            matches!(world.machine.phase, Phase::Ready { .. })
        );
        if world.process.is_some() {
            prop_assert!(!world.machine.is_at_rest(), "a process without anybody who watches it");
        }
    }

    /// A stop ends in `Stopped` within its bound, even if the process ignores everything but
    /// SIGKILL.
    #[test]
    fn a_stop_always_ends(
        moves in prop::collection::vec((moves(), any::<u32>()), 0..80),
        spawns in any::<bool>(),
    ) {
        let mut world = played(&moves);
        world.apply(&Move::Stop, 0);
        world.apply(&Move::Spawned(spawns), 0);
        let begun = world.now;
        for _ in 0..8 {
            if world.killed {
                world.exit(0, 0);
            } else if world.process.is_some() {
                world.wait(Duration::from_hours(1), 0);
            }
        }
        prop_assert_eq!(world.machine.state(), ExtensionState::Stopped);
        prop_assert_eq!(world.process, None);
        prop_assert!(world.now.saturating_sub(begun) <= world.machine.stop_limit() + POLICY.start_timeout);
    }

    /// However a process fails, the delay before the next is within its bounds, and there are no
    /// more restarts in the window than allowed.
    #[test]
    fn failures_are_bounded(codes in prop::collection::vec((0..3_i32, any::<u32>(), 0..70_000_u64), 1..60)) {
        let mut world = World::new();
        world.apply(&Move::Start, 0);
        let mut restarted_at: Vec<Duration> = Vec::new();
        for (code, bits, served) in codes {
            world.apply(&Move::Spawned(true), bits);
            world.apply(&Move::Ready, bits);
            world.pass(Duration::from_millis(served));
            world.apply(&Move::Exit(code), bits);
            match &world.machine.phase {
                Phase::BackingOff { delay, .. } => {
                    prop_assert!(*delay >= POLICY.backoff_min / 2 && *delay <= POLICY.backoff_max);
                    restarted_at.push(world.now);
                    let delay = *delay;
                    world.wait(delay, bits);
                }
                Phase::Quarantined { failure } => {
                    prop_assert_eq!(failure, &Failure::Ended(Exit::Code(code)));
                    prop_assert_eq!(recent(&restarted_at, world.now), POLICY.restarts_max);
                    break;
                }
                Phase::Stopped
                | Phase::Spawning { .. }
                | Phase::Starting { .. }
                | Phase::Ready { .. }
                | Phase::Ending { .. } => prop_assert!(false, "a failure leads elsewhere"),
            }
            prop_assert!(recent(&restarted_at, world.now) <= POLICY.restarts_max);
        }
    }
}

/// How many restarts are within the window.
fn recent(restarts: &[Duration], now: Duration) -> u32 {
    let within = |at: &&Duration| now.saturating_sub(**at) <= POLICY.restart_window;
    u32::try_from(restarts.iter().filter(within).count()).expect("few")
}

fn ready() -> World {
    played(&[(Move::Start, 0), (Move::Spawned(true), 0), (Move::Ready, 0)])
}

fn fail_until_at_rest(world: &mut World) -> Vec<Duration> {
    let mut delays = Vec::new();
    while !world.machine.is_at_rest() {
        world.apply(&Move::Spawned(true), u32::MAX);
        world.apply(&Move::Exit(3), u32::MAX);
        if let Phase::BackingOff { delay, .. } = world.machine.phase {
            delays.push(delay);
            world.wait(delay, u32::MAX);
        }
    }
    delays
}

#[test]
fn delays_double_until_the_extension_is_quarantined() {
    let mut world = World::new();
    world.apply(&Move::Start, 0);
    let delays = fail_until_at_rest(&mut world);
    assert_eq!(delays, [100, 200, 400, 800, 1_600].map(Duration::from_millis));
    assert_eq!(world.machine.state(), ExtensionState::Quarantined);
    let reason = world.machine.reason(None).expect("a reason");
    assert_eq!(
        reason,
        "exited with status 3 before it said Hello; \
         not started again, as it failed more than 5 times within 5 min"
    );
}

#[test]
fn an_operators_start_clears_the_quarantine_and_the_count() {
    let mut world = World::new();
    world.apply(&Move::Start, 0);
    fail_until_at_rest(&mut world);
    world.apply(&Move::Start, 0);
    assert_eq!(world.machine.state(), ExtensionState::Starting);
    assert_eq!(fail_until_at_rest(&mut world).len(), 5);
}

#[test]
fn a_minute_of_service_starts_the_delay_over() {
    let mut world = ready();
    world.apply(&Move::Exit(1), u32::MAX);
    world.wait(Duration::from_secs(1), 0);
    world.apply(&Move::Spawned(true), 0);
    world.apply(&Move::Ready, 0);
    world.pass(POLICY.backoff_reset);
    world.apply(&Move::Exit(1), u32::MAX);
    let Phase::BackingOff { delay, .. } = world.machine.phase else { panic!("not backing off") };
    assert_eq!(delay, POLICY.backoff_min);
}

#[test]
fn a_slow_start_is_ended_and_says_how_far_it_came() {
    let mut world = played(&[(Move::Start, 0), (Move::Spawned(true), 0)]);
    let Some(run) = world.process else { panic!("no process") };
    let fault = HandshakeFault::TimedOut("it never said Hello".to_owned());
    world.step(Event::HandshakeFailed(run, fault), 0);
    assert_eq!(world.effects.get(2), Some(&Effect::Terminate(run)));
    world.exit(0, 0);
    let reason = world.machine.reason(None).expect("a reason");
    assert!(reason.starts_with("was not ready after 30 s: it never said Hello"), "{reason}");
}

#[test]
fn slow_calls_never_restart_but_slots_held_for_good_do() {
    let mut world = ready();
    let health = |all_held| Move::Health { silence: Some(1), all_held };
    for _ in 0..100 {
        world.apply(&health(true), 0);
        world.pass(HealthPolicy::default().held_max / 2);
        world.apply(&health(false), 0);
    }
    assert_eq!(world.machine.state(), ExtensionState::Ready);
    world.apply(&health(true), 0);
    assert_eq!(world.machine.state(), ExtensionState::Degraded);
    world.pass(HealthPolicy::default().held_max + Duration::from_secs(1));
    world.apply(&health(true), 0);
    let Some(run) = world.process else { panic!("no process") };
    assert!(world.effects.contains(&Effect::Terminate(run)));
}

#[test]
fn silence_degrades_first_and_restarts_later() {
    let mut world = ready();
    world.apply(&Move::Health { silence: Some(6), all_held: false }, 0);
    assert_eq!(world.machine.state(), ExtensionState::Degraded);
    world.apply(&Move::Health { silence: Some(0), all_held: false }, 0);
    assert_eq!(world.machine.state(), ExtensionState::Ready);
    world.apply(&Move::Health { silence: Some(11), all_held: false }, 0);
    assert_eq!(world.machine.state(), ExtensionState::BackingOff);
    assert_eq!(world.machine.reason(None).as_deref(), Some("did not answer heartbeats for 11 s"));
}

#[test]
fn a_stop_goes_from_drain_over_term_to_kill() {
    let mut world = ready();
    let Some(run) = world.process else { panic!("no process") };
    world.effects.clear();
    world.apply(&Move::Stop, 0);
    for _ in 0..3 {
        world.wait(Duration::from_hours(1), 0);
    }
    let orders: Vec<&Effect> =
        world.effects.iter().filter(|effect| !matches!(effect, Effect::SetTimer(..))).collect();
    assert_eq!(
        orders,
        [&Effect::Drain(run, POLICY.drain_grace), &Effect::Terminate(run), &Effect::Kill(run)]
    );
    world.exit(0, 0);
    assert_eq!(world.machine.state(), ExtensionState::Stopped);
}
