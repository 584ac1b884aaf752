//! Lists of records by condition and order: the only place where SQL is put together.
//!
//! The texts come from this file and its parts; whatever a caller gives is bound. What isn't bound is
//! checked to be harmless: a collection's id, and paths into the data, which stand there as literals
//! because the indexes over them do.

mod condition;
mod field;
mod field_index;
mod order;
mod scope;
mod search;
mod statement;

use thiserror::Error;
#[cfg(test)]
use tinybase_model::Referrer;
use tinybase_model::{Filter, Record, RecordId, SortKey};

use self::condition::push_filter;
pub use self::field_index::{Duplicates, FieldIndex};
pub(crate) use self::field_index::{find_duplicates, referring, set_indexes};
use self::order::{Segment, is_by_data, push_order, push_segment, segments};
use self::scope::push_scope;
use self::statement::Statement;
use crate::record::decode;
use crate::sql::Dialect;
use crate::{Store, StoreError};

pub use self::scope::Scope;

/// Where a page begins.
#[derive(Debug, Clone, PartialEq)]
pub enum PageStart {
    /// After so many records.
    Offset(u64),
    /// After a record, or where it would be.
    After {
        /// Its value for each key of the order.
        values: Vec<serde_json::Value>,
        /// Its id.
        id: RecordId,
    },
}

/// Which records to list, in which order.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordQuery {
    /// Which records may be seen.
    pub scope: Scope,
    /// What they have to fulfil.
    pub filter: Filter,
    /// Their order; empty means by creation, oldest first. Ties are in the order of creation.
    pub sort: Vec<SortKey>,
    /// Where the page begins.
    pub from: PageStart,
    /// The most records to return.
    pub limit: u32,
    /// What helps to find the way to them.
    pub hints: ListHints,
}

/// What is known of a list. `SQLite` has no statistics to find it out by itself.
#[expect(
    clippy::struct_excessive_bools,
    reason = "two facts that have nothing to do with each other"
)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ListHints {
    /// Whether there is an index over the first key of the order.
    pub order_has_index: bool,
    /// Whether very many records fulfil the filter, so that a page is found sooner by looking at one
    /// after the other than by sorting all of them.
    pub is_long: bool,
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
        let mut records = Vec::new();
        let mut offset = match query.from {
            PageStart::Offset(offset) => offset,
            PageStart::After { .. } => 0,
        };
        let segments = segments(self.dialect(), query)?;
        for (index, segment) in segments.iter().enumerate() {
            let rest = query.limit.saturating_sub(u32::try_from(records.len()).unwrap_or(u32::MAX));
            if rest == 0 {
                break;
            }
            let rows = select(self.dialect(), query, segment, (rest, offset))?
                .query()
                .fetch_all(self.reader())
                .await
                .map_err(StoreError::read("records"))?;
            if !rows.is_empty() {
                offset = 0;
            } else if offset > 0 && index + 1 < segments.len() {
                offset = offset.saturating_sub(self.count_segment(query, segment, offset).await?);
            }
            let found: Result<Vec<_>, _> = rows.iter().map(decode).collect();
            records.extend(found?);
        }
        Ok(records)
    }

    /// How many records a part of a list has, up to `at_most`.
    async fn count_segment(
        &self,
        query: &RecordQuery,
        segment: &Segment<'_>,
        at_most: u64,
    ) -> Result<u64, ListError> {
        let mut statement = Statement::new(self.dialect());
        statement.push("select count(*) from (select 1 from records r where ");
        push_scope(&mut statement, &query.scope, true);
        statement.push(" and ");
        push_filter(&mut statement, &query.filter)?;
        push_segment(&mut statement, query, segment)?;
        statement.push(" limit ");
        statement.bind(i64::try_from(at_most).unwrap_or(i64::MAX));
        statement.push(") counted");
        let row = statement.query().fetch_one(self.reader()).await;
        let count = row.and_then(|row| row.count(0));
        Ok(count.map_err(StoreError::read("records"))?)
    }

    /// How many records fulfil a filter; beyond `at_most` nobody counts on.
    pub async fn count_records(
        &self,
        scope: &Scope,
        filter: &Filter,
        at_most: Option<u32>,
    ) -> Result<u64, ListError> {
        let row = count(self.dialect(), scope, filter, at_most)?
            .query()
            .fetch_one(self.reader())
            .await
            .map_err(StoreError::read("records"))?;
        Ok(row.count(0).map_err(StoreError::read("records"))?)
    }
}

fn select(
    dialect: Dialect,
    query: &RecordQuery,
    segment: &Segment<'_>,
    (limit, offset): (u32, u64),
) -> Result<Statement, ListError> {
    let mut statement = Statement::new(dialect);
    statement.push(
        "select r.id, r.collection_id, c.name, r.owner_id, cast(r.data as text), r.created_at, \
         r.updated_at, r.version from records r join collections c on c.id = r.collection_id where ",
    );
    push_scope(&mut statement, &query.scope, !query.hints.is_long || is_by_data(&query.sort));
    statement.push(" and ");
    push_filter(&mut statement, &query.filter)?;
    push_segment(&mut statement, query, segment)?;
    push_order(&mut statement, &query.sort, segment)?;
    statement.push(" limit ");
    statement.bind(limit);
    if offset > 0 {
        statement.push(" offset ");
        statement.bind(i64::try_from(offset).unwrap_or(i64::MAX));
    }
    Ok(statement)
}

fn count(
    dialect: Dialect,
    scope: &Scope,
    filter: &Filter,
    at_most: Option<u32>,
) -> Result<Statement, ListError> {
    let mut statement = Statement::new(dialect);
    statement.push("select count(*) from ");
    if at_most.is_some() {
        statement.push("(select 1 from ");
    }
    statement.push("records r where ");
    push_scope(&mut statement, scope, true);
    statement.push(" and ");
    push_filter(&mut statement, filter)?;
    if let Some(at_most) = at_most {
        statement.push(" limit ");
        statement.bind(at_most);
        statement.push(") counted");
    }
    Ok(statement)
}

/// How the database would go about a list.
#[cfg(test)]
pub(crate) async fn explain(store: &Store, query: &RecordQuery) -> String {
    let mut plan = String::new();
    for segment in segments(store.dialect(), query).expect("segments") {
        let statement = select(store.dialect(), query, &segment, (query.limit, 0));
        let statement = statement.expect("a statement");
        plan.push_str(&explained(store, statement).await);
    }
    plan
}

/// How the database would go about a count.
#[cfg(test)]
pub(crate) async fn explain_count(store: &Store, query: &RecordQuery) -> String {
    let statement = count(store.dialect(), &query.scope, &query.filter, Some(query.limit));
    explained(store, statement.expect("a statement")).await
}

/// How the database would look for what refers to a record.
#[cfg(test)]
pub(crate) async fn explain_referring(store: &Store, referrer: &Referrer, id: &str) -> String {
    explained(store, field_index::select_referring(store.dialect(), referrer, id, 5)).await
}

#[cfg(test)]
async fn explained(store: &Store, mut statement: Statement) -> String {
    let (before, column) = match statement.dialect {
        Dialect::Sqlite => ("explain query plan ", 3),
        Dialect::Postgres => ("explain ", 0),
    };
    statement.sql.insert_str(0, before);
    let rows = statement.query().fetch_all(store.reader()).await.expect("a plan");
    rows.iter().map(|row| row.text(column).expect("a step").to_owned() + "\n").collect()
}
