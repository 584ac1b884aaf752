//! `extension.toml`: what an extension says about itself, checked.

mod hooks;
mod limits;
mod offer;
mod permissions;
mod python;

use std::path::Path;

use semver::Version;
use tinybase_model::{ExtensionName, JsonBytes, LifecyclePolicy, Offer, Permissions};

use crate::checked::{Mistake, Section, TomlFile};
use crate::error::InstallError;
use crate::files::stays_inside;

pub use python::Requirement;

/// The version of the documented extension interface that this server offers. A manifest's
/// `min_version` is compared with it.
pub const COMPATIBLE_TINYBASE_VERSION: Version = Version::new(0, 3, 0);

/// The manifest's file name.
pub(crate) const FILE_NAME: &str = "extension.toml";

/// What an extension is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct About {
    /// Its name.
    pub name: ExtensionName,
    /// Its version.
    pub version: Version,
    /// What it does, in a sentence.
    pub description: Option<String>,
    /// Who wrote it.
    pub author: Option<String>,
    /// Under which terms it may be used.
    pub license: Option<String>,
}

/// What an extension says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// What it is.
    pub about: About,
    /// For Python, the file that is imported; none means `__init__.py` or `main.py`.
    pub entry_point: Option<String>,
    /// The Python packages that it needs.
    pub dependencies: Vec<Requirement>,
    /// How it is started; none means the way of its language.
    pub run: Option<Vec<String>>,
    /// How it is built; none means the way of its language.
    pub build: Option<Vec<String>>,
    /// What it asks for.
    pub permissions: Permissions,
    /// When it is started, given up and stopped.
    pub policy: LifecyclePolicy,
    /// Its configuration.
    pub config: JsonBytes,
    /// Limits of its functions, and its schedules.
    pub offer: Offer,
}

impl Manifest {
    /// Reads the manifest of the extension in a folder.
    pub(crate) fn read(folder: &Path, shown_as: &str) -> Result<Self, InstallError> {
        Self::read_file(&folder.join(FILE_NAME), shown_as)
    }

    /// Reads a manifest wherever it is kept.
    pub(crate) fn read_file(path: &Path, shown_as: &str) -> Result<Self, InstallError> {
        match std::fs::read_to_string(path) {
            Ok(text) => Ok(Self::parse(&text)?),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                Err(InstallError::NoManifest(shown_as.to_owned()))
            }
            Err(error) => Err(InstallError::io("reading", path)(error)),
        }
    }

    /// Reads a manifest's text.
    ///
    /// # Errors
    /// If something in it can't be taken; the error says where and what is expected.
    pub fn parse(text: &str) -> Result<Self, Mistake> {
        let file = TomlFile::parse(FILE_NAME, text)?;
        let root = file.root();
        let extension = root.section("extension")?;
        root.finish()?;
        let Some(extension) = extension else {
            return Err(root.wrong("[extension]", "is missing; it holds name and version"));
        };
        let about = AboutText::read(&extension)?;
        let entry_point = entry_point(&extension)?;
        min_version(&extension)?;
        let dependencies = python::dependencies(&extension)?;
        let run = command(&extension, "run")?;
        let build = command(&extension, "build")?;
        let hooks = hooks::read(&extension)?;
        let permissions = permissions::read(&extension, hooks)?;
        let policy = limits::read(&extension)?;
        let config = config(&extension)?;
        let offer = offer::read(&extension)?;
        extension.finish()?;
        let about = about.check(&extension)?;
        Ok(Self {
            about,
            entry_point,
            dependencies,
            run,
            build,
            permissions,
            policy,
            config,
            offer,
        })
    }
}

/// The texts of [`About`], before those that are missing are complained about: a misspelt key is
/// the better complaint.
struct AboutText {
    name: Option<String>,
    version: Option<String>,
    description: Option<String>,
    author: Option<String>,
    license: Option<String>,
}

impl AboutText {
    fn read(extension: &Section<'_>) -> Result<Self, Mistake> {
        Ok(Self {
            name: extension.string("name")?,
            version: extension.string("version")?,
            description: extension.string("description")?,
            author: extension.string("author")?,
            license: extension.string("license")?,
        })
    }

    fn check(self, extension: &Section<'_>) -> Result<About, Mistake> {
        let name = self.name.ok_or_else(|| extension.lacking("has no name"))?;
        let name =
            name.parse().map_err(|error| extension.wrong("name", &format!("is wrong: {error}")))?;
        let version = self.version.ok_or_else(|| extension.lacking("has no version"))?;
        let version = version_of(extension, "version", &version)?;
        let Self { description, author, license, .. } = self;
        Ok(About { name, version, description, author, license })
    }
}

fn version_of(section: &Section<'_>, key: &'static str, text: &str) -> Result<Version, Mistake> {
    text.parse().map_err(|error| {
        section.wrong(key, &format!(r#"must be a version like "1.2.3", not {text:?} ({error})"#))
    })
}

fn min_version(extension: &Section<'_>) -> Result<(), Mistake> {
    let Some(section) = extension.section("tinybase")? else { return Ok(()) };
    let min_version = section.string("min_version")?;
    section.finish()?;
    let Some(text) = min_version else { return Ok(()) };
    let wanted = version_of(&section, "min_version", &text)?;
    if wanted > COMPATIBLE_TINYBASE_VERSION {
        return Err(section.wrong(
            "min_version",
            &format!(
                "asks for TinyBase {wanted} or newer; this server offers the extension interface \
                 of TinyBase {COMPATIBLE_TINYBASE_VERSION}. Upgrade the server, or install an \
                 older version of the extension"
            ),
        ));
    }
    Ok(())
}

fn entry_point(extension: &Section<'_>) -> Result<Option<String>, Mistake> {
    let Some(entry) = extension.string("entry_point")? else { return Ok(None) };
    let path = Path::new(&entry);
    if !stays_inside(path) {
        let message = format!("must be a file inside the extension's folder, not {entry:?}");
        return Err(extension.wrong("entry_point", &message));
    }
    if path.extension().is_none_or(|ending| ending != "py") {
        let message = format!(
            "must be a Python file, not {entry:?}; another language's program goes into \
             [extension.run] command"
        );
        return Err(extension.wrong("entry_point", &message));
    }
    Ok(Some(entry))
}

fn command(extension: &Section<'_>, key: &'static str) -> Result<Option<Vec<String>>, Mistake> {
    let Some(section) = extension.section(key)? else { return Ok(None) };
    let command = section.strings("command")?;
    section.finish()?;
    let command = command.ok_or_else(|| section.lacking("has no command"))?;
    let Some(program) = command.first().filter(|program| !program.is_empty()) else {
        return Err(section.wrong("command", "must begin with a program"));
    };
    let path = Path::new(program);
    if path.is_relative() && !stays_inside(path) {
        return Err(section.wrong(
            "command",
            &format!(
                "must begin with a program inside the extension's folder, with one's name alone or \
                 with its absolute path, not {program:?}"
            ),
        ));
    }
    Ok(Some(command))
}

fn config(extension: &Section<'_>) -> Result<JsonBytes, Mistake> {
    object(extension, "config")
}

/// A table with free keys, as a JSON object.
fn object(within: &Section<'_>, key: &'static str) -> Result<JsonBytes, Mistake> {
    let Some(section) = within.section(key)? else { return Ok(JsonBytes::empty_object()) };
    let entries = section.entries().map(|(key, item)| {
        let value = json(item).ok_or_else(|| {
            section.wrong(key, "must be a string, a finite number, a boolean, a list or a table")
        })?;
        Ok((key.to_owned(), value))
    });
    let map: serde_json::Map<String, serde_json::Value> =
        entries.collect::<Result<_, Mistake>>()?;
    Ok(JsonBytes::from(&map))
}

fn json(item: &toml_edit::Item) -> Option<serde_json::Value> {
    if let Some(table) = item.as_table_like() {
        let entries = table.iter().map(|(key, item)| Some((key.to_owned(), json(item)?)));
        return entries.collect::<Option<serde_json::Map<_, _>>>().map(Into::into);
    }
    if let Some(tables) = item.as_array_of_tables() {
        let items = tables.iter().map(|table| json(&toml_edit::Item::Table(table.clone())));
        return items.collect::<Option<Vec<_>>>().map(Into::into);
    }
    match item.as_value()? {
        toml_edit::Value::String(text) => Some(text.value().as_str().into()),
        toml_edit::Value::Integer(number) => Some((*number.value()).into()),
        toml_edit::Value::Float(number) => {
            serde_json::Number::from_f64(*number.value()).map(Into::into)
        }
        toml_edit::Value::Boolean(truth) => Some((*truth.value()).into()),
        toml_edit::Value::Datetime(time) => Some(time.value().to_string().into()),
        toml_edit::Value::Array(items) => {
            let items = items.iter().map(|item| json(&toml_edit::Item::Value(item.clone())));
            items.collect::<Option<Vec<_>>>().map(Into::into)
        }
        toml_edit::Value::InlineTable(_) => None,
    }
}

#[cfg(test)]
mod tests;
