//! What a value has to keep to beside its type.

use std::sync::Arc;

use jsonschema::Validator;
use regex::Regex;
use serde_json::{Value, json};

/// The options of a field that narrow its values.
#[derive(Debug, Clone, Default)]
pub(crate) struct Bounds {
    pub(crate) length: Range<usize>,
    pub(crate) items: Range<usize>,
    pub(crate) number: Range<f64>,
    pub(crate) pattern: Option<Regex>,
    pub(crate) format: Option<Format>,
    pub(crate) one_of: Option<Vec<Value>>,
}

/// A least and a greatest value.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Range<T> {
    pub(crate) min: Option<T>,
    pub(crate) max: Option<T>,
}

impl<T> Default for Range<T> {
    fn default() -> Self {
        Self { min: None, max: None }
    }
}

impl<T: PartialOrd + Copy> Range<T> {
    pub(crate) fn is_empty(self) -> bool {
        matches!((self.min, self.max), (Some(min), Some(max)) if min > max)
    }

    fn below(self, value: T) -> Option<T> {
        self.min.filter(|min| value < *min)
    }

    fn above(self, value: T) -> Option<T> {
        self.max.filter(|max| value > *max)
    }
}

/// A format of texts that JSON Schema knows.
#[derive(Debug, Clone)]
pub(crate) struct Format {
    name: &'static str,
    validator: Arc<Validator>,
}

/// The formats, by their names in JSON Schema.
pub(crate) const FORMATS: [&str; 14] = [
    "email",
    "uri",
    "uri-reference",
    "uuid",
    "date",
    "time",
    "date-time",
    "duration",
    "hostname",
    "ipv4",
    "ipv6",
    "ip",
    "json-pointer",
    "regex",
];

impl Format {
    /// A format by its name; none if there is no such.
    pub(crate) fn find(name: &str) -> Option<Self> {
        let name = FORMATS.into_iter().find(|known| *known == name)?;
        let schema = match name {
            "ip" => json!({"anyOf": [{"format": "ipv4"}, {"format": "ipv6"}]}),
            name => json!({ "format": name }),
        };
        let validator = jsonschema::options().should_validate_formats(true).build(&schema).ok()?;
        Some(Self { name, validator: Arc::new(validator) })
    }
}

impl Bounds {
    /// What is wrong with a value, if something is.
    pub(crate) fn check(&self, value: &Value) -> Result<(), String> {
        match value {
            Value::String(text) => self.check_text(text, value)?,
            Value::Number(number) => self.check_number(number.as_f64().unwrap_or(f64::NAN))?,
            Value::Array(items) => self.check_items(items.len())?,
            Value::Null | Value::Bool(_) | Value::Object(_) => {}
        }
        match &self.one_of {
            Some(values) if !values.contains(value) => {
                let known: Vec<_> = values.iter().map(Value::to_string).collect();
                Err(format!("must be one of {}", known.join(", ")))
            }
            Some(_) | None => Ok(()),
        }
    }

    fn check_text(&self, text: &str, value: &Value) -> Result<(), String> {
        if self.length.min.is_some() || self.length.max.is_some() {
            let length = text.chars().count();
            if let Some(min) = self.length.below(length) {
                return Err(format!("must have at least {min} characters"));
            }
            if let Some(max) = self.length.above(length) {
                return Err(format!("must have at most {max} characters"));
            }
        }
        if let Some(pattern) = self.pattern.as_ref().filter(|pattern| !pattern.is_match(text)) {
            return Err(format!("must match the pattern {:?}", pattern.as_str()));
        }
        match &self.format {
            Some(format) if !format.validator.is_valid(value) => {
                Err(format!("must have the format {:?}", format.name))
            }
            Some(_) | None => Ok(()),
        }
    }

    fn check_number(&self, number: f64) -> Result<(), String> {
        if let Some(min) = self.number.below(number) {
            return Err(format!("must be at least {min}"));
        }
        match self.number.above(number) {
            Some(max) => Err(format!("must be at most {max}")),
            None => Ok(()),
        }
    }

    fn check_items(&self, count: usize) -> Result<(), String> {
        if let Some(min) = self.items.below(count) {
            return Err(format!("must have at least {min} items"));
        }
        match self.items.above(count) {
            Some(max) => Err(format!("must have at most {max} items")),
            None => Ok(()),
        }
    }
}
