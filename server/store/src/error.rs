//! Why the database didn't do what was asked.

use std::sync::Arc;

use thiserror::Error;
use tinybase_model::CollectionName;

/// A fault of the database. Refusals, such as a name that is taken, are not faults: the functions
/// that can meet them return them as values.
#[derive(Debug, Clone, Error)]
pub enum StoreError {
    /// The queue of writes is full.
    #[error("the database has too many writes waiting; try again later")]
    Overloaded,
    /// The store was closed.
    #[error("the database is closed because the server is stopping")]
    Closed,
    /// The database can't be reached.
    #[error("the database can't be reached; try again later")]
    Unreachable {
        /// Why.
        #[source]
        source: Arc<sqlx::Error>,
    },
    /// The database can't hold what was given, whatever is done: a text with the character 0, or a
    /// number beyond all bounds.
    #[error("the database can't hold a value of {what}: it has a character 0, or is too large")]
    Unstorable {
        /// What was to be read or written.
        what: &'static str,
        /// Why.
        #[source]
        source: Arc<sqlx::Error>,
    },
    /// A read failed.
    #[error("the database could not read {what}")]
    Read {
        /// What was read.
        what: &'static str,
        /// Why.
        #[source]
        source: Arc<sqlx::Error>,
    },
    /// A write failed and was undone.
    #[error("the database could not write {what}")]
    Write {
        /// What was written.
        what: &'static str,
        /// Why.
        #[source]
        source: Arc<sqlx::Error>,
    },
    /// The commit failed, so that nothing of it is there.
    #[error("the database could not commit")]
    Commit {
        /// Why.
        #[source]
        source: Arc<sqlx::Error>,
    },
    /// The connection broke while the commit was under way: it may be there or not.
    #[error("the connection to the database broke during a commit, which may have succeeded")]
    Unknown {
        /// Why.
        #[source]
        source: Arc<sqlx::Error>,
    },
    /// The write would have broken what the database keeps, and nothing of it is there.
    #[error("{0}")]
    Refused(Refusal),
    /// A row holds what the server never writes.
    #[error("the database holds a broken value in {what}")]
    Corrupt {
        /// Where.
        what: &'static str,
        /// Which and why.
        #[source]
        source: Arc<dyn std::error::Error + Send + Sync>,
    },
}

/// What a write would have broken.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Refusal {
    /// Another record has the same values in the fields of this unique index.
    #[error("the unique index {0} has these values already")]
    Duplicate(String),
    /// This field refers to nothing that is there.
    #[error("the field {0} refers to nothing that is there")]
    NoTarget(String),
    /// It is referred to and may not go.
    #[error("the field {field} of {collection} refers to it")]
    Referenced {
        /// The collection that refers to it.
        collection: CollectionName,
        /// Its field.
        field: String,
    },
    /// More records than this would have gone or changed with it.
    #[error("more than {0} records refer to it")]
    CascadeTooLarge(usize),
}

/// The unique index over fields of a collection that an error is about.
fn duplicate(error: &sqlx::Error) -> Option<String> {
    let error = error.as_database_error().filter(|error| error.is_unique_violation())?;
    let name = match error.constraint() {
        Some(name) => name,
        // SQLite: UNIQUE constraint failed: index 'name'
        None => error.message().split_once("index '")?.1.strip_suffix('\'')?,
    };
    name.starts_with("f_").then(|| name.to_owned())
}

/// What a database's error means for whoever tries again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The connection is gone, and with it what wasn't committed.
    Lost,
    /// Somebody else was in the way, and a second attempt may succeed.
    Collided,
    /// It waited for a lock as long as it may.
    Blocked,
    /// A statement failed before, and the transaction takes no more.
    Aborted,
    /// The value can't be stored.
    Value,
    /// Anything else.
    Other,
}

impl StoreError {
    pub(crate) fn read(what: &'static str) -> impl FnOnce(sqlx::Error) -> Self {
        move |source| match fault(&source) {
            Fault::Lost => Self::Unreachable { source: Arc::new(source) },
            Fault::Value => Self::Unstorable { what, source: Arc::new(source) },
            Fault::Collided | Fault::Blocked | Fault::Aborted | Fault::Other => {
                Self::Read { what, source: Arc::new(source) }
            }
        }
    }

    pub(crate) fn write(what: &'static str) -> impl FnOnce(sqlx::Error) -> Self {
        move |source| match (fault(&source), duplicate(&source)) {
            (_, Some(index)) => Self::Refused(Refusal::Duplicate(index)),
            (Fault::Lost, None) => Self::Unreachable { source: Arc::new(source) },
            (Fault::Value, None) => Self::Unstorable { what, source: Arc::new(source) },
            (Fault::Collided | Fault::Blocked | Fault::Aborted | Fault::Other, None) => {
                Self::Write { what, source: Arc::new(source) }
            }
        }
    }

    pub(crate) fn commit(source: sqlx::Error) -> Self {
        match fault(&source) {
            Fault::Lost => Self::Unreachable { source: Arc::new(source) },
            Fault::Collided | Fault::Blocked | Fault::Aborted | Fault::Value | Fault::Other => {
                Self::Commit { source: Arc::new(source) }
            }
        }
    }

    pub(crate) fn corrupt<E>(what: &'static str) -> impl FnOnce(E) -> Self
    where
        E: std::error::Error + Send + Sync + 'static,
    {
        move |source| Self::Corrupt { what, source: Arc::new(source) }
    }

    /// Whether a value that has to be the only one of its kind was there already.
    pub(crate) fn is_duplicate(&self) -> bool {
        let Self::Write { source, .. } = self else { return false };
        matches!(&**source, sqlx::Error::Database(error) if error.is_unique_violation())
    }

    /// What it means for whoever tries again.
    pub(crate) fn fault(&self) -> Fault {
        match self {
            Self::Unreachable { .. } => Fault::Lost,
            Self::Unstorable { .. } => Fault::Value,
            Self::Read { source, .. } | Self::Write { source, .. } | Self::Commit { source } => {
                fault(source)
            }
            Self::Overloaded
            | Self::Closed
            | Self::Unknown { .. }
            | Self::Refused(_)
            | Self::Corrupt { .. } => Fault::Other,
        }
    }
}

/// Sorts errors of both databases. `SQLite`'s codes are numbers, so that none is taken for another's.
pub(crate) fn fault(error: &sqlx::Error) -> Fault {
    #[expect(clippy::wildcard_enum_match_arm, reason = "the enum is another crate's, and open")]
    match error {
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::Protocol(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::WorkerCrashed => Fault::Lost,
        sqlx::Error::Database(error) => error.code().map_or(Fault::Other, |code| of_code(&code)),
        _ => Fault::Other,
    }
}

fn of_code(code: &str) -> Fault {
    match code {
        // Serialization failure, deadlock.
        "40001" | "40P01" => Fault::Collided,
        "55P03" => Fault::Blocked,
        "25P02" => Fault::Aborted,
        // A character 0 in a text or in JSON, a number out of range, a row too large for an index;
        // 18 is SQLite's "too big".
        "22021" | "22P05" | "22003" | "54000" | "18" => Fault::Value,
        // A session that was ended, a server that stops or starts, a transaction that stood still.
        "57P01" | "57P02" | "57P03" | "57P05" | "25P03" | "53300" => Fault::Lost,
        // Class 08 is about the connection.
        code if code.len() == 5 && code.starts_with("08") => Fault::Lost,
        _ => Fault::Other,
    }
}
