use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use jiff::SignedDuration;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::*;

/// Jobs that tick at times of the paused clock, and take a while.
struct Fake {
    began: Instant,
    /// When each job is due, and how long it then takes.
    due: Mutex<BTreeMap<&'static str, (Duration, Duration)>>,
    every: Duration,
    queued: Mutex<Vec<&'static str>>,
    /// When each job was started, in milliseconds.
    started: Arc<Mutex<Vec<(&'static str, u128)>>>,
    running: Arc<AtomicUsize>,
    most_at_once: Arc<AtomicUsize>,
    runs_max: usize,
    failures: AtomicUsize,
    changed: Notify,
}

impl Fake {
    fn new(runs_max: usize, jobs: &[(&'static str, u64, u64)]) -> Self {
        let due = jobs.iter().map(|(name, at, takes)| {
            (*name, (Duration::from_millis(*at), Duration::from_millis(*takes)))
        });
        Self {
            began: Instant::now(),
            due: Mutex::new(due.collect()),
            every: Duration::from_secs(2),
            queued: Mutex::default(),
            started: Arc::default(),
            running: Arc::default(),
            most_at_once: Arc::default(),
            runs_max,
            failures: AtomicUsize::new(0),
            changed: Notify::new(),
        }
    }

    fn starts(&self, name: &str) -> Vec<u128> {
        let started = self.started.lock().expect("a lock");
        started.iter().filter(|(job, _)| *job == name).map(|(_, at)| *at).collect()
    }
}

#[async_trait]
impl Agenda for Fake {
    fn now(&self) -> Timestamp {
        let passed = SignedDuration::try_from(self.began.elapsed()).expect("a duration");
        Timestamp::UNIX_EPOCH + passed
    }

    fn runs_max(&self) -> usize {
        self.runs_max
    }

    async fn take_due(&self) -> Result<(), StoreError> {
        if self.failures.load(Ordering::Relaxed) > 0 {
            self.failures.fetch_sub(1, Ordering::Relaxed);
            return Err(StoreError::Overloaded);
        }
        let now = self.began.elapsed();
        for (name, (at, _)) in self.due.lock().expect("a lock").iter_mut() {
            if *at <= now {
                *at += self.every;
                self.queued.lock().expect("a lock").push(name);
            }
        }
        Ok(())
    }

    async fn start(&self, most: usize) -> Result<Vec<Run>, StoreError> {
        let mut queued = self.queued.lock().expect("a lock");
        let count = most.min(queued.len());
        let due = self.due.lock().expect("a lock");
        let runs = queued.drain(..count).map(|name| {
            self.started.lock().expect("a lock").push((name, self.began.elapsed().as_millis()));
            let takes = due[name].1;
            let (running, most) = (Arc::clone(&self.running), Arc::clone(&self.most_at_once));
            let run: Run = Box::pin(async move {
                let now = running.fetch_add(1, Ordering::Relaxed) + 1;
                most.fetch_max(now, Ordering::Relaxed);
                tokio::time::sleep(takes).await;
                running.fetch_sub(1, Ordering::Relaxed);
            });
            run
        });
        Ok(runs.collect())
    }

    async fn next_at(&self) -> Result<Option<Timestamp>, StoreError> {
        let due = self.due.lock().expect("a lock");
        let next =
            due.values().map(|(at, _)| *at).min().map(|at| {
                Timestamp::UNIX_EPOCH + SignedDuration::try_from(at).expect("a duration")
            });
        Ok(next)
    }

    async fn changed(&self) {
        self.changed.notified().await;
    }
}

/// Runs the loop for a while of the paused clock, and stops it.
async fn run_for(agenda: &Fake, time: Duration) {
    let stop = CancellationToken::new();
    tokio::join!(run(agenda, &stop), async {
        tokio::time::sleep(time).await;
        stop.cancel();
    });
}

#[tokio::test(start_paused = true)]
async fn one_long_run_delays_no_other_schedule() {
    let agenda = Fake::new(10, &[("long", 0, 15_000), ("short", 0, 10)]);
    run_for(&agenda, Duration::from_millis(9_900)).await;
    assert_eq!(agenda.starts("short"), [0, 2_000, 4_000, 6_000, 8_000]);
}

#[tokio::test(start_paused = true)]
async fn no_more_runs_go_on_than_may_and_the_others_follow() {
    let jobs = [("a", 0, 700), ("b", 0, 700), ("c", 0, 700), ("d", 0, 700)];
    let agenda = Fake::new(2, &jobs);
    run_for(&agenda, Duration::from_millis(1_900)).await;
    assert_eq!(agenda.most_at_once.load(Ordering::Relaxed), 2);
    let starts = ["a", "b", "c", "d"].map(|name| agenda.starts(name));
    assert_eq!(starts, [vec![0], vec![0], vec![700], vec![700]]);
}

#[tokio::test(start_paused = true)]
async fn a_database_that_fails_is_tried_again() {
    let agenda = Fake::new(10, &[("a", 0, 10)]);
    agenda.failures.store(3, Ordering::Relaxed);
    run_for(&agenda, Duration::from_millis(3_900)).await;
    assert_eq!(agenda.starts("a").first(), Some(&3_000));
}

#[tokio::test(start_paused = true)]
async fn stopping_waits_for_runs_that_end_in_time_and_ends_the_others() {
    let agenda = Fake::new(10, &[("ends", 0, 3_000), ("never", 0, 3_600_000)]);
    let began = Instant::now();
    run_for(&agenda, Duration::from_millis(500)).await;
    assert_eq!(began.elapsed(), Duration::from_millis(500) + STOP_GRACE);
    assert_eq!(
        agenda.running.load(Ordering::Relaxed),
        1,
        "what had to be ended never counted down"
    );
}
