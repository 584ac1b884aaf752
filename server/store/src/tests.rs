//! The store against a real database.

mod delivery;
mod group;
mod listing;
mod planning;
mod prepares;
mod tokens;

use serde_json::Value;
use tinybase_model::{
    Cause, Collection, CollectionId, Event, Identity, JsonBytes, Position, Record, RecordEvent,
    RecordId, User, UserId,
};

use crate::testing::TestDatabase;
use crate::{
    CollectionWritten, NewEvent, NewUser, PasswordHash, RecordCreation, Store, StoreOptions,
    UserCreated, now,
};

/// A store with a database of its own.
struct TestStore {
    store: Store,
    database: TestDatabase,
}

impl TestStore {
    /// On the kind of database that this run is about.
    async fn open() -> Self {
        Self::on(TestDatabase::create().await).await
    }

    async fn on(database: TestDatabase) -> Self {
        let store = Store::open(StoreOptions::new(database.url())).await.expect("a store");
        Self { store, database }
    }

    async fn collection(&self, name: &str) -> Collection {
        let collection = Collection {
            id: CollectionId::generate(),
            name: name.parse().expect("a name"),
            label: name.to_owned(),
            schema: JsonBytes::empty_object(),
            options: JsonBytes::empty_object(),
            created_at: now(),
            updated_at: now(),
        };
        let created = self.store.create_collection(collection.clone()).await.expect("a write");
        assert_eq!(created, CollectionWritten::Done);
        collection
    }

    async fn user(&self, email: &str) -> User {
        let new = new_user(email);
        let created = self.store.create_user(new.clone()).await.expect("a write");
        assert_eq!(created, UserCreated::Done);
        new.user
    }

    /// Creates a record and gives it as it was meant to be.
    async fn record(&self, collection: &Collection, owner: Option<UserId>, data: &Value) -> Record {
        let creation = creation(collection, owner, data);
        let record = creation.record.clone();
        self.store.create_record(creation).await.expect("a write");
        record
    }

    async fn events(&self) -> Vec<Event> {
        let events = self.store.events_after(Position(0), 10_000).await.expect("events");
        events.into_iter().map(|logged| logged.event).collect()
    }
}

fn cause() -> Cause {
    Cause::request(Identity::Operator, String::new())
}

fn new_user(email: &str) -> NewUser {
    let at = now();
    let id = UserId::generate();
    let user =
        User { id, email: email.to_owned(), is_admin: false, created_at: at, updated_at: at };
    let event = Event::UserRegister(tinybase_model::UserEvent {
        user_id: Some(id),
        email: email.to_owned(),
        is_admin: false,
    });
    let event = Some(NewEvent::new(&event, &cause(), at));
    NewUser { user, password_hash: PasswordHash("hash".to_owned()), event }
}

fn creation(collection: &Collection, owner: Option<UserId>, data: &Value) -> RecordCreation {
    let at = now();
    let record = Record {
        id: RecordId::generate(),
        collection_id: collection.id,
        collection: collection.name.clone(),
        owner_id: owner,
        data: data.into(),
        created_at: at,
        updated_at: at,
        version: 1,
    };
    let event = Event::RecordCreate(RecordEvent {
        collection: collection.name.to_string(),
        record_id: Some(record.id),
        owner_id: owner,
        old_owner_id: owner,
        data: record.data.clone(),
        old_data: None,
        version: 1,
    });
    RecordCreation {
        record,
        collection_version: 1,
        references: Vec::new(),
        terms: None,
        event: NewEvent::new(&event, &cause(), at),
    }
}
