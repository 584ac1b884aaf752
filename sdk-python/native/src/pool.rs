//! The threads: what they do in their roles.

use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::thread::{Builder, JoinHandle};

use pyo3::prelude::*;
use rustix::process::Signal;
use tinybase_sdk::client::RunError;
use tokio::signal::unix::Signal as Signals;
use tokio::time::Instant;

use crate::binding::{Handler, Handlers};
use crate::dispatcher::{Desk, Work};
use crate::invocation::Invocation;
use crate::outcome;
use crate::roles::{Cover, End, Roles, Term};
use crate::wire::Wire;

/// After so many handlers in a row the leader looks after the connection.
const HANDLERS_IN_A_ROW: usize = 64;
/// How long Python may take to end itself once the server is gone: two seconds.
const LAST_RESORT_TICKS: u32 = 1000;

/// What the leader polls.
pub(crate) struct Driven {
    pub(crate) session: Pin<Box<dyn Future<Output = Result<(), RunError>> + Send>>,
    pub(crate) signals: [Signals; 2],
}

/// Runs handlers and drives the connection.
pub(crate) struct Pool {
    pub(crate) wire: Arc<Wire>,
    pub(crate) desk: Arc<Desk>,
    pub(crate) handlers: Handlers,
    pub(crate) roles: Roles,
    pub(crate) driven: Mutex<Driven>,
    pub(crate) threads: Mutex<Vec<JoinHandle<()>>>,
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("roles", &self.roles).finish_non_exhaustive()
    }
}

/// Asynchronous handlers that begin together.
type Jobs = Vec<(Py<PyAny>, Py<Invocation>)>;

impl Pool {
    /// Spawns a thread: the first one leads, a later one stands by.
    pub(crate) fn spawn(self: &Arc<Self>, term: Option<Term>) -> io::Result<()> {
        let pool = Arc::clone(self);
        let thread = Builder::new().name("tinybase".to_owned()).spawn(move || {
            // Without the GIL at first, which a handler may hold for as long as it likes. From
            // its first handler on the thread stays attached, so that `threading.local` holds.
            if let Some(term) = pool.turn(term) {
                Python::attach(|py| pool.work(py, term));
            }
            pool.roles.leave();
        })?;
        self.threads.lock().unwrap_or_else(PoisonError::into_inner).push(thread);
        Ok(())
    }

    fn work(self: &Arc<Self>, py: Python<'_>, first: Term) {
        let mut turn = Some(first);
        while let Some(term) = turn {
            let leads = self.run(py, term);
            turn = py.detach(|| self.turn(leads.then_some(term)));
        }
    }

    /// Waits until this thread leads and has work; none at the end.
    fn turn(self: &Arc<Self>, mut term: Option<Term>) -> Option<Term> {
        while !self.roles.is_over() {
            let current = match term.take() {
                Some(current) => current,
                None => self.roles.wait()?,
            };
            if self.lead(current) {
                return Some(current);
            }
        }
        None
    }

    /// Drives the connection until there is work. False if this thread leads no more.
    fn lead(self: &Arc<Self>, term: Term) -> bool {
        loop {
            if !self.roles.drives(term) {
                return false;
            }
            let end = self.wire.runtime.block_on(async {
                if !self.desk.is_empty() {
                    // What was answered leaves first.
                    tokio::task::yield_now().await;
                }
                poll_fn(|cx| self.poll(cx)).await
            });
            if let Some(end) = end {
                let lost = matches!(end, End::Lost(_));
                self.roles.end(end);
                if lost {
                    self.kill_what_stays();
                }
                return false;
            }
            if self.is_covered() {
                self.roles.leaves();
                return true;
            }
        }
    }

    /// With the server gone Python ends the process, unless a handler holds the GIL.
    fn kill_what_stays(&self) {
        self.roles.wait_for_threads(LAST_RESORT_TICKS);
        let _ = rustix::process::kill_process(rustix::process::getpid(), Signal::KILL);
    }

    fn poll(&self, cx: &mut Context<'_>) -> Poll<Option<End>> {
        let mut driven = self.driven.lock().unwrap_or_else(PoisonError::into_inner);
        if let Poll::Ready(result) = driven.session.as_mut().poll(cx) {
            return Poll::Ready(Some(match result {
                Ok(()) => End::Ended,
                Err(error @ RunError::Ended { .. }) => End::Refused(error.to_string()),
                Err(error @ RunError::Lost { .. }) => End::Lost(error.to_string()),
            }));
        }
        if driven.signals.iter_mut().any(|signal| signal.poll_recv(cx).is_ready()) {
            return Poll::Ready(Some(End::Terminated));
        }
        if self.desk.is_empty() {
            return Poll::Pending;
        }
        self.roles.covered.register(cx.waker());
        if self.roles.may_cover() { Poll::Ready(None) } else { Poll::Pending }
    }

    /// Sees to it that somebody stands by while this thread runs handlers.
    fn is_covered(self: &Arc<Self>) -> bool {
        match self.roles.cover() {
            Cover::There => true,
            Cover::Nobody => false,
            Cover::Spawn => self.spawn(None).is_ok() || self.roles.spawn_failed(),
        }
    }

    /// Runs what waits. False if another thread leads by now.
    fn run(self: &Arc<Self>, py: Python<'_>, term: Term) -> bool {
        let mut jobs = Jobs::new();
        for _ in 0..HANDLERS_IN_A_ROW {
            if self.roles.is_over() {
                break;
            }
            let Some(work) = self.desk.take() else { break };
            match work {
                Work::Invoke(message, deadline) => {
                    let Some(handler) = self.handlers.find(&message) else {
                        self.wire.outcomes.send(unknown(&message.id, &message.handler));
                        continue;
                    };
                    let wire = Arc::clone(&self.wire);
                    let invocation = Invocation::new(*message, deadline, wire);
                    if handler.is_async {
                        push(py, &mut jobs, handler, invocation);
                        continue;
                    }
                    if handler.is_slow() {
                        start(py, &mut jobs);
                        self.roles.hand_over(term);
                    }
                    self.roles.advances();
                    self.call(py, handler, invocation);
                    if !self.roles.leads(term) {
                        break;
                    }
                }
                Work::CancelTask(id) => {
                    start(py, &mut jobs);
                    cancel(py, &id);
                }
            }
        }
        start(py, &mut jobs);
        self.roles.leads(term)
    }

    fn call(&self, py: Python<'_>, handler: &Handler, invocation: Invocation) {
        let ticket = Arc::clone(invocation.ticket());
        self.desk.begin(&ticket);
        let began = Instant::now();
        let result = Bound::new(py, invocation).and_then(|it| handler.entry.bind(py).call1((it,)));
        let outcome = match result {
            Ok(value) => outcome::read(&ticket.id, &value),
            Err(error) => outcome::failed(&ticket.id, &error, py),
        };
        handler.note(began.elapsed());
        self.desk.end(&ticket);
        self.wire.outcomes.send(outcome);
    }
}

fn unknown(id: &str, handler: &str) -> tinybase_sdk::client::v1::Outcome {
    outcome::fault(id, "Unimplemented", &format!("this extension has no handler {handler:?}"))
}

fn push(py: Python<'_>, jobs: &mut Jobs, handler: &Handler, invocation: Invocation) {
    if let Ok(invocation) = Py::new(py, invocation) {
        jobs.push((handler.entry.clone_ref(py), invocation));
    }
}

/// Gives asynchronous handlers to the event loop, which is made with the first.
fn start(py: Python<'_>, jobs: &mut Jobs) {
    let jobs = std::mem::take(jobs);
    if jobs.is_empty() {
        return;
    }
    let invocations: Vec<_> = jobs.iter().map(|(_, it)| it.clone_ref(py)).collect();
    let started = event_loop(py).and_then(|it| it.call_method1("submit", (jobs,)));
    if let Err(error) = started {
        for invocation in invocations {
            let invocation = invocation.bind(py).get();
            invocation.fail(&error, py);
        }
    }
}

fn cancel(py: Python<'_>, invocation_id: &str) {
    let done = event_loop(py).and_then(|it| it.call_method1("cancel", (invocation_id,)));
    if let Err(error) = done {
        error.write_unraisable(py, None);
    }
}

fn event_loop(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    py.import("tinybase._aio")?.call_method0("loop")
}
