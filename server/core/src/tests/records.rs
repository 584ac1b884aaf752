//! Records as clients see them.

use std::sync::atomic::Ordering;

use futures_util::future::join_all;
use serde_json::{Value, json};
use tinybase_model::{Event, EventKind, Identity, JsonBytes, Record, RecordEvent, RecordId};
use tinybase_store::CollectionUpdate;

use super::{TestCore, caused_by, json_bytes, map, operator, rejected, user};
use crate::{
    CollectionChange, CoreOptions, Kind, ListQuery, Page, Problem, RecordError, RecordView,
};

fn data(record: &Record) -> Value {
    value(&record.data)
}

fn value(data: &JsonBytes) -> Value {
    data.parse().expect("JSON")
}

#[tokio::test]
async fn a_record_is_created_read_changed_and_deleted_with_its_events() {
    let test = TestCore::new().await;
    test.collection("notes", json!({})).await;
    let ann = test.user("ann@example.com").await;
    let me = user(ann.id);
    let cause = caused_by(me.clone());
    let records = test.core.records();
    let input = map(json!({"n": "5", "unknown": 1}));
    let created = records.create(&cause, "notes", input).await.expect("a record").value;
    assert_eq!(data(&created), json!({"n": 5, "s": null}));
    assert_eq!((created.owner_id, created.created_at), (Some(ann.id), created.updated_at));
    let read = records.get(&Identity::Anonymous, "notes", created.id).await.expect("a record");
    assert_eq!((read.id, data(&read)), (created.id, data(&created)));
    assert_eq!((read.owner_id, read.created_at), (created.owner_id, created.created_at));
    let change = map(json!({"s": "x"}));
    let changed = records.patch(&cause, "notes", created.id, change).await.expect("a change");
    assert_eq!(data(&changed.value), json!({"n": 5, "s": "x"}));
    assert_eq!(changed.value.created_at, created.created_at);
    records.delete(&cause, "notes", created.id).await.expect("a deletion");
    let gone = records.get(&me, "notes", created.id).await.expect_err("gone");
    assert_eq!(gone.kind(), Kind::NotFound);
    let events = test.events().await;
    let [_, Event::RecordCreate(one), Event::RecordUpdate(two), Event::RecordDelete(three)] =
        events.as_slice()
    else {
        panic!("{events:?}")
    };
    // A database may keep the same JSON in another form.
    let (before, after) = (data(&created), data(&changed.value));
    assert_eq!((one.record_id, value(&one.data)), (Some(created.id), before.clone()));
    assert_eq!(two.old_data.as_ref().map(value), Some(before));
    assert_eq!(value(&two.data), after);
    assert_eq!((three.owner_id, value(&three.data)), (Some(ann.id), after));
    assert_eq!((one.version, two.version, three.version), (1, 2, 3));
    assert_eq!((created.version, changed.value.version), (1, 2));
    assert_eq!(test.hooks.wakes.load(Ordering::Relaxed), 4);
}

#[tokio::test]
async fn what_does_not_fit_the_schema_is_refused_with_the_field() {
    let test = TestCore::new().await;
    test.collection("notes", json!({})).await;
    let records = test.core.records();
    let create = |value: Value| {
        let cause = operator();
        let records = &records;
        async move { records.create(&cause, "notes", map(value)).await }
    };
    for (value, field) in [
        (json!({}), "/data/n"),
        (json!({"n": null}), "/data/n"),
        (json!({"n": "x"}), "/data/n"),
        (json!({"n": 1, "s": 1}), "/data/s"),
    ] {
        let refused = create(value).await.expect_err("a mistake");
        assert_eq!(
            (refused.kind(), refused.violations()[0].field.as_str()),
            (Kind::Invalid, field)
        );
        assert!(refused.to_string().contains(field), "{refused}");
    }
    let record = create(json!({"n": 1, "s": "x"})).await.expect("a record").value;
    let change = map(json!({"n": null}));
    let refused = records.patch(&operator(), "notes", record.id, change).await;
    assert_eq!(refused.expect_err("a mistake").kind(), Kind::Invalid);
    assert_eq!(test.kinds().await, [EventKind::RecordCreate]);
}

#[tokio::test]
async fn rules_hold_for_every_operation() {
    let test = TestCore::new().await;
    test.collection("own", json!({"list": "owner", "read": "owner", "create": "public"})).await;
    let (ann, bob) = (test.user("ann@example.com").await, test.user("bob@example.com").await);
    let (ann, bob) = (user(ann.id), user(bob.id));
    let records = test.core.records();
    let mut ids = Vec::new();
    for identity in [&ann, &bob, &Identity::Anonymous] {
        let cause = caused_by(identity.clone());
        let created = records.create(&cause, "own", map(json!({"n": 1}))).await;
        ids.push(created.expect("public means anybody").value.id);
    }
    let list = async |identity: &Identity| {
        let list = records.list(identity, "own", &ListQuery::default()).await.expect("a list");
        assert_eq!(list.total, Some(list.records.len() as u64));
        list.records.iter().map(|view| view.record().id).collect::<Vec<_>>()
    };
    assert_eq!(list(&ann).await, [ids[0]], "only one's own");
    assert_eq!(list(&Identity::Operator).await, [ids[2], ids[1], ids[0]]);
    let refused = records.list(&Identity::Anonymous, "own", &ListQuery::default()).await;
    assert_eq!(refused.expect_err("nobody is logged in").kind(), Kind::Forbidden);
    for (identity, id, read, kind) in [
        (&ann, ids[1], Kind::NotFound, Kind::NotFound),
        (&ann, ids[2], Kind::NotFound, Kind::NotFound),
        (&Identity::Anonymous, ids[2], Kind::Forbidden, Kind::Unauthenticated),
    ] {
        let cause = caused_by(identity.clone());
        let refused = records.get(identity, "own", id).await.expect_err("not one's own");
        assert_eq!(refused.kind(), read);
        for refused in [
            records.patch(&cause, "own", id, map(json!({"n": 2}))).await.map(drop),
            records.delete(&cause, "own", id).await.map(drop),
        ] {
            assert_eq!(refused.expect_err("refused").kind(), kind);
        }
    }
    records.get(&Identity::Operator, "own", ids[2]).await.expect("an administrator");
    records.delete(&caused_by(bob), "own", ids[1]).await.expect("one's own");
}

#[tokio::test]
async fn a_list_is_cut_and_sorted_as_asked() {
    let test = TestCore::new().await;
    test.collection("notes", json!({})).await;
    let records = test.core.records();
    for n in [3, 1, 2] {
        records.create(&operator(), "notes", map(json!({ "n": n }))).await.expect("a record");
    }
    let list = async |query: ListQuery| {
        let list = records.list(&Identity::Anonymous, "notes", &query).await?;
        let Page { limit, offset, .. } = query.page;
        assert_eq!((list.total, list.limit, list.offset), (Some(3), limit, offset));
        let number = |view: &RecordView| data(view.record())["n"].as_i64().expect("a number");
        Ok::<_, RecordError>(list.records.iter().map(number).collect::<Vec<_>>())
    };
    let query = ListQuery::default();
    assert_eq!(list(query.clone()).await.expect("a list"), [2, 1, 3], "the newest first");
    let by_n = ListQuery { sort: Some("n".to_owned()), ..query.clone() };
    assert_eq!(list(by_n.clone()).await.expect("a list"), [1, 2, 3]);
    let page = |limit, offset| Page { limit, offset, cursor: None };
    let cut = ListQuery { page: page(1, 1), ..by_n };
    assert_eq!(list(cut).await.expect("a list"), [2]);
    for bad in [
        ListQuery { page: page(0, 0), ..query.clone() },
        ListQuery { page: page(1001, 0), ..query.clone() },
        ListQuery { sort: Some("nonsense".to_owned()), ..query },
    ] {
        assert_eq!(list(bad).await.expect_err("nonsense").kind(), Kind::Invalid);
    }
}

#[tokio::test]
async fn a_hooks_patch_is_checked_and_kept_and_its_refusal_stops_everything() {
    let test = TestCore::new().await;
    test.collection("notes", json!({})).await;
    let records = test.core.records();
    let patch = |value: Value| {
        move |event: Event| {
            let Event::RecordCreate(record) = event else { panic!("it is a creation") };
            Ok(Event::RecordCreate(RecordEvent { data: json_bytes(&value), ..record }))
        }
    };
    test.before(patch(json!({"n": "7", "s": "patched"})));
    let created = records.create(&operator(), "notes", map(json!({"n": 1}))).await;
    assert_eq!(data(&created.expect("a record").value), json!({"n": 7, "s": "patched"}));
    for broken in [json!({"n": "x"}), json!([])] {
        test.before(patch(broken));
        let refused = records.create(&operator(), "notes", map(json!({"n": 1}))).await;
        assert_eq!(refused.expect_err("the patch doesn't fit").kind(), Kind::Invalid);
    }
    test.before(|_| Err(rejected("Not today")));
    let refused = records.create(&operator(), "notes", map(json!({"n": 1}))).await;
    let refused = refused.expect_err("refused");
    assert_eq!((refused.to_string().as_str(), refused.kind()), ("Not today", Kind::Rejected(422)));
    assert_eq!(test.kinds().await, [EventKind::RecordCreate]);
    let kinds = test.hooks.asked.lock().expect("a lock").clone();
    assert!(kinds.iter().all(|kind| *kind == EventKind::RecordCreate), "{kinds:?}");
}

#[tokio::test]
async fn changes_of_different_fields_at_once_are_all_kept() {
    let test = TestCore::new().await;
    test.collection("notes", json!({})).await;
    let records = test.core.records();
    let created = records.create(&operator(), "notes", map(json!({"n": 1}))).await;
    let id = created.expect("a record").value.id;
    let cause = operator();
    let (one, two) = tokio::join!(
        records.patch(&cause, "notes", id, map(json!({"n": 2}))),
        records.patch(&cause, "notes", id, map(json!({"s": "x"}))),
    );
    assert!(one.is_ok() && two.is_ok());
    let record = records.get(&Identity::Operator, "notes", id).await.expect("a record");
    assert_eq!(data(&record), json!({"n": 2, "s": "x"}));
    let deletions = (0..3).map(|_| records.delete(&cause, "notes", id));
    let deleted = join_all(deletions).await.into_iter().flatten().count();
    assert_eq!(deleted, 1);
    let expected = [
        EventKind::RecordCreate,
        EventKind::RecordUpdate,
        EventKind::RecordUpdate,
        EventKind::RecordDelete,
    ];
    assert_eq!(test.kinds().await, expected);
}

#[tokio::test]
async fn a_schema_that_changes_between_check_and_write_is_the_one_that_counts() {
    let test = TestCore::new().await;
    test.collection("notes", json!({})).await;
    let records = test.core.records();
    records.create(&operator(), "notes", map(json!({"n": 1}))).await.expect("it is kept in memory");
    // Another node changes the schema: this one's memory doesn't know.
    let mut stored = test.store.collection("notes").await.expect("a read").expect("a collection");
    let schema = json!({"fields": [{"name": "n", "type": "int", "max": 1},
                                   {"name": "more", "type": "int", "default": 9}]});
    stored.collection.schema = json_bytes(&schema);
    let update = CollectionUpdate {
        write: stored.collection.into(),
        version: stored.version,
        recheck: None,
        refill: None,
    };
    let updated = test.store.update_collection(update).await;
    updated.expect("a write");
    let refused = records.create(&operator(), "notes", map(json!({"n": 2}))).await;
    assert_eq!(refused.expect_err("the new maximum").kind(), Kind::Invalid);
    let created = records.create(&operator(), "notes", map(json!({"n": 1}))).await;
    assert_eq!(data(&created.expect("a record").value), json!({"n": 1, "more": 9}));
}

#[tokio::test]
async fn rules_that_change_hold_at_once() {
    let test = TestCore::new().await;
    test.collection("notes", json!({"create": "public"})).await;
    let anybody = caused_by(Identity::Anonymous);
    let records = test.core.records();
    records.create(&anybody, "notes", map(json!({"n": 1}))).await.expect("public");
    let options = Some(json!({"access": {"create": "admin"}}));
    let change = CollectionChange { options, ..CollectionChange::default() };
    test.core.collections().update(&operator(), "notes", change).await.expect("a change");
    let refused = records.create(&anybody, "notes", map(json!({"n": 1}))).await;
    assert_eq!(refused.expect_err("closed").kind(), Kind::Unauthenticated);
}

#[tokio::test]
async fn what_is_not_there_or_too_large_is_refused() {
    let options = CoreOptions { record_bytes_max: 100, ..CoreOptions::default() };
    let test = TestCore::with(options).await;
    test.collection("notes", json!({})).await;
    test.collection("other", json!({})).await;
    let records = test.core.records();
    let missing = records.create(&operator(), "nothing", map(json!({}))).await;
    assert!(matches!(missing, Err(RecordError::NoCollection(_))));
    let large = map(json!({"n": 1, "s": "x".repeat(100)}));
    let refused = records.create(&operator(), "notes", large.clone()).await;
    assert_eq!(refused.expect_err("too large").kind(), Kind::TooLarge);
    let created = records.create(&operator(), "notes", map(json!({"n": 1}))).await;
    let id = created.expect("a record").value.id;
    let refused = records.patch(&operator(), "notes", id, large).await;
    assert_eq!(refused.expect_err("too large").kind(), Kind::TooLarge);
    for (collection, id) in [("other", id), ("notes", RecordId::generate())] {
        let missing = records.get(&Identity::Operator, collection, id).await;
        assert!(matches!(missing, Err(RecordError::NotFound(_))), "{collection}");
    }
}
