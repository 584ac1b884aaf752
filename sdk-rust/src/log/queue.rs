//! The bounded queue between `tracing` and the server.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tinybase_proto::v1;
use tokio::sync::Notify;
use tracing::Level;

/// The most lines that wait, and how many bytes they may have.
const LINES_MAX: usize = 4096;
const BYTES_MAX: usize = 1 << 20;
/// The most lines in one call, and after how many bytes it is closed.
const BATCH_LINES: usize = 256;
const BATCH_BYTES: usize = 128 << 10;

/// Lines that wait to be sent.
#[derive(Debug)]
pub(crate) struct Queue {
    state: Mutex<State>,
    filled: Notify,
    drained: Notify,
    /// The least that is kept: 0 for debug to 3 for error.
    level: AtomicU8,
}

#[derive(Debug)]
struct State {
    session: Session,
    entries: VecDeque<v1::LogEntry>,
    bytes: usize,
    dropped: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Session {
    None,
    Idle,
    Sending,
}

impl Queue {
    pub(crate) const fn new() -> Self {
        let state =
            State { session: Session::None, entries: VecDeque::new(), bytes: 0, dropped: 0 };
        Self {
            state: Mutex::new(state),
            filled: Notify::const_new(),
            drained: Notify::const_new(),
            level: AtomicU8::new(rank_of_name("info")),
        }
    }

    pub(crate) fn wants(&self, level: Level) -> bool {
        rank(level) >= self.level.load(Ordering::Relaxed)
    }

    /// Takes a line, or gives it back if there is no session. One too many is counted.
    pub(crate) fn push(&self, entry: v1::LogEntry) -> Option<v1::LogEntry> {
        let mut state = self.lock();
        if state.session == Session::None {
            return Some(entry);
        }
        let bytes = size(&entry);
        if state.entries.len() >= LINES_MAX || state.bytes + bytes > BYTES_MAX {
            state.dropped += 1;
        } else {
            state.bytes += bytes;
            state.entries.push_back(entry);
        }
        drop(state);
        self.filled.notify_one();
        None
    }

    pub(crate) fn attach(&self, level: &str) {
        self.level.store(rank_of_name(level), Ordering::Relaxed);
        self.lock().session = Session::Idle;
    }

    pub(crate) fn detach(&self) -> Vec<v1::LogEntry> {
        let mut state = self.lock();
        let mut entries: Vec<_> = state.dropped_line().into_iter().collect();
        entries.extend(std::mem::take(&mut state.entries));
        state.session = Session::None;
        state.bytes = 0;
        drop(state);
        self.drained.notify_waiters();
        entries
    }

    /// The next lines to send. Whoever asks has sent those it got before.
    pub(crate) async fn next(&self) -> Vec<v1::LogEntry> {
        loop {
            let batch = self.take();
            if !batch.is_empty() {
                return batch;
            }
            self.drained.notify_waiters();
            self.filled.notified().await;
        }
    }

    /// Waits until every line is sent.
    pub(crate) async fn idle(&self) {
        loop {
            let mut drained = std::pin::pin!(self.drained.notified());
            drained.as_mut().enable();
            if self.is_idle() {
                return;
            }
            drained.await;
        }
    }

    fn is_idle(&self) -> bool {
        let state = self.lock();
        state.session != Session::Sending && state.entries.is_empty() && state.dropped == 0
    }

    fn take(&self) -> Vec<v1::LogEntry> {
        let mut state = self.lock();
        let mut batch: Vec<_> = state.dropped_line().into_iter().collect();
        let mut bytes = 0;
        while batch.len() < BATCH_LINES && bytes < BATCH_BYTES {
            let Some(entry) = state.entries.pop_front() else { break };
            bytes += size(&entry);
            batch.push(entry);
        }
        state.bytes -= bytes;
        if state.session != Session::None {
            state.session = if batch.is_empty() { Session::Idle } else { Session::Sending };
        }
        batch
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn dropped_line(&mut self) -> Option<v1::LogEntry> {
        let dropped = std::mem::take(&mut self.dropped);
        (dropped > 0).then(|| v1::LogEntry {
            level: v1::LogLevel::Warning.into(),
            message: format!(
                "{dropped} log lines were dropped: they came faster than the server takes them"
            ),
            logger: "tinybase_sdk::log".to_owned(),
            ..v1::LogEntry::default()
        })
    }
}

fn size(entry: &v1::LogEntry) -> usize {
    entry.message.len() + entry.fields.len() + entry.logger.len() + 64
}

const fn rank(level: Level) -> u8 {
    match level {
        Level::TRACE | Level::DEBUG => 0,
        Level::INFO => 1,
        Level::WARN => 2,
        Level::ERROR => 3,
    }
}

/// The rank of a level of the server's. One that this client doesn't know means info.
const fn rank_of_name(name: &str) -> u8 {
    match name.as_bytes() {
        b"debug" => 0,
        b"warning" => 2,
        b"error" => 3,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(message: &str) -> v1::LogEntry {
        v1::LogEntry { message: message.to_owned(), ..v1::LogEntry::default() }
    }

    #[tokio::test]
    async fn lines_leave_in_order_and_in_lists() {
        let queue = Queue::new();
        queue.attach("debug");
        for number in 0..300 {
            assert!(queue.push(line(&number.to_string())).is_none());
        }
        let first = queue.next().await;
        let second = queue.next().await;
        assert_eq!((first.len(), second.len()), (BATCH_LINES, 300 - BATCH_LINES));
        assert_eq!(second[0].message, BATCH_LINES.to_string());
    }

    #[tokio::test]
    async fn too_many_lines_are_counted_and_the_count_is_told() {
        let queue = Queue::new();
        queue.attach("info");
        for _ in 0..LINES_MAX + 7 {
            assert!(queue.push(line("x")).is_none());
        }
        assert!(queue.next().await[0].message.starts_with("7 log lines were dropped"));
    }

    #[tokio::test]
    async fn idle_waits_for_the_lines_in_hand() {
        let queue = Queue::new();
        queue.attach("info");
        assert!(queue.push(line("x")).is_none());
        assert_eq!(queue.next().await.len(), 1);
        assert!(!queue.is_idle());
        let send_the_rest = async {
            tokio::select! {
                _ = queue.next() => unreachable!("there are no more lines"),
                () = queue.idle() => {}
            }
        };
        send_the_rest.await;
        assert!(queue.is_idle());
    }

    #[test]
    fn without_a_session_lines_come_back() {
        let queue = Queue::new();
        assert!(queue.push(line("x")).is_some());
        queue.attach("warning");
        assert!(queue.push(line("y")).is_none());
        assert_eq!(queue.detach().len(), 1);
        assert!(queue.push(line("z")).is_some());
        assert!(queue.wants(Level::WARN) && !queue.wants(Level::INFO));
    }
}
