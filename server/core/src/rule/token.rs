//! Cutting the text of a rule into tokens.

use serde_json::{Number, Value};

use super::RuleError;

/// A token and where it begins, counted in characters from 1.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Token {
    pub(super) position: usize,
    pub(super) kind: Kind,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind {
    Name(String),
    Literal(Value),
    Symbol(&'static str),
    End,
}

/// Longer ones first, so that `<=` isn't read as `<`.
const SYMBOLS: [&str; 15] =
    ["&&", "||", "==", "!=", "<=", ">=", "<", ">", "!", "(", ")", "[", "]", ",", "."];

/// More than anybody can read.
const LENGTH_MAX: usize = 2000;

/// The tokens of a text, of which the last one is its end.
pub(super) fn tokens(text: &str) -> Result<Vec<Token>, RuleError> {
    let characters: Vec<char> = text.chars().take(LENGTH_MAX + 1).collect();
    if characters.len() > LENGTH_MAX {
        let message = format!("a rule has at most {LENGTH_MAX} characters");
        return Err(RuleError { position: LENGTH_MAX, message });
    }
    let mut reader = Reader { characters, at: 0 };
    let mut tokens = Vec::new();
    loop {
        let token = reader.next()?;
        let is_last = token.kind == Kind::End;
        tokens.push(token);
        if is_last {
            return Ok(tokens);
        }
    }
}

struct Reader {
    characters: Vec<char>,
    at: usize,
}

impl Reader {
    fn peek(&self) -> Option<char> {
        self.characters.get(self.at).copied()
    }

    fn next(&mut self) -> Result<Token, RuleError> {
        while self.peek().is_some_and(char::is_whitespace) {
            self.at += 1;
        }
        let position = self.at + 1;
        let kind = match self.peek() {
            None => Kind::End,
            Some(c) if c.is_ascii_alphabetic() || c == '_' => Kind::Name(self.name()),
            Some(c) if c.is_ascii_digit() || self.is_negative(c) => self.number(position)?,
            Some(quote @ ('\'' | '"')) => self.string(quote, position)?,
            Some(_) => self.symbol(position)?,
        };
        Ok(Token { position, kind })
    }

    fn is_negative(&self, c: char) -> bool {
        c == '-' && self.characters.get(self.at + 1).is_some_and(char::is_ascii_digit)
    }

    fn take_while(&mut self, wanted: impl Fn(char) -> bool) -> String {
        let rest = self.characters.get(self.at..).unwrap_or_default();
        let taken: String = rest.iter().copied().take_while(|c| wanted(*c)).collect();
        self.at += taken.chars().count();
        taken
    }

    fn name(&mut self) -> String {
        self.take_while(|c| c.is_ascii_alphanumeric() || c == '_')
    }

    fn number(&mut self, position: usize) -> Result<Kind, RuleError> {
        let text = self.take_while(|c| c.is_ascii_alphanumeric() || c == '.' || c == '-');
        match serde_json::from_str::<Number>(&text) {
            Ok(number) => Ok(Kind::Literal(Value::Number(number))),
            Err(_) => Err(RuleError { position, message: format!("{text:?} is no number") }),
        }
    }

    fn string(&mut self, quote: char, position: usize) -> Result<Kind, RuleError> {
        self.at += 1;
        let mut text = String::new();
        while let Some(c) = self.peek() {
            self.at += 1;
            match c {
                c if c == quote => return Ok(Kind::Literal(Value::String(text))),
                '\\' => {
                    let escaped = self.peek();
                    self.at += 1;
                    match escaped {
                        Some('n') => text.push('\n'),
                        Some('t') => text.push('\t'),
                        Some(c @ ('\\' | '\'' | '"')) => text.push(c),
                        Some(_) | None => {
                            let message = r#"after "\" comes one of \ ' " n t"#.to_owned();
                            return Err(RuleError { position: self.at, message });
                        }
                    }
                }
                c => text.push(c),
            }
        }
        Err(RuleError { position, message: format!("the text has no closing {quote}") })
    }

    fn symbol(&mut self, position: usize) -> Result<Kind, RuleError> {
        let rest = self.characters.get(self.at..).unwrap_or_default();
        let found = SYMBOLS.into_iter().find(|symbol| {
            symbol.chars().enumerate().all(|(index, c)| rest.get(index) == Some(&c))
        });
        if let Some(symbol) = found {
            self.at += symbol.len();
            return Ok(Kind::Symbol(symbol));
        }
        let message = match rest.first() {
            Some('=') => "use == to compare".to_owned(),
            Some('&') => "use && for \"and\"".to_owned(),
            Some('|') => "use || for \"or\"".to_owned(),
            Some(c) => format!("{c:?} means nothing here"),
            None => "something is missing".to_owned(),
        };
        Err(RuleError { position, message })
    }
}
