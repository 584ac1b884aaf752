//! Whether a JSON text means one thing only and survives being stored.
//!
//! The JSON library takes the last of two equal keys, rounds integers beyond 64 bits and lets `\u0000`
//! through, which `PostgreSQL` refuses. Here all of that is found before anything is read, with the
//! place where it stands.

use std::collections::HashSet;

use thiserror::Error;

/// The deepest nesting that is read; the JSON library's own limit is the same.
pub const DEPTH_MAX: usize = 127;

/// What is wrong with a JSON text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum JsonFault {
    /// It isn't JSON.
    #[error("is not JSON")]
    Syntax,
    /// It has bytes that aren't UTF-8.
    #[error("is not UTF-8")]
    Utf8,
    /// It is nested too deeply.
    #[error("is nested more than {DEPTH_MAX} deep")]
    Depth,
    /// A key is there twice.
    #[error("is there twice")]
    Duplicate,
    /// An integer doesn't fit into 64 bits.
    #[error("is an integer beyond 64 bits; send it as a string")]
    Integer,
    /// A number is too large or too small for a double.
    #[error("is a number beyond a double's range; send it as a string")]
    Number,
    /// A string has a zero character.
    #[error("has the character \\u0000, which can't be stored")]
    Zero,
    /// A string has half of a surrogate pair.
    #[error("has half of a surrogate pair, which is no character")]
    Surrogate,
}

impl JsonFault {
    /// Whether it isn't JSON at all, as opposed to JSON that can't be kept as it is.
    pub const fn is_malformed(self) -> bool {
        match self {
            Self::Syntax | Self::Utf8 | Self::Depth => true,
            Self::Duplicate | Self::Integer | Self::Number | Self::Zero | Self::Surrogate => false,
        }
    }
}

/// A fault and where it is.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{fault} (byte {offset})")]
pub struct JsonFaultAt {
    /// The fault.
    pub fault: JsonFault,
    /// The value, as a JSON pointer; empty for the whole.
    pub pointer: String,
    /// The byte at which it shows.
    pub offset: usize,
}

/// Checks that a text is exactly one JSON value without any of the faults.
///
/// # Errors
/// The first fault.
pub fn check_json(text: &[u8]) -> Result<(), JsonFaultAt> {
    let mut reader = Reader { text, at: 0, open: Vec::new() };
    reader.run().map_err(|fault| JsonFaultAt {
        fault,
        pointer: reader.pointer(),
        offset: reader.at.min(text.len()),
    })
}

/// An array or object that isn't closed yet.
enum Open<'a> {
    Array { index: usize },
    Object { key: String, keys: Keys<'a> },
}

/// The keys of an object so far. Few are compared one by one, many by hash.
#[derive(Default)]
struct Keys<'a> {
    few: Vec<Key<'a>>,
    many: HashSet<String>,
}

/// A key: as it stands there if it has no escapes, else decoded.
#[derive(PartialEq, Eq)]
enum Key<'a> {
    Plain(&'a str),
    Decoded(String),
}

const FEW: usize = 16;

impl Key<'_> {
    fn text(&self) -> &str {
        match self {
            Self::Plain(text) => text,
            Self::Decoded(text) => text,
        }
    }
}

impl<'a> Keys<'a> {
    /// Takes a key; false if it is there already.
    fn take(&mut self, key: Key<'a>) -> bool {
        if self.few.len() < FEW {
            let is_new = self.few.iter().all(|known| known.text() != key.text());
            self.few.push(key);
            return is_new;
        }
        if self.many.is_empty() {
            self.many.extend(self.few.iter().map(|known| known.text().to_owned()));
        }
        self.many.insert(key.text().to_owned())
    }
}

struct Reader<'a> {
    text: &'a [u8],
    at: usize,
    open: Vec<Open<'a>>,
}

impl<'a> Reader<'a> {
    fn run(&mut self) -> Result<(), JsonFault> {
        self.begin_value()?;
        while !self.open.is_empty() {
            self.next_item()?;
        }
        self.skip_space();
        if self.at == self.text.len() { Ok(()) } else { Err(JsonFault::Syntax) }
    }

    /// Reads a value; of an array or object only the opening.
    fn begin_value(&mut self) -> Result<(), JsonFault> {
        self.skip_space();
        match self.peek() {
            Some(b'{') => self.begin(Open::Object { key: String::new(), keys: Keys::default() }),
            Some(b'[') => self.begin(Open::Array { index: 0 }),
            Some(b'"') => self.string().map(drop),
            Some(b't') => self.word(b"true"),
            Some(b'f') => self.word(b"false"),
            Some(b'n') => self.word(b"null"),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(_) | None => Err(JsonFault::Syntax),
        }
    }

    /// Opens an array or object and reads its first item, or its end.
    fn begin(&mut self, open: Open<'a>) -> Result<(), JsonFault> {
        self.at += 1;
        if self.open.len() == DEPTH_MAX {
            return Err(JsonFault::Depth);
        }
        let end = if matches!(open, Open::Array { .. }) { b']' } else { b'}' };
        self.skip_space();
        if self.peek() == Some(end) {
            self.at += 1;
            return Ok(());
        }
        self.open.push(open);
        self.item()
    }

    /// After an item: the next one, or the end of what is open.
    fn next_item(&mut self) -> Result<(), JsonFault> {
        self.skip_space();
        let end = match self.open.last_mut() {
            Some(Open::Array { index }) => {
                *index += 1;
                b']'
            }
            Some(Open::Object { .. }) => b'}',
            None => return Ok(()),
        };
        match self.peek() {
            Some(b',') => {
                self.at += 1;
                self.item()
            }
            Some(byte) if byte == end => {
                self.at += 1;
                self.open.pop();
                Ok(())
            }
            Some(_) | None => Err(JsonFault::Syntax),
        }
    }

    /// An item of what is open: for an object first its key.
    fn item(&mut self) -> Result<(), JsonFault> {
        if matches!(self.open.last(), Some(Open::Object { .. })) {
            self.skip_space();
            if self.peek() != Some(b'"') {
                return Err(JsonFault::Syntax);
            }
            let read = self.string()?;
            if let Some(Open::Object { key, keys }) = self.open.last_mut() {
                read.text().clone_into(key);
                if !keys.take(read) {
                    return Err(JsonFault::Duplicate);
                }
            }
            self.skip_space();
            if self.peek() != Some(b':') {
                return Err(JsonFault::Syntax);
            }
            self.at += 1;
        }
        self.begin_value()
    }

    /// Reads a string from its opening quote on.
    fn string(&mut self) -> Result<Key<'a>, JsonFault> {
        self.at += 1;
        let begin = self.at;
        let mut decoded: Option<Vec<u8>> = None;
        loop {
            let byte = self.peek().ok_or(JsonFault::Syntax)?;
            match byte {
                b'"' => break,
                0..0x20 => return Err(JsonFault::Syntax),
                b'\\' => {
                    let so_far = decoded.get_or_insert_with(|| self.text[begin..self.at].to_vec());
                    let mut taken = std::mem::take(so_far);
                    self.escape(&mut taken)?;
                    decoded = Some(taken);
                }
                _ => {
                    if let Some(decoded) = &mut decoded {
                        decoded.push(byte);
                    }
                    self.at += 1;
                }
            }
        }
        let end = self.at;
        self.at += 1;
        let plain = std::str::from_utf8(&self.text[begin..end]).map_err(|error| {
            self.at = begin + error.valid_up_to();
            JsonFault::Utf8
        })?;
        match decoded {
            None => Ok(Key::Plain(plain)),
            Some(bytes) => String::from_utf8(bytes).map(Key::Decoded).map_err(|_| JsonFault::Utf8),
        }
    }

    /// Reads an escape from its backslash on.
    fn escape(&mut self, decoded: &mut Vec<u8>) -> Result<(), JsonFault> {
        let begin = self.at;
        self.at += 1;
        let plain = match self.peek().ok_or(JsonFault::Syntax)? {
            byte @ (b'"' | b'\\' | b'/') => byte,
            b'b' => 0x08,
            b'f' => 0x0c,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'u' => {
                self.at += 1;
                let character = self.unicode().inspect_err(|_| self.at = begin)?;
                let mut buffer = [0; 4];
                decoded.extend_from_slice(character.encode_utf8(&mut buffer).as_bytes());
                return Ok(());
            }
            _ => return Err(JsonFault::Syntax),
        };
        decoded.push(plain);
        self.at += 1;
        Ok(())
    }

    /// Reads what comes after `\u`, for a character beyond 16 bits also the second half.
    fn unicode(&mut self) -> Result<char, JsonFault> {
        let first = self.four_digits()?;
        let code = match first {
            0 => return Err(JsonFault::Zero),
            0xd800..0xdc00 => {
                if self.text.get(self.at..self.at + 2) != Some(b"\\u") {
                    return Err(JsonFault::Surrogate);
                }
                self.at += 2;
                let second = self.four_digits()?;
                if !(0xdc00..0xe000).contains(&second) {
                    return Err(JsonFault::Surrogate);
                }
                0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00)
            }
            code => code,
        };
        char::from_u32(code).ok_or(JsonFault::Surrogate)
    }

    fn four_digits(&mut self) -> Result<u32, JsonFault> {
        let digits = self.text.get(self.at..self.at + 4).ok_or(JsonFault::Syntax)?;
        let mut code = 0;
        for digit in digits {
            code = code * 16 + char::from(*digit).to_digit(16).ok_or(JsonFault::Syntax)?;
        }
        self.at += 4;
        Ok(code)
    }

    fn number(&mut self) -> Result<(), JsonFault> {
        let begin = self.at;
        self.at += usize::from(self.peek() == Some(b'-'));
        let leading_zero = self.peek() == Some(b'0');
        let whole = self.digits()?;
        if leading_zero && whole > 1 {
            return Err(JsonFault::Syntax);
        }
        let mut is_integer = true;
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
            is_integer = false;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            self.at += usize::from(matches!(self.peek(), Some(b'+' | b'-')));
            self.digits()?;
            is_integer = false;
        }
        let text = std::str::from_utf8(&self.text[begin..self.at]).unwrap_or_default();
        let fault = if is_integer { integer_fault(text) } else { double_fault(text) };
        match fault {
            Some(fault) => {
                self.at = begin;
                Err(fault)
            }
            None => Ok(()),
        }
    }

    /// Reads digits, one at least, and tells how many.
    fn digits(&mut self) -> Result<usize, JsonFault> {
        let begin = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at == begin { Err(JsonFault::Syntax) } else { Ok(self.at - begin) }
    }

    fn word(&mut self, word: &[u8]) -> Result<(), JsonFault> {
        if !self.text[self.at..].starts_with(word) {
            return Err(JsonFault::Syntax);
        }
        self.at += word.len();
        Ok(())
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    /// Where reading stands.
    fn pointer(&self) -> String {
        let mut pointer = String::new();
        for open in &self.open {
            pointer.push('/');
            match open {
                Open::Array { index } => pointer.push_str(&index.to_string()),
                Open::Object { key, .. } => {
                    pointer.push_str(&key.replace('~', "~0").replace('/', "~1"));
                }
            }
        }
        pointer
    }
}

fn integer_fault(text: &str) -> Option<JsonFault> {
    let fits = text.parse::<i64>().is_ok() || text.parse::<u64>().is_ok();
    (!fits).then_some(JsonFault::Integer)
}

/// A double may round, as doubles do, but not become infinite or nothing.
fn double_fault(text: &str) -> Option<JsonFault> {
    let number: f64 = text.parse().unwrap_or(f64::INFINITY);
    let mantissa = text.split(['e', 'E']).next().unwrap_or_default();
    let vanished = number == 0.0 && mantissa.bytes().any(|byte| matches!(byte, b'1'..=b'9'));
    (number.is_infinite() || vanished).then_some(JsonFault::Number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_means_one_thing_passes() {
        for text in [
            "null",
            " {\"a\" : [ 1 , -2.5e3 , true, {} , [] , \"\\u00e4\\ud83d\\ude00\\n\" ] } ",
            "18446744073709551615",
            "-9223372036854775808",
            "1.7976931348623157e308",
            "0.0e-999",
            "{\"a\":{\"a\":1},\"b\":{\"a\":1}}",
            "\"\u{7f}\u{10ffff}\"",
        ] {
            assert_eq!(check_json(text.as_bytes()), Ok(()), "{text}");
            assert!(serde_json::from_str::<serde_json::Value>(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn what_would_be_lost_is_found_with_its_place() {
        let many: Vec<_> = (0..40).map(|n| format!("\"k{n}\":{n}")).collect();
        let many = format!("{{{},\"k3\":0}}", many.join(","));
        for (text, fault, pointer) in [
            ("{\"data\":{\"n\":18446744073709551616}}", JsonFault::Integer, "/data/n"),
            ("[0,-9223372036854775809]", JsonFault::Integer, "/1"),
            ("{\"a\":[1,1e309]}", JsonFault::Number, "/a/1"),
            ("1e-400", JsonFault::Number, ""),
            ("{\"a\":1,\"b\":{},\"a\":2}", JsonFault::Duplicate, "/a"),
            ("{\"a\":1,\"\\u0061\":2}", JsonFault::Duplicate, "/a"),
            ("{\"x\":{\"~/\":1,\"~/\":2}}", JsonFault::Duplicate, "/x/~0~1"),
            (&many, JsonFault::Duplicate, "/k3"),
            ("{\"s\":\"a\\u0000b\"}", JsonFault::Zero, "/s"),
            ("{\"s\":\"\\ud800\"}", JsonFault::Surrogate, "/s"),
            ("{\"s\":\"\\ud800\\u0061\"}", JsonFault::Surrogate, "/s"),
            ("{\"s\":\"\\udc00\"}", JsonFault::Surrogate, "/s"),
        ] {
            let found = check_json(text.as_bytes()).expect_err(text);
            assert_eq!((found.fault, found.pointer.as_str()), (fault, pointer), "{text}");
            assert!(!fault.is_malformed());
        }
    }

    #[test]
    fn what_is_not_json_is_told_from_what_cannot_be_kept() {
        for text in [
            "",
            " ",
            "{",
            "[",
            "[1,]",
            "{\"a\"}",
            "{\"a\":}",
            "{a:1}",
            "01",
            "-",
            "1.",
            ".5",
            "1e",
            "+1",
            "tru",
            "nul",
            "\"",
            "\"\\x\"",
            "\"\\u12\"",
            "\"\n\"",
            "[1 2]",
            "{}{}",
            "[1}",
            "NaN",
            "'a'",
        ] {
            let found = check_json(text.as_bytes()).expect_err(text);
            assert_eq!(found.fault, JsonFault::Syntax, "{text}");
            assert!(serde_json::from_str::<serde_json::Value>(text).is_err(), "{text}");
        }
        let found = check_json(b"{\"a\":\"x\xff\"}").expect_err("no UTF-8");
        assert_eq!((found.fault, found.pointer.as_str(), found.offset), (JsonFault::Utf8, "/a", 7));
    }

    #[test]
    fn depth_is_bounded_where_the_library_bounds_it() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert_eq!(check_json(nested(DEPTH_MAX).as_bytes()), Ok(()));
        assert!(serde_json::from_str::<serde_json::Value>(&nested(DEPTH_MAX)).is_ok());
        let found = check_json(nested(DEPTH_MAX + 1).as_bytes()).expect_err("too deep");
        assert_eq!(found.fault, JsonFault::Depth);
        assert!(check_json("[".repeat(1 << 20).as_bytes()).is_err());
    }
}
