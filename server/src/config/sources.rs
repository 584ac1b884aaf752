//! What goes over the file: flags of the command, then variables of the environment.

use std::cell::RefCell;
use std::collections::BTreeSet;

use tinybase_catalog::checked::nearest;

use super::ConfigError;
use super::ledger::Origin;

/// Variables that mean something to a command, a test or an extension, and nothing to the
/// configuration.
const OTHERS: [&str; 14] = [
    "TINYBASE_ADMIN_EMAIL",
    "TINYBASE_ADMIN_PASSWORD",
    "TINYBASE_CARGO_TARGET_DIR",
    "TINYBASE_DATA",
    "TINYBASE_EXTENSION",
    "TINYBASE_EXTENSION_DIR",
    "TINYBASE_PROTO",
    "TINYBASE_PYTHON",
    "TINYBASE_SDK_WHEEL",
    "TINYBASE_SOCKET",
    "TINYBASE_TOKEN",
    "TINYBASE_VERSION",
    "TINYBASE_BENCH_",
    "TINYBASE_TEST_",
];

/// A value from a command's flags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Flag {
    /// `section.key`.
    pub(crate) path: String,
    pub(crate) text: String,
    /// How it was typed, such as `--port`.
    pub(crate) typed: String,
}

/// Flags and environment, and which of them were asked for.
pub(crate) struct Sources<'a> {
    flags: &'a [Flag],
    environment: &'a dyn Fn(&str) -> Option<String>,
    /// All names in the environment.
    names: Vec<String>,
    asked: RefCell<Asked>,
}

#[derive(Default)]
struct Asked {
    paths: BTreeSet<String>,
    variables: BTreeSet<String>,
}

/// A value that goes over the file.
pub(super) struct Given {
    pub(super) text: String,
    pub(super) origin: Origin,
}

impl Given {
    /// A complaint about it.
    pub(super) fn wrong(&self, message: String) -> ConfigError {
        match &self.origin {
            Origin::Flag(name) => ConfigError::Flag { name: name.clone(), message },
            Origin::Environment(name) => ConfigError::Variable { name: name.clone(), message },
            Origin::Default | Origin::File { .. } => unreachable!("neither goes over the file"),
        }
    }
}

impl<'a> Sources<'a> {
    pub(crate) fn new(
        flags: &'a [Flag],
        environment: &'a dyn Fn(&str) -> Option<String>,
        names: Vec<String>,
    ) -> Self {
        Self { flags, environment, names, asked: RefCell::default() }
    }

    /// The value for a key; `also` is a second, shorter variable.
    pub(super) fn given(&self, section: &str, key: &str, also: Option<&str>) -> Option<Given> {
        let path = format!("{section}.{key}");
        let name = variable(section, key);
        let mut asked = self.asked.borrow_mut();
        asked.paths.insert(path.clone());
        asked
            .variables
            .extend([Some(name.as_str()), also].into_iter().flatten().map(str::to_owned));
        // The last one typed wins.
        if let Some(flag) = self.flags.iter().rfind(|flag| flag.path == path) {
            let origin = Origin::Flag(flag.typed.clone());
            return Some(Given { text: flag.text.clone(), origin });
        }
        let mut names = [Some(name.as_str()), also].into_iter().flatten();
        names.find_map(|name| {
            let text = (self.environment)(name)?;
            Some(Given { text, origin: Origin::Environment(name.to_owned()) })
        })
    }

    /// Refuses a flag for a key that there isn't.
    pub(super) fn finish(&self) -> Result<(), ConfigError> {
        let asked = self.asked.borrow();
        let unknown = self.flags.iter().find(|flag| !asked.paths.contains(&flag.path));
        let Some(Flag { path, typed, .. }) = unknown else { return Ok(()) };
        let known: Vec<_> = asked.paths.iter().map(String::as_str).collect();
        let hint = nearest(path, &known).map(|near| format!("; did you mean {near:?}?"));
        let message = format!("names an unknown key{}", hint.unwrap_or_default());
        Err(ConfigError::Flag { name: typed.clone(), message })
    }

    /// Complaints about variables that look as if they meant something here.
    pub(super) fn unknown_variables(&self) -> Vec<String> {
        let asked = self.asked.borrow();
        let known: Vec<_> = asked.variables.iter().map(String::as_str).collect();
        let is_other = |name: &str| {
            OTHERS
                .iter()
                .any(|other| name == *other || (other.ends_with('_') && name.starts_with(other)))
        };
        let mut unknown: Vec<_> = self
            .names
            .iter()
            .filter(|name| name.starts_with("TINYBASE_"))
            .filter(|name| !asked.variables.contains(*name) && !is_other(name))
            .collect();
        unknown.sort();
        unknown
            .into_iter()
            .map(|name| {
                let hint = nearest(name, &known).map(|near| format!("; did you mean {near}?"));
                format!(
                    "the environment variable {name} is unknown and means nothing{}",
                    hint.unwrap_or_default()
                )
            })
            .collect()
    }
}

/// The variable for a key: `TINYBASE_<SECTION>_<KEY>`.
fn variable(section: &str, key: &str) -> String {
    format!("TINYBASE_{section}_{key}").replace('.', "_").to_ascii_uppercase()
}
