//! Lists of records by condition and order: the only place where SQL is put together.
//!
//! The texts come from this file; whatever a caller gives is bound, paths into the data included.

mod field;

use serde_json::Value;
use sqlx::query::Query;
use sqlx::sqlite::SqliteArguments;
use sqlx::{AssertSqlSafe, Row, Sqlite};
use thiserror::Error;
use tinybase_model::{CollectionId, Comparison, Condition, Record, RecordId, SortKey, UserId};

use self::field::{Field, bad_value};
use crate::record::decode;
use crate::{Store, StoreError};

/// Which records somebody may see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// All of a collection.
    Collection(CollectionId),
    /// Those of a collection that a user owns.
    Owned(CollectionId, UserId),
    /// All records.
    Everything,
    /// All of some collections, and those of others that a user owns.
    Several {
        /// Seen in full.
        full: Vec<CollectionId>,
        /// Seen as far as the owner owns them.
        owned: Vec<CollectionId>,
        /// The owner; none sees nothing of `owned`.
        owner: Option<UserId>,
    },
}

/// Where a page begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PageStart {
    /// After so many records.
    Offset(u64),
    /// After this record, in the order of creation. Only without sort keys.
    After(RecordId),
}

/// Which records to list, in which order.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordQuery {
    /// Which records may be seen.
    pub scope: Scope,
    /// What they have to fulfil.
    pub conditions: Vec<Condition>,
    /// Their order; empty means by creation, oldest first. Ties are in the order of creation.
    pub sort: Vec<SortKey>,
    /// Where the page begins.
    pub from: PageStart,
    /// The most records to return.
    pub limit: u32,
}

/// Why records weren't listed.
#[derive(Debug, Clone, Error)]
pub enum ListError {
    /// There is no such field.
    #[error(
        "{0:?} is no field of a record: use id, collection_id, owner_id, created_at, updated_at or \
         data.<name>"
    )]
    Field(String),
    /// A field can't be compared with a value.
    #[error("{field} can't be compared with {value}: {expected}")]
    Value {
        /// The field.
        field: String,
        /// The value, as JSON.
        value: String,
        /// What it should be.
        expected: &'static str,
    },
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Store {
    /// A page of records.
    pub async fn list_records(&self, query: &RecordQuery) -> Result<Vec<Record>, ListError> {
        let statement = select(query)?;
        let sql = AssertSqlSafe(statement.sql);
        let rows = bind(sqlx::query(sql), statement.binds)
            .fetch_all(self.readers())
            .await
            .map_err(StoreError::read("records"))?;
        Ok(rows.iter().map(decode).collect::<Result<_, _>>()?)
    }

    /// How many records fulfil conditions.
    pub async fn count_records(
        &self,
        scope: &Scope,
        conditions: &[Condition],
    ) -> Result<u64, ListError> {
        let statement = count(scope, conditions)?;
        let sql = AssertSqlSafe(statement.sql);
        let row = bind(sqlx::query(sql), statement.binds)
            .fetch_one(self.readers())
            .await
            .map_err(StoreError::read("records"))?;
        let total: i64 = row.try_get(0).map_err(StoreError::read("records"))?;
        Ok(u64::try_from(total).unwrap_or(0))
    }
}

/// A value that is bound.
#[derive(Debug, Clone, PartialEq)]
enum Bind {
    Text(String),
    Integer(i64),
    Real(f64),
}

/// SQL and its values.
#[derive(Debug, Default)]
pub(crate) struct Statement {
    pub(crate) sql: String,
    binds: Vec<Bind>,
}

impl Statement {
    fn push(&mut self, sql: &str) {
        self.sql.push_str(sql);
    }

    /// Adds a placeholder for a value.
    fn bind(&mut self, value: Bind) {
        self.binds.push(value);
        self.sql.push('$');
        self.sql.push_str(&self.binds.len().to_string());
    }
}

fn bind(
    mut query: Query<'_, Sqlite, SqliteArguments>,
    binds: Vec<Bind>,
) -> Query<'_, Sqlite, SqliteArguments> {
    for bind in binds {
        query = match bind {
            Bind::Text(text) => query.bind(text),
            Bind::Integer(integer) => query.bind(integer),
            Bind::Real(real) => query.bind(real),
        };
    }
    query
}

pub(crate) fn select(query: &RecordQuery) -> Result<Statement, ListError> {
    let mut statement = Statement::default();
    statement.push(
        "select r.id, r.collection_id, c.name, r.owner_id, r.data, r.created_at, r.updated_at, \
         r.version from records r join collections c on c.id = r.collection_id where ",
    );
    push_scope(&mut statement, &query.scope);
    push_conditions(&mut statement, &query.conditions)?;
    if let PageStart::After(id) = query.from {
        statement.push(" and r.id > ");
        statement.bind(Bind::Text(id.to_string()));
    }
    push_order(&mut statement, &query.sort)?;
    statement.push(" limit ");
    statement.bind(Bind::Integer(query.limit.into()));
    if let PageStart::Offset(offset) = query.from {
        statement.push(" offset ");
        statement.bind(Bind::Integer(i64::try_from(offset).unwrap_or(i64::MAX)));
    }
    Ok(statement)
}

pub(crate) fn count(scope: &Scope, conditions: &[Condition]) -> Result<Statement, ListError> {
    let mut statement = Statement::default();
    statement.push("select count(*) from records r where ");
    push_scope(&mut statement, scope);
    push_conditions(&mut statement, conditions)?;
    Ok(statement)
}

fn push_scope(statement: &mut Statement, scope: &Scope) {
    match scope {
        Scope::Everything => statement.push("true"),
        Scope::Collection(collection) => {
            statement.push("r.collection_id = ");
            statement.bind(Bind::Text(collection.to_string()));
        }
        Scope::Owned(collection, owner) => {
            statement.push("r.collection_id = ");
            statement.bind(Bind::Text(collection.to_string()));
            statement.push(" and r.owner_id = ");
            statement.bind(Bind::Text(owner.to_string()));
        }
        Scope::Several { full, owned, owner } => {
            statement.push("(r.collection_id in (select value from json_each(");
            statement.bind(Bind::Text(id_array(full)));
            statement.push("))");
            if let Some(owner) = owner {
                statement.push(" or (r.owner_id = ");
                statement.bind(Bind::Text(owner.to_string()));
                statement.push(" and r.collection_id in (select value from json_each(");
                statement.bind(Bind::Text(id_array(owned)));
                statement.push(")))");
            }
            statement.push(")");
        }
    }
}

fn id_array(ids: &[CollectionId]) -> String {
    serde_json::to_string(ids).unwrap_or_else(|_| unreachable!("ids serialise"))
}

fn push_conditions(statement: &mut Statement, conditions: &[Condition]) -> Result<(), ListError> {
    for condition in conditions {
        statement.push(" and ");
        let field = Field::parse(&condition.field)?;
        field.push(statement);
        match condition.comparison {
            Comparison::In => {
                let Value::Array(values) = &condition.value else {
                    return Err(bad_value(&condition.field, &condition.value, "give an array"));
                };
                push_list(statement, &field, &condition.field, values)?;
            }
            Comparison::Equal => push_operator(statement, " is ", &field, condition)?,
            Comparison::NotEqual => push_operator(statement, " is not ", &field, condition)?,
            Comparison::Less => push_operator(statement, " < ", &field, condition)?,
            Comparison::LessOrEqual => push_operator(statement, " <= ", &field, condition)?,
            Comparison::Greater => push_operator(statement, " > ", &field, condition)?,
            Comparison::GreaterOrEqual => push_operator(statement, " >= ", &field, condition)?,
        }
    }
    Ok(())
}

fn push_operator(
    statement: &mut Statement,
    operator: &'static str,
    field: &Field<'_>,
    condition: &Condition,
) -> Result<(), ListError> {
    statement.push(operator);
    match field.value(&condition.field, &condition.value)? {
        Some(value) => statement.bind(value),
        None => statement.push("null"),
    }
    Ok(())
}

fn push_list(
    statement: &mut Statement,
    field: &Field<'_>,
    name: &str,
    values: &[Value],
) -> Result<(), ListError> {
    statement.push(" in (");
    for (index, value) in values.iter().enumerate() {
        if index > 0 {
            statement.push(", ");
        }
        match field.value(name, value)? {
            Some(value) => statement.bind(value),
            None => statement.push("null"),
        }
    }
    statement.push(")");
    Ok(())
}

/// Adds the order. It ends with the id, which tells any two records apart; what a caller would have
/// after that makes no difference and would only keep the database from using an index.
fn push_order(statement: &mut Statement, sort: &[SortKey]) -> Result<(), ListError> {
    statement.push(" order by ");
    let mut descending = false;
    for key in sort {
        descending = key.descending;
        match Field::parse(&key.field)? {
            // A record's id says when it was made, and there is an index over it.
            Field::Time("r.created_at") | Field::Id("r.id") => break,
            field @ (Field::Id(_) | Field::Time(_) | Field::Data(_)) => field.push(statement),
        }
        statement.push(if descending { " desc, " } else { ", " });
    }
    statement.push(if descending { "r.id desc" } else { "r.id" });
    Ok(())
}

/// How the database would go about a list.
#[cfg(test)]
pub(crate) async fn explain(store: &Store, query: &RecordQuery) -> String {
    let statement = select(query).expect("a statement");
    let sql = AssertSqlSafe(format!("explain query plan {}", statement.sql));
    let rows = bind(sqlx::query(sql), statement.binds).fetch_all(store.readers()).await;
    let rows = rows.expect("a plan");
    rows.iter().map(|row| row.get::<String, _>(3) + "\n").collect()
}
