//! The words of records, kept for searches beside the records. The database's own index over them
//! follows by itself, and they go with their records.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;
use tinybase_model::{CollectionId, JsonBytes};

use crate::StoreError;
use crate::collection::json;
use crate::creation::json_array;
use crate::sql::{Connection, Sql, query};

/// A record's terms, as `search_terms` of the model makes them.
#[derive(Serialize)]
struct Terms<'a> {
    i: &'a str,
    x: &'a str,
}

/// What makes the terms of a record's data.
pub type MakeTerms = dyn Fn(&JsonBytes) -> String + Send + Sync;

/// How the terms of a collection's records are made anew; none if nothing is searched any more.
pub struct Refill(pub Option<Arc<MakeTerms>>);

impl fmt::Debug for Refill {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Refill").field(&self.0.is_some()).finish()
    }
}

/// Of rows as creations have them; those without terms, and of records that aren't there, are left out.
pub(crate) const SET_TERMS: Sql = Sql::each(
    "
    insert into record_texts (record_id, terms)
    select new.value ->> 'i', new.value ->> 'x' from json_each($1) new
    where new.value ->> 'x' is not null and new.value ->> 'i' in (select id from records)
    on conflict (record_id) do update set terms = excluded.terms
    where record_texts.terms <> excluded.terms",
    "
    insert into record_texts (record_id, terms)
    select new.value ->> 'i', new.value ->> 'x' from jsonb_array_elements($1::jsonb) new (value)
    where new.value ->> 'x' is not null
      and exists (select 1 from records where id = new.value ->> 'i')
    on conflict (record_id) do update set terms = excluded.terms
    where record_texts.terms <> excluded.terms",
);

pub(crate) const DELETE_TERMS: Sql = Sql::same(
    "delete from record_texts where record_id in (select id from records where collection_id = $1)",
);

pub(crate) const RECORDS_TO_READ: Sql = Sql::same(
    "
    select id, cast(data as text) from records where collection_id = $1 and id > $2
    order by id limit $3",
);

/// How many records are read at once.
const STEP: u32 = 500;

/// Keeps the terms of records that were written, given as JSON texts with `i` and `x`.
pub(crate) async fn set_terms(
    connection: &mut Connection,
    rows: impl Iterator<Item = &str>,
) -> Result<(), StoreError> {
    let set = query(SET_TERMS).bind(json_array(rows)).execute(connection).await;
    set.map(drop).map_err(StoreError::write("the words of records"))
}

/// Keeps the terms of one record.
pub(crate) async fn set_terms_of(
    connection: &mut Connection,
    id: &str,
    terms: &str,
) -> Result<(), StoreError> {
    let row = row(id, terms);
    set_terms(connection, std::iter::once(row.as_str())).await
}

fn row(id: &str, terms: &str) -> String {
    serde_json::to_string(&Terms { i: id, x: terms })
        .unwrap_or_else(|_| unreachable!("texts serialise"))
}

impl Refill {
    /// Makes the terms of all records of a collection anew.
    pub(crate) async fn run(
        &self,
        connection: &mut Connection,
        collection: CollectionId,
    ) -> Result<(), StoreError> {
        let collection = collection.to_string();
        let deleted = query(DELETE_TERMS).bind(&collection).execute(&mut *connection).await;
        deleted.map_err(StoreError::write("the words of records"))?;
        let Some(terms) = &self.0 else { return Ok(()) };
        let mut after = String::new();
        loop {
            let read = || StoreError::read("records");
            let found = query(RECORDS_TO_READ)
                .bind(&collection)
                .bind(&after)
                .bind(STEP)
                .fetch_all(&mut *connection)
                .await
                .map_err(read())?;
            let mut rows = Vec::with_capacity(found.len());
            for one in &found {
                let id = one.text(0).map_err(read())?;
                rows.push(row(id, &terms(&json(one.text(1).map_err(read())?)?)));
                id.clone_into(&mut after);
            }
            if rows.is_empty() {
                return Ok(());
            }
            set_terms(connection, rows.iter().map(String::as_str)).await?;
        }
    }
}
