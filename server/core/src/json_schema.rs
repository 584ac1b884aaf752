//! A collection's schema as JSON Schema: what a client may send, and what it gets.

use serde_json::{Map, Value, json};

use crate::field_type::{Scalar, Word};

/// The JSON Schemas of a collection's data.
#[derive(Debug, Clone, PartialEq)]
pub struct DataSchemas {
    /// What a new record's data has to be.
    pub input: Value,
    /// What a change of a record's data has to be: nothing has to be there.
    pub patch: Value,
    /// What a record's data is.
    pub output: Value,
}

impl DataSchemas {
    /// Of a collection's schema, `{"fields": […]}`, for an administrator or for others, who neither
    /// see hidden fields nor set those that are read-only.
    pub fn of(schema: &Value, is_admin: bool) -> Self {
        let fields = schema.get("fields").and_then(Value::as_array);
        let fields: Vec<&Map<String, Value>> =
            fields.into_iter().flatten().filter_map(Value::as_object).collect();
        let visible = || fields.iter().copied().filter(|field| is_admin || !is(field, "hidden"));
        let settable = || visible().filter(|field| is_admin || !is(field, "read_only"));
        let named = |field: &&Map<String, Value>| name(field).to_owned();
        let required = settable().filter(|field| is_required(field)).map(|f| named(&f)).collect();
        let patch = object(settable().map(|field| (named(&field), change(field))));
        let mut whole = object(settable().map(|field| (named(&field), input(field))));
        require(&mut whole, required);
        Self {
            input: Value::Object(whole),
            patch: Value::Object(patch),
            output: Value::Object(object(visible().map(|field| (named(&field), output(field))))),
        }
    }
}

fn name(field: &Map<String, Value>) -> &str {
    field.get("name").and_then(Value::as_str).unwrap_or_default()
}

fn is(field: &Map<String, Value>, key: &str) -> bool {
    field.get(key) == Some(&Value::Bool(true))
}

fn given<'a>(field: &'a Map<String, Value>, key: &str) -> Option<&'a Value> {
    field.get(key).filter(|value| !value.is_null())
}

/// Whether a record can't be made without it.
fn is_required(field: &Map<String, Value>) -> bool {
    is(field, "required") && given(field, "default").is_none()
}

fn object(properties: impl Iterator<Item = (String, Value)>) -> Map<String, Value> {
    let mut schema = Map::new();
    schema.insert("type".to_owned(), "object".into());
    schema.insert("properties".to_owned(), Value::Object(properties.collect()));
    schema
}

fn require(schema: &mut Map<String, Value>, names: Vec<String>) {
    if !names.is_empty() {
        schema.insert("required".to_owned(), names.into());
    }
}

/// What of a definition JSON Schema has under another name.
const KEPT: [(&str, &str); 11] = [
    ("description", "description"),
    ("default", "default"),
    ("min_length", "minLength"),
    ("max_length", "maxLength"),
    ("pattern", "pattern"),
    ("format", "format"),
    ("min", "minimum"),
    ("max", "maximum"),
    ("min_items", "minItems"),
    ("max_items", "maxItems"),
    ("enum", "enum"),
];

/// What may be sent: the type with its bounds; null for what isn't required.
fn input(field: &Map<String, Value>) -> Value {
    let mut schema = typed(field, input);
    for (ours, theirs) in KEPT {
        if let Some(value) = given(field, ours) {
            schema.insert(theirs.to_owned(), value.clone());
        }
    }
    if is(field, "read_only") {
        schema.insert("readOnly".to_owned(), true.into());
    }
    if !is(field, "required") && field.contains_key("name") {
        make_nullable(&mut schema);
    }
    Value::Object(schema)
}

/// What a change may have: as for a new record, but a field that isn't sent stays as it is, where a
/// client that knows a default would send that.
fn change(field: &Map<String, Value>) -> Value {
    let mut field = field.clone();
    field.remove("default");
    input(&field)
}

/// What is sent: the type alone, since a record may be older than its field's bounds.
fn output(field: &Map<String, Value>) -> Value {
    let mut schema = typed(field, output);
    if let Some(words) = given(field, "description") {
        schema.insert("description".to_owned(), words.clone());
    }
    make_nullable(&mut schema);
    Value::Object(schema)
}

/// The type of a definition, with what is inside it.
fn typed(
    definition: &Map<String, Value>,
    inside: fn(&Map<String, Value>) -> Value,
) -> Map<String, Value> {
    let word = definition.get("type").and_then(Value::as_str).map(Word::parse);
    let schema = match word {
        Some(Ok(Word::Scalar(kind))) => scalar(kind),
        Some(Ok(Word::Reference)) => scalar(Scalar::Id),
        Some(Ok(Word::ListOf(kind))) => json!({ "type": "array", "items": scalar(kind) }),
        Some(Ok(Word::List)) => match definition.get("items").and_then(Value::as_object) {
            Some(items) => json!({ "type": "array", "items": inside(items) }),
            None => json!({ "type": "array" }),
        },
        Some(Ok(Word::Object)) => match definition.get("properties").and_then(Value::as_object) {
            Some(properties) => nested(properties, inside),
            // Said although it is the default: generators of clients take the bare type for an
            // object with nothing in it.
            None => json!({ "type": "object", "additionalProperties": true }),
        },
        Some(Err(_)) | None => json!({}),
    };
    if let Value::Object(schema) = schema { schema } else { Map::new() }
}

fn nested(properties: &Map<String, Value>, inside: fn(&Map<String, Value>) -> Value) -> Value {
    let members = || properties.iter().filter_map(|(name, one)| Some((name, one.as_object()?)));
    let mut schema = object(members().map(|(name, one)| {
        let mut one = one.clone();
        // As a field has it, so that one that isn't required may be null.
        one.insert("name".to_owned(), name.clone().into());
        (name.clone(), inside(&one))
    }));
    let required = members().filter(|(_, one)| is_required(one)).map(|(name, _)| name.clone());
    require(&mut schema, required.collect());
    Value::Object(schema)
}

fn scalar(kind: Scalar) -> Value {
    match kind {
        Scalar::Text => json!({ "type": "string" }),
        Scalar::Integer => json!({ "type": "integer" }),
        Scalar::Float => json!({ "type": "number" }),
        Scalar::Bool => json!({ "type": "boolean" }),
        Scalar::Date => json!({ "type": "string", "format": "date" }),
        Scalar::DateTime => json!({ "type": "string", "format": "date-time" }),
        Scalar::Id => json!({ "type": "string", "format": "uuid" }),
    }
}

fn make_nullable(schema: &mut Map<String, Value>) {
    if let Some(kind) = schema.get_mut("type") {
        *kind = json!([kind.take(), "null"]);
    }
    if let Some(Value::Array(values)) = schema.get_mut("enum") {
        values.push(Value::Null);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_become_properties_with_their_bounds() {
        let schema = json!({ "fields": [
            { "name": "title", "type": "string", "required": true, "max_length": 9 },
            { "name": "state", "type": "string", "required": true, "default": "new", "enum": ["new", "old"] },
            { "name": "price", "type": "float", "min": 0, "description": "in euros" },
            { "name": "tags", "type": "list[string]", "max_items": 3 },
            { "name": "due", "type": "date" },
            { "name": "owner", "type": "reference", "collection": "users" },
            { "name": "rest", "type": "object" },
            { "name": "place", "type": "object", "properties": {
                "street": { "type": "string", "required": true }, "floor": { "type": "int" } } },
        ] });
        let DataSchemas { input, patch, output } = DataSchemas::of(&schema, false);
        assert_eq!(input["required"], json!(["title"]), "a default makes it optional");
        assert_eq!(patch.get("required"), None);
        assert_eq!(input["properties"]["state"]["default"], "new");
        assert_eq!(patch["properties"]["state"].get("default"), None, "it stays as it is");
        assert_eq!(input["properties"]["title"], json!({ "type": "string", "maxLength": 9 }));
        assert_eq!(
            input["properties"]["price"],
            json!({ "type": ["number", "null"], "minimum": 0, "description": "in euros" })
        );
        assert_eq!(
            input["properties"]["tags"],
            json!({ "type": ["array", "null"], "items": { "type": "string" }, "maxItems": 3 })
        );
        assert_eq!(input["properties"]["place"]["required"], json!(["street"]));
        assert_eq!(
            input["properties"]["place"]["properties"]["floor"],
            json!({ "type": ["integer", "null"] })
        );
        assert_eq!(
            output["properties"]["due"],
            json!({ "type": ["string", "null"], "format": "date" })
        );
        assert_eq!(output["properties"]["owner"]["format"], "uuid");
        assert_eq!(
            output["properties"]["rest"],
            json!({ "type": ["object", "null"], "additionalProperties": true })
        );
        assert_eq!(output.get("required"), None);
    }

    #[test]
    fn others_than_administrators_dont_see_hidden_fields_or_set_read_only_ones() {
        let schema = json!({ "fields": [
            { "name": "secret", "type": "string", "hidden": true },
            { "name": "score", "type": "int", "read_only": true },
        ] });
        let names = |schema: &Value| -> Vec<String> {
            schema["properties"].as_object().expect("an object").keys().cloned().collect()
        };
        let others = DataSchemas::of(&schema, false);
        assert!(names(&others.input).is_empty());
        assert_eq!(names(&others.output), ["score"]);
        let admin = DataSchemas::of(&schema, true);
        assert_eq!(names(&admin.input).len(), 2);
        assert_eq!(names(&admin.output).len(), 2);
    }
}
