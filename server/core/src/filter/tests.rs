//! The filter language: what it takes, what it refuses and where.

use proptest::prelude::*;
use serde_json::{Value, json};
use tinybase_model::{CollectionId, RecordFacts};

use super::expression::{Expression, Operand, Operator, Path, Test};
use super::parser::parse;
use super::{DEPTH_MAX, Fields, FilterError, LIST_MAX, TERMS_MAX, TEXT_BYTES_MAX};
use crate::schema::Schema;

fn schema() -> Schema {
    let fields = json!({"fields": [
        {"name": "status", "type": "string"},
        {"name": "price", "type": "float"},
        {"name": "open", "type": "bool"},
        {"name": "tags", "type": "list[string]"},
        {"name": "author", "type": "object"},
        {"name": "id", "type": "string"},
        {"name": "day", "type": "date"},
        {"name": "at", "type": "datetime"},
        {"name": "place", "type": "object", "properties": {
            "city": {"type": "string"}, "height": {"type": "int"},
        }},
        {"name": "secret", "type": "string", "hidden": true},
    ]});
    Schema::parse(&fields).expect("a schema")
}

fn read(text: &str) -> Result<tinybase_model::Filter, FilterError> {
    super::read(text, Fields { schema: &schema(), with_hidden: false })
}

fn finds(filter: &str, data: &Value) -> bool {
    let filter = read(filter).unwrap_or_else(|error| panic!("{filter}: {error}"));
    filter.matches(&RecordFacts {
        id: None,
        collection_id: CollectionId::generate(),
        owner_id: None,
        created_at: Some(jiff::Timestamp::UNIX_EPOCH),
        updated_at: Some(jiff::Timestamp::UNIX_EPOCH),
        data,
    })
}

#[test]
fn a_filter_finds_what_it_says() {
    let data = json!({
        "status": "open", "price": 10, "open": true, "tags": ["x", "y"], "id": "mine",
        "author": {"name": "anna", "age": 30, "in": "x"},
        "day": "2026-01-31", "at": "2026-01-31T12:00:00.000000Z",
        "place": {"city": "Ulm", "height": 478},
    });
    for (filter, expected) in [
        (r#"status == "open" && (price >= 10 || tags contains "x") && author.name ~ "ann%""#, true),
        ("status == 'open'", true),
        ("data.status != 'open' or price < 10.5", true),
        ("not (status == 'open')", false),
        ("!open == true", false),
        ("price in [1, 10]", true),
        ("price not in (1, 10)", false),
        ("price in []", false),
        ("author.missing == null", true),
        ("author.missing in [1, null]", true),
        ("author.name == 5", false),
        ("author.name != 5", true),
        ("author.in == 'x'", true),
        ("status !~ 'o_en'", false),
        ("status contains 'pe'", true),
        ("author.name > status", false),
        ("owner_id == null", true),
        ("data.id == 'mine'", true),
        ("created_at <= '1970-01-01T00:00:00Z'", true),
        ("status == 'open' || status == 'x' && price == 0", true),
        (r#"status == "\u006fpen""#, true),
        (r"status != 'it\'s'", true),
        ("day < '2026-02-01' && at == '2026-01-31T13:00:00+01:00'", true),
        ("place.city == 'Ulm' && place.height > price", true),
    ] {
        assert_eq!(finds(filter, &data), expected, "{filter}");
    }
}

#[test]
fn what_makes_no_sense_is_refused_at_its_place() {
    for (filter, position, part) in [
        ("", 1, "field"),
        ("status", 7, "=="),
        ("status = 'x'", 8, "use =="),
        ("status == 'x", 11, "closing"),
        ("status == 5", 1, "a text and can't be compared with 5"),
        ("price == '5'", 1, "a number"),
        ("price ~ '5'", 1, "for texts"),
        ("open > true", 1, "only be =="),
        ("status < null", 1, "null"),
        ("tags == 'x'", 1, "a list"),
        ("author == 'x'", 1, "an object"),
        ("nothing == 1", 1, "no field"),
        ("status.x == 1", 1, "no field"),
        ("author.0 == 1", 8, "field"),
        ("ä == 1 && nothing == 1", 1, "no field"),
        ("status == 'ä' && nothing == 1", 18, "no field"),
        ("id == 'x'", 1, "an id"),
        ("created_at > 'yesterday'", 1, "a time"),
        ("status == 'x' price == 1", 15, "&&"),
        ("(status == 'x'", 15, ")"),
        ("price in 5", 10, "["),
        ("price in [1 2]", 13, ","),
        ("price == 18446744073709551616", 10, "64 bits"),
        ("price == 1e400", 10, "no number"),
        ("price == -", 10, "no number"),
        ("status == created_at", 1, "a time"),
        ("status ~ status", 10, "pattern"),
        ("status ~ '%a%a%a%a%a%a%a%a%'", 1, "more than"),
        ("status == '\\u0000'", 11, "u0000"),
        ("status == '\\ud800'", 11, "escape"),
        ("status # 1", 8, "no meaning"),
        ("day == 'today'", 1, "a date"),
        ("place.city == 1", 1, "a text"),
        ("place.street == 'x'", 1, "no field"),
        ("secret == 'x'", 1, "no field"),
        ("data.secret == status", 1, "no field"),
    ] {
        let error = read(filter).expect_err(filter);
        assert_eq!(error.position, position, "{filter}: {error}");
        assert!(error.message.contains(part), "{filter}: {error}");
    }
}

#[test]
fn every_size_has_a_bound() {
    let term = "price == 1";
    let deep = |depth| format!("{}{term}{}", "(".repeat(depth), ")".repeat(depth));
    assert!(parse(&deep(DEPTH_MAX - 1)).is_ok());
    assert!(parse(&deep(DEPTH_MAX)).is_err());
    assert!(parse(&format!("{}{term}", "!".repeat(1000))).is_err());
    let wide = |terms| vec!["a<1"; terms].join("||");
    assert!(parse(&wide(TERMS_MAX)).is_ok());
    assert!(parse(&wide(TERMS_MAX + 1)).is_err());
    let list = |count| format!("price in [{}]", vec!["1"; count].join(","));
    assert!(parse(&list(LIST_MAX)).is_ok());
    assert!(parse(&list(LIST_MAX + 1)).is_err());
    let long = |bytes: usize| format!("status == '{}'", "x".repeat(bytes));
    assert!(parse(&long(TEXT_BYTES_MAX)).is_err());
}

fn path() -> impl Strategy<Value = Path> {
    let key = "[a-z_][a-z0-9_-]{0,8}".prop_filter("a word of the language", |key| {
        !["true", "false", "null", "and", "or", "not", "in", "contains"].contains(&key.as_str())
    });
    prop::collection::vec(key, 1..4).prop_map(|keys| Path { keys, at: 1 })
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_filter_map("a JSON number", |number| {
            serde_json::Number::from_f64(number).map(Value::Number)
        }),
        "[^\0]{0,12}".prop_map(Value::String),
    ]
}

fn test() -> impl Strategy<Value = Expression> {
    let operator = prop::sample::select(Operator::ALL.to_vec());
    (path(), operator, prop::collection::vec(value(), 1..4), prop::option::of(path())).prop_map(
        |(field, operator, mut values, other)| {
            let operand = match (operator, other) {
                (Operator::In | Operator::NotIn, _) => Operand::List(values),
                (_, Some(path)) => Operand::Field(path),
                (_, None) => Operand::Value(values.remove(0)),
            };
            Expression::Test(Test { field, operator, operand })
        },
    )
}

fn expression() -> impl Strategy<Value = Expression> {
    test().prop_recursive(5, 40, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 2..4).prop_map(Expression::And),
            prop::collection::vec(inner.clone(), 2..4).prop_map(Expression::Or),
            inner.prop_map(|inner| Expression::Not(Box::new(inner))),
        ]
    })
}

proptest! {
    #[test]
    fn a_filter_is_read_as_it_was_written(written in expression()) {
        let text = written.to_string();
        prop_assume!(text.len() <= TEXT_BYTES_MAX);
        prop_assert_eq!(parse(&text), Ok(written), "{}", text);
    }

    #[test]
    fn no_text_breaks_the_reader(text in ".{0,80}") {
        drop(read(&text));
    }

    #[test]
    fn no_likely_text_breaks_the_reader(
        words in prop::collection::vec(
            prop::sample::select(vec![
                "status", "price", "author", ".", "==", "!=", "~", "!", "(", ")", "[", "]", ",",
                "in", "not", "contains", "&&", "||", "1", "-1.5e3", "'x'", "\"", "'", "\\", "null",
                "true", "ä", "@now", " ", "data",
            ]),
            0..30,
        ),
    ) {
        drop(read(&words.join("")));
        drop(read(&words.join(" ")));
    }
}
