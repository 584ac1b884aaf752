//! Commands that share a commit.

use futures_util::future::join_all;
use serde_json::{Value, json};
use tinybase_model::{Event, JsonBytes, Position, UserId};

use super::{TestStore, cause, creation, new_user};
use crate::event::NewEvent;
use crate::sql::{Connection, Dialect, Sql, query};
use crate::testing::TestDatabase;
use crate::write::Write;
use crate::{
    CollectionUpdate, CollectionWritten, RecordChange, RecordDeletion, Store, StoreError,
    StoreOptions, UserCreated, Written, now,
};

#[tokio::test]
async fn a_record_comes_back_as_it_was_with_its_event() {
    let test = TestStore::open().await;
    let notes = test.collection("notes").await;
    let owner = test.user("a@example.com").await;
    let data = json!({
        "big": u64::MAX, "small": i64::MIN, "real": 0.1, "whole": 5.0, "huge": 1e300,
        "text": "\u{1} \" \\ é 🦀 \n", "none": null, "list": [1, [true], {}], "yes": true,
    });
    let record = test.record(&notes, Some(owner.id), &data).await;
    let stored = test.store.record(record.id).await.expect("a read").expect("a record");
    assert_eq!(stored.version, 1);
    assert_eq!(value(&stored.record.data), value(&record.data));
    if test.store.dialect() == Dialect::Sqlite {
        assert_eq!(stored.record, record, "a file has it byte for byte");
    }
    let logged = test.store.events_after(Position(1), 10).await.expect("events");
    assert_eq!(logged.len(), 1);
    assert_eq!(logged[0].position, Position(2));
    assert_eq!(logged[0].order_key, record.id.to_string());
    let Event::RecordCreate(event) = &logged[0].event else { panic!("{:?}", logged[0].event) };
    assert_eq!(event.data, record.data);
    assert_eq!((event.record_id, event.owner_id), (Some(record.id), Some(owner.id)));
}

fn value(data: &JsonBytes) -> Value {
    serde_json::from_str(data.text()).expect("JSON")
}

#[tokio::test]
async fn commands_that_wait_together_share_a_commit() {
    let test = TestStore::open().await;
    let notes = test.collection("notes").await;
    let before = test.store.statistics();
    let writes = (0..200).map(|n| {
        let creation = creation(&notes, None, &json!({ "n": n }));
        test.store.create_record(creation)
    });
    for written in join_all(writes).await {
        assert_eq!(written.expect("a write"), Written::Done);
    }
    let after = test.store.statistics();
    assert_eq!(after.commands - before.commands, 200);
    assert!(after.commits - before.commits <= 2, "{} commits", after.commits - before.commits);
    assert_eq!(test.events().await.len(), 200);
}

#[tokio::test]
async fn a_command_that_fails_undoes_only_itself() {
    let test = TestStore::open().await;
    let notes = test.collection("notes").await;
    let good = creation(&notes, None, &json!({"n": 1}));
    let same_id = creation(&notes, None, &json!({"n": 2}));
    let mut twin = creation(&notes, None, &json!({"n": 3}));
    twin.record.id = same_id.record.id;
    let nobody = creation(&notes, Some(UserId::generate()), &json!({"n": 4}));
    let (good, same_id, twin, nobody, user) = tokio::join!(
        test.store.create_record(good),
        test.store.create_record(same_id),
        test.store.create_record(twin),
        test.store.create_record(nobody),
        test.store.create_user(new_user("a@example.com")),
    );
    assert_eq!(good.expect("a write"), Written::Done);
    assert_eq!(same_id.expect("a write"), Written::Done);
    assert!(matches!(twin, Err(StoreError::Write { .. })), "{twin:?}");
    assert!(matches!(nobody, Err(StoreError::Write { .. })), "{nobody:?}");
    assert_eq!(user.expect("a write"), UserCreated::Done);
    assert_eq!(test.events().await.len(), 3, "two records and a user");
}

struct HalfDone(&'static str);

impl Write for HalfDone {
    type Output = ();

    async fn apply(
        &self,
        connection: &mut Connection,
        events: &mut Vec<NewEvent>,
    ) -> Result<(), StoreError> {
        let new = new_user(self.0);
        new.apply(connection, events).await?;
        query(Sql::same("insert into meta (key, value) values ('instance_id', 'twice')"))
            .execute(connection)
            .await
            .map(drop)
            .map_err(StoreError::write("nonsense"))
    }
}

#[tokio::test]
async fn an_event_is_there_if_and_only_if_its_write_is() {
    let test = TestStore::open().await;
    let alone = test.store.write(HalfDone("alone@example.com")).await;
    assert!(matches!(alone, Err(StoreError::Write { .. })), "{alone:?}");
    let (half, whole) = tokio::join!(
        test.store.write(HalfDone("half@example.com")),
        test.store.create_user(new_user("whole@example.com")),
    );
    assert!(half.is_err());
    assert_eq!(whole.expect("a write"), UserCreated::Done);
    assert!(test.store.user_by_email("alone@example.com").await.expect("a read").is_none());
    assert!(test.store.user_by_email("half@example.com").await.expect("a read").is_none());
    let events = test.events().await;
    let [Event::UserRegister(user)] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!(user.email, "whole@example.com");
}

#[tokio::test]
async fn of_many_who_want_an_address_one_gets_it() {
    let test = TestStore::open().await;
    let writes = (0..20).map(|_| test.store.create_user(new_user("a@example.com")));
    let done = join_all(writes).await.into_iter().filter(|w| matches!(w, Ok(UserCreated::Done)));
    assert_eq!(done.count(), 1);
    assert_eq!(test.events().await.len(), 1);
}

#[tokio::test]
async fn a_record_checked_against_an_old_schema_is_not_created() {
    let test = TestStore::open().await;
    let notes = test.collection("notes").await;
    let update = || CollectionUpdate {
        write: notes.clone().into(),
        version: 1,
        recheck: None,
        refill: None,
    };
    for expected in [CollectionWritten::Done, CollectionWritten::Stale] {
        let written = test.store.update_collection(update()).await.expect("a write");
        assert_eq!(written, expected);
    }
    let mut fresh = creation(&notes, None, &json!({"n": 1}));
    fresh.collection_version = 2;
    let stale = creation(&notes, None, &json!({"n": 2}));
    let (fresh, stale) =
        tokio::join!(test.store.create_record(fresh), test.store.create_record(stale));
    assert_eq!(fresh.expect("a write"), Written::Done);
    assert_eq!(stale.expect("a write"), Written::Stale);
    assert_eq!(test.events().await.len(), 1);
}

#[tokio::test]
async fn of_two_changes_of_one_version_the_second_is_stale() {
    let test = TestStore::open().await;
    let notes = test.collection("notes").await;
    let record = test.record(&notes, None, &json!({"n": 1})).await;
    let event = creation(&notes, None, &json!({})).event;
    let change = |data: &Value| RecordChange {
        id: record.id,
        version: 1,
        collection_version: 1,
        owner_id: record.owner_id,
        data: data.into(),
        references: Vec::new(),
        terms: None,
        updated_at: now(),
        event: event.clone(),
    };
    let (first, second) = tokio::join!(
        test.store.update_record(change(&json!({"n": 2}))),
        test.store.update_record(change(&json!({"n": 3}))),
    );
    assert_eq!(
        (first.expect("a write"), second.expect("a write")),
        (Written::Done, Written::Stale)
    );
    let deletion = |version| RecordDeletion {
        id: record.id,
        version,
        collection_version: 1,
        cascade: None,
        event: event.clone(),
    };
    assert_eq!(test.store.delete_record(deletion(1)).await.expect("a write"), Written::Stale);
    assert_eq!(test.store.delete_record(deletion(2)).await.expect("a write"), Written::Done);
    assert_eq!(test.store.delete_record(deletion(2)).await.expect("a write"), Written::Stale);
    assert_eq!(test.events().await.len(), 3, "created, changed, deleted");
}

#[tokio::test]
async fn deleting_a_collection_logs_each_record() {
    let test = TestStore::open().await;
    let notes = test.collection("notes").await;
    let owner = test.user("a@example.com").await;
    let kept = test.collection("kept").await;
    let one = test.record(&notes, Some(owner.id), &json!({"n": 1})).await;
    let two = test.record(&notes, None, &json!({"n": 2})).await;
    test.record(&kept, None, &json!({"n": 3})).await;
    let head = test.store.events_head().await.expect("a read");
    let condemned = test.store.condemn_collection(notes.id, 1).await.expect("a write");
    assert_eq!(condemned, Written::Done);
    assert!(test.store.record(one.id).await.expect("a read").is_none(), "nobody sees it");
    let left = test.store.condemned_collections().await.expect("a read");
    let [gone] = left.as_slice() else { panic!("{left:?}") };
    assert_eq!((gone.id, &gone.name), (notes.id, &notes.name));
    for expected in [1, 1, 0] {
        let deleted = test.store.delete_records_of(gone.clone(), cause(), 1).await;
        assert_eq!(deleted.expect("a write"), expected);
    }
    test.store.delete_condemned(notes.id).await.expect("a write");
    assert!(test.store.condemned_collections().await.expect("a read").is_empty());
    let logged = test.store.events_after(head, 10).await.expect("events");
    assert_eq!(logged.len(), 2);
    assert_ne!(logged[0].id, logged[1].id);
    for (logged, record) in logged.iter().zip([one, two]) {
        let Event::RecordDelete(event) = &logged.event else { panic!("{:?}", logged.event) };
        assert_eq!(event.record_id, Some(record.id));
        assert_eq!(event.owner_id, record.owner_id);
        assert_eq!(value(&event.data), value(&record.data));
        assert_eq!(event.collection, "notes");
    }
}

#[tokio::test]
async fn a_full_queue_refuses_at_once() {
    let database = TestDatabase::create().await;
    let options = StoreOptions { queue_max: 2, ..StoreOptions::new(database.url()) };
    let store = Store::open(options).await.expect("a store");
    let writes = (0..5).map(|n| store.create_user(new_user(&format!("{n}@example.com"))));
    let written = join_all(writes).await;
    let overloaded = written.iter().filter(|w| matches!(w, Err(StoreError::Overloaded))).count();
    assert_eq!(overloaded, 3, "{written:?}");
    assert!(store.create_user(new_user("later@example.com")).await.is_ok());
}

#[tokio::test]
async fn closing_commits_what_waits_and_then_refuses() {
    let test = TestStore::open().await;
    let notes = test.collection("notes").await;
    let record = creation(&notes, None, &json!({"n": 1}));
    let id = record.record.id;
    let (written, ()) = tokio::join!(test.store.create_record(record), test.store.close());
    assert_eq!(written.expect("a write"), Written::Done);
    let late = test.store.create_record(creation(&notes, None, &json!({"n": 2}))).await;
    assert!(matches!(late, Err(StoreError::Closed)), "{late:?}");
    assert!(matches!(test.store.ping().await, Err(StoreError::Closed)));
    let again = Store::open(StoreOptions::new(test.database.url())).await.expect("a store");
    assert!(again.record(id).await.expect("a read").is_some());
    again.ping().await.expect("an answer");
}

struct Durability;

impl Write for Durability {
    type Output = (String, i64, i64);

    async fn apply(
        &self,
        connection: &mut Connection,
        _: &mut Vec<NewEvent>,
    ) -> Result<Self::Output, StoreError> {
        let run = async {
            let journal = query(Sql::same("pragma journal_mode")).fetch_one(&mut *connection);
            let journal = journal.await?.text(0)?.to_owned();
            let synchronous = query(Sql::same("pragma synchronous")).fetch_one(&mut *connection);
            let synchronous = synchronous.await?.integer(0)?;
            let keys = query(Sql::same("pragma foreign_keys")).fetch_one(connection).await?;
            Ok((journal, synchronous, keys.integer(0)?))
        };
        run.await.map_err(StoreError::write("nothing"))
    }
}

#[tokio::test]
async fn the_writer_syncs_each_commit_of_a_file() {
    let test = TestStore::on(TestDatabase::on_sqlite()).await;
    let settings = test.store.write(Durability).await.expect("a write");
    assert_eq!(settings, ("wal".to_owned(), 2, 1), "2 is FULL");
}

#[tokio::test]
async fn readers_cannot_write() {
    let test = TestStore::open().await;
    let refused = query(Sql::same("delete from users")).execute(test.store.reader()).await;
    assert!(refused.is_err());
}

#[tokio::test]
async fn values_are_kept_per_extension_and_bounded() {
    let test = TestStore::open().await;
    let (one, two) = ("one".parse().expect("a name"), "two".parse().expect("a name"));
    let set = |extension, key: &'static str| {
        let store = test.store.clone();
        async move { store.set_value(extension, key, b"\x00v"[..].into(), 2).await.expect("a write") }
    };
    assert_eq!(set(&one, "a").await, crate::ValueStored::Done);
    assert_eq!(set(&one, "b").await, crate::ValueStored::Done);
    assert_eq!(set(&one, "c").await, crate::ValueStored::TooManyKeys);
    assert_eq!(set(&one, "a").await, crate::ValueStored::Done);
    assert_eq!(set(&two, "a").await, crate::ValueStored::Done);
    test.store.delete_value(&one, "a").await.expect("a write");
    assert_eq!(test.store.value(&one, "a").await.expect("a read"), None);
    assert_eq!(test.store.value(&two, "a").await.expect("a read").as_deref(), Some(&b"\x00v"[..]));
}

/// Lets the database grow to so many pages, as a disk that is full does.
struct PagesMax(&'static str);

impl Write for PagesMax {
    type Output = ();

    async fn apply(
        &self,
        connection: &mut Connection,
        _: &mut Vec<NewEvent>,
    ) -> Result<(), StoreError> {
        let run = query(Sql::same(self.0)).fetch_all(connection).await;
        run.map(drop).map_err(StoreError::write("nothing"))
    }
}

#[tokio::test]
async fn a_full_disk_refuses_writes_and_heals_once_there_is_room() {
    let test = TestStore::on(TestDatabase::on_sqlite()).await;
    let notes = test.collection("notes").await;
    test.store.write(PagesMax("pragma max_page_count = 1")).await.expect("a limit");
    let large = json!({"s": "x".repeat(500_000)});
    let refused = test.store.create_record(creation(&notes, None, &large)).await;
    assert!(refused.is_err(), "{refused:?}");
    let writes = (0..3).map(|_| test.store.create_record(creation(&notes, None, &large)));
    assert!(join_all(writes).await.iter().all(Result::is_err));
    test.store.ping().await.expect("reads go on");
    assert!(test.events().await.is_empty());
    test.store.write(PagesMax("pragma max_page_count = 1000000")).await.expect("room");
    let written = test.store.create_record(creation(&notes, None, &large)).await;
    assert_eq!(written.expect("a write"), Written::Done);
    assert_eq!(test.events().await.len(), 1);
}
