//! Why the database didn't do what was asked.

use std::sync::Arc;

use thiserror::Error;

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

impl StoreError {
    pub(crate) fn read(what: &'static str) -> impl FnOnce(sqlx::Error) -> Self {
        move |source| Self::Read { what, source: Arc::new(source) }
    }

    pub(crate) fn write(what: &'static str) -> impl FnOnce(sqlx::Error) -> Self {
        move |source| Self::Write { what, source: Arc::new(source) }
    }

    pub(crate) fn commit(source: sqlx::Error) -> Self {
        Self::Commit { source: Arc::new(source) }
    }

    pub(crate) fn corrupt<E>(what: &'static str) -> impl FnOnce(E) -> Self
    where
        E: std::error::Error + Send + Sync + 'static,
    {
        move |source| Self::Corrupt { what, source: Arc::new(source) }
    }
}
