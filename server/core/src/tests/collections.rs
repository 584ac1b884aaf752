//! Collections over the database.

use serde_json::json;
use tinybase_model::{EventKind, Identity, UserId};

use super::{TestCore, caused_by, map, operator, user};
use crate::{CollectionChange, CollectionError, Kind, NewCollection, Problem};

fn new(name: &str) -> NewCollection {
    NewCollection {
        name: name.to_owned(),
        label: "Notes".to_owned(),
        schema: json!({"fields": [{"name": "title", "type": "string"}]}),
        options: None,
    }
}

#[tokio::test]
async fn a_collection_is_created_shown_changed_and_deleted() {
    let test = TestCore::new().await;
    let collections = test.core.collections();
    let created = collections.create(&operator(), new("notes")).await.expect("a collection");
    assert_eq!(created.options.text(), "{}");
    let anybody = Identity::Anonymous;
    assert_eq!(collections.get(&anybody, "notes").await.expect("a collection"), created);
    let taken = collections.create(&operator(), new("notes")).await.expect_err("taken");
    assert!(matches!(taken, CollectionError::Taken(_)), "{taken}");
    let change = CollectionChange { label: Some("N".to_owned()), ..CollectionChange::default() };
    let changed = collections.update(&operator(), "notes", change).await.expect("a change");
    assert_eq!((changed.label.as_str(), &changed.schema), ("N", &created.schema));
    assert_eq!(collections.get(&anybody, "notes").await.expect("a collection"), changed);
    assert_eq!(collections.delete(&operator(), "notes").await.expect("a deletion"), 0);
    for gone in [
        collections.get(&anybody, "notes").await.map(drop),
        collections.delete(&operator(), "notes").await.map(drop),
        collections.update(&operator(), "notes", CollectionChange::default()).await.map(drop),
    ] {
        assert_eq!(gone.expect_err("gone").kind(), Kind::NotFound);
    }
}

#[tokio::test]
async fn only_administrators_make_collections() {
    let test = TestCore::new().await;
    test.collection("notes", json!({})).await;
    let collections = test.core.collections();
    let roles = [
        (Identity::Anonymous, Kind::Unauthenticated),
        (user(UserId::generate()), Kind::Forbidden),
        (Identity::Extension(super::extension()), Kind::Forbidden),
    ];
    for (identity, kind) in roles {
        let cause = caused_by(identity);
        let change = CollectionChange::default();
        for refused in [
            collections.create(&cause, new("more")).await.map(drop),
            collections.update(&cause, "notes", change).await.map(drop),
            collections.delete(&cause, "notes").await.map(drop),
        ] {
            assert_eq!(refused.expect_err("refused").kind(), kind, "{cause:?}");
        }
    }
}

#[tokio::test]
async fn a_collection_is_seen_by_those_who_may_use_it() {
    let test = TestCore::new().await;
    test.collection("a_open", json!({})).await;
    test.collection("b_auth", json!({"list": "auth", "read": "auth"})).await;
    test.collection("c_own", json!({"list": "owner", "read": "owner", "create": "admin"})).await;
    let closed = json!({"list": "admin", "read": "admin", "create": "admin"});
    test.collection("d_admin", closed).await;
    let cases = [
        (Identity::Anonymous, vec!["a_open"]),
        (user(UserId::generate()), vec!["a_open", "b_auth", "c_own"]),
        (Identity::Operator, vec!["a_open", "b_auth", "c_own", "d_admin"]),
    ];
    for (identity, expected) in cases {
        let seen = test.core.collections().list(&identity).await.expect("a list");
        let seen: Vec<_> = seen.iter().map(|collection| collection.name.as_str()).collect();
        assert_eq!(seen, expected, "{identity:?}");
        let hidden = test.core.collections().get(&identity, "d_admin").await;
        assert_eq!(hidden.is_ok(), expected.len() == 4, "{identity:?}");
    }
}

#[tokio::test]
async fn a_wrong_collection_says_what_is_wrong_where() {
    let test = TestCore::new().await;
    let fields = |field| json!({"fields": [{"name": "a", "type": "int"}, field]});
    let label = |length: usize| "x".repeat(length);
    let cases = [
        (
            NewCollection { schema: fields(json!({"name": "b", "type": "itn"})), ..new("x") },
            "/schema/fields/1/type",
            "did you mean \"int\"?",
        ),
        (
            NewCollection { schema: fields(json!({"name": "a", "type": "int"})), ..new("x") },
            "/schema/fields/1/name",
            "second",
        ),
        (NewCollection { schema: json!([]), ..new("x") }, "/schema", "fields"),
        (NewCollection { label: label(0), ..new("x") }, "/label", "1 to 200"),
        (NewCollection { label: label(201), ..new("x") }, "/label", "1 to 200"),
        (NewCollection { options: Some(json!([])), ..new("x") }, "/options", "object"),
        (
            NewCollection { options: Some(json!({"access": {"list": "all"}})), ..new("x") },
            "/options/access/list",
            "public, auth, owner, admin",
        ),
    ];
    for (collection, field, part) in cases {
        let created = test.core.collections().create(&operator(), collection).await;
        let refused = created.expect_err("a mistake");
        assert_eq!(refused.kind(), Kind::Invalid);
        let violation = &refused.violations()[0];
        assert_eq!(violation.field, field);
        assert!(violation.message.contains(part), "{}", violation.message);
        assert!(refused.to_string().contains(field), "{refused}");
    }
    for name in ["", "Notes", "1x", "a-b", &"x".repeat(101)] {
        let created = test.core.collections().create(&operator(), new(name)).await;
        assert!(matches!(created, Err(CollectionError::Name(_))), "{name}");
    }
}

#[tokio::test]
async fn deleting_a_collection_tells_of_each_record() {
    let test = TestCore::new().await;
    test.collection("notes", json!({})).await;
    for n in 0..3 {
        let data = map(json!({ "n": n }));
        test.core.records().create(&operator(), "notes", data).await.expect("a record");
    }
    let wakes = test.hooks.wakes.load(std::sync::atomic::Ordering::Relaxed);
    assert_eq!(test.core.collections().delete(&operator(), "notes").await.expect("a deletion"), 3);
    assert_eq!(test.hooks.wakes.load(std::sync::atomic::Ordering::Relaxed), wakes + 1);
    let deletions = test.kinds().await.into_iter().filter(|k| *k == EventKind::RecordDelete);
    assert_eq!(deletions.count(), 3);
}
