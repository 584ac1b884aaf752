//! Where the database is: a file, or a server.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use sqlx::postgres::PgConnectOptions;
use thiserror::Error;

/// Where a database is. `Debug` and `Display` never show a password.
#[derive(Clone)]
pub struct DatabaseUrl {
    pub(crate) place: Place,
}

#[derive(Clone)]
pub(crate) enum Place {
    /// A `SQLite` file.
    File(PathBuf),
    /// A database of a `PostgreSQL` server.
    Server(Box<PgConnectOptions>),
}

/// A text that names no database.
#[derive(Debug, Error)]
pub enum BadDatabaseUrl {
    /// It begins with something else.
    #[error(
        "must be \"sqlite:FILE\" or \"postgres://USER:PASSWORD@HOST:PORT/DATABASE\", and has another \
         beginning"
    )]
    Scheme,
    /// It names no file.
    #[error(
        "must name a file after \"sqlite:\"; a database in memory would be lost with the server"
    )]
    NoFile,
    /// It has parameters that a file doesn't have.
    #[error("must be a file alone after \"sqlite:\", without ? and parameters")]
    Parameters,
    /// It names no database.
    #[error("must name a database after the host, as in \"postgres://HOST/DATABASE\"")]
    NoDatabase,
    /// The rest of it can't be read.
    #[error("is no address of a PostgreSQL server")]
    Server(#[source] sqlx::Error),
}

impl DatabaseUrl {
    /// A `SQLite` file.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self { place: Place::File(path.into()) }
    }

    /// The same, with a file's relative path beginning in a folder.
    #[must_use]
    pub fn within(self, folder: &Path) -> Self {
        match self.place {
            Place::File(path) => Self::file(folder.join(path)),
            Place::Server(_) => self,
        }
    }

    /// The file, if it is one.
    pub fn as_file(&self) -> Option<&Path> {
        match &self.place {
            Place::File(path) => Some(path),
            Place::Server(_) => None,
        }
    }
}

impl From<&Path> for DatabaseUrl {
    fn from(path: &Path) -> Self {
        Self::file(path)
    }
}

impl From<PathBuf> for DatabaseUrl {
    fn from(path: PathBuf) -> Self {
        Self::file(path)
    }
}

impl From<&PathBuf> for DatabaseUrl {
    fn from(path: &PathBuf) -> Self {
        Self::file(path)
    }
}

impl FromStr for DatabaseUrl {
    type Err = BadDatabaseUrl;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(rest) = text.strip_prefix("sqlite:") {
            let path = rest.strip_prefix("//").unwrap_or(rest);
            // As others write a relative path: with an empty host before it, and a slash after that.
            let path = match path.strip_prefix('/') {
                Some(relative) if relative.starts_with("./") || relative.starts_with("../") => {
                    relative
                }
                Some(_) | None => path,
            };
            if path.is_empty() || path.starts_with(":memory:") {
                return Err(BadDatabaseUrl::NoFile);
            }
            if path.contains('?') {
                return Err(BadDatabaseUrl::Parameters);
            }
            return Ok(Self::file(path));
        }
        if !text.starts_with("postgres://") && !text.starts_with("postgresql://") {
            return Err(BadDatabaseUrl::Scheme);
        }
        let server: PgConnectOptions = text.parse().map_err(BadDatabaseUrl::Server)?;
        if server.get_database().is_none() {
            return Err(BadDatabaseUrl::NoDatabase);
        }
        Ok(Self { place: Place::Server(Box::new(server)) })
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::File(path) => write!(f, "sqlite:{}", path.display()),
            Place::Server(server) => {
                let (user, database) =
                    (server.get_username(), server.get_database().unwrap_or_default());
                match server.get_socket() {
                    Some(socket) => {
                        write!(f, "postgres://{user}@/{database}?host={}", socket.display())
                    }
                    None => write!(
                        f,
                        "postgres://{user}@{}:{}/{database}",
                        server.get_host(),
                        server.get_port()
                    ),
                }
            }
        }
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_shown_without_its_password() {
        let url: DatabaseUrl =
            "postgres://me:secret@db.example.com:5433/base?password=secret".parse().expect("a URL");
        assert_eq!(url.to_string(), "postgres://me@db.example.com:5433/base");
        assert!(!format!("{url:?}").contains("secret"));
    }

    #[test]
    fn a_file_is_looked_for_in_the_folder() {
        let url: DatabaseUrl = "sqlite:a/b.db".parse().expect("a URL");
        assert_eq!(url.within(Path::new("/data")).to_string(), "sqlite:/data/a/b.db");
        let url: DatabaseUrl = "sqlite:///b.db".parse().expect("a URL");
        assert_eq!(url.within(Path::new("/data")).as_file(), Some(Path::new("/b.db")));
        let url: DatabaseUrl = "sqlite:///./b.db".parse().expect("a URL");
        assert_eq!(url.within(Path::new("/data")).as_file(), Some(Path::new("/data/./b.db")));
    }

    #[test]
    fn what_names_no_database_is_refused_with_what_to_write() {
        let cases = [
            ("mysql://h/d", "must be \"sqlite:FILE\""),
            ("sqlite:", "must name a file"),
            ("sqlite::memory:", "must name a file"),
            ("sqlite:a.db?mode=ro", "without ?"),
            ("postgres://host", "must name a database"),
            ("postgres://host:port/d", "is no address"),
        ];
        for (text, expected) in cases {
            let refused = text.parse::<DatabaseUrl>().expect_err(text);
            assert!(refused.to_string().contains(expected), "{text}: {refused}");
        }
    }
}
