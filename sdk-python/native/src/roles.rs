//! Who leads, who stands by, and who waits.
//!
//! The leader drives the connection. When there is work and somebody stands by, it runs handlers
//! itself; meanwhile the connection rests. Whoever stands by looks every [`TICK`] whether the
//! leader is still with the handler of [`LOOKS`] before, and if so leads from then on; the former
//! leader waits in line once its handler ends. A leader that knows a handler to be slow hands
//! over at once. With nobody to stand by, and no thread to be had, the leader only drives.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::task::AtomicWaker;

/// The most threads: all but one of them may be held by handlers.
const THREADS_MAX: usize = 33;
/// How often the leader is looked at while it runs handlers.
const TICK: Duration = Duration::from_millis(2);
/// After so many looks at one handler the leader is replaced. One isn't enough: on a busy machine
/// a thread may go without a turn for as long.
const LOOKS: u32 = 2;
/// After so many looks without work the one who stands by sleeps until there is some.
const IDLE_TICKS: u32 = 25;

/// A term of leadership. Whoever leads has the newest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Term(u64);

/// Why the session is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum End {
    /// The core ended it.
    Ended,
    /// The core ended it and says why.
    Refused(String),
    /// The connection broke.
    Lost(String),
    /// The process is to end.
    Terminated,
}

/// What the leader has to do before it may run handlers.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Cover {
    /// Somebody stands by.
    There,
    /// A thread has to be spawned, which will stand by.
    Spawn,
    /// Nobody can stand by; the leader drives on until somebody is free.
    Nobody,
}

/// The roles of all threads.
#[derive(Debug, Default)]
pub(crate) struct Roles {
    state: Mutex<State>,
    /// Wakes the one who stands by.
    standby: Condvar,
    /// Wakes those who wait.
    line: Condvar,
    /// Wakes whoever waits for the end.
    over: Condvar,
    term: AtomicU64,
    /// Grows with each handler that the leader begins.
    progress: AtomicU64,
    /// Whether the leader is away from the connection.
    away: AtomicBool,
    dozing: AtomicBool,
    /// Wakes a leader that has work and nobody to stand by.
    pub(crate) covered: AtomicWaker,
}

#[derive(Debug, Default)]
struct State {
    threads: usize,
    /// How many threads are to be had, if that is less than [`THREADS_MAX`].
    threads_max: Option<usize>,
    waiting: usize,
    seat: Seat,
    end: Option<End>,
}

/// The place of whoever stands by.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Seat {
    #[default]
    Empty,
    /// Somebody is on the way to it: called from the line, or being spawned.
    Called,
    Taken,
    /// Whoever sits there is to lead.
    Promoted,
}

impl Roles {
    /// The first thread leads.
    pub(crate) fn begin(&self) -> Term {
        self.lock().threads += 1;
        Term(self.term.load(Ordering::Acquire))
    }

    pub(crate) fn leads(&self, term: Term) -> bool {
        self.term.load(Ordering::Acquire) == term.0
    }

    /// The leader is with the connection again, if it still leads.
    pub(crate) fn drives(&self, term: Term) -> bool {
        let _state = self.lock();
        let leads = self.leads(term);
        if leads {
            self.away.store(false, Ordering::Release);
        }
        leads
    }

    /// The leader is about to run handlers.
    pub(crate) fn leaves(&self) {
        self.progress.fetch_add(1, Ordering::Release);
        self.away.store(true, Ordering::SeqCst);
        if self.dozing.load(Ordering::SeqCst) {
            let _state = self.lock();
            self.standby.notify_one();
        }
    }

    /// The leader begins the next handler.
    pub(crate) fn advances(&self) {
        self.progress.fetch_add(1, Ordering::Release);
    }

    /// Whether somebody stands by or could.
    pub(crate) fn may_cover(&self) -> bool {
        let state = self.lock();
        state.seat != Seat::Empty || state.waiting > 0 || state.may_grow()
    }

    /// Sees to it that somebody stands by.
    pub(crate) fn cover(&self) -> Cover {
        let mut state = self.lock();
        if state.seat != Seat::Empty {
            return Cover::There;
        }
        if state.waiting > 0 {
            state.seat = Seat::Called;
            self.line.notify_one();
            return Cover::There;
        }
        if !state.may_grow() {
            return Cover::Nobody;
        }
        state.threads += 1;
        state.seat = Seat::Called;
        Cover::Spawn
    }

    /// A thread that was to stand by couldn't be spawned. True if the leader is all there is.
    pub(crate) fn spawn_failed(&self) -> bool {
        let mut state = self.lock();
        state.threads -= 1;
        state.threads_max = Some(state.threads);
        if state.seat == Seat::Called {
            state.seat = Seat::Empty;
        }
        state.threads == 1
    }

    /// The leader makes whoever stands by the leader. False if there is nobody yet.
    pub(crate) fn hand_over(&self, term: Term) -> bool {
        let mut state = self.lock();
        if !self.leads(term) || state.seat != Seat::Taken {
            return false;
        }
        self.replace();
        state.seat = Seat::Promoted;
        self.standby.notify_one();
        true
    }

    /// Waits in line, then stands by, until it is this thread's turn to lead; none at the end.
    pub(crate) fn wait(&self) -> Option<Term> {
        let mut state = self.lock();
        while matches!(state.seat, Seat::Taken | Seat::Promoted) {
            if state.end.is_some() {
                return None;
            }
            state.waiting += 1;
            state = wait(&self.line, state);
            state.waiting -= 1;
        }
        state.seat = Seat::Taken;
        self.covered.wake();
        self.stand_by(state)
    }

    fn stand_by(&self, mut state: MutexGuard<'_, State>) -> Option<Term> {
        let mut seen = None;
        let mut idle = 0;
        loop {
            if state.end.is_some() {
                return None;
            }
            if state.seat == Seat::Promoted {
                state.seat = Seat::Empty;
                return Some(Term(self.term.load(Ordering::Acquire)));
            }
            let now = (self.term.load(Ordering::Acquire), self.progress.load(Ordering::Acquire));
            idle = if seen == Some(now) { idle + 1 } else { 0 };
            if self.away.load(Ordering::Acquire) && idle >= LOOKS {
                state.seat = Seat::Empty;
                return Some(self.replace());
            }
            seen = Some(now);
            state = if idle < IDLE_TICKS {
                wait_for(&self.standby, state, TICK)
            } else {
                self.doze(state)
            };
        }
    }

    fn doze<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        self.dozing.store(true, Ordering::SeqCst);
        // A leader that left just before it could see this is found at the next tick.
        let state = if self.away.load(Ordering::SeqCst) {
            wait_for(&self.standby, state, TICK)
        } else {
            wait(&self.standby, state)
        };
        self.dozing.store(false, Ordering::Release);
        state
    }

    /// A new term begins, with its leader at the connection. Called with the lock held.
    fn replace(&self) -> Term {
        self.away.store(false, Ordering::Release);
        Term(self.term.fetch_add(1, Ordering::AcqRel) + 1)
    }

    /// The session is over; the first reason counts.
    pub(crate) fn end(&self, end: End) {
        let mut state = self.lock();
        state.end.get_or_insert(end);
        self.standby.notify_all();
        self.line.notify_all();
        self.over.notify_all();
    }

    pub(crate) fn is_over(&self) -> bool {
        self.lock().end.is_some()
    }

    /// Waits for the end.
    pub(crate) fn wait_for_end(&self) -> End {
        let mut state = self.lock();
        loop {
            if let Some(end) = &state.end {
                return end.clone();
            }
            state = wait(&self.over, state);
        }
    }

    /// A thread is done.
    pub(crate) fn leave(&self) {
        self.lock().threads -= 1;
        self.over.notify_all();
    }

    /// Waits until all threads are done, but no longer than so many ticks.
    pub(crate) fn wait_for_threads(&self, ticks: u32) -> bool {
        let mut state = self.lock();
        for _ in 0..ticks {
            if state.threads == 0 {
                return true;
            }
            state = wait_for(&self.over, state, TICK);
        }
        state.threads == 0
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn may_grow(&self) -> bool {
        self.threads < self.threads_max.unwrap_or(THREADS_MAX)
    }
}

fn wait<'a>(condition: &Condvar, guard: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
    condition.wait(guard).unwrap_or_else(PoisonError::into_inner)
}

fn wait_for<'a>(
    condition: &Condvar,
    guard: MutexGuard<'a, State>,
    time: Duration,
) -> MutexGuard<'a, State> {
    condition.wait_timeout(guard, time).unwrap_or_else(PoisonError::into_inner).0
}
