//! What a test puts into the fake server and finds in it afterwards.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use jiff::Timestamp;
use serde_json::Value;
use tinybase_proto::v1;
use uuid::Uuid;

use super::outcome::json;
use crate::FunctionFailure;
use crate::client::{HostError, HostErrorKind};

type FakeFunction = Arc<dyn Fn(Value) -> Result<Value, FunctionFailure> + Send + Sync>;

/// The other side of a handler's call-backs. Cheap to clone.
#[derive(Clone, Default)]
pub struct FakeHost {
    state: Arc<Mutex<State>>,
}

/// All that the fake holds.
#[derive(Default)]
pub(super) struct State {
    pub(super) records: Vec<v1::StoredRecord>,
    pub(super) users: BTreeMap<String, v1::StoredUser>,
    pub(super) values: BTreeMap<String, Bytes>,
    pub(super) activities: Vec<v1::WriteActivityRequest>,
    pub(super) functions: HashMap<String, FakeFunction>,
    pub(super) failure: Option<HostError>,
}

impl fmt::Debug for FakeHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeHost").finish_non_exhaustive()
    }
}

impl FakeHost {
    /// Puts a record into a collection and returns its id.
    pub fn add_record(&self, collection: &str, data: &Value) -> String {
        self.lock().insert(collection, data.to_string().into(), String::new()).id
    }

    /// The data of a collection's records, in order of creation.
    pub fn records(&self, collection: &str) -> Vec<Value> {
        let state = self.lock();
        let records = state.records.iter().filter(|record| record.collection == collection);
        records.map(|record| json(&record.data)).collect()
    }

    /// Puts a user in and returns the id.
    pub fn add_user(&self, email: &str, is_admin: bool) -> String {
        let id = Uuid::now_v7().to_string();
        let now = Timestamp::now().to_string();
        let user = v1::StoredUser {
            id: id.clone(),
            email: email.to_owned(),
            is_admin,
            created_at: now.clone(),
            updated_at: now,
        };
        self.lock().users.insert(id.clone(), user);
        id
    }

    /// Stores a value, as the extension itself would.
    pub fn set_value(&self, key: &str, value: &Value) {
        self.lock().values.insert(key.to_owned(), value.to_string().into());
    }

    /// A stored value, if it is there and is JSON.
    pub fn value(&self, key: &str) -> Option<Value> {
        self.lock().values.get(key).and_then(|value| serde_json::from_slice(value).ok())
    }

    /// The actions that were noted in the activity log, each with its metadata (null if there is
    /// none).
    pub fn activities(&self) -> Vec<(String, Value)> {
        let state = self.lock();
        state.activities.iter().map(|it| (it.action.clone(), json(&it.metadata))).collect()
    }

    /// Answers calls of a function, such as one of another extension.
    pub fn answer<F>(&self, name: &str, function: F)
    where
        F: Fn(Value) -> Result<Value, FunctionFailure> + Send + Sync + 'static,
    {
        self.lock().functions.insert(name.to_owned(), Arc::new(function));
    }

    /// Lets the next call-back fail.
    pub fn fail_next(&self, kind: HostErrorKind, message: &str) {
        self.lock().failure = Some(HostError::new(kind, message));
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    pub(super) fn insert(
        &mut self,
        collection: &str,
        data: Bytes,
        owner_id: String,
    ) -> v1::StoredRecord {
        let now = Timestamp::now().to_string();
        let record = v1::StoredRecord {
            id: Uuid::now_v7().to_string(),
            collection: collection.to_owned(),
            collection_id: format!("collection-{collection}"),
            owner_id,
            data,
            created_at: now.clone(),
            updated_at: now,
            version: 1,
        };
        self.records.push(record.clone());
        record
    }

    /// Finds a record in a collection; an empty name means in any.
    pub(super) fn position(&self, collection: &str, id: &str) -> Result<usize, HostError> {
        let fits = |record: &v1::StoredRecord| {
            record.id == id && (collection.is_empty() || record.collection == collection)
        };
        self.records.iter().position(fits).ok_or_else(|| not_found("record", id))
    }
}

pub(super) fn not_found(what: &str, name: &str) -> HostError {
    HostError::new(HostErrorKind::NotFound, format!("there is no {what} {name:?}"))
}
