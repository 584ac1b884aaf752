//! The latest lines in memory, bounded in number and in bytes.

use std::collections::VecDeque;

use tinybase_model::{LogLine, LogSource};

const LINES_MAX: usize = 1_000;
const BYTES_MAX: usize = 1 << 20;
/// How many lines of standard error a crash report has.
const LAST_WORDS_MAX: usize = 20;
/// The longest of them, in characters.
const LAST_WORD_CHARS_MAX: usize = 1_000;

/// The latest lines.
#[derive(Debug, Default)]
pub(super) struct Ring {
    lines: VecDeque<LogLine>,
    bytes: usize,
    last_words: VecDeque<String>,
}

impl Ring {
    /// Adds a line and forgets the oldest ones that are too many.
    pub(super) fn push(&mut self, line: LogLine) {
        if line.source == LogSource::Stderr {
            if self.last_words.len() == LAST_WORDS_MAX {
                self.last_words.pop_front();
            }
            self.last_words.push_back(line.message.chars().take(LAST_WORD_CHARS_MAX).collect());
        }
        self.bytes += line.message.len();
        self.lines.push_back(line);
        while self.lines.len() > LINES_MAX || self.bytes > BYTES_MAX {
            let Some(oldest) = self.lines.pop_front() else { break };
            self.bytes -= oldest.message.len();
        }
    }

    /// The latest lines, oldest first.
    pub(super) fn recent(&self, lines: usize) -> Vec<LogLine> {
        let skipped = self.lines.len().saturating_sub(lines);
        self.lines.iter().skip(skipped).cloned().collect()
    }

    /// The last lines of standard error, oldest first.
    pub(super) fn last_words(&self) -> Vec<String> {
        self.last_words.iter().cloned().collect()
    }

    /// Forgets the last lines of standard error, not the log.
    pub(super) fn forget_last_words(&mut self) {
        self.last_words.clear();
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use tinybase_model::LogLevel;

    use super::*;

    fn line(source: LogSource, message: &str) -> LogLine {
        LogLine {
            at: Timestamp::UNIX_EPOCH,
            level: LogLevel::Info,
            source,
            logger: None,
            invocation_id: None,
            message: message.to_owned(),
        }
    }

    #[test]
    fn the_ring_keeps_the_latest_lines_within_both_bounds() {
        let mut ring = Ring::default();
        (0..LINES_MAX + 5).for_each(|n| ring.push(line(LogSource::Stdout, &n.to_string())));
        assert_eq!(ring.recent(usize::MAX).len(), LINES_MAX);
        assert_eq!(ring.recent(1)[0].message, (LINES_MAX + 4).to_string());
        let long = "x".repeat(BYTES_MAX / 4);
        (0..8).for_each(|_| ring.push(line(LogSource::Stdout, &long)));
        assert_eq!(ring.recent(usize::MAX).len(), 4);
    }

    #[test]
    fn last_words_are_the_last_lines_of_standard_error() {
        let mut ring = Ring::default();
        ring.push(line(LogSource::Stdout, "out"));
        for n in 0..=LAST_WORDS_MAX {
            ring.push(line(LogSource::Stderr, &n.to_string()));
        }
        assert_eq!(ring.last_words().len(), LAST_WORDS_MAX);
        assert_eq!(ring.last_words()[0], "1");
        ring.forget_last_words();
        assert_eq!(ring.last_words(), Vec::<String>::new());
    }
}
