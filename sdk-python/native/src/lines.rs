//! Log lines on their way to the core.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use tinybase_sdk::client::{CallScope, Host, v1};
use tokio::sync::Notify;

/// The most lines that wait; further ones are counted and dropped.
const LINES_MAX: usize = 4096;
/// The most lines, and about the most bytes, of one request.
const BATCH_LINES: usize = 256;
const BATCH_BYTES: usize = 512 << 10;

/// Lines that wait to be sent.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    waiting: Mutex<Waiting>,
    arrived: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    lines: VecDeque<v1::LogEntry>,
    dropped: u32,
}

/// A line as Python has it: level, logger, message, invocation, time, facts.
pub(crate) type Line = (i32, String, String, String, f64, String);

impl Lines {
    /// Takes a line, without waiting.
    pub(crate) fn push(&self, (level, logger, message, invocation_id, time, fields): Line) {
        let mut waiting = self.lock();
        if waiting.lines.len() >= LINES_MAX {
            waiting.dropped += 1;
            return;
        }
        let entry = v1::LogEntry {
            level: severity(level) as i32,
            message,
            logger,
            invocation_id,
            time: rfc3339(time),
            fields: fields.into_bytes().into(),
        };
        waiting.lines.push_back(entry);
        drop(waiting);
        self.arrived.notify_one();
    }

    /// Sends lines as they come, for ever.
    pub(crate) async fn send(&self, host: &Host) {
        loop {
            self.arrived.notified().await;
            self.flush(host).await;
        }
    }

    /// Sends what waits. What the core doesn't take is lost: there is no other place for it.
    pub(crate) async fn flush(&self, host: &Host) {
        loop {
            let entries = self.take();
            if entries.is_empty() {
                return;
            }
            let request = v1::WriteLogRequest { entries };
            if host.write_log(request, CallScope::default()).await.is_err() {
                return;
            }
        }
    }

    fn take(&self) -> Vec<v1::LogEntry> {
        let mut waiting = self.lock();
        let mut bytes = 0;
        let mut count = 0;
        for entry in waiting.lines.iter().take(BATCH_LINES) {
            bytes += entry.message.len() + entry.fields.len();
            if count > 0 && bytes > BATCH_BYTES {
                break;
            }
            count += 1;
        }
        let mut entries: Vec<_> = waiting.lines.drain(..count).collect();
        let dropped = std::mem::take(&mut waiting.dropped);
        if dropped > 0 {
            entries.push(v1::LogEntry {
                level: v1::LogLevel::Warning as i32,
                message: format!(
                    "{dropped} log lines were dropped: they came faster than they left"
                ),
                logger: "tinybase".to_owned(),
                ..v1::LogEntry::default()
            });
        }
        entries
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Python's numbers have room between the names.
fn severity(level: i32) -> v1::LogLevel {
    match level {
        ..20 => v1::LogLevel::Debug,
        20..30 => v1::LogLevel::Info,
        30..40 => v1::LogLevel::Warning,
        40.. => v1::LogLevel::Error,
    }
}

/// Empty, which means now, for a time that isn't one.
fn rfc3339(seconds: f64) -> String {
    if seconds <= 0.0 {
        return String::new();
    }
    let since = jiff::SignedDuration::try_from_secs_f64(seconds);
    let time = since.ok().and_then(|it| Timestamp::from_duration(it).ok());
    time.map_or_else(String::new, |it| it.to_string())
}
