//! Listing and counting records: what a client asks for, checked against the schema and made a query
//! of the store.

use serde::Serialize;
use tinybase_model::{Collection, CollectionId, Filter, Identity, Record, RecordId, SortKey};
use tinybase_store::{ListHints, PageStart, RecordQuery, Scope};
use utoipa::ToSchema;

use crate::access::{Actor, Granted, Operation, authorize};
use crate::counts::COUNTED_MAX;
use crate::cursor::Cursor;
use crate::filter::{self, Fields};
use crate::live::Sight;
use crate::record::{Found, LIMIT_MAX, RecordError, Records};
use crate::record_change::RecordAddress;
use crate::record_view::{RecordView, Selection, ViewQuery};
use crate::shelf::Shelved;

/// Which records of a collection to list.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ListQuery {
    /// Which page.
    pub page: Page,
    /// The order: fields separated by commas, `-` before what descends. Newest first unless given.
    pub sort: Option<String>,
    /// What they have to fulfil.
    pub filter: Option<String>,
    /// Words that they have to have.
    pub search: Option<String>,
    /// What to show of each.
    pub view: ViewQuery,
    /// Whether nobody needs to know how many there are.
    pub without_total: bool,
}

/// Which records of a collection to count.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CountQuery {
    /// What they have to fulfil.
    pub filter: Option<String>,
    /// Words that they have to have.
    pub search: Option<String>,
}

/// A part of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// At most so many, 1 to 1,000.
    pub limit: u32,
    /// After so many.
    pub offset: u32,
    /// After the page that gave this.
    pub cursor: Option<String>,
}

impl Default for Page {
    fn default() -> Self {
        Self { limit: 100, offset: 0, cursor: None }
    }
}

/// A part of a collection's records.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct RecordList {
    /// The records.
    #[schema(value_type = Vec<Record>)]
    pub records: Vec<RecordView>,
    /// How many there are without limit and offset; not with `count=false`. Beyond 1,000 it may be
    /// some seconds old.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
    /// The limit that was asked for.
    pub limit: u32,
    /// The offset that was asked for.
    pub offset: u32,
    /// Asks for the next page; not there if this is the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}

/// How many records there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct RecordCount {
    /// So many.
    pub count: u64,
}

/// A list that is longer is better looked at than sorted.
const LONG: u32 = COUNTED_MAX;

/// The most keys of an order.
const SORT_KEYS_MAX: usize = 8;

impl Records<'_> {
    /// Records of a collection. Under the rule `owner` these are only one's own.
    pub async fn list(
        &self,
        identity: &Identity,
        collection: &str,
        query: &ListQuery,
    ) -> Result<RecordList, RecordError> {
        let Page { limit, offset, .. } = &query.page;
        if !(1..=LIMIT_MAX).contains(limit) {
            return Err(RecordError::Query(format!("limit must be 1 to {LIMIT_MAX}")));
        }
        let shelved = self.core.find_collection(collection).await?;
        let actor = Actor::client(identity);
        let (scope, filter) = seen(&shelved, identity, query.filter.as_deref())?;
        let filter = with_words(&shelved, actor, filter, query.search.as_deref())?;
        let fields = shelved.fields(actor);
        let selection = Selection::read(fields, query.view.fields.as_deref())?;
        let expansion = self.core.expansion(actor, &shelved, query.view.expand.as_deref()).await?;
        let asked = &query.asked();
        let (sort, from) = query.place(shelved.collection.id, asked)?;
        let keys = sort_keys(fields, &sort)?;
        let store = &self.core.inner.store;
        let total = if query.without_total {
            None
        } else {
            Some(self.core.inner.counts.total(store, &scope, &filter).await?)
        };
        let hints = ListHints {
            order_has_index: keys.first().is_some_and(|key| shelved.has_index(&key.field)),
            is_long: total.is_some_and(|total| total > u64::from(LONG)),
        };
        // One more tells whether there is another page.
        let page = RecordQuery { scope, filter, sort: keys, from, limit: limit + 1, hints };
        let mut records = store.list_records(&page).await?;
        let more = records.len() > *limit as usize;
        records.truncate(*limit as usize);
        let keys = page.sort;
        let next_cursor = match records.last().filter(|_| more) {
            Some(last) => {
                Cursor::after(last, sort, &keys).map(|next| next.text(last.collection_id, asked))
            }
            None => None,
        };
        let expanded = self.core.expand(actor, &records, &expansion).await?;
        let records = records.into_iter().zip(expanded);
        let records = records.map(|(record, expand)| selection.view(record, expand)).collect();
        Ok(RecordList { records, total, limit: *limit, offset: *offset, next_cursor })
    }

    /// How many records of a collection fulfil a filter and have some words, exactly and now.
    pub async fn count(
        &self,
        identity: &Identity,
        collection: &str,
        query: &CountQuery,
    ) -> Result<RecordCount, RecordError> {
        let shelved = self.core.find_collection(collection).await?;
        let (scope, filter) = seen(&shelved, identity, query.filter.as_deref())?;
        let actor = Actor::client(identity);
        let filter = with_words(&shelved, actor, filter, query.search.as_deref())?;
        let count = self.core.inner.store.count_records(&scope, &filter, None).await?;
        Ok(RecordCount { count })
    }

    /// A record as a client wants to see it.
    pub async fn view(
        &self,
        identity: &Identity,
        collection: &str,
        id: RecordId,
        view: &ViewQuery,
    ) -> Result<RecordView, RecordError> {
        let actor = Actor::client(identity);
        let address = RecordAddress::any(Some(collection), id);
        let found = self.core.reach(actor, Operation::Read, &address).await?;
        let Found { record, shelved, .. } = found;
        let selection = Selection::read(shelved.fields(actor), view.fields.as_deref())?;
        let expansion = self.core.expansion(actor, &shelved, view.expand.as_deref()).await?;
        let expanded = self.core.expand(actor, std::slice::from_ref(&record), &expansion).await?;
        Ok(selection.view(record, expanded.into_iter().next().flatten()))
    }
}

impl ListQuery {
    /// What the records have to fulfil, as it was asked for.
    fn asked(&self) -> String {
        let filter = self.filter.as_deref().unwrap_or_default();
        match &self.search {
            None => filter.to_owned(),
            // A filter has no such character.
            Some(words) => format!("{filter}\0{words}"),
        }
    }

    /// In which order, and where in it the page begins.
    fn place(
        &self,
        collection: CollectionId,
        asked: &str,
    ) -> Result<(String, PageStart), RecordError> {
        let Page { offset, cursor, .. } = &self.page;
        let Some(cursor) = cursor else {
            let sort = self.sort.as_deref().unwrap_or(NEWEST_FIRST);
            return Ok((sort.to_owned(), PageStart::Offset((*offset).into())));
        };
        let Cursor { sort, values, id } = Cursor::read(cursor, collection, asked)?;
        if *offset > 0 || self.sort.as_ref().is_some_and(|other| *other != sort) {
            let detail = "a cursor has its own place and order; leave offset and sort out";
            return Err(RecordError::Query(detail.to_owned()));
        }
        Ok((sort, PageStart::After { values, id }))
    }
}

fn with_words(
    shelved: &Shelved,
    actor: Actor<'_>,
    filter: Filter,
    words: Option<&str>,
) -> Result<Filter, RecordError> {
    match words {
        None => Ok(filter),
        Some(words) => Ok(filter.and(shelved.search(actor, words)?)),
    }
}

/// What somebody may list of a collection, as far as it fulfils a filter.
pub(crate) fn seen(
    shelved: &Shelved,
    identity: &Identity,
    filter: Option<&str>,
) -> Result<(Scope, Filter), RecordError> {
    let actor = Actor::client(identity);
    let attempt = shelved.attempt(Operation::List, None);
    let id = shelved.collection.id;
    let (scope, rule) = match authorize(actor, attempt)? {
        Granted::Everything => (Scope::Collection(id), None),
        Granted::OwnedBy(user) => (Scope::Owned(id, user), None),
        Granted::Where(rule) => (Scope::Collection(id), Some(rule)),
    };
    let filter = match filter {
        None => Filter::always(),
        Some(text) => filter::read(text, shelved.fields(actor))
            .map_err(|error| RecordError::Query(error.to_string()))?,
    };
    let filter = match rule {
        Some(rule) => rule.and(filter),
        None => filter,
    };
    Ok((scope, filter))
}

const NEWEST_FIRST: &str = "-created_at";

/// Reads an order such as `-created_at,title`.
fn sort_keys(fields: Fields<'_>, sort: &str) -> Result<Vec<SortKey>, RecordError> {
    let keys: Vec<_> = sort.split(',').map(str::trim).collect();
    if keys.len() > SORT_KEYS_MAX {
        let detail = format!("records can be sorted by at most {SORT_KEYS_MAX} fields");
        return Err(RecordError::Query(detail));
    }
    keys.into_iter().map(|key| sort_key(fields, key)).collect()
}

fn sort_key(fields: Fields<'_>, key: &str) -> Result<SortKey, RecordError> {
    let (name, descending) = match key.strip_prefix('-') {
        Some(name) => (name, true),
        None => (key.strip_prefix('+').unwrap_or(key), false),
    };
    let path: Vec<String> = name.split('.').map(str::to_owned).collect();
    match fields.find(&path) {
        Some((field, kind)) if kind.is_sortable() => Ok(SortKey { field, descending }),
        Some((_, kind)) => Err(RecordError::Query(format!(
            "records can't be sorted by {name:?}, which is {}",
            kind.noun()
        ))),
        None => Err(RecordError::Query(format!(
            "records can't be sorted by {name:?}; use created_at, updated_at, id, owner_id or a \
             field of the collection"
        ))),
    }
}

/// The same for live changes.
pub(crate) fn sight(
    shelved: &Shelved,
    identity: &Identity,
    filter: Option<&str>,
) -> Result<Sight, RecordError> {
    let (scope, filter) = seen(shelved, identity, filter)?;
    let owner = match scope {
        Scope::Owned(_, owner) => Some(owner),
        Scope::Collection(_) | Scope::Everything | Scope::Several { .. } => None,
    };
    let Collection { id, name, .. } = &shelved.collection;
    Ok(Sight { collection_id: *id, collection: name.clone(), owner, filter })
}
