//! Copying a database, row by row, into an empty one of either kind.

use std::collections::BTreeMap;

use futures_util::TryStreamExt as _;
use sqlx::{AssertSqlSafe, SqlSafeStr as _, SqlStr};

use super::digest::Digest;
use super::inspect::{self, Kind, NUMBERED, Tables};
use super::{UpkeepError, close, connect, existing};
use crate::StoreError;
use crate::database::DatabaseUrl;
use crate::migration;
use crate::sql::{Connection, Dialect, Query, Row, Sql, Value, query};
use crate::transaction::{BEGIN, COMMIT, execute};

/// The most rows, values and bytes that one statement inserts.
const ROWS_MAX: usize = 200;
const VALUES_MAX: usize = 20_000;
const BYTES_MAX: usize = 4 << 20;

/// The table that only one of the databases has; its value is moved apart.
const HEAD_TABLE: &str = "event_head";

/// A consistent view of the source while it is read.
pub(crate) const BEGIN_SNAPSHOT: Sql =
    Sql::each("begin", "begin isolation level repeatable read read only");

pub(crate) const SET_EVENT_HEAD: Sql = Sql::each(
    "select 1 where $1 is not null",
    "update event_head set position = greatest(position, $1)",
);

pub(crate) const SET_NUMBER: Sql = Sql::each(
    "update sqlite_sequence set seq = max(seq, $2) where name = $1 and $3 is not null",
    "select setval(pg_get_serial_sequence($1, $3), greatest($2, 1), $2 > 0)",
);

pub(crate) const INSERT_NUMBER: Sql = Sql::each(
    "insert into sqlite_sequence (name, seq) select $1, $2
     where not exists (select 1 from sqlite_sequence where name = $1)",
    "select 1 where $1::text is not null and $2::bigint is not null",
);

/// A table that was copied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copied {
    /// The table.
    pub table: String,
    /// How many rows it has.
    pub rows: u64,
}

/// Copies everything, compares what arrived with what was there, and tells what it was. Positions,
/// ids and the numbers to come stay as they are. `progress` hears of each table, and of its rows now
/// and then.
///
/// # Errors
/// If the source isn't up to date, the target isn't empty, or something differs; then nothing is in
/// the target but its tables.
pub async fn copy(
    from: &DatabaseUrl,
    to: &DatabaseUrl,
    progress: &mut (dyn FnMut(&str, u64) + Send),
) -> Result<Vec<Copied>, UpkeepError> {
    let mut source = existing(from).await?;
    let schema = |url: &DatabaseUrl| {
        let url = url.clone();
        move |source| UpkeepError::Schema { url, source }
    };
    migration::require_all(&mut source).await.map_err(schema(from))?;
    let mut target = connect(to).await?;
    if !inspect::objects(&mut target).await.map_err(StoreError::read("the tables"))?.is_empty() {
        return Err(UpkeepError::NotEmpty(to.clone()));
    }
    migration::run(&mut target).await.map_err(schema(to))?;
    execute(&mut source, BEGIN_SNAPSHOT).await?;
    execute(&mut target, BEGIN).await?;
    let copied = copy_all(&mut source, &mut target, progress).await?;
    execute(&mut target, COMMIT).await?;
    execute(&mut source, COMMIT).await?;
    close(source).await;
    close(target).await;
    Ok(copied)
}

async fn copy_all(
    source: &mut Connection,
    target: &mut Connection,
    progress: &mut (dyn FnMut(&str, u64) + Send),
) -> Result<Vec<Copied>, UpkeepError> {
    let read = || StoreError::read("the tables");
    let there = inspect::tables(source).await.map_err(read())?;
    let here = inspect::tables(target).await.map_err(read())?;
    let order = inspect::in_order(target, &here).await.map_err(read())?;
    for table in order.iter().rev().filter(|table| *table != HEAD_TABLE) {
        // What the migrations put into the target comes from the source.
        let delete = built(format!("delete from {}", quoted(table)));
        query(delete).execute(&mut *target).await.map_err(StoreError::write("a table"))?;
    }
    let mut copied = Vec::new();
    for table in order.iter().filter(|table| *table != HEAD_TABLE) {
        let columns = Columns::of(table, &there, &here)?;
        let mut seen = |rows| progress(table, rows);
        let sent = send(source, target, &columns, &mut seen).await?;
        let arrived = digest(target, &columns).await?;
        if sent != arrived {
            let values = if sent.rows == arrived.rows { ", with other values" } else { "" };
            let (table, there, here) = (table.clone(), sent.rows, arrived.rows);
            return Err(UpkeepError::Differs { table, there, here, values });
        }
        copied.push(Copied { table: table.clone(), rows: sent.rows });
    }
    if let Some(table) =
        there.keys().find(|table| !here.contains_key(*table) && *table != HEAD_TABLE)
    {
        let why = "the other database has no such table".to_owned();
        return Err(UpkeepError::Table { table: table.clone(), why });
    }
    set_numbers(source, target).await?;
    Ok(copied)
}

/// The columns of a table, on both sides.
struct Columns {
    table: String,
    names: Vec<String>,
    there: Vec<Kind>,
    here: Vec<Kind>,
    json: Vec<bool>,
}

impl Columns {
    fn of(table: &str, there: &Tables, here: &Tables) -> Result<Self, UpkeepError> {
        let refuse = |why: String| UpkeepError::Table { table: table.to_owned(), why };
        let source = there.get(table).ok_or_else(|| refuse("it isn't in the source".to_owned()))?;
        let target = here.get(table).ok_or_else(|| refuse("it isn't in the target".to_owned()))?;
        if !source.keys().eq(target.keys()) {
            return Err(refuse("its columns differ".to_owned()));
        }
        let kinds = |columns: &BTreeMap<String, Option<Kind>>| {
            let kind = |(name, kind): (&String, &Option<Kind>)| {
                kind.ok_or_else(|| refuse(format!("the type of its column {name} is unknown")))
            };
            columns.iter().map(kind).collect::<Result<Vec<_>, _>>()
        };
        let (there, here) = (kinds(source)?, kinds(target)?);
        let json = there.iter().zip(&here).map(|(a, b)| *a == Kind::Json || *b == Kind::Json);
        let (names, json) = (source.keys().cloned().collect(), json.collect());
        Ok(Self { table: table.to_owned(), names, there, here, json })
    }

    fn select(&self, kinds: &[Kind], dialect: Dialect) -> SqlStr {
        let mut text = String::from("select ");
        for (index, (name, kind)) in self.names.iter().zip(kinds).enumerate() {
            if index > 0 {
                text.push_str(", ");
            }
            let name = quoted(name);
            let (before, after) = match (kind, dialect) {
                (Kind::Json, _) => ("cast(", " as text)"),
                (Kind::Integer, Dialect::Postgres) => ("cast(", " as bigint)"),
                (Kind::Boolean, Dialect::Postgres) => ("cast(cast(", " as integer) as bigint)"),
                (Kind::Text | Kind::Real | Kind::Blob, _)
                | (Kind::Integer | Kind::Boolean, Dialect::Sqlite) => ("", ""),
            };
            text.push_str(before);
            text.push_str(&name);
            text.push_str(after);
        }
        built(format!("{text} from {}", quoted(&self.table)))
    }

    fn insert(&self, rows: usize, dialect: Dialect) -> SqlStr {
        let names: Vec<_> = self.names.iter().map(|name| quoted(name)).collect();
        let overriding = match dialect {
            Dialect::Sqlite => "",
            Dialect::Postgres => " overriding system value",
        };
        let mut text = format!(
            "insert into {} ({}){overriding} values ",
            quoted(&self.table),
            names.join(", ")
        );
        let mut placeholder = 0;
        for row in 0..rows {
            text.push_str(if row > 0 { ", (" } else { "(" });
            for (index, kind) in self.here.iter().enumerate() {
                placeholder += 1;
                if index > 0 {
                    text.push_str(", ");
                }
                text.push('$');
                text.push_str(&placeholder.to_string());
                text.push_str(match (kind, dialect) {
                    (Kind::Json, Dialect::Postgres) => "::jsonb",
                    (Kind::Boolean, Dialect::Postgres) => "::int::boolean",
                    (Kind::Text | Kind::Integer | Kind::Real | Kind::Blob, _)
                    | (Kind::Json | Kind::Boolean, Dialect::Sqlite) => "",
                });
            }
            text.push(')');
        }
        built(text)
    }

    fn read(row: &Row, kinds: &[Kind]) -> Result<Vec<Value<'static>>, sqlx::Error> {
        let value = |(index, kind): (usize, &Kind)| {
            Ok(match kind {
                Kind::Text | Kind::Json => row.optional_text(index)?.map(str::to_owned).into(),
                Kind::Integer | Kind::Boolean => row.optional_integer(index)?.into(),
                Kind::Real => row.optional_real(index)?.into(),
                Kind::Blob => row.optional_blob(index)?.map(<[u8]>::to_vec).into(),
            })
        };
        kinds.iter().enumerate().map(value).collect()
    }
}

/// Copies a table's rows.
async fn send(
    source: &mut Connection,
    target: &mut Connection,
    columns: &Columns,
    seen: &mut (dyn FnMut(u64) + Send),
) -> Result<Digest, StoreError> {
    let read = || StoreError::read("a table");
    let mut digest = Digest::default();
    let (mut rows, mut bytes, mut values) = (0, 0, Vec::new());
    let select = columns.select(&columns.there, source.dialect());
    let mut stream = query(select).fetch(source);
    seen(0);
    while let Some(row) = stream.try_next().await.map_err(read())? {
        let row = Columns::read(&row, &columns.there).map_err(read())?;
        digest.add(&row, &columns.json);
        bytes += row.iter().map(size).sum::<usize>();
        rows += 1;
        values.extend(row);
        if rows == ROWS_MAX || values.len() + columns.names.len() > VALUES_MAX || bytes > BYTES_MAX
        {
            insert(target, columns, rows, std::mem::take(&mut values)).await?;
            (rows, bytes) = (0, 0);
            seen(digest.rows);
        }
    }
    if rows > 0 {
        insert(target, columns, rows, values).await?;
    }
    seen(digest.rows);
    Ok(digest)
}

async fn insert(
    target: &mut Connection,
    columns: &Columns,
    rows: usize,
    values: Vec<Value<'static>>,
) -> Result<(), StoreError> {
    let text = columns.insert(rows, target.dialect());
    let insert = values.into_iter().fold(query(text), Query::bind);
    insert.execute(target).await.map(drop).map_err(StoreError::write("a table"))
}

/// How many rows each table of a database has.
pub(super) async fn count(url: &DatabaseUrl) -> Result<Vec<Copied>, UpkeepError> {
    let read = || StoreError::read("the tables");
    let mut connection = existing(url).await?;
    let mut counted = Vec::new();
    for table in inspect::tables(&mut connection).await.map_err(read())?.into_keys() {
        let count = built(format!("select count(*) from {}", quoted(&table)));
        let row = query(count).fetch_one(&mut connection).await.map_err(read())?;
        counted.push(Copied { table, rows: row.count(0).map_err(read())? });
    }
    close(connection).await;
    Ok(counted)
}

/// Reads back what arrived.
async fn digest(target: &mut Connection, columns: &Columns) -> Result<Digest, StoreError> {
    let read = || StoreError::read("a table");
    let mut digest = Digest::default();
    let select = columns.select(&columns.here, target.dialect());
    let mut stream = query(select).fetch(target);
    while let Some(row) = stream.try_next().await.map_err(read())? {
        digest.add(&Columns::read(&row, &columns.here).map_err(read())?, &columns.json);
    }
    Ok(digest)
}

/// Has the target go on numbering where the source would have.
async fn set_numbers(source: &mut Connection, target: &mut Connection) -> Result<(), StoreError> {
    let write = || StoreError::write("the next numbers");
    let numbers = inspect::numbers(source).await.map_err(write())?;
    let mut numbered = BTreeMap::new();
    for row in query(NUMBERED).fetch_all(&mut *target).await.map_err(write())? {
        let (table, column) = (row.text(0).map_err(write())?, row.text(1).map_err(write())?);
        numbered.insert(table.to_owned(), column.to_owned());
    }
    for (table, number) in numbers {
        if table == "events" && target.dialect() == Dialect::Postgres {
            query(SET_EVENT_HEAD).bind(number).execute(&mut *target).await.map_err(write())?;
            continue;
        }
        let column = numbered.get(&table).cloned().unwrap_or_default();
        if !column.is_empty() || target.dialect() == Dialect::Sqlite {
            query(SET_NUMBER)
                .bind(&table)
                .bind(number)
                .bind(&column)
                .fetch_all(&mut *target)
                .await
                .map_err(write())?;
            query(INSERT_NUMBER)
                .bind(&table)
                .bind(number)
                .fetch_all(&mut *target)
                .await
                .map_err(write())?;
        }
    }
    Ok(())
}

fn size(value: &Value<'_>) -> usize {
    match value {
        Value::Text(text) => text.as_ref().map_or(0, |text| text.len()),
        Value::Blob(bytes) => bytes.as_ref().map_or(0, |bytes| bytes.len()),
        Value::Integer(_) | Value::Real(_) => 8,
    }
}

/// A name from the database's own schema, quoted.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Nothing but names from the schema and placeholders is in it, so that it is safe to run.
fn built(text: String) -> SqlStr {
    AssertSqlSafe(text).into_sql_str()
}
