//! Lists of records by condition and order.

use serde_json::{Value, json};
use tinybase_model::{Collection, Comparison, Condition, Filter, Record, RecordId, SortKey};

use super::TestStore;
use crate::{ListError, ListHints, PageStart, RecordQuery, Scope};

fn condition(field: &str, comparison: Comparison, value: Value) -> Condition {
    Condition { field: field.to_owned(), comparison, value }
}

async fn list(test: &TestStore, scope: Scope, conditions: &[Condition]) -> Vec<RecordId> {
    let query = RecordQuery {
        scope,
        filter: conditions.to_vec().into(),
        sort: Vec::new(),
        from: PageStart::Offset(0),
        limit: 100,
        hints: ListHints::default(),
    };
    let records = test.store.list_records(&query).await.expect("a list");
    let total = test.store.count_records(&query.scope, &query.filter, None).await.expect("a count");
    assert_eq!(total, records.len() as u64);
    records.into_iter().map(|record| record.id).collect()
}

/// Five records, the last without `n`.
async fn numbers(test: &TestStore) -> (Collection, Vec<Record>) {
    let collection = test.collection("numbers").await;
    let mut records = Vec::new();
    for data in [
        json!({"n": 1, "s": "a", "b": true, "o": {"x": 1}}),
        json!({"n": 2, "s": "b", "b": false, "o": {"x": 2}}),
        json!({"n": 2.5, "s": "ä", "b": null, "o": {}}),
        json!({"n": 10, "s": "10", "b": true, "l": [1, 2]}),
        json!({"s": "it's"}),
    ] {
        records.push(test.record(&collection, None, &data).await);
    }
    (collection, records)
}

#[tokio::test]
async fn conditions_choose_records() {
    let test = TestStore::open().await;
    let (collection, records) = numbers(&test).await;
    let created = records[0].created_at.to_string();
    let cases: Vec<(&str, Comparison, Value, &[usize])> = vec![
        ("data.n", Comparison::Equal, json!(2), &[1]),
        ("data.n", Comparison::Equal, json!(2.0), &[1]),
        ("data.n", Comparison::Equal, json!("2"), &[]),
        ("data.n", Comparison::Equal, json!(null), &[4]),
        ("data.n", Comparison::NotEqual, json!(2), &[0, 2, 3, 4]),
        ("data.n", Comparison::NotEqual, json!(null), &[0, 1, 2, 3]),
        ("data.n", Comparison::Less, json!(2.5), &[0, 1]),
        ("data.n", Comparison::LessOrEqual, json!(2.5), &[0, 1, 2]),
        ("data.n", Comparison::Greater, json!(2), &[2, 3]),
        ("data.n", Comparison::GreaterOrEqual, json!(2), &[1, 2, 3]),
        ("data.n", Comparison::In, json!([1, 10, null]), &[0, 3]),
        ("data.n", Comparison::In, json!([]), &[]),
        ("data.s", Comparison::Equal, json!("ä"), &[2]),
        ("data.s", Comparison::Equal, json!("it's"), &[4]),
        ("data.s", Comparison::In, json!(["a", "10"]), &[0, 3]),
        ("data.b", Comparison::Equal, json!(true), &[0, 3]),
        ("data.b", Comparison::Equal, json!(false), &[1]),
        ("data.o.x", Comparison::Equal, json!(2), &[1]),
        ("data.o", Comparison::Equal, json!({"x": 1}), &[0]),
        ("data.l", Comparison::Equal, json!([1, 2]), &[3]),
        ("data.none", Comparison::NotEqual, json!(1), &[0, 1, 2, 3, 4]),
        ("id", Comparison::Equal, json!(records[3].id), &[3]),
        ("id", Comparison::Equal, json!(records[3].id.to_string().to_uppercase()), &[3]),
        ("owner_id", Comparison::Equal, json!(null), &[0, 1, 2, 3, 4]),
        ("created_at", Comparison::GreaterOrEqual, json!(created), &[0, 1, 2, 3, 4]),
        ("created_at", Comparison::Less, json!("2020-01-01T00:00:00+01:00"), &[]),
    ];
    for (field, comparison, value, expected) in cases {
        let condition = condition(field, comparison, value);
        let scope = Scope::Collection(collection.id);
        let found = list(&test, scope, std::slice::from_ref(&condition)).await;
        let expected: Vec<_> = expected.iter().map(|index| records[*index].id).collect();
        assert_eq!(found, expected, "{condition:?}");
    }
}

#[tokio::test]
async fn a_condition_that_makes_no_sense_says_so() {
    let test = TestStore::open().await;
    let cases = [
        condition("n", Comparison::Equal, json!(1)),
        condition("data.", Comparison::Equal, json!(1)),
        condition("data.a\"b", Comparison::Equal, json!(1)),
        condition("data.a' or 1=1 --", Comparison::Equal, json!(1)),
        condition("r.id", Comparison::Equal, json!(1)),
        condition("id", Comparison::Equal, json!("x")),
        condition("id", Comparison::Equal, json!(1)),
        condition("created_at", Comparison::Less, json!("yesterday")),
        condition("data.n", Comparison::In, json!(1)),
    ];
    for condition in cases {
        let query = RecordQuery {
            scope: Scope::Everything,
            filter: vec![condition.clone()].into(),
            sort: Vec::new(),
            from: PageStart::Offset(0),
            limit: 1,
            hints: ListHints::default(),
        };
        let refused = test.store.list_records(&query).await.expect_err("nonsense");
        let is_refusal = matches!(refused, ListError::Field(_) | ListError::Value { .. });
        assert!(is_refusal, "{condition:?}: {refused}");
    }
}

#[tokio::test]
async fn scopes_show_what_may_be_seen() {
    let test = TestStore::open().await;
    let (me, you) = (test.user("me@example.com").await, test.user("you@example.com").await);
    let (open, own) = (test.collection("open").await, test.collection("own").await);
    let hidden = test.collection("hidden").await;
    let data = json!({});
    let open_yours = test.record(&open, Some(you.id), &data).await.id;
    let own_mine = test.record(&own, Some(me.id), &data).await.id;
    let own_yours = test.record(&own, Some(you.id), &data).await.id;
    let hidden_mine = test.record(&hidden, Some(me.id), &data).await.id;
    let several = |owner| Scope::Several { full: vec![open.id], owned: vec![own.id], owner };
    let cases = [
        (Scope::Everything, vec![open_yours, own_mine, own_yours, hidden_mine]),
        (Scope::Collection(own.id), vec![own_mine, own_yours]),
        (Scope::Owned(own.id, me.id), vec![own_mine]),
        (several(Some(me.id)), vec![open_yours, own_mine]),
        (several(None), vec![open_yours]),
        (Scope::Several { full: Vec::new(), owned: Vec::new(), owner: Some(me.id) }, Vec::new()),
    ];
    for (scope, expected) in cases {
        assert_eq!(list(&test, scope.clone(), &[]).await, expected, "{scope:?}");
    }
}

#[tokio::test]
async fn pages_cover_all_records_once_while_others_are_added() {
    let test = TestStore::open().await;
    let (collection, mut expected) = numbers(&test).await;
    let mut query = RecordQuery {
        scope: Scope::Collection(collection.id),
        filter: Filter::always(),
        sort: Vec::new(),
        from: PageStart::Offset(0),
        limit: 2,
        hints: ListHints::default(),
    };
    let mut seen = Vec::new();
    loop {
        let page = test.store.list_records(&query).await.expect("a page");
        let Some(last) = page.last() else { break };
        query.from = PageStart::After { values: Vec::new(), id: last.id };
        if seen.len() < 4 {
            expected.push(test.record(&collection, None, &json!({"late": true})).await);
        }
        seen.extend(page);
    }
    let ids = |records: &[Record]| records.iter().map(|record| record.id).collect::<Vec<_>>();
    assert_eq!(ids(&seen), ids(&expected));
}

#[tokio::test]
async fn records_are_sorted_by_any_field() {
    let test = TestStore::open().await;
    let (collection, records) = numbers(&test).await;
    let cases: [(&str, bool, [usize; 5]); 5] = [
        ("data.n", false, [4, 0, 1, 2, 3]),
        ("data.n", true, [3, 2, 1, 0, 4]),
        ("data.b", true, [3, 0, 1, 4, 2]),
        ("created_at", true, [4, 3, 2, 1, 0]),
        ("id", false, [0, 1, 2, 3, 4]),
    ];
    for (field, descending, expected) in cases {
        let query = RecordQuery {
            scope: Scope::Collection(collection.id),
            filter: Filter::always(),
            sort: vec![SortKey { field: field.to_owned(), descending }],
            from: PageStart::Offset(0),
            limit: 100,
            hints: ListHints::default(),
        };
        let found = test.store.list_records(&query).await.expect("a list");
        let found: Vec<_> = found.into_iter().map(|record| record.id).collect();
        assert_eq!(found, expected.map(|index| records[index].id), "{field} {descending}");
    }
}

/// Reads a list page by page, each after the last record of the one before.
async fn by_pages(test: &TestStore, whole: &RecordQuery) -> Vec<RecordId> {
    let mut query = RecordQuery { limit: 3, ..whole.clone() };
    let mut seen = Vec::new();
    loop {
        let page = test.store.list_records(&query).await.expect("a page");
        let Some(last) = page.last() else { return seen };
        let data: Value = last.data.parse().expect("data");
        let value = |key: &SortKey| match key.field.strip_prefix("data.") {
            Some(name) => data[name].clone(),
            None => json!(last.updated_at),
        };
        let values = query.sort.iter().map(value).collect();
        query.from = PageStart::After { values, id: last.id };
        seen.extend(page.into_iter().map(|record| record.id));
    }
}

#[tokio::test]
async fn pages_after_a_record_are_the_list_in_every_order() {
    let test = TestStore::open().await;
    let collection = test.collection("many").await;
    // Few values, so that there are ties, and some that aren't there.
    for n in 0..40_u32 {
        let number =
            [json!(null), json!(0.1), json!(-1), json!(7), json!(1e300)][n as usize % 5].clone();
        let word = ["", "a", "ä", "B"][n as usize / 3 % 4];
        let data = match n % 7 {
            0 => json!({ "n": number }),
            _ => json!({ "n": number, "s": word, "b": n % 2 == 0 }),
        };
        test.record(&collection, None, &data).await;
    }
    let fields = ["data.n", "data.s", "data.b", "updated_at"];
    for (first, second) in fields.into_iter().flat_map(|one| fields.map(|two| (one, two))) {
        for directions in [(false, false), (false, true), (true, false), (true, true)] {
            let key = |field: &str, descending| SortKey { field: field.to_owned(), descending };
            let whole = RecordQuery {
                scope: Scope::Collection(collection.id),
                filter: Filter::always(),
                sort: vec![key(first, directions.0), key(second, directions.1)],
                from: PageStart::Offset(0),
                limit: 100,
                hints: ListHints::default(),
            };
            let list = test.store.list_records(&whole).await.expect("a list");
            let list: Vec<_> = list.into_iter().map(|record| record.id).collect();
            assert_eq!(list.len(), 40);
            assert_eq!(by_pages(&test, &whole).await, list, "{first} {second} {directions:?}");
        }
    }
}

#[tokio::test]
async fn a_list_by_an_index_is_the_same_list() {
    let test = TestStore::open().await;
    let collection = test.collection("notes").await;
    for n in 0..16 {
        let data = match n % 4 {
            0 => json!({ "other": n }),
            1 => json!({ "n": null, "s": format!("s{}", n / 3), "b": true }),
            _ => json!({ "n": f64::from(8 - n) / 2.0, "s": "", "b": n % 3 == 0 }),
        };
        test.record(&collection, None, &data).await;
    }
    for field in ["data.n", "data.s", "data.b"] {
        for descending in [false, true] {
            for offset in 0..18 {
                let list = async |order_has_index| {
                    let query = RecordQuery {
                        scope: Scope::Collection(collection.id),
                        filter: Filter::always(),
                        sort: vec![SortKey { field: field.to_owned(), descending }],
                        from: PageStart::Offset(offset),
                        limit: 5,
                        hints: ListHints { order_has_index, is_long: order_has_index },
                    };
                    test.store.list_records(&query).await.expect("a list")
                };
                assert_eq!(list(true).await, list(false).await, "{field} {descending} {offset}");
            }
        }
    }
}
