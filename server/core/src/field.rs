//! One field of a schema, and checking a value against it.

mod at;
mod bounds;
mod definition;
mod shape;

use serde_json::Value;
use tinybase_model::FieldViolation;

pub(crate) use self::at::At;
pub(crate) use self::bounds::Bounds;
pub(crate) use self::definition::INDEXED_LENGTH_MAX;
pub(crate) use self::shape::{FieldType, Reference, Shape, check_all};
use crate::field_type::Scalar;

/// A field of a schema, or a property of an object in one.
#[derive(Debug, Clone)]
pub(crate) struct Field {
    pub(crate) name: String,
    pub(crate) shape: Shape,
    pub(crate) required: bool,
    default: Option<Value>,
    traits: Vec<Trait>,
}

/// What a field is beside its shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trait {
    /// No two records have the same value.
    Unique,
    /// Lists by it are fast.
    Index,
    /// Only administrators see it.
    Hidden,
    /// Its words can be searched for.
    Search,
}

impl Trait {
    /// All of them, with their keys in a definition.
    pub(crate) const ALL: [(&'static str, Self); 4] = [
        ("unique", Self::Unique),
        ("index", Self::Index),
        ("hidden", Self::Hidden),
        ("search", Self::Search),
    ];
}

impl Field {
    /// Reads a definition such as `{"name": "title", "type": "string", "required": true}`.
    pub(crate) fn parse(definition: &Value, at: &str) -> Result<Self, Vec<FieldViolation>> {
        definition::field(definition, At::Pointer(at))
    }

    /// Whether it is that.
    pub(crate) fn is(&self, what: Trait) -> bool {
        self.traits.contains(&what)
    }

    /// Whether the database keeps an index over it.
    pub(crate) fn is_indexed(&self) -> bool {
        self.is(Trait::Unique) || self.is(Trait::Index) || self.reference().is_some()
    }

    /// What it refers to, if it is a reference.
    pub(crate) const fn reference(&self) -> Option<&Reference> {
        match &self.shape.kind {
            FieldType::Reference(reference) => Some(reference),
            FieldType::Scalar(_) | FieldType::List(_) | FieldType::Object(_) => None,
        }
    }

    /// The type of its single value, if it has one.
    pub(crate) const fn scalar(&self) -> Option<Scalar> {
        match &self.shape.kind {
            FieldType::Scalar(scalar) => Some(*scalar),
            FieldType::Reference(_) => Some(Scalar::Id),
            FieldType::List(_) | FieldType::Object(_) => None,
        }
    }

    /// The longest text that it takes, if it takes texts.
    pub(crate) fn text_length_max(&self) -> Option<usize> {
        match &self.shape.kind {
            FieldType::Scalar(Scalar::Text) => {
                Some(self.shape.bounds.length.max.unwrap_or(usize::MAX))
            }
            FieldType::Scalar(_)
            | FieldType::Reference(_)
            | FieldType::List(_)
            | FieldType::Object(_) => None,
        }
    }

    /// Checks a value, or fills one in if there is none; adds what is wrong to `found`.
    pub(crate) fn check(
        &self,
        value: Option<Value>,
        at: At<'_>,
        found: &mut Vec<FieldViolation>,
    ) -> Value {
        let problem = match (value, &self.default) {
            (Some(Value::Null), _) if self.required => "must not be null",
            (Some(Value::Null), _) => return self.shape.kind.empty(),
            (Some(value), _) => return self.shape.check(value, at, found),
            (None, Some(default)) => return default.clone(),
            (None, None) if self.required => "is required",
            (None, None) => return self.shape.kind.empty(),
        };
        found.push(at.violation(problem));
        Value::Null
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check_as(definition: &Value, value: Option<Value>) -> Result<Value, String> {
        let field = Field::parse(definition, "/f").expect("a field");
        let mut found = Vec::new();
        let value = field.check(value, At::Pointer("/f"), &mut found);
        match found.first() {
            None => Ok(value),
            Some(first) if first.field == "/f" => Err(first.message.clone()),
            Some(first) => Err(format!("{} {}", first.field, first.message)),
        }
    }

    fn check(definition: &Value, value: &Value) -> Result<Value, String> {
        check_as(definition, Some(value.clone()))
    }

    #[test]
    fn values_are_coerced_as_documented() {
        let cases = [
            ("int", json!("5"), Some(json!(5))),
            ("int", json!(" -7 "), Some(json!(-7))),
            ("int", json!(5.0), Some(json!(5))),
            ("int", json!("5.0"), Some(json!(5))),
            ("int", json!(true), Some(json!(1))),
            ("int", json!(u64::MAX), Some(json!(u64::MAX))),
            ("int", json!(5.5), None),
            ("int", json!("five"), None),
            ("int", json!(1e300), None),
            ("integer", json!([1]), None),
            ("float", json!("1.5"), Some(json!(1.5))),
            ("number", json!(5), Some(json!(5.0))),
            ("float", json!("nan"), None),
            ("bool", json!("yes"), Some(json!(true))),
            ("bool", json!("OFF"), Some(json!(false))),
            ("boolean", json!(1), Some(json!(true))),
            ("bool", json!(2), None),
            ("string", json!("x"), Some(json!("x"))),
            ("string", json!(5), None),
            ("list[int]", json!(["1", 2.0]), Some(json!([1, 2]))),
            ("list[string]", json!(["a", 1]), None),
            ("list[float]", json!([1]), Some(json!([1.0]))),
            ("list[bool]", json!(["true"]), Some(json!([true]))),
            ("list", json!([1, "a", null]), Some(json!([1, "a", null]))),
            ("array", json!({}), None),
            ("dict", json!({"a": 1}), Some(json!({"a": 1}))),
            ("object", json!([]), None),
        ];
        for (kind, value, expected) in cases {
            let found = check(&json!({"name": "f", "type": kind}), &value).ok();
            assert_eq!(found, expected, "{kind} {value}");
        }
    }

    #[test]
    fn what_is_missing_gets_its_default_or_nothing() {
        let missing = |definition: Value| check_as(&definition, None);
        assert_eq!(missing(json!({"name": "f", "type": "int"})), Ok(Value::Null));
        assert_eq!(missing(json!({"name": "f", "type": "list[int]"})), Ok(json!([])));
        assert_eq!(missing(json!({"name": "f", "type": "dict"})), Ok(json!({})));
        let default = json!({"name": "f", "type": "int", "default": "3", "required": true});
        assert_eq!(missing(default), Ok(json!(3)));
        let required = json!({"name": "f", "type": "int", "required": true});
        assert_eq!(missing(required.clone()), Err("is required".to_owned()));
        assert_eq!(check(&required, &Value::Null), Err("must not be null".to_owned()));
    }

    #[test]
    fn bounds_are_kept() {
        let text = json!({"name": "f", "type": "string", "min_length": 2, "max_length": 3,
                          "pattern": "^[é-ü]+$"});
        assert!(check(&text, &json!("éü")).is_ok());
        for bad in ["é", "éééé", "ab"] {
            assert!(check(&text, &json!(bad)).is_err(), "{bad}");
        }
        let number = json!({"name": "f", "type": "int", "min": 1, "max": 2.5});
        assert!(check(&number, &json!("2")).is_ok());
        assert_eq!(check(&number, &json!(0)), Err("must be at least 1".to_owned()));
        assert_eq!(check(&number, &json!(3)), Err("must be at most 2.5".to_owned()));
    }

    #[test]
    fn days_and_times_are_stored_so_that_they_sort() {
        let date = json!({"name": "f", "type": "date"});
        for day in ["2026-01-31", "2026-01-31T00:00:00", "2026-01-31T00:00:00Z"] {
            assert_eq!(check(&date, &json!(day)), Ok(json!("2026-01-31")), "{day}");
        }
        for wrong in [json!("2026-02-30"), json!("2026-01-31T08:00:00"), json!(5), json!("")] {
            assert!(check(&date, &wrong).is_err(), "{wrong}");
        }
        let time = json!({"name": "f", "type": "datetime"});
        let cases = [
            ("2026-01-31T08:00:00Z", "2026-01-31T08:00:00.000000Z"),
            ("2026-01-31T08:00:00.5+02:00", "2026-01-31T06:00:00.500000Z"),
            ("2026-01-31T08:00:00", "2026-01-31T08:00:00.000000Z"),
            ("2026-01-31", "2026-01-31T00:00:00.000000Z"),
        ];
        for (given, stored) in cases {
            assert_eq!(check(&time, &json!(given)), Ok(json!(stored)), "{given}");
        }
        assert!(check(&time, &json!("soon")).is_err());
    }

    #[test]
    fn what_is_inside_is_checked_and_named_by_its_pointer() {
        let list = json!({"name": "f", "type": "list", "min_items": 1, "max_items": 2,
                          "items": {"type": "int", "min": 0}});
        assert_eq!(check(&list, &json!(["1", 2.0])), Ok(json!([1, 2])));
        assert_eq!(check(&list, &json!([1, -1])), Err("/f/1 must be at least 0".to_owned()));
        assert_eq!(check(&list, &json!([])), Err("must have at least 1 items".to_owned()));
        assert_eq!(check(&list, &json!([1, 2, 3])), Err("must have at most 2 items".to_owned()));
        let object = json!({"name": "f", "type": "object", "properties": {
            "street": {"type": "string", "required": true},
            "zip": {"type": "string", "pattern": "^[0-9]+$", "default": "0"},
            "tags": {"type": "list[string]"},
        }});
        let stored = json!({"street": "x", "zip": "0", "tags": []});
        assert_eq!(check(&object, &json!({"street": "x", "extra": 1})), Ok(stored));
        assert_eq!(check(&object, &json!({})), Err("/f/street is required".to_owned()));
        let wrong = json!({"street": "x", "tags": ["a", 1]});
        assert_eq!(check(&object, &wrong), Err("/f/tags/1 must be a string".to_owned()));
        assert_eq!(check_as(&object, None), Ok(Value::Null));
    }

    #[test]
    fn enums_and_formats_are_kept() {
        let word = json!({"name": "f", "type": "string", "enum": ["a", "b"]});
        assert_eq!(check(&word, &json!("a")), Ok(json!("a")));
        assert_eq!(check(&word, &json!("c")), Err("must be one of \"a\", \"b\"".to_owned()));
        assert_eq!(check(&word, &Value::Null), Ok(Value::Null));
        let cases = [
            ("email", "a@example.com", "a"),
            ("uri", "https://example.com/x", "no uri"),
            ("uuid", "2b8a2d0a-5a0d-4f57-8f0a-0d6f7f3c1e11", "2b8a"),
            ("date", "2026-01-31", "2026-02-31"),
            ("time", "08:00:00Z", "8"),
            ("date-time", "2026-01-31T08:00:00Z", "2026-01-31"),
            ("hostname", "example.com", "-x-"),
            ("ipv4", "127.0.0.1", "127.0.0.256"),
            ("ipv6", "::1", "1.1.1.1"),
            ("ip", "::1", "x"),
        ];
        for (format, good, bad) in cases {
            let field = json!({"name": "f", "type": "string", "format": format});
            assert!(check(&field, &json!(good)).is_ok(), "{format}");
            assert!(check(&field, &json!(bad)).is_err(), "{format}");
        }
    }

    #[test]
    fn a_reference_is_an_id() {
        let field = json!({"name": "f", "type": "reference", "collection": "users"});
        let id = "2B8A2D0A-5A0D-4F57-8F0A-0D6F7F3C1E11";
        assert_eq!(check(&field, &json!(id)), Ok(json!(id.to_lowercase())));
        assert!(check(&field, &json!("x")).expect_err("no id").contains("not a valid UUID"));
        let field = Field::parse(&field, "/f").expect("a field");
        assert!(field.is_indexed() && !field.is(Trait::Index));
    }

    #[test]
    fn a_wrong_definition_says_where_and_what() {
        let cases = [
            (json!({"name": "f", "type": "strng"}), "/f/type", "\"string\""),
            (json!({"name": "1", "type": "int"}), "/f/name", "letters"),
            (json!({"name": "f", "type": "int", "requird": true}), "/f/requird", "\"required\""),
            (json!({"name": "f", "type": "int", "min_length": 1}), "/f/min_length", "string"),
            (json!({"name": "f", "type": "string", "min": 1}), "/f/min", "int and float"),
            (json!({"name": "f", "type": "string", "pattern": "("}), "/f/pattern", "unclosed"),
            (json!({"name": "f", "type": "int", "default": "x"}), "/f/default", "whole number"),
            (json!({"name": "f", "type": "int", "min": 2, "max": 1}), "/f/min", "larger"),
            (json!({"name": "f", "type": "list", "unique": true}), "/f/unique", "single values"),
            (json!({"name": "f", "type": "int", "search": true}), "/f/search", "string"),
            (json!({"name": "f", "type": "list", "items": {"type": "in"}}), "/f/items/type", "int"),
            (json!({"name": "f", "type": "list[int]", "items": {}}), "/f/items", "already"),
            (
                json!({"name": "f", "type": "dict", "properties": {"a": {"type": "int", "min": "x"}}}),
                "/f/properties/a/min",
                "number",
            ),
            (json!({"name": "f", "type": "string", "format": "emial"}), "/f/format", "\"email\""),
            (json!({"name": "f", "type": "int", "enum": [1, "x"]}), "/f/enum/1", "whole number"),
            (json!({"name": "f", "type": "reference"}), "/f/collection", "collection"),
            (
                json!({"name": "f", "type": "reference", "collection": "a", "required": true,
                       "on_delete": "set_null"}),
                "/f/on_delete",
                "required",
            ),
            (json!({"name": "f", "type": "int", "hidden": 1}), "/f/hidden", "true or false"),
            (
                json!({"name": "f", "type": "string", "index": true, "max_length": 4000}),
                "/f/max_length",
                "512",
            ),
            (json!("f"), "/f", "object"),
        ];
        for (definition, field, part) in cases {
            let violations = Field::parse(&definition, "/f").expect_err("a mistake");
            assert_eq!(violations[0].field, field, "{definition}");
            assert!(violations[0].message.contains(part), "{}", violations[0].message);
        }
    }
}
