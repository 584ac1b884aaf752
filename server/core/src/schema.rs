//! A collection's schema: its fields, and whether data fits them.

use serde_json::{Map, Value};
use tinybase_model::{FieldViolation, SearchFields};

use crate::field::{At, Field, Trait, check_all};

/// A collection's fields, checked when the collection was created.
#[derive(Debug, Clone)]
pub(crate) struct Schema {
    fields: Vec<Field>,
}

/// More fields than anybody needs.
const FIELDS_MAX: usize = 500;

impl Schema {
    /// Reads `{"fields": […]}`.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub(crate) fn parse(schema: &Value) -> Result<Self, Vec<FieldViolation>> {
        let Some(entries) = schema.get("fields").and_then(Value::as_array) else {
            return Err(vec![violation("/schema", "must be an object with an array \"fields\"")]);
        };
        if entries.len() > FIELDS_MAX {
            let message = format!("has {} fields; the limit is {FIELDS_MAX}", entries.len());
            return Err(vec![violation("/schema/fields", &message)]);
        }
        let mut fields: Vec<Field> = Vec::with_capacity(entries.len());
        let mut violations = Vec::new();
        for (index, entry) in entries.iter().enumerate() {
            let at = format!("/schema/fields/{index}");
            match Field::parse(entry, &at) {
                Ok(field) if fields.iter().any(|other| other.name == field.name) => {
                    let message = format!("is the second field called {:?}", field.name);
                    violations.push(violation(&format!("{at}/name"), &message));
                }
                Ok(field) => fields.push(field),
                Err(found) => violations.extend(found),
            }
        }
        if violations.is_empty() { Ok(Self { fields }) } else { Err(violations) }
    }

    /// Whether there is a field of that name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.field(name).is_some()
    }

    /// A field by its name.
    pub(crate) fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.name == name)
    }

    /// The fields, in their order.
    pub(crate) fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// The names of the fields that only administrators see.
    pub(crate) fn hidden(&self) -> impl Iterator<Item = &str> {
        self.fields.iter().filter(|f| f.is(Trait::Hidden)).map(|f| f.name.as_str())
    }

    /// The fields whose words can be searched for.
    pub(crate) fn search_fields(&self) -> SearchFields {
        let names = |hidden: bool| {
            let fields = self.fields.iter().filter(|field| field.is(Trait::Search));
            let fields = fields.filter(|field| field.is(Trait::Hidden) == hidden);
            fields.map(|field| field.name.clone()).collect()
        };
        SearchFields { shown: names(false), hidden: names(true) }
    }

    /// Checks data and makes it what is stored: values coerced, defaults filled in, fields that
    /// the schema doesn't have dropped.
    ///
    /// # Errors
    /// What is wrong with which field.
    pub(crate) fn check(
        &self,
        data: Map<String, Value>,
    ) -> Result<Map<String, Value>, Vec<FieldViolation>> {
        let mut violations = Vec::new();
        let checked = check_all(&self.fields, data, At::Pointer("/data"), &mut violations);
        if violations.is_empty() { Ok(checked) } else { Err(violations) }
    }
}

/// What is wrong at a place.
pub(crate) fn violation(field: &str, message: &str) -> FieldViolation {
    FieldViolation { field: field.to_owned(), message: message.to_owned() }
}
