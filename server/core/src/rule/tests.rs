//! Reading rules, and what they demand.

use serde_json::json;
use tinybase_model::{JsonBytes, Record, RecordId, UserId};
use tinybase_store::now;

use super::*;
use crate::access::fulfils;

fn schema() -> Schema {
    let schema = json!({"fields": [
        {"name": "status", "type": "string"},
        {"name": "n", "type": "int"},
        {"name": "x", "type": "float"},
        {"name": "open", "type": "bool"},
        {"name": "day", "type": "date"},
        {"name": "at", "type": "datetime"},
        {"name": "members", "type": "list[string]"},
        {"name": "anything", "type": "dict"},
        {"name": "place", "type": "dict", "properties": {"city": {"type": "string"}}},
    ]});
    Schema::parse(&schema).expect("a schema")
}

fn record(data: &Value, owner_id: Option<UserId>) -> Record {
    Record {
        id: RecordId::generate(),
        collection_id: tinybase_model::CollectionId::generate(),
        collection: "notes".parse().expect("a name"),
        owner_id,
        data: JsonBytes::from(data),
        created_at: now(),
        updated_at: now(),
        version: 1,
    }
}

fn holds(rule: &str, identity: &Identity, record: &Record) -> bool {
    let expression = Expression::parse(rule, &schema()).unwrap_or_else(|e| panic!("{rule}: {e}"));
    match expression.demand(identity, now()) {
        Demand::Constant(truth) => truth,
        Demand::Filter(filter) => fulfils(&filter, record),
    }
}

#[test]
fn a_rule_demands_what_it_says() {
    let me = UserId::generate();
    let user = Identity::User { id: me, is_admin: false };
    let data = json!({"status": "draft", "n": 3, "x": 2.5, "open": true, "day": "2026-01-31",
                      "at": "2026-01-31T08:00:00.000000Z", "members": [me.to_string(), "b"],
                      "place": {"city": "Ulm"}});
    let own = record(&data, Some(me));
    let cases = [
        ("record.status == 'draft' && record.owner_id == user.id || user.is_admin", true),
        ("record.status != \"draft\"", false),
        ("!(record.status == 'draft')", false),
        ("record.n > 2 && record.n <= 3 && 2 < record.n && record.n == 3.0", true),
        ("record.n < 2.5 || record.x > 2.5", false),
        ("record.n == record.x", false),
        ("record.open", true),
        ("!record.open", false),
        ("record.day < '2026-02-01'", true),
        ("record.at <= now && record.created_at <= now", true),
        ("record.at == '2026-01-31T09:00:00+01:00'", true),
        ("record.created_at > '2020-01-01T00:00:00Z'", true),
        ("user.id in record.members", true),
        ("'c' in record.members", false),
        ("record.status in ['draft', 'open']", true),
        ("record.status in []", false),
        ("record.data.status == 'draft'", true),
        ("record.place.city == 'Ulm'", true),
        ("user.is_authenticated && user.id != null", true),
        ("user.is_admin == false", true),
        ("true", true),
        ("false", false),
    ];
    for (rule, expected) in cases {
        assert_eq!(holds(rule, &user, &own), expected, "{rule}");
        assert_eq!(holds(&format!("!({rule})"), &user, &own), !expected, "not {rule}");
    }
}

#[test]
fn nobody_owns_nothing_and_null_has_no_order() {
    let empty = record(&json!({"status": null}), None);
    let anybody = Identity::Anonymous;
    let cases = [
        ("record.owner_id == user.id", false),
        ("record.owner_id == null", true),
        ("record.status == null", true),
        ("record.status != 'draft'", true),
        ("record.n < 5", false),
        ("!(record.n < 5)", true),
        ("user.id == null", true),
        ("user.is_authenticated", false),
        ("user.id in record.members", false),
        ("record.status == record.n", false),
    ];
    for (rule, expected) in cases {
        if rule.contains("record.n") && rule.contains("status") {
            assert!(Expression::parse(rule, &schema()).is_err(), "{rule}");
            continue;
        }
        assert_eq!(holds(rule, &anybody, &empty), expected, "{rule}");
    }
}

#[test]
fn a_mistake_says_where_and_what() {
    let cases = [
        ("record.stats == 'x'", 8, "did you mean \"status\"?"),
        ("record.status = 'x'", 15, "=="),
        ("record.status == draft", 18, "quotes"),
        ("record.status", 1, "by itself"),
        ("record.status > 5", 15, "a text"),
        ("record.n == '5'", 10, "a number"),
        ("record.open > true", 13, "order"),
        ("record.members == 'a'", 16, "in"),
        ("record.anything == 'a'", 1, "no type"),
        ("record.n == record.status", 10, "different types"),
        ("user.email == 'a'", 6, "is_admin"),
        ("(record.open", 13, "\")\""),
        ("record.open)", 12, "not expected"),
        ("record.status == 'x", 18, "closing"),
        ("1 == 1", 3, "differs"),
        ("record.day > 'soon'", 12, "date"),
        ("record.n < null", 10, "null"),
        ("record.status & true", 15, "&&"),
        ("", 1, "the end"),
    ];
    for (rule, position, part) in cases {
        let error = Expression::parse(rule, &schema()).expect_err(rule);
        assert_eq!(error.position, position, "{rule}: {error}");
        assert!(error.message.contains(part), "{rule}: {error}");
    }
}

#[test]
fn a_rule_is_bounded_in_length_depth_and_tests() {
    let deep = format!("{}record.open{}", "(".repeat(40), ")".repeat(40));
    let wide = vec!["record.n==1"; 101].join("||");
    let long = format!("record.status == '{}'", "x".repeat(2000));
    for (rule, part) in [(deep, "deeper"), (wide, "more than"), (long, "at most")] {
        let error = Expression::parse(&rule, &schema()).expect_err("too much");
        assert!(error.message.contains(part), "{error}");
    }
}
