//! Comparing a database with what it should be.

use std::collections::BTreeMap;

use sqlx::ConnectOptions as _;
use sqlx::sqlite::SqliteConnectOptions;

use super::{UpkeepError, close, connect, existing, inspect};
use crate::StoreError;
use crate::database::{DatabaseUrl, Place};
use crate::migration;
use crate::sql::{Connection, Sql, query};

/// Pages, rows and indexes that don't fit each other.
pub(crate) const INTEGRITY: Sql = Sql::each(
    "select \"integrity_check\" from pragma_integrity_check",
    "
    select 'records.' || id || ' has data that is no object' from records
    where jsonb_typeof(data) <> 'object' limit 100",
);

/// Rows that refer to none.
pub(crate) const FOREIGN_KEYS: Sql = Sql::each(
    "select \"table\" || ' has a row that refers to a missing one in ' || \"parent\"
     from pragma_foreign_key_check limit 100",
    "select c.conrelid::regclass || ' isn''t checked against ' || c.confrelid::regclass
     from pg_constraint c
     where c.contype = 'f' and not c.convalidated
       and c.connamespace = current_schema()::regnamespace",
);

pub(crate) const BROKEN_INDEXES: Sql = Sql::each(
    "select 'records.' || id || ' has data that is no JSON' from records
     where not json_valid(data) limit 100",
    "select 'the index ' || i.indexrelid::regclass || ' isn''t usable; REINDEX it'
     from pg_index i join pg_class c on c.oid = i.indexrelid
     where not i.indisvalid and c.relnamespace = current_schema()::regnamespace",
);

pub(crate) const BROKEN_POSITIONS: Sql = Sql::each(
    "
    select 'the subscription of ' || extension || ' is ahead of the event log' from subscriptions
    where cursor > coalesce((select seq from sqlite_sequence where name = 'events'), 0)",
    "
    select 'the subscription of ' || extension || ' is ahead of the event log' from subscriptions
    where cursor > (select position from event_head)
    union all
    select 'event_head is behind the events' where (select position from event_head)
        < coalesce((select max(position) from events), 0)",
);

/// Tables that are made then are this session's alone.
pub(crate) const IN_TEMPORARY_TABLES: Sql = Sql::each("select 1", "set search_path to pg_temp");

/// The indexes that a collection's declared fields have; they aren't the migrations'.
const FIELD_INDEX: &str = "index records.f_";

/// Compares a database with what the migrations make and looks for damage. Each sentence is something
/// that is wrong; none means that all is well.
///
/// # Errors
/// If it can't be looked at.
pub async fn check(url: &DatabaseUrl) -> Result<Vec<String>, UpkeepError> {
    let schema = |source| UpkeepError::Schema { url: url.clone(), source };
    let mut connection = existing(url).await?;
    migration::require_all(&mut connection).await.map_err(schema)?;
    let read = || StoreError::read("the schema");
    let live = inspect::objects(&mut connection).await.map_err(read())?;
    let expected = expected(url).await?;
    let mut wrong = compare(&expected, &live);
    wrong.extend(damage(&mut connection).await);
    close(connection).await;
    Ok(wrong)
}

/// Looks for damage alone, in a database that may be of an older server.
///
/// # Errors
/// If it can't be looked at, or is of a newer server.
pub async fn integrity(url: &DatabaseUrl) -> Result<Vec<String>, UpkeepError> {
    let schema = |source| UpkeepError::Schema { url: url.clone(), source };
    let mut connection = existing(url).await?;
    migration::status(&mut connection).await.map_err(schema)?;
    let wrong = damage(&mut connection).await;
    close(connection).await;
    Ok(wrong)
}

async fn damage(connection: &mut Connection) -> Vec<String> {
    let mut wrong = Vec::new();
    for statement in [INTEGRITY, FOREIGN_KEYS, BROKEN_INDEXES, BROKEN_POSITIONS] {
        // A damaged file may already fail to be read.
        match query(statement).fetch_all(&mut *connection).await {
            Ok(rows) => {
                let texts = rows.iter().filter_map(|row| row.text(0).ok());
                wrong.extend(texts.filter(|text| *text != "ok").map(str::to_owned));
            }
            Err(error) => wrong.push(format!("it can't be read: {error}")),
        }
    }
    wrong
}

/// What the migrations make, in a place that is gone with the connection.
async fn expected(url: &DatabaseUrl) -> Result<BTreeMap<String, String>, UpkeepError> {
    let fault = || StoreError::read("what the schema should be");
    let mut fresh = match &url.place {
        Place::File(_) => {
            let options = SqliteConnectOptions::new().in_memory(true);
            Connection::Sqlite(Box::new(options.connect().await.map_err(fault())?))
        }
        Place::Server(_) => {
            let mut fresh = connect(url).await?;
            query(IN_TEMPORARY_TABLES).execute(&mut fresh).await.map_err(fault())?;
            fresh
        }
    };
    migration::run(&mut fresh)
        .await
        .map_err(|source| UpkeepError::Schema { url: url.clone(), source })?;
    let objects = inspect::objects(&mut fresh).await.map_err(fault())?;
    close(fresh).await;
    Ok(objects)
}

/// Says what is missing, changed or too much.
fn compare(expected: &BTreeMap<String, String>, live: &BTreeMap<String, String>) -> Vec<String> {
    let mut wrong = Vec::new();
    for (name, definition) in expected {
        match live.get(name) {
            None => wrong.push(format!("the {name} is missing")),
            Some(found) if found != definition => {
                let (found, definition) = (one_line(found), one_line(definition));
                wrong.push(format!("the {name} is {found:?} and should be {definition:?}"));
            }
            Some(_) => {}
        }
    }
    for name in live.keys() {
        if !expected.contains_key(name) && !name.starts_with(FIELD_INDEX) {
            wrong.push(format!("the {name} is none of TinyBase's"));
        }
    }
    wrong
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
