//! Lists of records by condition and order: the only place where SQL is put together.
//!
//! The texts come from this file; whatever a caller gives is bound, paths into the data included.

mod field;
mod field_index;

use serde_json::Value;
use sqlx::{AssertSqlSafe, SqlSafeStr};
use thiserror::Error;
use tinybase_model::{CollectionId, Comparison, Condition, Record, RecordId, SortKey, UserId};

use self::field::{Field, FieldValue, bad_value};
#[cfg(test)]
pub(crate) use self::field_index::FIELD_INDEXES;
pub use self::field_index::{Duplicates, FieldIndex};
pub(crate) use self::field_index::{find_duplicates, referring, set_indexes};
use crate::record::decode;
use crate::sql::{self, Dialect, Query, query};
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
        let rows = select(self.dialect(), query)?
            .query()
            .fetch_all(self.reader())
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
        let row = count(self.dialect(), scope, conditions)?
            .query()
            .fetch_one(self.reader())
            .await
            .map_err(StoreError::read("records"))?;
        Ok(row.count(0).map_err(StoreError::read("records"))?)
    }
}

/// SQL for one database, and its values.
#[derive(Debug)]
pub(crate) struct Statement {
    dialect: Dialect,
    sql: String,
    values: Vec<sql::Value<'static>>,
}

impl Statement {
    const fn new(dialect: Dialect) -> Self {
        Self { dialect, sql: String::new(), values: Vec::new() }
    }

    fn push(&mut self, sql: &str) {
        self.sql.push_str(sql);
    }

    /// Adds the text for the database that it is for.
    fn push_each(&mut self, sqlite: &'static str, postgres: &'static str) {
        self.push(match self.dialect {
            Dialect::Sqlite => sqlite,
            Dialect::Postgres => postgres,
        });
    }

    /// Adds a placeholder for a value.
    fn bind(&mut self, value: impl Into<sql::Value<'static>>) {
        self.values.push(value.into());
        self.sql.push('$');
        self.sql.push_str(&self.values.len().to_string());
    }

    /// Adds a placeholder for a JSON value, as the data's fields have it in this database.
    fn bind_field(&mut self, value: FieldValue) {
        match value {
            FieldValue::Column(value) => self.bind(value),
            FieldValue::Json(json) => {
                self.bind(json);
                self.push("::jsonb");
            }
        }
    }

    /// The query. Only texts of this module are in it, so that it is safe to run.
    fn query(self) -> Query<'static> {
        let text = AssertSqlSafe(self.sql).into_sql_str();
        self.values.into_iter().fold(query(text), Query::bind)
    }
}

fn select(dialect: Dialect, query: &RecordQuery) -> Result<Statement, ListError> {
    let mut statement = Statement::new(dialect);
    statement.push(
        "select r.id, r.collection_id, c.name, r.owner_id, cast(r.data as text), r.created_at, \
         r.updated_at, r.version from records r join collections c on c.id = r.collection_id where ",
    );
    push_scope(&mut statement, &query.scope);
    push_conditions(&mut statement, &query.conditions)?;
    if let PageStart::After(id) = query.from {
        statement.push(" and r.id > ");
        statement.bind(id.to_string());
    }
    push_order(&mut statement, &query.sort)?;
    statement.push(" limit ");
    statement.bind(query.limit);
    if let PageStart::Offset(offset) = query.from {
        statement.push(" offset ");
        statement.bind(i64::try_from(offset).unwrap_or(i64::MAX));
    }
    Ok(statement)
}

fn count(
    dialect: Dialect,
    scope: &Scope,
    conditions: &[Condition],
) -> Result<Statement, ListError> {
    let mut statement = Statement::new(dialect);
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
            statement.bind(collection.to_string());
        }
        Scope::Owned(collection, owner) => {
            statement.push("r.collection_id = ");
            statement.bind(collection.to_string());
            statement.push(" and r.owner_id = ");
            statement.bind(owner.to_string());
        }
        Scope::Several { full, owned, owner } => {
            statement.push("(r.collection_id in ");
            push_ids(statement, full);
            if let Some(owner) = owner {
                statement.push(" or (r.owner_id = ");
                statement.bind(owner.to_string());
                statement.push(" and r.collection_id in ");
                push_ids(statement, owned);
                statement.push(")");
            }
            statement.push(")");
        }
    }
}

/// Adds a set of ids as one value, so that the statement's text doesn't depend on their number.
fn push_ids(statement: &mut Statement, ids: &[CollectionId]) {
    let array = serde_json::to_string(ids).unwrap_or_else(|_| unreachable!("ids serialise"));
    statement.push_each("(select value from json_each(", "(select jsonb_array_elements_text((");
    statement.bind(array);
    statement.push_each("))", ")::jsonb))");
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
            Comparison::Equal => match field.value(statement.dialect, condition)? {
                Some(value) => push_compared(statement, " = ", value),
                None => statement.push(" is null"),
            },
            Comparison::NotEqual => match field.value(statement.dialect, condition)? {
                Some(value) => push_compared(statement, " is distinct from ", value),
                None => statement.push(" is not null"),
            },
            Comparison::Less => push_range(statement, " < ", &field, condition)?,
            Comparison::LessOrEqual => push_range(statement, " <= ", &field, condition)?,
            Comparison::Greater => push_range(statement, " > ", &field, condition)?,
            Comparison::GreaterOrEqual => push_range(statement, " >= ", &field, condition)?,
        }
    }
    Ok(())
}

fn push_compared(statement: &mut Statement, operator: &'static str, value: FieldValue) {
    statement.push(operator);
    statement.bind_field(value);
}

/// Nothing is less or greater than null.
fn push_range(
    statement: &mut Statement,
    operator: &'static str,
    field: &Field<'_>,
    condition: &Condition,
) -> Result<(), ListError> {
    match field.value(statement.dialect, condition)? {
        Some(value) => push_compared(statement, operator, value),
        None => statement.push(" is null and false"),
    }
    Ok(())
}

fn push_list(
    statement: &mut Statement,
    field: &Field<'_>,
    name: &str,
    values: &[Value],
) -> Result<(), ListError> {
    let mut present = Vec::with_capacity(values.len());
    for value in values {
        present.extend(field.column_value(statement.dialect, name, value)?);
    }
    // A list without a value is in the grammar of one database only.
    if present.is_empty() {
        statement.push(" is null and false");
        return Ok(());
    }
    statement.push(" in (");
    for (index, value) in present.into_iter().enumerate() {
        if index > 0 {
            statement.push(", ");
        }
        statement.bind_field(value);
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
        let field = Field::parse(&key.field)?;
        let nullable = matches!(field, Field::Data(_) | Field::Id("r.owner_id"));
        match field {
            // A record's id says when it was made, and there is an index over it.
            Field::Time("r.created_at") | Field::Id("r.id") => break,
            field @ (Field::Id(_) | Field::Time(_) | Field::Data(_)) => field.push(statement),
        }
        statement.push(if descending { " desc" } else { "" });
        // As SQLite has it anyway.
        if nullable {
            statement.push_each("", if descending { " nulls last" } else { " nulls first" });
        }
        statement.push(", ");
    }
    statement.push(if descending { "r.id desc" } else { "r.id" });
    Ok(())
}

/// How the database would go about a list.
#[cfg(test)]
pub(crate) async fn explain(store: &Store, query: &RecordQuery) -> String {
    let mut statement = select(store.dialect(), query).expect("a statement");
    let (before, column) = match store.dialect() {
        Dialect::Sqlite => ("explain query plan ", 3),
        Dialect::Postgres => ("explain ", 0),
    };
    statement.sql.insert_str(0, before);
    let rows = statement.query().fetch_all(store.reader()).await.expect("a plan");
    rows.iter().map(|row| row.text(column).expect("a step").to_owned() + "\n").collect()
}
