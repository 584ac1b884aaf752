//! `[extension.dependencies]`: the Python packages that an extension needs.

use crate::checked::{Mistake, Section};

/// A Python package with the versions that will do, as PEP 440 writes them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requirement {
    /// The package's name, as its author wrote it; extras such as `uvicorn[standard]` too.
    pub package: String,
    /// Versions, such as `>=2.28.0,<3`; empty for any.
    pub versions: String,
}

impl std::fmt::Display for Requirement {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{}", self.package, self.versions)
    }
}

impl Requirement {
    /// Whether it is the package of that name.
    pub(crate) fn is(&self, name: &str) -> bool {
        let base = self.package.split('[').next().unwrap_or_default();
        base.to_ascii_lowercase().replace(['_', '.'], "-") == name
    }
}

pub(super) fn dependencies(extension: &Section<'_>) -> Result<Vec<Requirement>, Mistake> {
    let Some(section) = extension.section("dependencies")? else { return Ok(Vec::new()) };
    let requirement = |(package, item): (&str, &toml_edit::Item)| {
        let Some(versions) = item.as_str() else {
            let message = r#"must be a string of versions, such as ">=2.28.0", or "*" for any"#;
            return Err(section.wrong(package, message));
        };
        if !is_package(package) {
            return Err(section.wrong(package, "is not the name of a Python package"));
        }
        let versions = versions.trim();
        let any = versions.is_empty() || versions == "*";
        if !any && !versions.split(',').all(is_specifier) {
            let message = format!(
                r#"must be versions as PEP 440 writes them, such as ">=2.28.0,<3", not {versions:?}"#
            );
            return Err(section.wrong(package, &message));
        }
        let versions = if any { String::new() } else { versions.to_owned() };
        Ok(Requirement { package: package.to_owned(), versions })
    };
    section.entries().map(requirement).collect()
}

/// `name` or `name[extra,extra]`: what pip can't mistake for an option, a path or a URL.
fn is_package(text: &str) -> bool {
    let (name, extras) = match text.split_once('[') {
        Some((name, rest)) => match rest.strip_suffix(']') {
            Some(extras) => (name, Some(extras)),
            None => return false,
        },
        None => (text, None),
    };
    let word = |word: &str| {
        word.starts_with(|c: char| c.is_ascii_alphanumeric())
            && word.ends_with(|c: char| c.is_ascii_alphanumeric())
            && word.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
    };
    word(name) && extras.is_none_or(|extras| extras.split(',').all(|extra| word(extra.trim())))
}

fn is_specifier(text: &str) -> bool {
    let text = text.trim();
    let operators = ["===", "==", "~=", "!=", "<=", ">=", "<", ">"];
    let Some(version) = operators.iter().find_map(|operator| text.strip_prefix(operator)) else {
        return false;
    };
    let version = version.trim();
    version.starts_with(|c: char| c.is_ascii_alphanumeric())
        && version
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '*' | '+' | '!' | '-' | '_'))
}
