//! SQL that is being put together for one database.

use sqlx::{AssertSqlSafe, SqlSafeStr};

use crate::sql::{self, Dialect, Query, query};

/// SQL for one database, and its values.
#[derive(Debug)]
pub(super) struct Statement {
    pub(super) dialect: Dialect,
    pub(super) sql: String,
    values: Vec<sql::Value<'static>>,
}

/// A value to compare a field with.
pub(super) enum FieldValue {
    /// As it is.
    Column(sql::Value<'static>),
    /// As JSON, which only `PostgreSQL` compares.
    Json(String),
    /// As JSON that `SQLite` reads as it reads the data, so that the same text is the same number.
    Read(String),
}

impl Statement {
    pub(super) const fn new(dialect: Dialect) -> Self {
        Self { dialect, sql: String::new(), values: Vec::new() }
    }

    pub(super) fn push(&mut self, sql: &str) {
        self.sql.push_str(sql);
    }

    /// Adds the text for the database that it is for.
    pub(super) fn push_each(&mut self, sqlite: &str, postgres: &str) {
        self.push(match self.dialect {
            Dialect::Sqlite => sqlite,
            Dialect::Postgres => postgres,
        });
    }

    /// Adds a placeholder for a value.
    pub(super) fn bind(&mut self, value: impl Into<sql::Value<'static>>) {
        self.values.push(value.into());
        self.sql.push('$');
        self.sql.push_str(&self.values.len().to_string());
    }

    /// Adds a placeholder for a JSON value, as the data's fields have it in this database.
    pub(super) fn bind_field(&mut self, value: FieldValue) {
        match value {
            FieldValue::Column(value) => self.bind(value),
            FieldValue::Json(json) => {
                self.bind(json);
                self.push("::jsonb");
            }
            FieldValue::Read(json) => {
                self.push("(");
                self.bind(json);
                self.push(" ->> '$')");
            }
        }
    }

    /// The query. Only texts of this module are in it, and what it checked, so that it is safe to run.
    pub(super) fn query(self) -> Query<'static> {
        let text = AssertSqlSafe(self.sql).into_sql_str();
        self.values.into_iter().fold(query(text), Query::bind)
    }
}
