//! TOML read strictly: every key has to be known, and every mistake has a place.
//!
//! Serde would refuse an unknown key too, but names neither the nearest known one nor the line of
//! a value that has the right type and the wrong content.

use std::cell::RefCell;
use std::fmt;
use std::ops::{Range, RangeInclusive};
use std::time::Duration;

use thiserror::Error;
use toml_edit::{Document, Item, Table, TableLike, Value};

/// Something in a TOML file that can't be taken, with its place.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub struct Mistake {
    file: String,
    line: Option<usize>,
    message: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}, line {line}: {}", self.file, self.message),
            None => write!(f, "{}: {}", self.file, self.message),
        }
    }
}

/// A TOML file that was read, and knows the place of everything in it.
#[derive(Debug)]
pub struct TomlFile {
    name: String,
    document: Document<String>,
}

impl TomlFile {
    /// Reads a text; the name is what mistakes call the file.
    ///
    /// # Errors
    /// If it isn't TOML.
    pub fn parse(name: &str, text: &str) -> Result<Self, Mistake> {
        match Document::parse(text.to_owned()) {
            Ok(document) => Ok(Self { name: name.to_owned(), document }),
            Err(error) => Err(Mistake {
                file: name.to_owned(),
                line: error.span().map(|span| line_of(text, span.start)),
                message: error.message().trim().replace('\n', "; "),
            }),
        }
    }

    /// The whole file as a section without a name.
    pub fn root(&self) -> Section<'_> {
        Section::new(self, String::new(), self.document.as_table(), None)
    }

    fn mistake(&self, span: Option<Range<usize>>, message: String) -> Mistake {
        let line = span.map(|span| line_of(self.document.raw(), span.start));
        Mistake { file: self.name.clone(), line, message }
    }
}

fn line_of(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
}

/// A table of the file. It remembers what was asked of it, so that [`Section::finish`] can refuse
/// the rest.
pub struct Section<'a> {
    file: &'a TomlFile,
    path: String,
    table: &'a dyn TableLike,
    span: Option<Range<usize>>,
    known: RefCell<Vec<&'static str>>,
}

impl fmt::Debug for Section<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Section([{}])", self.path)
    }
}

impl<'a> Section<'a> {
    fn new(
        file: &'a TomlFile,
        path: String,
        table: &'a dyn TableLike,
        span: Option<Range<usize>>,
    ) -> Self {
        Self { file, path, table, span, known: RefCell::default() }
    }

    /// A string.
    pub fn string(&self, key: &'static str) -> Result<Option<String>, Mistake> {
        self.value(key, "a string", |value| value.as_str().map(str::to_owned))
    }

    /// A boolean.
    pub fn boolean(&self, key: &'static str) -> Result<Option<bool>, Mistake> {
        self.value(key, "true or false", Value::as_bool)
    }

    /// A whole number within bounds.
    pub fn integer(
        &self,
        key: &'static str,
        bounds: RangeInclusive<i64>,
    ) -> Result<Option<i64>, Mistake> {
        let number = self.value(key, "a whole number", Value::as_integer)?;
        match number {
            Some(number) if !bounds.contains(&number) => {
                let (low, high) = (bounds.start(), bounds.end());
                Err(self.wrong(key, &format!("must be between {low} and {high}, not {number}")))
            }
            other => Ok(other),
        }
    }

    /// A list of strings.
    pub fn strings(&self, key: &'static str) -> Result<Option<Vec<String>>, Mistake> {
        self.value(key, r#"a list of strings, such as ["one", "two"]"#, |value| {
            value.as_array()?.iter().map(|item| item.as_str().map(str::to_owned)).collect()
        })
    }

    /// A duration written as `"500ms"`, `"30s"`, `"5m"` or `"1h"`, within bounds.
    pub fn duration(
        &self,
        key: &'static str,
        bounds: RangeInclusive<Duration>,
    ) -> Result<Option<Duration>, Mistake> {
        let Some(text) = self.value(key, r#"a duration, such as "30s""#, |value| {
            value.as_str().map(str::to_owned)
        })?
        else {
            return Ok(None);
        };
        let Some(duration) = parse_duration(&text) else {
            return Err(self.wrong(
                key,
                &format!(r#"must be a duration, such as "500ms", "30s" or "5m", not {text:?}"#),
            ));
        };
        if bounds.contains(&duration) {
            return Ok(Some(duration));
        }
        let (low, high) = (bounds.start(), bounds.end());
        Err(self.wrong(key, &format!("must be between {low:?} and {high:?}, not {text:?}")))
    }

    /// A table within this one.
    pub fn section(&self, key: &'static str) -> Result<Option<Section<'a>>, Mistake> {
        let Some(item) = self.item(key) else { return Ok(None) };
        match item.as_table_like() {
            Some(table) => Ok(Some(Section::new(self.file, self.path_of(key), table, item.span()))),
            None => Err(self.mistyped(key, "a table", item)),
        }
    }

    /// An array of tables within this one.
    pub fn sections(&self, key: &'static str) -> Result<Vec<Section<'a>>, Mistake> {
        let Some(item) = self.item(key) else { return Ok(Vec::new()) };
        let Some(tables) = item.as_array_of_tables() else {
            let path = self.path_of(key);
            return Err(self.wrong(key, &format!("must be written as [[{path}]] tables")));
        };
        let path = self.path_of(key);
        let section = |table: &'a Table| Section::new(self.file, path.clone(), table, table.span());
        Ok(tables.iter().map(section).collect())
    }

    /// Where a key is in the file, by its line, and its value as it is written there.
    pub fn written(&self, key: &str) -> Option<(Option<usize>, String)> {
        let (name, item) = self.table.get_key_value(key)?;
        let span = name.span().or(item.span());
        let line = span.map(|span| line_of(self.file.document.raw(), span.start));
        let value = item.span().and_then(|span| self.file.document.raw().get(span));
        Some((line, value.unwrap_or_default().trim().to_owned()))
    }

    /// All keys and values of a table whose keys are free, such as dependencies.
    pub fn entries(&self) -> impl Iterator<Item = (&'a str, &'a Item)> {
        self.table.iter()
    }

    /// Refuses every key that was never asked for.
    ///
    /// # Errors
    /// If there is one; it names the nearest that is known.
    pub fn finish(&self) -> Result<(), Mistake> {
        let known = self.known.borrow();
        let Some((key, _)) = self.table.iter().find(|(key, _)| !known.contains(key)) else {
            return Ok(());
        };
        let place = if self.path.is_empty() {
            "at the top of the file".to_owned()
        } else {
            format!("in [{}]", self.path)
        };
        let hint = match nearest(key, &known) {
            Some(near) => format!("did you mean {near:?}?"),
            None if known.is_empty() => "there are no keys here".to_owned(),
            None => format!("the keys here are {}", known.join(", ")),
        };
        Err(self.mistake_at(key, format!("unknown key {key:?} {place}; {hint}")))
    }

    /// A mistake about a key's value, at its place.
    pub fn wrong(&self, key: &str, message: &str) -> Mistake {
        self.mistake_at(key, format!("{key} {message}"))
    }

    /// A mistake about the section as a whole.
    pub fn lacking(&self, message: &str) -> Mistake {
        self.file.mistake(self.span.clone(), format!("[{}] {message}", self.path))
    }

    fn mistake_at(&self, key: &str, message: String) -> Mistake {
        let span = self.table.get_key_value(key).and_then(|(key, item)| key.span().or(item.span()));
        self.file.mistake(span.or_else(|| self.span.clone()), message)
    }

    fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    fn item(&self, key: &'static str) -> Option<&'a Item> {
        self.known.borrow_mut().push(key);
        self.table.get(key)
    }

    fn value<T>(
        &self,
        key: &'static str,
        expected: &str,
        read: impl Fn(&'a Value) -> Option<T>,
    ) -> Result<Option<T>, Mistake> {
        let Some(item) = self.item(key) else { return Ok(None) };
        match item.as_value().and_then(read) {
            Some(value) => Ok(Some(value)),
            None => Err(self.mistyped(key, expected, item)),
        }
    }

    fn mistyped(&self, key: &str, expected: &str, item: &Item) -> Mistake {
        let found = match item.type_name() {
            "integer" => "a whole number",
            "float" => "a number",
            "boolean" => "a boolean",
            "array" => "a list of something else",
            "table" | "inline table" => "a table",
            "array of tables" => "a list of tables",
            "datetime" => "a date",
            "string" => "a string",
            other => other,
        };
        self.wrong(key, &format!("must be {expected}, but it is {found}"))
    }
}

/// The known word that a misspelt one most likely means, if any is close.
pub fn nearest<'k>(word: &str, known: &[&'k str]) -> Option<&'k str> {
    known
        .iter()
        .map(|candidate| (strsim::damerau_levenshtein(word, candidate), *candidate))
        .min()
        .filter(|(distance, candidate)| *distance <= 1 + candidate.len().max(word.len()) / 3)
        .map(|(_, candidate)| candidate)
}

/// Reads a duration written as `500ms`, `30s`, `5m` or `1h`.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let number: u64 = text[..digits].parse().ok()?;
    match text[digits..].trim() {
        "ms" => Some(Duration::from_millis(number)),
        "s" => Some(Duration::from_secs(number)),
        "m" => number.checked_mul(60).map(Duration::from_secs),
        "h" => number.checked_mul(3600).map(Duration::from_secs),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port(text: &str) -> Result<Option<i64>, Mistake> {
        let file = TomlFile::parse("t.toml", text)?;
        let root = file.root();
        let server = root.section("server")?;
        root.finish()?;
        let Some(server) = server else { return Ok(None) };
        let port = server.integer("port", 0..=65535)?;
        server.string("host")?;
        server.finish()?;
        Ok(port)
    }

    #[test]
    fn an_unknown_key_names_the_nearest_and_the_line() {
        let error = port("[server]\nhost = \"a\"\nprot = 1\n").expect_err("unknown");
        assert_eq!(
            error.to_string(),
            r#"t.toml, line 3: unknown key "prot" in [server]; did you mean "port"?"#
        );
        let error = port("serve = 1").expect_err("unknown");
        assert_eq!(
            error.to_string(),
            r#"t.toml, line 1: unknown key "serve" at the top of the file; did you mean "server"?"#
        );
        let error = port("[server]\nzebra = 1").expect_err("unknown");
        assert_eq!(
            error.to_string(),
            r#"t.toml, line 2: unknown key "zebra" in [server]; the keys here are port, host"#
        );
    }

    #[test]
    fn a_wrong_type_or_value_names_its_line() {
        let error = port("[server]\nport = \"80\"").expect_err("a string");
        assert_eq!(
            error.to_string(),
            "t.toml, line 2: port must be a whole number, but it is a string"
        );
        let error = port("[server]\nport = 70000").expect_err("too large");
        assert_eq!(
            error.to_string(),
            "t.toml, line 2: port must be between 0 and 65535, not 70000"
        );
        let error = port("server = 3").expect_err("no table");
        assert_eq!(
            error.to_string(),
            "t.toml, line 1: server must be a table, but it is a whole number"
        );
    }

    #[test]
    fn a_syntax_error_names_its_line() {
        let error = port("[server]\nport = \n").expect_err("no value");
        assert!(error.to_string().starts_with("t.toml, line 2: "), "{error}");
    }

    #[test]
    fn durations_need_a_unit() {
        assert_eq!(parse_duration("500ms"), Some(Duration::from_millis(500)));
        assert_eq!(parse_duration("5m"), Some(Duration::from_mins(5)));
        for bad in ["", "30", "s", "1.5s", "-1s", "1d"] {
            assert_eq!(parse_duration(bad), None, "{bad}");
        }
    }
}
