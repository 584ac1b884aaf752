//! Records, through the core.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tinybase_proto::v1;

use super::{CallbackError, Context};
use crate::event::optional;

pub use tinybase_proto::v1::Comparison;

/// A record as it is stored.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Record<T = Value> {
    /// Its id.
    pub id: String,
    /// The collection's name.
    pub collection: String,
    /// The owner's user id.
    pub owner_id: Option<String>,
    /// The data.
    pub data: T,
    /// When it was created, as an RFC 3339 time.
    pub created_at: String,
    /// When it was last changed, as an RFC 3339 time.
    pub updated_at: String,
}

impl<T: DeserializeOwned> Record<T> {
    fn read(stored: Option<v1::StoredRecord>) -> Result<Self, CallbackError> {
        let stored = stored.unwrap_or_default();
        let data = serde_json::from_slice(&stored.data)
            .map_err(|error| CallbackError::decode("the record's data", error))?;
        Ok(Self {
            id: stored.id,
            collection: stored.collection,
            owner_id: optional(stored.owner_id),
            data,
            created_at: stored.created_at,
            updated_at: stored.updated_at,
        })
    }
}

/// The records, as far as this invocation may see and change them.
#[derive(Debug)]
pub struct Records<'a> {
    context: &'a Context,
}

impl<'a> Records<'a> {
    pub(super) const fn new(context: &'a Context) -> Self {
        Self { context }
    }

    /// Reads one record.
    pub async fn get<T: DeserializeOwned>(
        &self,
        collection: &str,
        id: &str,
    ) -> Result<Record<T>, CallbackError> {
        let request = v1::GetRecordRequest { collection: collection.to_owned(), id: id.to_owned() };
        let answer = self.context.callbacks().get_record(request, self.context.scope()).await?;
        Record::read(answer.record)
    }

    /// Asks for records of one collection; an empty name means all of them.
    pub fn list<T: DeserializeOwned>(&self, collection: &str) -> Query<'a, T> {
        let request =
            v1::ListRecordsRequest { collection: collection.to_owned(), ..Default::default() };
        Query { context: self.context, request: Ok(request), data: std::marker::PhantomData }
    }

    /// Creates a record, owned by whoever this invocation acts for.
    pub async fn create<T: Serialize + DeserializeOwned>(
        &self,
        collection: &str,
        data: &T,
    ) -> Result<Record<T>, CallbackError> {
        let request = v1::CreateRecordRequest {
            collection: collection.to_owned(),
            data: json("the record's data", data)?,
            owner_id: String::new(),
        };
        let answer = self.context.callbacks().create_record(request, self.context.scope()).await?;
        Record::read(answer.record)
    }

    /// Merges fields into a record: the changes' fields replace those of the same name.
    pub async fn update<T: DeserializeOwned>(
        &self,
        collection: &str,
        id: &str,
        changes: &impl Serialize,
    ) -> Result<Record<T>, CallbackError> {
        let request = v1::UpdateRecordRequest {
            collection: collection.to_owned(),
            id: id.to_owned(),
            data: json("the record's changes", changes)?,
        };
        let answer = self.context.callbacks().update_record(request, self.context.scope()).await?;
        Record::read(answer.record)
    }

    /// Deletes a record.
    pub async fn delete(&self, collection: &str, id: &str) -> Result<(), CallbackError> {
        let request =
            v1::DeleteRecordRequest { collection: collection.to_owned(), id: id.to_owned() };
        self.context.callbacks().delete_record(request, self.context.scope()).await?;
        Ok(())
    }

    /// The collections' names, in order.
    pub async fn collections(&self) -> Result<Vec<String>, CallbackError> {
        let request = v1::ListCollectionsRequest {};
        let answer =
            self.context.callbacks().list_collections(request, self.context.scope()).await?;
        Ok(answer.collections.into_iter().map(|collection| collection.name).collect())
    }
}

/// A page of records.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Page<T = Value> {
    /// The records.
    pub records: Vec<Record<T>>,
    /// What [`Query::after`] takes for the next page; none at the end.
    pub next: Option<String>,
}

/// Which records are asked for, in which order.
#[derive(Debug)]
pub struct Query<'a, T> {
    context: &'a Context,
    request: Result<v1::ListRecordsRequest, serde_json::Error>,
    data: std::marker::PhantomData<fn() -> T>,
}

impl<T: DeserializeOwned> Query<'_, T> {
    /// Only records whose field compares so. Fields of the data are written as `data.name`.
    #[must_use]
    pub fn filter(self, field: &str, comparison: Comparison, value: impl Serialize) -> Self {
        let value = serde_json::to_vec(&value);
        self.change(|request| {
            request.conditions.push(v1::Condition {
                field: field.to_owned(),
                comparison: comparison.into(),
                value: value?.into(),
            });
            Ok(())
        })
    }

    /// Smallest first by a field; further calls break ties.
    #[must_use]
    pub fn sort_by(self, field: &str) -> Self {
        self.sort(field, false)
    }

    /// Largest first by a field; further calls break ties.
    #[must_use]
    pub fn sort_by_descending(self, field: &str) -> Self {
        self.sort(field, true)
    }

    /// How many records a page has, from 1 to 1,000.
    #[must_use]
    pub fn page_size(self, size: u32) -> Self {
        self.change(|request| {
            request.page_size = size;
            Ok(())
        })
    }

    /// Begins after a page, with its [`Page::next`].
    #[must_use]
    pub fn after(self, token: impl Into<String>) -> Self {
        self.change(|request| {
            request.page_token = token.into();
            Ok(())
        })
    }

    /// Fetches one page.
    pub async fn page(self) -> Result<Page<T>, CallbackError> {
        let request = self.request.map_err(|error| CallbackError::encode("a filter", error))?;
        let answer = self.context.callbacks().list_records(request, self.context.scope()).await?;
        let records = answer.records.into_iter().map(|record| Record::read(Some(record)));
        Ok(Page {
            records: records.collect::<Result<_, _>>()?,
            next: optional(answer.next_page_token),
        })
    }

    /// Fetches all pages, one after the other.
    pub async fn all(self) -> Result<Vec<Record<T>>, CallbackError> {
        let request = self.request.map_err(|error| CallbackError::encode("a filter", error))?;
        let mut records = Vec::new();
        let mut token = request.page_token.clone();
        loop {
            let request = v1::ListRecordsRequest { page_token: token, ..request.clone() };
            let query = Self { context: self.context, request: Ok(request), data: self.data };
            let page = query.page().await?;
            records.extend(page.records);
            match page.next {
                Some(next) => token = next,
                None => return Ok(records),
            }
        }
    }

    fn sort(self, field: &str, descending: bool) -> Self {
        self.change(|request| {
            request.sort.push(v1::SortKey { field: field.to_owned(), descending });
            Ok(())
        })
    }

    fn change(
        mut self,
        change: impl FnOnce(&mut v1::ListRecordsRequest) -> Result<(), serde_json::Error>,
    ) -> Self {
        self.request = self.request.and_then(|mut request| {
            change(&mut request)?;
            Ok(request)
        });
        self
    }
}

pub(super) fn json(
    what: &'static str,
    value: &impl Serialize,
) -> Result<bytes::Bytes, CallbackError> {
    let json = serde_json::to_vec(value).map_err(|error| CallbackError::encode(what, error))?;
    Ok(json.into())
}
