//! Call-backs of extensions.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tinybase_hooks::{Hold, ParkedDelivery, SubscriptionKey};
use tinybase_model::{
    ActivityNote, Cause, Comparison, Condition, FunctionAuth, Identity, ListRecords, Outcome,
    Permissions, Position, Record, RecordId, SortKey, UserId,
};

use super::{TestCore, caused_by, extension, function, json_bytes, map, operator, user};
use crate::{ActivityQuery, Kind, NewCollection, Problem, RecordError, event_log};

fn listed(capabilities: &[&str]) -> Permissions {
    Permissions::Listed {
        capabilities: capabilities.iter().map(|text| (*text).to_owned()).collect(),
        environment: BTreeSet::new(),
        hooks: None,
    }
}

fn itself() -> Cause {
    let identity = Identity::Extension(extension());
    Cause {
        identity,
        origin: Some(extension()),
        depth: 2,
        traceparent: "00-1".to_owned(),
        address: None,
    }
}

/// Three collections with a record of Ann's and one of Bob's in each.
async fn records(test: &TestCore) -> (UserId, UserId, Vec<RecordId>) {
    let (ann, bob) = (test.user("ann@example.com").await, test.user("bob@example.com").await);
    let own = json!({"list": "owner", "read": "owner", "create": "auth"});
    let closed = json!({"list": "admin", "read": "admin", "create": "auth"});
    let mut ids = Vec::new();
    for (name, access) in [("a_open", json!({})), ("b_own", own), ("c_closed", closed)] {
        test.collection(name, access).await;
        for id in [ann.id, bob.id] {
            let data = map(json!({"n": ids.len()}));
            let created = test.core.records().create(&caused_by(user(id)), name, data).await;
            ids.push(created.expect("a record").value.id);
        }
    }
    (ann.id, bob.id, ids)
}

async fn list(test: &TestCore, permissions: &Permissions, cause: &Cause) -> Vec<RecordId> {
    let host = test.core.host(&extension(), permissions, cause);
    let page = host.list_records(ListRecords::default()).await;
    page.expect("a page").records.iter().map(|record| record.id).collect()
}

#[tokio::test]
async fn an_extension_sees_what_it_may_and_for_others_what_they_may() {
    let test = TestCore::new().await;
    let (ann, _, ids) = records(&test).await;
    let some = listed(&["records:read:a_open", "records:read:c_closed"]);
    let cases = [
        (&Permissions::Broad, itself(), ids.clone()),
        (&Permissions::Broad, operator(), ids.clone()),
        (&Permissions::Broad, caused_by(user(ann)), vec![ids[0], ids[1], ids[2]]),
        (&Permissions::Broad, caused_by(Identity::Anonymous), vec![ids[0], ids[1]]),
        (&some, itself(), vec![ids[0], ids[1], ids[4], ids[5]]),
        (&some, caused_by(user(ann)), vec![ids[0], ids[1]]),
        (&listed(&[]), operator(), Vec::new()),
    ];
    for (permissions, cause, expected) in cases {
        assert_eq!(list(&test, permissions, &cause).await, expected, "{permissions:?} {cause:?}");
        let host = test.core.host(&extension(), permissions, &cause);
        for id in &ids {
            let read = host.get_record(None, *id).await;
            assert_eq!(read.is_ok(), expected.contains(id), "{permissions:?} {cause:?}");
        }
    }
    let host_cause = itself();
    let host = test.core.host(&extension(), &some, &host_cause);
    let refused = host.get_record(Some("b_own"), ids[2]).await.expect_err("not granted");
    assert_eq!(refused.kind(), Kind::Forbidden);
    assert!(refused.to_string().contains("records:read:b_own"), "{refused}");
    let seen = host.list_collections().await.expect("collections");
    let seen: Vec<_> = seen.iter().map(|collection| collection.name.as_str()).collect();
    assert_eq!(seen, ["a_open", "c_closed"]);
}

#[tokio::test]
async fn an_extension_writes_what_it_was_granted_and_its_events_say_so() {
    let test = TestCore::new().await;
    let (ann, bob, _) = records(&test).await;
    let before = test.store.events_head().await.expect("a read");
    let (cause, data) = (itself(), json_bytes(&json!({"n": 1})));
    let broad = test.core.host(&extension(), &Permissions::Broad, &cause);
    let refused = broad.create_record("a_open", &data, None).await.expect_err("broad reads only");
    assert_eq!(refused.kind(), Kind::Forbidden);
    let permissions = listed(&["records:write:a_open"]);
    let host = test.core.host(&extension(), &permissions, &cause);
    let created = host.create_record("a_open", &data, Some(ann)).await.expect("a record");
    assert_eq!(created.owner_id, Some(ann));
    let nobodys = host.create_record("a_open", &data, None).await.expect("a record");
    assert_eq!(nobodys.owner_id, None);
    let change = json_bytes(&json!({"s": "x"}));
    host.update_record(None, created.id, &change).await.expect("a change");
    host.delete_record(Some("a_open"), created.id).await.expect("a deletion");
    let refused = host.create_record("b_own", &data, None).await.expect_err("not granted");
    assert_eq!(refused.kind(), Kind::Forbidden);
    let array = host.create_record("a_open", &json_bytes(&json!([])), None).await;
    assert_eq!(array.expect_err("no object").kind(), Kind::Invalid);
    let logged = test.store.events_after(before, 10).await.expect("events");
    assert_eq!(logged.len(), 4);
    for event in logged {
        assert_eq!(event.origin, Some(extension()));
        assert_eq!((event.depth, event.traceparent.as_str()), (2, "00-1"));
    }
    let cause = caused_by(user(ann));
    let host = test.core.host(&extension(), &permissions, &cause);
    let refused = host.delete_record(None, nobodys.id).await.expect_err("it is not Ann's");
    assert_eq!(refused.kind(), Kind::Forbidden);
    let owned = host.create_record("a_open", &data, None).await.expect("a record");
    assert_eq!(owned.owner_id, Some(ann), "it belongs to whoever it acts for");
    let given = host.create_record("a_open", &data, Some(bob)).await.expect_err("Ann isn't Bob");
    assert_eq!(given.kind(), Kind::Forbidden);
    let cause = itself();
    let host = test.core.host(&extension(), &permissions, &cause);
    let nobody = host.create_record("a_open", &data, Some(UserId::generate())).await;
    assert_eq!(nobody.expect_err("nobody has that id").violations()[0].field, "/owner_id");
}

#[tokio::test]
async fn pages_follow_each_other_in_any_order() {
    let test = TestCore::new().await;
    let (.., ids) = records(&test).await;
    let cause = itself();
    let host = test.core.host(&extension(), &Permissions::Broad, &cause);
    let by_n = vec![SortKey { field: "data.n".to_owned(), descending: true }];
    for (sort, expected) in
        [(Vec::new(), ids.clone()), (by_n, ids.iter().rev().copied().collect::<Vec<_>>())]
    {
        let mut seen = Vec::new();
        let mut page_token = None;
        loop {
            let sort = sort.clone();
            let list = ListRecords { sort, page_size: 4, page_token, ..ListRecords::default() };
            let page = host.list_records(list).await.expect("a page");
            seen.extend(page.records.iter().map(|record| record.id));
            page_token = page.next_page_token;
            if page_token.is_none() {
                break;
            }
        }
        assert_eq!(seen, expected);
    }
    let condition =
        Condition { field: "data.n".to_owned(), comparison: Comparison::Less, value: json!(1) };
    let conditions = vec![condition];
    let page = host.list_records(ListRecords { conditions, ..ListRecords::default() }).await;
    assert_eq!(page.expect("a page").records.len(), 1);
    let field = "nonsense".to_owned();
    let nonsense = Condition { field, comparison: Comparison::Equal, value: json!(1) };
    for bad in [
        ListRecords { page_size: 1001, ..ListRecords::default() },
        ListRecords { page_token: Some("x".to_owned()), ..ListRecords::default() },
        ListRecords { conditions: vec![nonsense], ..ListRecords::default() },
    ] {
        let refused = host.list_records(bad).await.expect_err("nonsense");
        assert!(matches!(refused, RecordError::Query(_)), "{refused}");
    }
}

#[tokio::test]
async fn hidden_fields_are_there_for_an_extension_itself_and_for_administrators() {
    let test = TestCore::new().await;
    let new = NewCollection {
        name: "notes".to_owned(),
        label: "Notes".to_owned(),
        schema: json!({"fields": [
            {"name": "n", "type": "int"},
            {"name": "secret", "type": "string", "hidden": true, "default": "kept"},
        ]}),
        options: Some(json!({"access": {"update": "auth"}})),
    };
    test.core.collections().create(&operator(), new).await.expect("a collection");
    let ann = test.user("ann@example.com").await.id;
    let permissions = listed(&["records:read:*", "records:write:*"]);
    for (cause, sees) in [(itself(), true), (operator(), true), (caused_by(user(ann)), false)] {
        let host = test.core.host(&extension(), &permissions, &cause);
        let shows = |record: &Record| record.data.text().contains("secret");
        let data = json_bytes(&json!({"n": 1, "secret": "given"}));
        let created = host.create_record("notes", &data, None).await.expect("a record");
        assert_eq!(shows(&created), sees, "{cause:?}");
        let change = json_bytes(&json!({"n": 2, "secret": "other"}));
        let changed = host.update_record(None, created.id, &change).await.expect("a change");
        assert_eq!(shows(&changed), sees);
        let read = host.get_record(None, created.id).await.expect("a record");
        assert_eq!(shows(&read), sees);
        let stored = test.store.record(created.id).await.expect("a read").expect("a record");
        let kept = stored.record.data.text().contains("kept");
        assert_eq!(kept, !sees, "only who sees it changes it: {}", stored.record.data.text());
        let condition = |field: &str| Condition {
            field: field.to_owned(),
            comparison: Comparison::NotEqual,
            value: json!("x"),
        };
        for collection in [None, Some("notes".to_owned())] {
            let list = ListRecords { collection: collection.clone(), ..ListRecords::default() };
            let page = host.list_records(list).await.expect("a page");
            assert!(page.records.iter().all(|record| shows(record) == sees));
            let conditions = vec![condition("data.secret")];
            let list = ListRecords { collection, conditions, ..ListRecords::default() };
            match host.list_records(list.clone()).await {
                Ok(page) => assert_eq!(!page.records.is_empty(), sees),
                Err(error) => {
                    assert!(!sees, "{error}");
                    let conditions = vec![condition("data.nosuch")];
                    let unknown = host.list_records(ListRecords { conditions, ..list }).await;
                    let unknown = unknown.expect_err("no such field").to_string();
                    assert_eq!(error.to_string(), unknown.replace("nosuch", "secret"));
                }
            }
        }
        let listed = host.list_collections().await.expect("collections");
        assert_eq!(listed[0].schema.text().contains("secret"), sees);
    }
}

#[tokio::test]
async fn users_functions_and_values_are_within_reach() {
    let test = TestCore::new().await;
    let ann = test.user("ann@example.com").await;
    test.offer(function("f", FunctionAuth::Admin), |_| {
        Ok(Outcome::Success { output: None, patch: None })
    });
    let cause = itself();
    let host = test.core.host(&extension(), &Permissions::Broad, &cause);
    assert_eq!(host.get_user(ann.id).await.expect("a user"), ann);
    let missing = host.get_user(UserId::generate()).await.expect_err("nobody");
    assert_eq!(missing.kind(), Kind::NotFound);
    let called = host.call_function("f", json_bytes(&json!({}))).await.expect("an outcome");
    assert!(called.succeeded);
    assert_eq!(called.output.as_ref().map(tinybase_model::JsonBytes::text), Some("null"));
    host.set_value("key", b"value"[..].into()).await.expect("a value");
    assert_eq!(host.get_value("key").await.expect("a read").as_deref(), Some(&b"value"[..]));
    host.delete_value("key").await.expect("a deletion");
    assert_eq!(host.get_value("key").await.expect("a read"), None);
    let long = "x".repeat(513);
    for key in ["", &long] {
        let refused = host.set_value(key, b""[..].into()).await.expect_err("no key");
        assert_eq!(refused.kind(), Kind::Invalid);
    }
    let large = vec![0; (1 << 20) + 1];
    let refused = host.set_value("key", large.into()).await.expect_err("too large");
    assert_eq!(refused.kind(), Kind::TooLarge);
    let permissions = listed(&[]);
    let host = test.core.host(&extension(), &permissions, &cause);
    assert_eq!(host.get_user(ann.id).await.expect_err("not granted").kind(), Kind::Forbidden);
    let refused = host.call_function("f", json_bytes(&json!({}))).await;
    assert_eq!(refused.expect_err("not granted").kind(), Kind::Forbidden);
}

#[tokio::test]
async fn deliveries_read_the_log_through_the_core() {
    let test = TestCore::new().await;
    let log = event_log(test.store.clone());
    let key = SubscriptionKey { extension: extension(), handler: "a".to_owned() };
    let state = log.subscribe(&key).await.expect("a subscription");
    assert_eq!((state.cursor, state.parked), (Position(0), Vec::new()));
    test.user("ann@example.com").await;
    assert_eq!(log.head().await.expect("a read"), Position(1));
    let events = log.read(Position(0), 10).await.expect("a read");
    assert_eq!(log.event(Position(1)).await.expect("a read").as_ref(), events.first());
    let parked = ParkedDelivery {
        position: Position(1),
        order_key: events[0].order_key.clone(),
        attempt: 1,
        due_at: tinybase_store::now(),
        last_error: "no".to_owned(),
    };
    log.park(&key, std::slice::from_ref(&parked)).await.expect("a write");
    let state = log.subscribe(&key).await.expect("a subscription");
    assert!(state.parked.is_empty(), "it isn't this node's yet");
    assert_ne!(log.hold(&key).await.expect("a write"), Hold::Elsewhere);
    log.park(&key, std::slice::from_ref(&parked)).await.expect("a write");
    log.advance(&key, Position(1)).await.expect("a write");
    let state = log.subscribe(&key).await.expect("a subscription");
    assert_eq!((state.cursor, state.parked), (Position(1), vec![parked]));
    log.unpark(&key, Position(1)).await.expect("a write");
    log.bury(&key, Position(1), 8, "no").await.expect("a write");
    log.unsubscribe(&extension(), &[]).await.expect("a write");
    let state = log.subscribe(&key).await.expect("a subscription");
    assert!(state.parked.is_empty());
}

#[tokio::test]
async fn an_extension_notes_activities_under_its_own_name_and_within_bounds() {
    let test = TestCore::new().await;
    let user = UserId::generate();
    let cause = Cause { origin: Some(extension()), ..caused_by(crate::tests::user(user)) };
    let forged = json!({"weight": 2, "actor": "operator", "extension": "another"});
    let note = |action: &str, metadata: &Value| ActivityNote {
        action: action.to_owned(),
        resource_type: Some("order".to_owned()),
        metadata: Some(metadata.into()),
        ..ActivityNote::default()
    };
    let allowed = listed(&["activity:write"]);
    for permissions in [&allowed, &Permissions::Broad] {
        let host = test.core.host(&extension(), permissions, &cause);
        host.write_activity(&note("shipped", &forged)).expect("it is noted");
    }
    let nothing = listed(&[]);
    let host = test.core.host(&extension(), &nothing, &cause);
    let denied = host.write_activity(&note("shipped", &forged)).expect_err("not granted");
    assert_eq!(denied.kind(), Kind::Forbidden);
    let host = test.core.host(&extension(), &allowed, &cause);
    let long = "x".repeat(10_000);
    for bad in [note("", &json!({})), note("a b", &json!({})), note("a", &json!([long]))] {
        let refused = host.write_activity(&bad).expect_err("it can't be taken");
        assert_eq!(refused.kind(), Kind::Invalid, "{refused}");
    }
    // An answered write means that those before it are there.
    test.collection("notes", json!({})).await;
    let query = ActivityQuery { limit: 10, ..ActivityQuery::default() };
    let page = test.core.activities(&Identity::Operator, &query).await.expect("a page");
    let noted: Vec<_> =
        page.activities.iter().filter(|one| one.action == "ext.one.shipped").collect();
    assert_eq!(noted.len(), 2);
    assert_eq!(noted[0].user_id, Some(user.to_string()));
    let metadata: Value = serde_json::from_str(&noted[0].metadata).expect("JSON");
    assert_eq!(metadata, json!({"weight": 2, "extension": "one"}));
}
