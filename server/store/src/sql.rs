//! One way to run statements on both databases.
//!
//! A statement is a [`Sql`]: one text for both databases, or one for each. Values are bound as a
//! [`Value`], rows are read with typed getters, and `$1` is the first placeholder everywhere.

mod connection;
mod query;
mod row;
mod value;

pub(crate) use self::connection::{Connection, Readers, Source, Target};
pub(crate) use self::query::{Query, query};
pub(crate) use self::row::Row;
pub(crate) use self::value::Value;

/// Which database it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// A file, in this process.
    Sqlite,
    /// A server, which other nodes may share.
    Postgres,
}

/// A statement, written down in the source.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sql {
    sqlite: &'static str,
    postgres: &'static str,
}

impl Sql {
    /// One text that both databases understand, and understand alike.
    pub(crate) const fn same(text: &'static str) -> Self {
        Self { sqlite: text, postgres: text }
    }

    /// A text for each database.
    pub(crate) const fn each(sqlite: &'static str, postgres: &'static str) -> Self {
        Self { sqlite, postgres }
    }

    /// The text for one database.
    pub(crate) const fn text(self, dialect: Dialect) -> &'static str {
        match dialect {
            Dialect::Sqlite => self.sqlite,
            Dialect::Postgres => self.postgres,
        }
    }
}
