//! What each event does in each phase.

use std::time::Duration;

use tinybase_model::LifecyclePolicy;

use super::{
    DEPARTURE_GRACE, DRAIN_SLACK, Effect, Health, Intent, Lifecycle, Moment, Phase, Run,
    START_SLACK, Stage, Timer, Trouble,
};
use crate::failure::{Exit, Failure, HandshakeFault};

impl Lifecycle {
    pub(super) fn start_requested(&mut self, policy: LifecyclePolicy) -> Vec<Effect> {
        self.policy = policy;
        match &mut self.phase {
            Phase::Stopped | Phase::BackingOff { .. } | Phase::Quarantined { .. } => {
                self.restarts.forgive();
                self.spawn()
            }
            Phase::Spawning { intent: Some(intent), .. } | Phase::Ending { intent, .. } => {
                *intent = Intent::Restart;
                Vec::new()
            }
            Phase::Spawning { intent: None, .. } | Phase::Starting { .. } | Phase::Ready { .. } => {
                Vec::new()
            }
        }
    }

    pub(super) fn restart_requested(&mut self) -> Vec<Effect> {
        match &mut self.phase {
            Phase::Stopped | Phase::BackingOff { .. } | Phase::Quarantined { .. } => {
                self.restarts.forgive();
                self.restarts.count_requested();
                self.spawn()
            }
            Phase::Spawning { intent, .. } => {
                *intent = Some(Intent::Restart);
                Vec::new()
            }
            Phase::Ending { intent, .. } => {
                *intent = Intent::Restart;
                Vec::new()
            }
            Phase::Starting { run, .. } => {
                let run = *run;
                self.terminate(run, Intent::Restart)
            }
            Phase::Ready { run, .. } => {
                let run = *run;
                self.drain(run, Intent::Restart)
            }
        }
    }

    pub(super) fn stop_requested(&mut self) -> Vec<Effect> {
        match &mut self.phase {
            Phase::Stopped => Vec::new(),
            Phase::BackingOff { .. } | Phase::Quarantined { .. } => {
                self.phase = Phase::Stopped;
                Vec::new()
            }
            Phase::Spawning { intent, .. } => {
                *intent = Some(Intent::Stop);
                Vec::new()
            }
            Phase::Ending { intent, .. } => {
                *intent = Intent::Stop;
                Vec::new()
            }
            Phase::Starting { run, .. } => {
                let run = *run;
                self.terminate(run, Intent::Stop)
            }
            Phase::Ready { run, .. } => {
                let run = *run;
                self.drain(run, Intent::Stop)
            }
        }
    }

    pub(super) fn spawned(&mut self, spawned: Run) -> Vec<Effect> {
        let Phase::Spawning { run, intent } = &mut self.phase else { return Vec::new() };
        if *run != spawned {
            return Vec::new();
        }
        if let Some(intent) = intent.take() {
            return self.terminate(spawned, intent);
        }
        let timer = Timer(self.next_number());
        self.phase = Phase::Starting { run: spawned, timer };
        vec![Effect::SetTimer(timer, self.policy.start_timeout.saturating_add(START_SLACK))]
    }

    pub(super) fn spawn_failed(&mut self, failed: Run, why: String, moment: Moment) -> Vec<Effect> {
        let Phase::Spawning { run, intent } = &mut self.phase else { return Vec::new() };
        if *run != failed {
            return Vec::new();
        }
        let intent = intent.take().unwrap_or(Intent::Recover(Failure::NotStarted(why)));
        self.conclude(intent, moment)
    }

    pub(super) fn session_ready(&mut self, ready: Run, moment: Moment) -> Vec<Effect> {
        if matches!(self.phase, Phase::Starting { run, .. } if run == ready) {
            self.phase = Phase::Ready { run: ready, since: moment.now, trouble: None };
        }
        Vec::new()
    }

    pub(super) fn handshake_failed(&mut self, failed: Run, fault: HandshakeFault) -> Vec<Effect> {
        if !matches!(self.phase, Phase::Starting { run, .. } if run == failed) {
            return Vec::new();
        }
        let failure = match fault {
            HandshakeFault::Refused(message) => Failure::Refused { message, exit: None },
            HandshakeFault::Left(message) => Failure::Left { message, exit: None },
            HandshakeFault::TimedOut(stage) => {
                let limit = self.policy.start_timeout;
                let failure = Failure::NotReadyAfter { limit, stage: Some(stage) };
                return self.terminate(failed, Intent::Recover(failure));
            }
        };
        self.await_departure(failed, Intent::Recover(failure))
    }

    pub(super) fn session_closed(
        &mut self,
        closed: Run,
        why: Option<String>,
        moment: Moment,
    ) -> Vec<Effect> {
        if matches!(self.phase, Phase::Ready { run, .. } if run == closed) {
            self.leave_ready(moment);
            let intent = Intent::Recover(Failure::SessionLost(why));
            return self.await_departure(closed, intent);
        }
        Vec::new()
    }

    pub(super) fn health_checked(
        &mut self,
        checked: Run,
        health: Health,
        moment: Moment,
    ) -> Vec<Effect> {
        let Phase::Ready { run, trouble, .. } = &mut self.phase else { return Vec::new() };
        if *run != checked {
            return Vec::new();
        }
        let limits = self.health;
        *trouble = match (health.silence, health.all_held, *trouble) {
            (Some(silence), _, _) if silence > limits.silence_max / 2 => {
                Some(Trouble::Silent(silence))
            }
            (_, true, Some(Trouble::Held { since })) => Some(Trouble::Held { since }),
            (_, true, None | Some(Trouble::Silent(_))) => Some(Trouble::Held { since: moment.now }),
            (_, false, _) => None,
        };
        let failure = match *trouble {
            Some(Trouble::Silent(silence)) if silence > limits.silence_max => {
                Failure::Unresponsive(silence)
            }
            Some(Trouble::Held { since }) if moment.now.saturating_sub(since) > limits.held_max => {
                Failure::Hung(moment.now.saturating_sub(since))
            }
            Some(Trouble::Silent(_) | Trouble::Held { .. }) | None => return Vec::new(),
        };
        self.leave_ready(moment);
        self.terminate(checked, Intent::Recover(failure))
    }

    pub(super) fn drained(&mut self, drained: Run) -> Vec<Effect> {
        let Phase::Ending { run, stage: stage @ Stage::Draining, timer, .. } = &mut self.phase
        else {
            return Vec::new();
        };
        if *run != drained {
            return Vec::new();
        }
        self.numbers += 1;
        *stage = Stage::Departing;
        *timer = Timer(self.numbers);
        vec![Effect::SetTimer(*timer, DEPARTURE_GRACE)]
    }

    pub(super) fn exited(&mut self, exited: Run, exit: Exit, moment: Moment) -> Vec<Effect> {
        let intent = match &self.phase {
            Phase::Starting { run, .. } if *run == exited => {
                Intent::Recover(Failure::EndedBeforeHello(exit))
            }
            Phase::Ready { run, .. } if *run == exited => {
                self.leave_ready(moment);
                Intent::Recover(Failure::Ended(exit))
            }
            Phase::Ending { run, intent, stage, .. } if *run == exited => {
                match (intent.clone(), stage) {
                    (Intent::Recover(failure), Stage::Departing) => {
                        Intent::Recover(failure.with_exit(exit))
                    }
                    (
                        intent @ (Intent::Recover(_) | Intent::Restart | Intent::Stop),
                        Stage::Draining | Stage::Departing | Stage::Terminating | Stage::Killing,
                    ) => intent,
                }
            }
            Phase::Stopped
            | Phase::Spawning { .. }
            | Phase::Starting { .. }
            | Phase::Ready { .. }
            | Phase::Ending { .. }
            | Phase::BackingOff { .. }
            | Phase::Quarantined { .. } => return Vec::new(),
        };
        self.conclude(intent, moment)
    }

    pub(super) fn timer_fired(&mut self, fired: Timer) -> Vec<Effect> {
        match &self.phase {
            Phase::Starting { run, timer } if *timer == fired => {
                let limit = self.policy.start_timeout;
                let failure = Failure::NotReadyAfter { limit, stage: None };
                self.terminate(*run, Intent::Recover(failure))
            }
            Phase::Ending { run, intent, stage, timer } if *timer == fired => match stage {
                Stage::Draining | Stage::Departing => self.terminate(*run, intent.clone()),
                Stage::Terminating => self.kill(*run, intent.clone()),
                Stage::Killing => Vec::new(),
            },
            Phase::BackingOff { timer, .. } if *timer == fired => self.spawn(),
            Phase::Stopped
            | Phase::Spawning { .. }
            | Phase::Starting { .. }
            | Phase::Ready { .. }
            | Phase::Ending { .. }
            | Phase::BackingOff { .. }
            | Phase::Quarantined { .. } => Vec::new(),
        }
    }

    fn spawn(&mut self) -> Vec<Effect> {
        let run = Run(self.next_number());
        self.phase = Phase::Spawning { run, intent: None };
        vec![Effect::Spawn(run)]
    }

    fn drain(&mut self, run: Run, intent: Intent) -> Vec<Effect> {
        let grace = self.policy.drain_grace;
        let set_timer = self.end(run, intent, Stage::Draining, grace.saturating_add(DRAIN_SLACK));
        vec![Effect::Drain(run, grace), set_timer]
    }

    fn await_departure(&mut self, run: Run, intent: Intent) -> Vec<Effect> {
        vec![self.end(run, intent, Stage::Departing, DEPARTURE_GRACE)]
    }

    fn terminate(&mut self, run: Run, intent: Intent) -> Vec<Effect> {
        let set_timer = self.end(run, intent, Stage::Terminating, self.policy.term_grace);
        vec![Effect::Terminate(run), set_timer]
    }

    /// Nothing is left to be done after SIGKILL but to wait for the end, so no timer is set.
    fn kill(&mut self, run: Run, intent: Intent) -> Vec<Effect> {
        let timer = Timer(self.next_number());
        self.phase = Phase::Ending { run, intent, stage: Stage::Killing, timer };
        vec![Effect::Kill(run)]
    }

    fn end(&mut self, run: Run, intent: Intent, stage: Stage, limit: Duration) -> Effect {
        let timer = Timer(self.next_number());
        self.phase = Phase::Ending { run, intent, stage, timer };
        Effect::SetTimer(timer, limit)
    }

    /// A process that served for long enough has earned a short delay.
    fn leave_ready(&mut self, moment: Moment) {
        if let Phase::Ready { since, .. } = self.phase
            && moment.now.saturating_sub(since) >= self.policy.backoff_reset
        {
            self.restarts.reset_delay();
        }
    }

    /// There is no process any more.
    fn conclude(&mut self, intent: Intent, moment: Moment) -> Vec<Effect> {
        match intent {
            Intent::Stop => {
                self.phase = Phase::Stopped;
                Vec::new()
            }
            Intent::Restart => {
                self.restarts.forgive();
                self.restarts.count_requested();
                self.spawn()
            }
            Intent::Recover(failure) => self.recover(failure, moment),
        }
    }

    fn recover(&mut self, failure: Failure, moment: Moment) -> Vec<Effect> {
        let report = Effect::Report(failure.clone());
        match self.restarts.next_delay(&self.policy, moment.now, moment.jitter) {
            None => {
                self.phase = Phase::Quarantined { failure };
                vec![report]
            }
            Some(delay) => {
                let timer = Timer(self.next_number());
                self.phase = Phase::BackingOff { timer, delay, failure };
                vec![report, Effect::SetTimer(timer, delay)]
            }
        }
    }
}
