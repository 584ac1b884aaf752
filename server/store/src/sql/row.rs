//! A row, read column by column.

use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;

/// A row of either database. Columns count from 0.
#[derive(Debug)]
pub(crate) enum Row {
    /// Of `SQLite`.
    Sqlite(SqliteRow),
    /// Of `PostgreSQL`.
    Postgres(PgRow),
}

macro_rules! get {
    ($row:ident, $type:ty, $index:ident) => {
        match $row {
            Row::Sqlite(row) => sqlx::Row::try_get::<$type, _>(row, $index),
            Row::Postgres(row) => sqlx::Row::try_get::<$type, _>(row, $index),
        }
    };
}

impl Row {
    /// A text.
    pub(crate) fn text(&self, index: usize) -> Result<&str, sqlx::Error> {
        get!(self, &str, index)
    }

    /// A text or nothing.
    pub(crate) fn optional_text(&self, index: usize) -> Result<Option<&str>, sqlx::Error> {
        get!(self, Option<&str>, index)
    }

    /// A whole number.
    pub(crate) fn integer(&self, index: usize) -> Result<i64, sqlx::Error> {
        get!(self, i64, index)
    }

    /// A whole number or nothing.
    pub(crate) fn optional_integer(&self, index: usize) -> Result<Option<i64>, sqlx::Error> {
        get!(self, Option<i64>, index)
    }

    /// A number that is kept as 0 or 1.
    pub(crate) fn boolean(&self, index: usize) -> Result<bool, sqlx::Error> {
        self.integer(index).map(|integer| integer != 0)
    }

    /// A whole number that was never below zero; what is counted.
    pub(crate) fn count(&self, index: usize) -> Result<u64, sqlx::Error> {
        self.integer(index).map(|integer| u64::try_from(integer).unwrap_or(0))
    }

    /// A number or nothing.
    pub(crate) fn optional_real(&self, index: usize) -> Result<Option<f64>, sqlx::Error> {
        get!(self, Option<f64>, index)
    }

    /// Bytes.
    pub(crate) fn blob(&self, index: usize) -> Result<&[u8], sqlx::Error> {
        get!(self, &[u8], index)
    }

    /// Bytes or nothing.
    pub(crate) fn optional_blob(&self, index: usize) -> Result<Option<&[u8]>, sqlx::Error> {
        get!(self, Option<&[u8]>, index)
    }
}
