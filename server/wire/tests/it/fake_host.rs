//! A host that remembers who called.

use std::sync::Mutex;

use bytes::Bytes;
use jiff::Timestamp;
use tinybase_model::{
    ActivityNote, CallSummary, Collection, CollectionId, EventId, JsonBytes, ListRecords, LogLine,
    Record, RecordId, RecordPage, User, UserId,
};
use tinybase_wire::{Caller, HostApi, HostError};

/// Answers everything with the same few things.
#[derive(Default)]
pub(crate) struct FakeHost {
    pub(crate) callers: Mutex<Vec<Caller>>,
    pub(crate) lists: Mutex<Vec<ListRecords>>,
    pub(crate) lines: Mutex<Vec<LogLine>>,
    pub(crate) activities: Mutex<Vec<ActivityNote>>,
    pub(crate) values: Mutex<Vec<(String, Bytes)>>,
    pub(crate) refusal: Mutex<Option<HostError>>,
}

impl FakeHost {
    fn note(&self, caller: &Caller) -> Result<(), HostError> {
        self.callers.lock().expect("not poisoned").push(caller.clone());
        match self.refusal.lock().expect("not poisoned").clone() {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    pub(crate) fn last_caller(&self) -> Caller {
        self.callers.lock().expect("not poisoned").last().cloned().expect("somebody called")
    }
}

fn record(
    collection: Option<&str>,
    id: RecordId,
    data: JsonBytes,
    owner: Option<UserId>,
) -> Record {
    Record {
        id,
        collection_id: CollectionId::generate(),
        collection: collection.unwrap_or("orders").parse().expect("a name"),
        owner_id: owner,
        data,
        created_at: Timestamp::UNIX_EPOCH,
        updated_at: Timestamp::UNIX_EPOCH,
        version: 1,
    }
}

#[async_trait::async_trait]
impl HostApi for FakeHost {
    async fn get_record(
        &self,
        caller: &Caller,
        collection: Option<&str>,
        id: RecordId,
    ) -> Result<Record, HostError> {
        self.note(caller)?;
        Ok(record(collection, id, JsonBytes::empty_object(), None))
    }

    async fn list_records(
        &self,
        caller: &Caller,
        request: ListRecords,
    ) -> Result<RecordPage, HostError> {
        self.note(caller)?;
        let size = request.page_size as usize;
        self.lists.lock().expect("not poisoned").push(request);
        let data = JsonBytes::of(&"x".repeat(1000)).expect("JSON");
        let one = || record(None, RecordId::generate(), data.clone(), None);
        let records = std::iter::repeat_with(one).take(size).collect();
        Ok(RecordPage { records, next_page_token: Some("more".to_owned()) })
    }

    async fn create_record(
        &self,
        caller: &Caller,
        collection: &str,
        data: JsonBytes,
        owner_id: Option<UserId>,
    ) -> Result<Record, HostError> {
        self.note(caller)?;
        Ok(record(Some(collection), RecordId::generate(), data, owner_id))
    }

    async fn update_record(
        &self,
        caller: &Caller,
        collection: Option<&str>,
        id: RecordId,
        data: JsonBytes,
    ) -> Result<Record, HostError> {
        self.note(caller)?;
        Ok(record(collection, id, data, None))
    }

    async fn delete_record(
        &self,
        caller: &Caller,
        _collection: Option<&str>,
        _id: RecordId,
    ) -> Result<(), HostError> {
        self.note(caller)
    }

    async fn list_collections(&self, caller: &Caller) -> Result<Vec<Collection>, HostError> {
        self.note(caller)?;
        Ok(Vec::new())
    }

    async fn get_user(&self, caller: &Caller, id: UserId) -> Result<User, HostError> {
        self.note(caller)?;
        Ok(User {
            id,
            email: "ada@example.com".to_owned(),
            is_admin: false,
            created_at: Timestamp::UNIX_EPOCH,
            updated_at: Timestamp::UNIX_EPOCH,
        })
    }

    async fn call_function(
        &self,
        caller: &Caller,
        _name: &str,
        input: JsonBytes,
    ) -> Result<CallSummary, HostError> {
        self.note(caller)?;
        Ok(CallSummary {
            call_id: EventId::generate().uuid().into(),
            succeeded: true,
            output: Some(input),
            error_message: None,
            error_type: None,
            duration_ms: 4,
        })
    }

    async fn get_value(&self, caller: &Caller, key: &str) -> Result<Option<Bytes>, HostError> {
        self.note(caller)?;
        let values = self.values.lock().expect("not poisoned");
        Ok(values.iter().rfind(|(stored, _)| stored == key).map(|(_, value)| value.clone()))
    }

    async fn set_value(&self, caller: &Caller, key: &str, value: Bytes) -> Result<(), HostError> {
        self.note(caller)?;
        self.values.lock().expect("not poisoned").push((key.to_owned(), value));
        Ok(())
    }

    async fn delete_value(&self, caller: &Caller, key: &str) -> Result<(), HostError> {
        self.note(caller)?;
        self.values.lock().expect("not poisoned").retain(|(stored, _)| stored != key);
        Ok(())
    }

    async fn write_activity(&self, caller: &Caller, note: ActivityNote) -> Result<(), HostError> {
        self.note(caller)?;
        self.activities.lock().expect("not poisoned").push(note);
        Ok(())
    }

    async fn write_log(&self, caller: &Caller, lines: Vec<LogLine>) -> Result<u32, HostError> {
        self.note(caller)?;
        self.lines.lock().expect("not poisoned").extend(lines);
        Ok(2)
    }
}
