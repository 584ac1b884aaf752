//! What one extension says: kept in memory, followed, written to a file and passed to `tracing`.
//!
//! Nothing here waits. What is over the rate limit is dropped and counted.

mod files;
mod lines;
mod pipes;
mod rate;
mod ring;

use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use tinybase_model::{ExtensionName, LogLevel, LogLine, LogSource};
use tokio::sync::broadcast;
use tokio::time::Instant;

use self::files::LogFile;
pub(crate) use self::files::LogFiles;
pub(crate) use self::pipes::Pipes;
use self::rate::RateLimit;
use self::ring::Ring;

/// The longest line. Longer ones are split.
pub(crate) const LINE_BYTES_MAX: usize = 64 << 10;
/// How many lines a follower may be behind before it misses some.
const FOLLOW_LAG_MAX: usize = 256;

/// The log of one extension.
#[derive(Debug)]
pub(crate) struct Log {
    extension: ExtensionName,
    level: LogLevel,
    inner: Mutex<Inner>,
    followers: broadcast::Sender<LogLine>,
    file: LogFile,
}

#[derive(Debug)]
struct Inner {
    ring: Ring,
    rate: RateLimit,
}

impl Log {
    /// Opens the log, with what its file ends with.
    pub(crate) fn open(extension: &ExtensionName, level: LogLevel, files: &LogFiles) -> Self {
        let file = files.file(extension);
        let mut ring = Ring::default();
        for line in file.read_end() {
            ring.push(line);
        }
        Self {
            extension: extension.clone(),
            level,
            inner: Mutex::new(Inner { ring, rate: RateLimit::new(Instant::now()) }),
            followers: broadcast::Sender::new(FOLLOW_LAG_MAX),
            file,
        }
    }

    /// Takes a line of standard output or standard error.
    pub(crate) fn take_output(&self, source: LogSource, bytes: &[u8]) {
        if !self.admit(bytes.len()) {
            return;
        }
        self.keep_line(LogLine {
            at: Timestamp::now(),
            level: LogLevel::Info,
            source,
            logger: None,
            invocation_id: None,
            message: lines::readable(bytes),
        });
    }

    /// Takes lines that the extension wrote through the host. Gives how many were dropped for
    /// being over the rate limit; what is below the log level isn't counted.
    pub(crate) fn take_written(&self, written: Vec<LogLine>) -> u32 {
        let mut dropped = 0_u32;
        for line in written.into_iter().filter(|line| line.level >= self.level) {
            if self.admit(line.message.len()) {
                for part in lines::split_message(line) {
                    self.keep_line(part);
                }
            } else {
                dropped = dropped.saturating_add(1);
            }
        }
        dropped
    }

    /// Adds a line of the supervisor's own.
    pub(crate) fn note(&self, level: LogLevel, message: String) {
        self.keep_line(LogLine {
            at: Timestamp::now(),
            level,
            source: LogSource::Supervisor,
            logger: None,
            invocation_id: None,
            message,
        });
    }

    /// Tells how much was dropped, if that is due.
    pub(crate) fn report_dropped(&self) {
        let report = self.lock().rate.report(Instant::now());
        self.keep(report);
    }

    /// The latest lines, oldest first.
    pub(crate) fn recent(&self, lines: usize) -> Vec<LogLine> {
        self.lock().ring.recent(lines)
    }

    /// Every line from now on. A follower that is too slow misses lines and is told how many.
    pub(crate) fn follow(&self) -> broadcast::Receiver<LogLine> {
        self.followers.subscribe()
    }

    /// A new process begins: what the last one wrote to standard error isn't its.
    pub(crate) fn begin_run(&self) {
        self.lock().ring.forget_last_words();
    }

    /// The last lines of this process's standard error, oldest first.
    pub(crate) fn last_words(&self) -> Vec<String> {
        self.lock().ring.last_words()
    }

    /// Whether a line of that length may pass. Tells how much didn't, if that is due.
    fn admit(&self, bytes: usize) -> bool {
        let now = Instant::now();
        let (admitted, report) = {
            let mut inner = self.lock();
            (inner.rate.admit(bytes, now), inner.rate.report(now))
        };
        self.keep(report);
        admitted
    }

    fn keep(&self, report: Option<String>) {
        if let Some(message) = report {
            self.note(LogLevel::Warning, message);
        }
    }

    fn keep_line(&self, line: LogLine) {
        self.trace(&line);
        self.file.append(&line);
        self.lock().ring.push(line.clone());
        // An error means that nobody follows.
        drop(self.followers.send(line));
    }

    /// One event for each line of text, so that a message can't pass for a line of the server's.
    fn trace(&self, line: &LogLine) {
        let extension = self.extension.as_str();
        let source = source_name(line.source);
        for text in line.message.lines() {
            match line.level {
                LogLevel::Debug => {
                    tracing::debug!(target: "extension", extension, source, "{text}");
                }
                LogLevel::Info => {
                    tracing::info!(target: "extension", extension, source, "{text}");
                }
                LogLevel::Warning => {
                    tracing::warn!(target: "extension", extension, source, "{text}");
                }
                LogLevel::Error => {
                    tracing::error!(target: "extension", extension, source, "{text}");
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const fn source_name(source: LogSource) -> &'static str {
    match source {
        LogSource::Stdout => "stdout",
        LogSource::Stderr => "stderr",
        LogSource::Log => "log",
        LogSource::Supervisor => "supervisor",
    }
}
