//! One field of a schema: reading its definition, and checking a value against it.

use regex::Regex;
use serde_json::{Map, Value};
use tinybase_model::FieldViolation;

use crate::field_type::{FieldType, UnknownType};
use crate::schema::violation;

/// A field of a schema.
#[derive(Debug, Clone)]
pub(crate) struct Field {
    pub(crate) name: String,
    kind: FieldType,
    required: bool,
    default: Option<Value>,
    bounds: Bounds,
}

/// What a value has to keep to beside its type.
#[derive(Debug, Clone, Default)]
struct Bounds {
    min_length: Option<usize>,
    max_length: Option<usize>,
    pattern: Option<Regex>,
    min: Option<f64>,
    max: Option<f64>,
}

/// What a definition may say.
const KEYS: [&str; 10] = [
    "name",
    "type",
    "required",
    "default",
    "description",
    "min_length",
    "max_length",
    "pattern",
    "min",
    "max",
];

impl Field {
    /// Reads a definition such as `{"name": "title", "type": "string", "required": true}`.
    pub(crate) fn parse(definition: &Value, at: &str) -> Result<Self, Vec<FieldViolation>> {
        let Value::Object(definition) = definition else {
            return Err(vec![violation(at, "must be an object with \"name\" and \"type\"")]);
        };
        let mut reader = Reader { definition, at, violations: Vec::new() };
        reader.refuse_unknown_keys();
        let name = reader.name();
        let kind = reader.kind();
        let required = reader.required();
        let bounds = reader.bounds(kind.as_ref());
        let mut violations = reader.violations;
        let (Some(name), Some(kind)) = (name, kind) else { return Err(violations) };
        let mut field = Self { name, kind, required, default: None, bounds };
        if let Some(default) = definition.get("default").filter(|default| !default.is_null()) {
            match field.check_value(default.clone()) {
                Ok(default) => field.default = Some(default),
                Err(message) => violations.push(violation(&format!("{at}/default"), &message)),
            }
        }
        if violations.is_empty() { Ok(field) } else { Err(violations) }
    }

    /// Checks a value, or fills one in if there is none.
    pub(crate) fn check(&self, value: Option<Value>) -> Result<Value, String> {
        match value {
            Some(Value::Null) if self.required => Err("must not be null".to_owned()),
            Some(Value::Null) => Ok(self.kind.empty()),
            Some(value) => self.check_value(value),
            None => match &self.default {
                Some(default) => Ok(default.clone()),
                None if self.required => Err("is required".to_owned()),
                None => Ok(self.kind.empty()),
            },
        }
    }

    fn check_value(&self, value: Value) -> Result<Value, String> {
        let value = self.kind.coerce(value)?;
        self.bounds.check(&value)?;
        Ok(value)
    }
}

impl Bounds {
    fn check(&self, value: &Value) -> Result<(), String> {
        if let Value::String(text) = value {
            let length = text.chars().count();
            if let Some(min) = self.min_length.filter(|min| length < *min) {
                return Err(format!("must have at least {min} characters"));
            }
            if let Some(max) = self.max_length.filter(|max| length > *max) {
                return Err(format!("must have at most {max} characters"));
            }
            if let Some(pattern) = self.pattern.as_ref().filter(|pattern| !pattern.is_match(text)) {
                return Err(format!("must match the pattern {:?}", pattern.as_str()));
            }
        }
        if let Some(number) = value.as_f64() {
            if let Some(min) = self.min.filter(|min| number < *min) {
                return Err(format!("must be at least {min}"));
            }
            if let Some(max) = self.max.filter(|max| number > *max) {
                return Err(format!("must be at most {max}"));
            }
        }
        Ok(())
    }
}

/// Reads a definition and gathers all that is wrong with it.
struct Reader<'a> {
    definition: &'a Map<String, Value>,
    at: &'a str,
    violations: Vec<FieldViolation>,
}

impl Reader<'_> {
    fn wrong(&mut self, key: &str, message: &str) {
        self.violations.push(violation(&format!("{}/{key}", self.at), message));
    }

    fn refuse_unknown_keys(&mut self) {
        for key in self.definition.keys().filter(|key| !KEYS.contains(&key.as_str())) {
            let nearest = KEYS.into_iter().min_by_key(|known| strsim::levenshtein(known, key));
            let message = match nearest {
                Some(nearest) => format!("is not a known key; did you mean {nearest:?}?"),
                None => "is not a known key".to_owned(),
            };
            self.wrong(key, &message);
        }
    }

    fn name(&mut self) -> Option<String> {
        let name = self.definition.get("name").and_then(Value::as_str).unwrap_or_default();
        let valid = name.len() <= 100
            && name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if valid {
            return Some(name.to_owned());
        }
        self.wrong("name", "must be a name of letters, digits and '_', at most 100");
        None
    }

    fn kind(&mut self) -> Option<FieldType> {
        let Some(word) = self.definition.get("type").and_then(Value::as_str) else {
            self.wrong("type", "must name a type, such as \"string\"");
            return None;
        };
        match FieldType::parse(word) {
            Ok(kind) => Some(kind),
            Err(UnknownType { nearest }) => {
                let message = format!("{word:?} is not a known type; did you mean {nearest:?}?");
                self.wrong("type", &message);
                None
            }
        }
    }

    fn required(&mut self) -> bool {
        match self.definition.get("required") {
            None | Some(Value::Null) => false,
            Some(Value::Bool(required)) => *required,
            Some(_) => {
                self.wrong("required", "must be true or false");
                false
            }
        }
    }

    fn bounds(&mut self, kind: Option<&FieldType>) -> Bounds {
        let text = kind.is_none_or(|kind| matches!(kind, FieldType::Text));
        let number = kind.is_none_or(|kind| matches!(kind, FieldType::Integer | FieldType::Float));
        let bounds = Bounds {
            min_length: self.length("min_length", text),
            max_length: self.length("max_length", text),
            pattern: self.pattern(text),
            min: self.number("min", number),
            max: self.number("max", number),
        };
        if let (Some(min), Some(max)) = (bounds.min_length, bounds.max_length)
            && min > max
        {
            self.wrong("min_length", "is larger than max_length");
        }
        if let (Some(min), Some(max)) = (bounds.min, bounds.max)
            && min > max
        {
            self.wrong("min", "is larger than max");
        }
        bounds
    }

    /// The value of a key that only makes sense for some types.
    fn given(&mut self, key: &str, applies: bool, types: &str) -> Option<Value> {
        let value = self.definition.get(key).filter(|value| !value.is_null())?.clone();
        if !applies {
            self.wrong(key, &format!("is only for fields of type {types}"));
            return None;
        }
        Some(value)
    }

    fn length(&mut self, key: &str, applies: bool) -> Option<usize> {
        let value = self.given(key, applies, "string")?;
        let length = value.as_u64().and_then(|length| usize::try_from(length).ok());
        if length.is_none() {
            self.wrong(key, "must be a whole number, 0 or more");
        }
        length
    }

    fn number(&mut self, key: &str, applies: bool) -> Option<f64> {
        let value = self.given(key, applies, "int and float")?;
        if !value.is_number() {
            self.wrong(key, "must be a number");
        }
        value.as_f64()
    }

    fn pattern(&mut self, applies: bool) -> Option<Regex> {
        let value = self.given("pattern", applies, "string")?;
        let Some(pattern) = value.as_str() else {
            self.wrong("pattern", "must be a regular expression as text");
            return None;
        };
        match Regex::new(pattern) {
            Ok(regex) => Some(regex),
            Err(error) => {
                let message = error.to_string();
                let last = message.lines().last().unwrap_or_default();
                self.wrong("pattern", &format!("is not a regular expression: {last}"));
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(definition: &Value, value: &Value) -> Result<Value, String> {
        let field = Field::parse(definition, "/f").expect("a field");
        field.check(Some(value.clone()))
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
        let missing =
            |definition: Value| Field::parse(&definition, "/f").expect("a field").check(None);
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
            (json!("f"), "/f", "object"),
        ];
        for (definition, field, part) in cases {
            let violations = Field::parse(&definition, "/f").expect_err("a mistake");
            assert_eq!(violations[0].field, field, "{definition}");
            assert!(violations[0].message.contains(part), "{}", violations[0].message);
        }
    }
}
