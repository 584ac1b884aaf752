//! Where an extension comes from: a folder, an archive or a git repository, as a person types it.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use thiserror::Error;

/// Where an extension comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A folder on this machine.
    Folder(PathBuf),
    /// A `.tar.gz` or `.tgz` file on this machine.
    Archive(PathBuf),
    /// A git repository.
    Git {
        /// What `git` is given.
        url: String,
        /// A branch, a tag or a commit; none means the repository's default branch.
        reference: Option<String>,
    },
}

/// A text that doesn't say where an extension is.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidSource {
    /// It looks like a path, and there is nothing.
    #[error("there is no folder or file {0:?}")]
    NoSuchPath(String),
    /// A file that isn't an archive.
    #[error("{0:?} is neither a folder nor a .tar.gz archive")]
    NotAnArchive(String),
    /// A transport that git would take and we don't.
    #[error("{0:?} can't be fetched: use https, ssh or file, or a path")]
    Transport(String),
    /// A branch, tag or commit that can't be one.
    #[error("{0:?} can't be a branch, a tag or a commit")]
    Reference(String),
    /// Nothing that we know.
    #[error("{0:?} is neither a path nor a git URL; write ./folder, owner/repo or https://…")]
    Unknown(String),
}

impl Source {
    /// The source with its path made absolute, so that another process understands it.
    ///
    /// # Errors
    /// If the current folder is unknown.
    pub fn absolute(self) -> std::io::Result<Self> {
        Ok(match self {
            Self::Folder(path) => Self::Folder(std::path::absolute(path)?),
            Self::Archive(path) => Self::Archive(std::path::absolute(path)?),
            git @ Self::Git { .. } => git,
        })
    }
}

impl fmt::Display for Source {
    /// As it is shown and written to the lock file: without a user name or password in the URL.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(path) | Self::Archive(path) => write!(f, "{}", path.display()),
            Self::Git { url, reference } => {
                f.write_str(&without_credentials(url))?;
                reference.iter().try_for_each(|reference| write!(f, "@{reference}"))
            }
        }
    }
}

fn without_credentials(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    match authority.rsplit_once('@') {
        // The user of an ssh URL is part of the address.
        Some((user, host)) if scheme != "ssh" || user.contains(':') => {
            format!("{scheme}://{host}/{path}")
        }
        _ => url.to_owned(),
    }
}

impl FromStr for Source {
    type Err = InvalidSource;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        if text.is_empty() || text.starts_with('-') || text.contains(char::is_control) {
            return Err(InvalidSource::Unknown(text.to_owned()));
        }
        if let Some((scheme, rest)) = text.split_once("://") {
            return from_url(text, scheme, rest);
        }
        let path = Path::new(text);
        if path.is_dir() {
            return Ok(Self::Folder(path.to_owned()));
        }
        if path.is_file() {
            let ending = text.to_ascii_lowercase();
            let archive = [".tar.gz", ".tgz"].iter().any(|known| ending.ends_with(known));
            return if archive {
                Ok(Self::Archive(path.to_owned()))
            } else {
                Err(InvalidSource::NotAnArchive(text.to_owned()))
            };
        }
        if text.starts_with(['.', '/', '~']) {
            return Err(InvalidSource::NoSuchPath(text.to_owned()));
        }
        from_shorthand(text)
    }
}

fn from_url(text: &str, scheme: &str, rest: &str) -> Result<Source, InvalidSource> {
    if !matches!(scheme, "https" | "http" | "ssh" | "file") {
        return Err(InvalidSource::Transport(text.to_owned()));
    }
    let Some((authority, path)) = rest.split_once('/') else {
        return Err(InvalidSource::Unknown(text.to_owned()));
    };
    if let Some((repository, branch)) = path.split_once("/tree/") {
        let url = format!("{scheme}://{authority}/{repository}");
        return git(url, Some(branch.trim_end_matches('/')));
    }
    let (path, reference) = split_reference(path);
    if path.is_empty() {
        return Err(InvalidSource::Unknown(text.to_owned()));
    }
    git(format!("{scheme}://{authority}/{path}"), reference)
}

/// `git@host:owner/repo`, `host.tld/owner/repo` and `owner/repo`.
fn from_shorthand(text: &str) -> Result<Source, InvalidSource> {
    let unknown = || InvalidSource::Unknown(text.to_owned());
    if let Some((host, path)) = text.split_once(':') {
        let looks_like_ssh = host.contains('@') && !host.contains('/') && !host.starts_with('-');
        if !looks_like_ssh || path.is_empty() || path.starts_with('-') {
            return Err(unknown());
        }
        let (path, reference) = split_reference(path);
        return git(format!("{host}:{path}"), reference);
    }
    let (path, reference) = split_reference(text);
    let word = |part: &&str| {
        !part.is_empty()
            && part.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
    };
    let parts: Vec<&str> = path.split('/').filter(word).collect();
    if parts.len() != path.split('/').count() {
        return Err(unknown());
    }
    match parts.as_slice() {
        [owner, repository] => git(format!("https://github.com/{owner}/{repository}"), reference),
        [host, _, _] if host.contains('.') => git(format!("https://{path}"), reference),
        _ => Err(unknown()),
    }
}

fn split_reference(path: &str) -> (&str, Option<&str>) {
    match path.split_once('@') {
        Some((path, reference)) => (path, Some(reference)),
        None => (path, None),
    }
}

fn git(url: String, reference: Option<&str>) -> Result<Source, InvalidSource> {
    if let Some(reference) = reference {
        let bad = reference.is_empty()
            || reference.starts_with(['-', '/', '.'])
            || reference.contains("..")
            || reference.contains(|c: char| c.is_whitespace() || "~^:?*[\\\"'".contains(c));
        if bad {
            return Err(InvalidSource::Reference(reference.to_owned()));
        }
    }
    Ok(Source::Git { url, reference: reference.map(str::to_owned) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> String {
        match text.parse() {
            Ok(Source::Git { url, reference }) => format!("{url} {reference:?}"),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn every_way_to_name_a_repository_is_understood() {
        for (text, expected) in [
            ("user/ext", "https://github.com/user/ext None"),
            ("user/ext@v1.2.0", "https://github.com/user/ext Some(\"v1.2.0\")"),
            ("github.com/user/ext", "https://github.com/user/ext None"),
            ("https://github.com/user/ext.git", "https://github.com/user/ext.git None"),
            ("https://github.com/u/e/tree/feature/x", "https://github.com/u/e Some(\"feature/x\")"),
            ("https://me@host.tld/u/e@main", "https://me@host.tld/u/e Some(\"main\")"),
            ("git@host.tld:u/e.git@v1", "git@host.tld:u/e.git Some(\"v1\")"),
            ("ssh://git@host.tld/u/e", "ssh://git@host.tld/u/e None"),
            ("file:///srv/e.git@abc123", "file:///srv/e.git Some(\"abc123\")"),
        ] {
            assert_eq!(read(text), expected, "{text}");
        }
    }

    #[test]
    fn what_git_could_take_for_an_option_or_a_program_is_refused() {
        for text in [
            "ext::sh -c touch",
            "ext://x/y",
            "git://host/x/y",
            "--upload-pack=x",
            "-x/y",
            "user/ext@--exec",
            "user/ext@a..b",
            "a/b/c/d",
            "./nothing-here",
            "just-a-word",
            "",
        ] {
            assert!(text.parse::<Source>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_shown_source_has_no_password() {
        let source: Source = "https://me:secret@host.tld/u/e@v1".parse().expect("a source");
        assert_eq!(source.to_string(), "https://host.tld/u/e@v1");
    }
}
