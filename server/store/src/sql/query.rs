//! A statement with its values, and the four ways to run it.

use futures_util::stream::BoxStream;
use futures_util::{StreamExt as _, TryStreamExt as _};
use sqlx::postgres::PgArguments;
use sqlx::sqlite::SqliteArguments;
use sqlx::{Postgres, SqlStr, Sqlite};

use super::connection::Source;
use super::{Connection, Dialect, Readers, Row, Sql, Value};
use crate::error::{Fault, fault};

/// A statement on its way to a database. It is prepared once per connection and kept there.
#[derive(Debug, Clone)]
pub(crate) struct Query<'q> {
    text: Text,
    values: Vec<Value<'q>>,
}

/// The text of a statement.
#[derive(Debug, Clone)]
pub(crate) enum Text {
    /// From the source.
    Fixed(Sql),
    /// Put together for one database; only `filter` makes such.
    Built(SqlStr),
}

impl From<Sql> for Text {
    fn from(sql: Sql) -> Self {
        Self::Fixed(sql)
    }
}

impl From<SqlStr> for Text {
    fn from(sql: SqlStr) -> Self {
        Self::Built(sql)
    }
}

/// Begins a query.
pub(crate) fn query<'q>(text: impl Into<Text>) -> Query<'q> {
    Query { text: text.into(), values: Vec::new() }
}

/// Runs on whatever it is, and wraps what comes back.
macro_rules! run {
    ($query:ident, $source:ident, $method:ident, $sqlite:expr, $postgres:expr) => {
        match $source.into() {
            Source::Readers(Readers::Sqlite(pool)) => {
                $query.sqlite().$method(pool).await.map($sqlite)
            }
            Source::Writer(Connection::Sqlite(connection)) => {
                $query.sqlite().$method(&mut **connection).await.map($sqlite)
            }
            Source::Readers(Readers::Postgres(pool)) => {
                // After a restart of the server every connection of the pool may be a dead one.
                let mut attempts = pool.options().get_max_connections() + 1;
                loop {
                    attempts -= 1;
                    let done = $query.clone().postgres().$method(pool).await;
                    if attempts == 0 || !done.as_ref().is_err_and(is_lost) {
                        break done.map($postgres);
                    }
                }
            }
            Source::Writer(Connection::Postgres(connection)) => {
                $query.postgres().$method(&mut **connection).await.map($postgres)
            }
        }
    };
}

/// Whether a read may succeed on another connection.
fn is_lost(error: &sqlx::Error) -> bool {
    fault(error) == Fault::Lost && !matches!(error, sqlx::Error::PoolTimedOut)
}

impl<'q> Query<'q> {
    /// Binds the next placeholder.
    pub(crate) fn bind(mut self, value: impl Into<Value<'q>>) -> Self {
        self.values.push(value.into());
        self
    }

    /// Runs it and tells how many rows it touched.
    pub(crate) async fn execute<'c>(
        self,
        source: impl Into<Source<'c>>,
    ) -> Result<u64, sqlx::Error> {
        run!(self, source, execute, |done| done.rows_affected(), |done| done.rows_affected())
    }

    /// The first row; none is an error.
    pub(crate) async fn fetch_one<'c>(
        self,
        source: impl Into<Source<'c>>,
    ) -> Result<Row, sqlx::Error> {
        run!(self, source, fetch_one, Row::Sqlite, Row::Postgres)
    }

    /// The first row, if there is one.
    pub(crate) async fn fetch_optional<'c>(
        self,
        source: impl Into<Source<'c>>,
    ) -> Result<Option<Row>, sqlx::Error> {
        run!(self, source, fetch_optional, |row| row.map(Row::Sqlite), |row| row.map(Row::Postgres))
    }

    /// All rows.
    pub(crate) async fn fetch_all<'c>(
        self,
        source: impl Into<Source<'c>>,
    ) -> Result<Vec<Row>, sqlx::Error> {
        run!(self, source, fetch_all, |rows| rows.into_iter().map(Row::Sqlite).collect(), |rows| {
            rows.into_iter().map(Row::Postgres).collect()
        })
    }

    /// The rows, one after the other.
    pub(crate) fn fetch<'c>(
        self,
        connection: &'c mut Connection,
    ) -> BoxStream<'c, Result<Row, sqlx::Error>>
    where
        'q: 'c,
    {
        match connection {
            Connection::Sqlite(connection) => {
                self.sqlite().fetch(&mut **connection).map_ok(Row::Sqlite).boxed()
            }
            Connection::Postgres(connection) => {
                self.postgres().fetch(&mut **connection).map_ok(Row::Postgres).boxed()
            }
        }
    }

    fn sqlite(self) -> sqlx::query::Query<'q, Sqlite, SqliteArguments> {
        let query = sqlx::query(self.text.of(Dialect::Sqlite));
        self.values.into_iter().fold(query, |query, value| match value {
            Value::Text(text) => query.bind(text),
            Value::Integer(integer) => query.bind(integer),
            Value::Real(real) => query.bind(real),
            Value::Blob(bytes) => query.bind(bytes.map(std::borrow::Cow::into_owned)),
        })
    }

    fn postgres(self) -> sqlx::query::Query<'q, Postgres, PgArguments> {
        let query = sqlx::query(self.text.of(Dialect::Postgres));
        self.values.into_iter().fold(query, |query, value| match value {
            Value::Text(text) => query.bind(text),
            Value::Integer(integer) => query.bind(integer),
            Value::Real(real) => query.bind(real),
            Value::Blob(bytes) => query.bind(bytes.map(std::borrow::Cow::into_owned)),
        })
    }
}

impl Text {
    fn of(self, dialect: Dialect) -> SqlStr {
        match self {
            Self::Fixed(sql) => SqlStr::from_static(sql.text(dialect)),
            Self::Built(sql) => sql,
        }
    }
}
