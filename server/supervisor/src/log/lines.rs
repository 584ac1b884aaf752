//! From bytes to lines of text that can be shown.

use std::fmt::Write;

use tinybase_model::LogLine;

use super::LINE_BYTES_MAX;

/// Splits a stream of bytes into lines, and lines that are too long into parts.
#[derive(Debug, Default)]
pub(super) struct LineSplitter {
    partial: Vec<u8>,
}

impl LineSplitter {
    /// Takes bytes and gives each line that is complete.
    pub(super) fn push(&mut self, bytes: &[u8], mut line: impl FnMut(&[u8])) {
        let mut rest = bytes;
        while !rest.is_empty() {
            let end = rest.iter().position(|byte| *byte == b'\n');
            let room = LINE_BYTES_MAX - self.partial.len();
            match end {
                Some(end) if end <= room => {
                    if self.partial.is_empty() {
                        line(&rest[..end]);
                    } else {
                        self.partial.extend_from_slice(&rest[..end]);
                        line(&self.partial);
                        self.partial.clear();
                    }
                    rest = &rest[end + 1..];
                }
                _ if rest.len() < room => {
                    self.partial.extend_from_slice(rest);
                    rest = &[];
                }
                _ => {
                    self.partial.extend_from_slice(&rest[..room]);
                    rest = &rest[room..];
                    let whole = whole_characters(&self.partial);
                    line(&self.partial[..whole]);
                    self.partial.drain(..whole);
                }
            }
        }
    }

    /// Gives what is left without an end of line.
    pub(super) fn finish(&mut self, mut line: impl FnMut(&[u8])) {
        if !self.partial.is_empty() {
            line(&self.partial);
            self.partial.clear();
        }
    }
}

/// How many bytes go before a UTF-8 character that isn't complete; all if there is none.
fn whole_characters(bytes: &[u8]) -> usize {
    let tail = bytes.len().saturating_sub(4);
    bytes[tail..]
        .iter()
        .rposition(|byte| byte & 0b1100_0000 != 0b1000_0000)
        .map(|start| tail + start)
        .filter(|start| *start > 0 && std::str::from_utf8(&bytes[*start..]).is_err())
        .unwrap_or(bytes.len())
}

/// The text of a line: UTF-8 as far as it is, control characters escaped, so that no line can
/// move the cursor or pass for two.
pub(super) fn readable(bytes: &[u8]) -> String {
    let bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
    let text = String::from_utf8_lossy(bytes);
    if !text.chars().any(is_unsafe) {
        return text.into_owned();
    }
    let mut safe = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        if is_unsafe(character) {
            // Writing to a string can't fail.
            let _ = write!(safe, "{}", character.escape_default());
        } else {
            safe.push(character);
        }
    }
    safe
}

fn is_unsafe(character: char) -> bool {
    let turns_text = matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    (character.is_control() && character != '\t') || turns_text
}

/// A line that an extension wrote through the host, made safe and in parts if it is too long.
/// Its ends of line are kept, as in a stack trace.
pub(super) fn split_message(mut line: LogLine) -> Vec<LogLine> {
    let safe: Vec<String> = line.message.lines().map(|text| readable(text.as_bytes())).collect();
    line.message = safe.join("\n");
    if line.message.len() <= LINE_BYTES_MAX {
        return vec![line];
    }
    let mut parts = Vec::new();
    let mut rest = line.message.as_str();
    while !rest.is_empty() {
        let end = rest.floor_char_boundary(LINE_BYTES_MAX);
        parts.push(LogLine { message: rest[..end].to_owned(), ..line.clone() });
        rest = &rest[end..];
    }
    parts
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use proptest::prelude::*;
    use tinybase_model::{LogLevel, LogSource};

    use super::*;

    fn split(chunks: &[&[u8]]) -> Vec<Vec<u8>> {
        let mut splitter = LineSplitter::default();
        let mut lines = Vec::new();
        for chunk in chunks {
            splitter.push(chunk, |line| lines.push(line.to_vec()));
        }
        splitter.finish(|line| lines.push(line.to_vec()));
        lines
    }

    #[test]
    fn lines_come_whole_however_they_arrive() {
        assert_eq!(split(&[b"one\ntw", b"o\n", b"\nthree"]), [&b"one"[..], b"two", b"", b"three"]);
    }

    #[test]
    fn a_long_line_is_split_between_characters() {
        let long = "ä".repeat(LINE_BYTES_MAX);
        let shifted = format!("x{long}");
        let lines = split(&[shifted.as_bytes()]);
        assert_eq!(lines.len(), 3);
        assert!(lines.iter().all(|line| line.len() <= LINE_BYTES_MAX));
        assert!(lines.iter().all(|line| std::str::from_utf8(line).is_ok()));
        assert_eq!(lines.concat(), shifted.as_bytes());
    }

    #[test]
    fn control_characters_are_escaped() {
        assert_eq!(readable(b"a\x1b[31mred\x07\tb\r"), "a\\u{1b}[31mred\\u{7}\tb");
        assert_eq!(readable(b"\xff\xfeok"), "\u{fffd}\u{fffd}ok");
        assert_eq!(readable("x\u{202e}y".as_bytes()), "x\\u{202e}y");
    }

    #[test]
    fn a_long_message_comes_in_parts() {
        let line = LogLine {
            at: Timestamp::UNIX_EPOCH,
            level: LogLevel::Error,
            source: LogSource::Log,
            logger: None,
            invocation_id: None,
            message: format!("one\n{}", "ö".repeat(LINE_BYTES_MAX)),
        };
        let parts = split_message(line.clone());
        assert_eq!(parts.len(), 3);
        let whole: String = parts.into_iter().map(|part| part.message).collect();
        assert_eq!(whole, line.message);
    }

    proptest! {
        #[test]
        fn no_byte_is_lost(chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 0..20)) {
            let chunks: Vec<&[u8]> = chunks.iter().map(Vec::as_slice).collect();
            let whole = chunks.concat();
            let lines = split(&chunks).join(&b'\n');
            prop_assert_eq!(lines, whole.strip_suffix(b"\n").unwrap_or(&whole));
        }
    }
}
