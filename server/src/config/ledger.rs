//! What each key's effective value is and where it came from, with secrets left out.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

/// Where a value came from; the later ones win.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    Default,
    File { name: &'static str, line: Option<usize> },
    Environment(String),
    Flag(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { name, line: Some(line) } => write!(f, "{name}:{line}"),
            Self::File { name, line: None } => f.write_str(name),
            Self::Environment(variable) => write!(f, "environment {variable}"),
            Self::Flag(flag) => write!(f, "flag {flag}"),
        }
    }
}

impl Serialize for Origin {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// How a value is written in TOML.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    Text,
    Bare,
    List,
}

impl Shape {
    /// A value that was given as plain text, as TOML.
    pub(super) fn write(self, text: &str) -> String {
        match self {
            Self::Text => toml_text(text),
            Self::Bare => text.to_owned(),
            // It is written as it would be in the file already.
            Self::List if text.trim_start().starts_with('[') => text.trim().to_owned(),
            Self::List => {
                let words = text.split(',').map(str::trim).filter(|word| !word.is_empty());
                let words: Vec<_> = words.map(toml_text).collect();
                format!("[{}]", words.join(", "))
            }
        }
    }
}

fn toml_text(text: &str) -> String {
    // JSON's escapes are TOML's.
    serde_json::Value::from(text).to_string()
}

/// One key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Entry {
    pub(crate) section: &'static str,
    pub(crate) key: &'static str,
    /// As TOML; a secret is `"[redacted]"`. Empty where nothing is set and the initial file shows no
    /// default.
    pub(crate) value: String,
    pub(crate) origin: Origin,
}

impl Entry {
    /// Whether nobody has set it.
    pub(crate) fn is_default(&self) -> bool {
        self.origin == Origin::Default
    }
}

/// All keys that were read, in their order.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    entries: RefCell<Vec<Entry>>,
}

impl Ledger {
    /// Writes a key down; a value that was written before gives way.
    pub(super) fn note(
        &self,
        section: &'static str,
        key: &'static str,
        value: &str,
        origin: Origin,
    ) {
        // Its keys are names of routes, its values numbers.
        let is_limit = section == "rate_limit";
        let value = if is_limit { value.to_owned() } else { redacted(key, value) };
        let entry = Entry { section, key, value, origin };
        let mut entries = self.entries.borrow_mut();
        match entries.iter_mut().find(|known| known.section == section && known.key == key) {
            Some(known) => *known = entry,
            None => entries.push(entry),
        }
    }

    /// Whether nobody has set a key.
    pub(super) fn is_default(&self, section: &str, key: &str) -> bool {
        let entries = self.entries.borrow();
        let mut known = entries.iter().filter(|entry| entry.section == section && entry.key == key);
        known.all(Entry::is_default)
    }

    pub(super) fn entries(&self) -> Vec<Entry> {
        self.entries.borrow().clone()
    }
}

/// A value without what nobody may read over a shoulder.
fn redacted(key: &str, value: &str) -> String {
    const SECRET: [&str; 4] = ["password", "secret", "secret_key", "token"];
    let is_secret = SECRET.iter().any(|word| key == *word || key.ends_with(&format!("_{word}")));
    // What isn't set hides nothing.
    if is_secret && !value.is_empty() && value != "\"\"" {
        return "\"[redacted]\"".to_owned();
    }
    without_password(value).unwrap_or_else(|| value.to_owned())
}

/// An address such as `postgres://user:password@host/name` without the password.
fn without_password(value: &str) -> Option<String> {
    let (scheme, rest) = value.split_once("://")?;
    let authority_end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (credentials, _) = rest[..authority_end].rsplit_once('@')?;
    let (user, _) = credentials.split_once(':')?;
    Some(format!("{scheme}://{user}:[redacted]{}", &rest[credentials.len()..]))
}

/// The defaults that the initial file shows, each as TOML, by section and key.
pub(super) fn defaults(initial: &str) -> BTreeMap<(&str, &str), &str> {
    let mut section = "";
    let mut found = BTreeMap::new();
    for line in initial.lines() {
        let line = line.strip_prefix("# ").unwrap_or(line);
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.split(']').next()) {
            section = name;
        } else if let Some((key, rest)) = line.split_once(" = ") {
            let value = rest.split("  #").next().unwrap_or(rest).trim();
            found.insert((section, key), value);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_shown() {
        for (key, value, shown) in [
            ("password", "\"hunter2\"", "\"[redacted]\""),
            ("smtp_password", "\"hunter2\"", "\"[redacted]\""),
            ("password", "\"\"", "\"\""),
            ("password", "", ""),
            ("secrets", "[\"A_KEY\"]", "[\"A_KEY\"]"),
            ("token_lifetime", "\"1h\"", "\"1h\""),
            (
                "url",
                "\"postgres://me:x@y@host/db?a=b@c\"",
                "\"postgres://me:[redacted]@host/db?a=b@c\"",
            ),
            ("url", "\"postgres://me@host/db\"", "\"postgres://me@host/db\""),
            ("url", "\"sqlite:tinybase.db\"", "\"sqlite:tinybase.db\""),
            ("host", "\"127.0.0.1\"", "\"127.0.0.1\""),
        ] {
            assert_eq!(redacted(key, value), shown, "{key} {value}");
        }
    }

    #[test]
    fn the_initial_file_tells_the_defaults() {
        let text =
            "# Words = no key\n[server]\nport = 8000\n# host = \"a b\"   # why\n[cors]\n# x = []";
        let found = defaults(text);
        assert_eq!(found.get(&("server", "port")), Some(&"8000"));
        assert_eq!(found.get(&("server", "host")), Some(&"\"a b\""));
        assert_eq!(found.get(&("cors", "x")), Some(&"[]"));
    }
}
