//! Unique fields, indexes, references and changes of schemas over the database.

use futures_util::future::join_all;
use serde_json::{Value, json};
use tinybase_model::{Event, EventKind, RecordId};

use super::{TestCore, caused_by, map, operator, user};
use crate::{
    CollectionChange, CollectionError, Health, Kind, ListQuery, NewCollection, Problem, RecordError,
};

async fn collection(test: &TestCore, name: &str, fields: Value, options: Value) {
    let new = NewCollection {
        name: name.to_owned(),
        label: name.to_owned(),
        schema: json!({ "fields": fields }),
        options: Some(options),
    };
    test.core.collections().create(&operator(), new).await.expect("a collection");
}

async fn create(test: &TestCore, name: &str, data: Value) -> Result<RecordId, RecordError> {
    let created = test.core.records().create(&operator(), name, map(data)).await;
    created.map(|committed| committed.value.id)
}

async fn change(test: &TestCore, name: &str, fields: Value) -> Result<(), CollectionError> {
    let schema = Some(json!({ "fields": fields }));
    let change = CollectionChange { schema, ..CollectionChange::default() };
    test.core.collections().update(&operator(), name, change).await.map(drop)
}

fn data(record: &tinybase_model::Record) -> Value {
    record.data.parse().expect("JSON")
}

#[tokio::test]
async fn of_many_creations_at_once_with_one_value_one_is_kept() {
    let test = TestCore::new().await;
    let fields =
        json!([{"name": "slug", "type": "string", "unique": true}, {"name": "n", "type": "int"}]);
    collection(&test, "posts", fields, json!({})).await;
    for round in 0..3 {
        let same =
            (0..14).map(|n| create(&test, "posts", json!({"slug": format!("r{round}"), "n": n})));
        let others =
            (0..5).map(|n| create(&test, "posts", json!({"slug": format!("o{round}-{n}")})));
        let (same, others) = tokio::join!(join_all(same), join_all(others));
        assert!(others.iter().all(Result::is_ok), "{others:?}");
        let (kept, refused): (Vec<_>, Vec<_>) = same.into_iter().partition(Result::is_ok);
        assert_eq!(kept.len(), 1);
        for error in refused.into_iter().map(|refused| refused.expect_err("refused")) {
            assert_eq!(error.kind(), Kind::Invalid);
            assert!(error.to_string().starts_with("Field 'slug' must be unique"), "{error}");
            assert_eq!(error.violations()[0].field, "/data/slug");
        }
    }
    for _ in 0..2 {
        create(&test, "posts", json!({"slug": null})).await.expect("null may repeat");
    }
    let one = create(&test, "posts", json!({"slug": "one"})).await.expect("a record");
    let records = test.core.records();
    let taken = records.patch(&operator(), "posts", one, map(json!({"slug": "r0"}))).await;
    assert_eq!(taken.expect_err("taken").kind(), Kind::Invalid);
    let same = records.patch(&operator(), "posts", one, map(json!({"slug": "one", "n": 1}))).await;
    same.expect("its own value");
}

#[tokio::test]
async fn fields_are_unique_together() {
    let test = TestCore::new().await;
    let fields =
        json!([{"name": "a", "type": "int"}, {"name": "b", "type": "string", "max_length": 50}]);
    collection(&test, "pairs", fields, json!({"unique": [["a", "b"]]})).await;
    create(&test, "pairs", json!({"a": 1, "b": "x"})).await.expect("the first");
    create(&test, "pairs", json!({"a": 1, "b": "y"})).await.expect("another b");
    let refused = create(&test, "pairs", json!({"a": 1, "b": "x"})).await.expect_err("the same");
    assert!(refused.to_string().contains("'a', 'b'"), "{refused}");
    let wrong = json!([["a"], ["a", "c"], ["a", "a"]]);
    let options = Some(json!({ "unique": wrong }));
    let change = CollectionChange { options, ..CollectionChange::default() };
    let refused = test.core.collections().update(&operator(), "pairs", change).await;
    assert_eq!(refused.expect_err("mistakes").violations().len(), 3);
}

#[tokio::test]
async fn uniqueness_over_duplicates_is_refused_with_the_values() {
    let test = TestCore::new().await;
    collection(&test, "posts", json!([{"name": "slug", "type": "string"}]), json!({})).await;
    for slug in ["a", "a", "b"] {
        create(&test, "posts", json!({ "slug": slug })).await.expect("a record");
    }
    let unique = json!([{"name": "slug", "type": "string", "unique": true}]);
    let refused = change(&test, "posts", unique.clone()).await.expect_err("duplicates");
    assert_eq!(refused.kind(), Kind::Conflict);
    assert!(refused.to_string().contains("\"a\" (2 records)"), "{refused}");
    let list = test.core.records().list(&operator().identity, "posts", &ListQuery::default()).await;
    let records = list.expect("a list").records;
    let twice = records.iter().find(|view| data(view.record()) == json!({"slug": "a"}));
    let id = twice.expect("a record").record().id;
    test.core.records().delete(&operator(), "posts", id).await.expect("a deletion");
    change(&test, "posts", unique).await.expect("no duplicates any more");
    let refused = create(&test, "posts", json!({"slug": "b"})).await;
    assert_eq!(refused.expect_err("taken").kind(), Kind::Invalid);
    change(&test, "posts", json!([{"name": "slug", "type": "string"}])).await.expect("not unique");
    create(&test, "posts", json!({"slug": "b"})).await.expect("may repeat again");
}

#[tokio::test]
async fn a_reference_is_to_something_that_is_there() {
    let test = TestCore::new().await;
    collection(&test, "authors", json!([{"name": "n", "type": "int"}]), json!({})).await;
    let fields = json!([
        {"name": "author", "type": "reference", "collection": "authors"},
        {"name": "editor", "type": "reference", "collection": "users"},
    ]);
    collection(&test, "books", fields, json!({})).await;
    let author = create(&test, "authors", json!({})).await.expect("an author");
    let editor = test.user("e@example.com").await.id;
    let book = json!({"author": author.to_string(), "editor": editor.to_string()});
    let book = create(&test, "books", book).await.expect("both are there");
    create(&test, "books", json!({})).await.expect("neither is required");
    for (field, id) in [("author", book.to_string()), ("editor", author.to_string())] {
        let refused = create(&test, "books", json!({ field: id })).await.expect_err("not there");
        assert_eq!(refused.kind(), Kind::Invalid);
        assert_eq!(refused.violations()[0].field, format!("/data/{field}"));
        assert!(refused.to_string().contains("does not exist"), "{refused}");
        let changed = map(json!({ field: id }));
        let refused = test.core.records().patch(&operator(), "books", book, changed).await;
        assert_eq!(refused.expect_err("not there").kind(), Kind::Invalid);
    }
    let missing = json!([{"name": "x", "type": "reference", "collection": "nothing"}]);
    let refused = change(&test, "books", missing).await.expect_err("no such collection");
    assert_eq!(refused.violations()[0].field, "/schema/fields/0/collection");
    let refused = test.core.collections().delete(&operator(), "authors").await;
    assert_eq!(refused.expect_err("referred to").kind(), Kind::Conflict);
}

#[tokio::test]
async fn a_deletion_does_to_references_what_they_say() {
    let test = TestCore::new().await;
    collection(&test, "a", json!([]), json!({})).await;
    let to = |target: &str, on_delete: &str| json!([{"name": "to", "type": "reference", "collection": target, "on_delete": on_delete}]);
    collection(&test, "holds", to("a", "restrict"), json!({})).await;
    collection(&test, "goes", to("a", "cascade"), json!({})).await;
    collection(&test, "too", to("goes", "cascade"), json!({})).await;
    collection(&test, "stays", to("too", "set_null"), json!({})).await;
    let a = create(&test, "a", json!({})).await.expect("a record");
    let holds = create(&test, "holds", json!({"to": a.to_string()})).await.expect("a record");
    let goes = create(&test, "goes", json!({"to": a.to_string()})).await.expect("a record");
    let too = create(&test, "too", json!({"to": goes.to_string()})).await.expect("a record");
    let stays = create(&test, "stays", json!({"to": too.to_string()})).await.expect("a record");
    let records = test.core.records();
    let refused = records.delete(&operator(), "a", a).await.expect_err("held");
    assert!(matches!(refused, RecordError::Referenced { .. }), "{refused}");
    assert!(refused.to_string().contains("'holds'"), "{refused}");
    let admin = operator().identity;
    records.get(&admin, "goes", goes).await.expect("nothing happened");
    records.delete(&operator(), "holds", holds).await.expect("a deletion");
    let before = test.kinds().await.len();
    records.delete(&operator(), "a", a).await.expect("a deletion");
    let expected = [
        EventKind::RecordDelete,
        EventKind::RecordDelete,
        EventKind::RecordDelete,
        EventKind::RecordUpdate,
    ];
    assert_eq!(test.kinds().await[before..], expected);
    for (name, id) in [("goes", goes), ("too", too)] {
        assert_eq!(records.get(&admin, name, id).await.expect_err("gone").kind(), Kind::NotFound);
    }
    let kept = records.get(&admin, "stays", stays).await.expect("it stays");
    assert_eq!(data(&kept), json!({"to": null}));
    let events = test.events().await;
    let Some(Event::RecordUpdate(last)) = events.last() else { panic!("{events:?}") };
    assert_eq!(last.record_id, Some(stays));
    assert!(last.old_data.as_ref().is_some_and(|old| old.text().contains(&too.to_string())));
}

#[tokio::test]
async fn a_user_that_is_referred_to_goes_as_the_references_say() {
    let test = TestCore::new().await;
    let to = |on_delete: &str| json!([{"name": "by", "type": "reference", "collection": "users", "on_delete": on_delete}]);
    collection(&test, "held", to("restrict"), json!({})).await;
    collection(&test, "gone", to("cascade"), json!({})).await;
    let user = test.user("a@example.com").await.id;
    let by = json!({"by": user.to_string()});
    let held = create(&test, "held", by.clone()).await.expect("a record");
    let gone = create(&test, "gone", by).await.expect("a record");
    let admin = operator().identity;
    let refused = test.core.users().delete(&admin, user).await.expect_err("held");
    assert_eq!(refused.kind(), Kind::Conflict, "{refused}");
    test.core.records().delete(&operator(), "held", held).await.expect("a deletion");
    test.core.users().delete(&admin, user).await.expect("a deletion");
    assert!(test.core.records().get(&admin, "gone", gone).await.is_err(), "it went too");
}

#[tokio::test]
async fn a_change_that_breaks_records_is_refused_with_a_report() {
    let test = TestCore::new().await;
    let fields = json!([{"name": "n", "type": "int"}, {"name": "s", "type": "string"}]);
    collection(&test, "notes", fields, json!({})).await;
    for n in 0..30 {
        let s = if n < 25 { json!("text") } else { Value::Null };
        create(&test, "notes", json!({"n": n, "s": s})).await.expect("a record");
    }
    let narrow = json!([{"name": "n", "type": "int", "max": 9}, {"name": "s", "type": "string", "required": true}]);
    let refused = change(&test, "notes", narrow.clone()).await.expect_err("it breaks records");
    let CollectionError::Breaks(report) = refused else { panic!("{refused}") };
    assert_eq!((report.records, report.record_ids.len()), (30, 20));
    let found: Vec<_> =
        report.problems.iter().map(|p| (p.field.as_str(), p.reason.as_str(), p.records)).collect();
    let expected = [("/data/n", "must be at most 9", 20), ("/data/s", "must not be null", 5)];
    assert_eq!(found, expected);
    let wide = json!([{"name": "n", "type": "int"}, {"name": "more", "type": "int", "default": 1}]);
    let dry =
        CollectionChange { schema: Some(json!({"fields": wide})), ..CollectionChange::default() };
    let collections = test.core.collections();
    let report = collections.try_update(&operator(), "notes", dry).await.expect("a report");
    assert!(report.problems.is_empty());
    assert_eq!((report.removed[0].field.as_str(), report.removed[0].records), ("s", 25));
    let unchanged = collections.get(&operator().identity, "notes").await.expect("a collection");
    assert!(!unchanged.schema.text().contains("more"));
    change(&test, "notes", wide).await.expect("it fits");
    let list = test.core.records().list(&operator().identity, "notes", &ListQuery::default()).await;
    assert!(
        list.expect("a list").records.iter().all(|view| !view
            .record()
            .data
            .text()
            .contains("text"))
    );
}

#[tokio::test]
async fn records_written_during_a_change_fit_it_too() {
    let test = TestCore::new().await;
    collection(&test, "notes", json!([{"name": "n", "type": "int"}]), json!({})).await;
    let max = json!([{"name": "n", "type": "int", "max": 9}]);
    let writes = (0..60).map(|n| create(&test, "notes", json!({"n": n % 12})));
    let (changed, written) = tokio::join!(change(&test, "notes", max), join_all(writes));
    let list = test.core.records().list(&operator().identity, "notes", &ListQuery::default()).await;
    let records = list.expect("a list").records;
    let large = records.iter().filter(|view| data(view.record())["n"].as_i64() > Some(9)).count();
    match changed {
        Ok(()) => assert_eq!(large, 0, "the new maximum holds for all"),
        Err(error) => assert_eq!(error.kind(), Kind::Conflict, "{error}"),
    }
    assert_eq!(records.len(), written.iter().filter(|written| written.is_ok()).count());
}

#[tokio::test]
async fn the_status_tells_of_records_indexes_and_references() {
    let test = TestCore::new().await;
    let fields = json!([
        {"name": "slug", "type": "string", "unique": true},
        {"name": "n", "type": "int", "index": true},
        {"name": "owner", "type": "reference", "collection": "users"},
    ]);
    collection(&test, "posts", fields, json!({})).await;
    create(&test, "posts", json!({"slug": "a"})).await.expect("a record");
    let collections = test.core.collections();
    let admin = operator().identity;
    let status = collections.status(&admin, "posts").await.expect("a status");
    assert_eq!((status.record_count, status.schema_fields), (1, 3));
    assert_eq!(status.unique_fields, ["slug"]);
    assert_eq!(status.indexes.len(), 3);
    assert!(status.indexes.iter().all(|index| index.has_index && index.status == "active"));
    assert!(status.references[0].target_exists);
    assert_eq!(status.health_status, Health::Healthy);
    let all = collections.status_of_all(&admin).await.expect("a status");
    assert_eq!((all.total_collections, all.total_records), (1, 1));
    let anybody = user(tinybase_model::UserId::generate());
    assert!(collections.status_of_all(&anybody).await.is_err());
    test.core.repair_collections().await.expect("nothing to repair");
    let cause = caused_by(admin);
    assert_eq!(collections.delete(&cause, "posts").await.expect("a deletion"), 1);
    let gone = collections.status(&cause.identity, "posts").await.expect_err("gone");
    assert_eq!(gone.kind(), Kind::NotFound);
}
