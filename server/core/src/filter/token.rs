//! The words of a filter.

use std::fmt;

use serde_json::{Number, Value};

use super::{FilterError, TEXT_BYTES_MAX};

/// One word, with the character at which it begins (the first is 1).
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Token {
    pub(super) word: Word,
    pub(super) at: usize,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Word {
    Name(String),
    Value(Value),
    Operator(&'static str),
    End,
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Value(value) => write!(f, "{value}"),
            Self::Operator(operator) => f.write_str(operator),
            Self::End => f.write_str("the end"),
        }
    }
}

/// Longer ones first, so that `<=` isn't read as `<`.
const OPERATORS: [&str; 18] = [
    "&&", "||", "==", "!=", "<=", ">=", "!~", "<", ">", "~", "!", "(", ")", "[", "]", ",", ".", "=",
];

/// Splits a filter into words; the last one is [`Word::End`].
pub(super) fn tokens(text: &str) -> Result<Vec<Token>, FilterError> {
    if text.len() > TEXT_BYTES_MAX {
        let message = format!("it has {} bytes; the limit is {TEXT_BYTES_MAX}", text.len());
        return Err(FilterError::new(1, message));
    }
    let mut reader = Reader { rest: text, at: 1 };
    let mut tokens = Vec::new();
    loop {
        reader.skip_space();
        let at = reader.at;
        let word = reader.word()?;
        let is_last = word == Word::End;
        tokens.push(Token { word, at });
        if is_last {
            return Ok(tokens);
        }
    }
}

struct Reader<'a> {
    rest: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    /// Takes so many bytes, which end between characters.
    fn take(&mut self, bytes: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at(bytes);
        self.rest = rest;
        self.at += taken.chars().count();
        taken
    }

    fn take_while(&mut self, wanted: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(|character| !wanted(character)).unwrap_or(self.rest.len());
        self.take(end)
    }

    fn skip_space(&mut self) {
        self.take_while(char::is_whitespace);
    }

    fn word(&mut self) -> Result<Word, FilterError> {
        let Some(first) = self.rest.chars().next() else { return Ok(Word::End) };
        if first.is_alphabetic() || first == '_' || first == '@' {
            return Ok(self.name());
        }
        if first.is_ascii_digit() || first == '-' {
            return self.number();
        }
        if first == '"' || first == '\'' {
            return self.string(first);
        }
        match OPERATORS.into_iter().find(|operator| self.rest.starts_with(operator)) {
            Some("=") => Err(FilterError::new(self.at, "use == to compare")),
            Some(operator) => {
                self.take(operator.len());
                Ok(Word::Operator(operator))
            }
            None => Err(FilterError::new(self.at, format!("{first:?} has no meaning here"))),
        }
    }

    fn name(&mut self) -> Word {
        let name = self.take_while(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '@'));
        match name {
            "true" => Word::Value(Value::Bool(true)),
            "false" => Word::Value(Value::Bool(false)),
            "null" => Word::Value(Value::Null),
            "and" => Word::Operator("&&"),
            "or" => Word::Operator("||"),
            "not" => Word::Operator("!"),
            "in" => Word::Operator("in"),
            "contains" => Word::Operator("contains"),
            name => Word::Name(name.to_owned()),
        }
    }

    fn number(&mut self) -> Result<Word, FilterError> {
        let at = self.at;
        let text =
            self.take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '+' | '.' | '_'));
        let bad = |_| FilterError::new(at, format!("{text:?} is no number"));
        let whole = text.trim_start_matches('-').bytes().all(|byte| byte.is_ascii_digit());
        let number: Number = serde_json::from_str(text).map_err(bad)?;
        if whole && !number.is_i64() && !number.is_u64() {
            return Err(FilterError::new(at, format!("{text} is beyond 64 bits")));
        }
        Ok(Word::Value(Value::Number(number)))
    }

    /// A text in double or single quotes, with the escapes of JSON.
    fn string(&mut self, quote: char) -> Result<Word, FilterError> {
        let at = self.at;
        self.take(1);
        let mut json = String::from("\"");
        loop {
            let Some(next) = self.rest.chars().next() else {
                return Err(FilterError::new(at, format!("a text lacks its closing {quote}")));
            };
            self.take(next.len_utf8());
            match next {
                _ if next == quote => break,
                '"' => json.push_str("\\\""),
                '\\' => {
                    let Some(escaped) = self.rest.chars().next() else { continue };
                    self.take(escaped.len_utf8());
                    if escaped != '\'' {
                        json.push('\\');
                    }
                    json.push(escaped);
                }
                _ if next.is_control() => {
                    let code = format!("{:04x}", u32::from(next));
                    json.extend(["\\u", &code]);
                }
                _ => json.push(next),
            }
        }
        json.push('"');
        let text: String = serde_json::from_str(&json)
            .map_err(|_| FilterError::new(at, "a text has an escape that JSON doesn't know"))?;
        if text.contains('\0') {
            return Err(FilterError::new(at, "a text has the character \\u0000"));
        }
        Ok(Word::Value(Value::String(text)))
    }
}
