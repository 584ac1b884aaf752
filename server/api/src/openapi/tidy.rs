//! Says more exactly what the derived descriptions leave open or get wrong.

use serde_json::{Map, Value, json};

/// Entity tags as `if-match` and `if-none-match` have them: any, or some, separated by commas.
const TAGS: &str = r#"^(\*|(W/)?"[^",]*"( *, *(W/)?"[^",]*"){0,31})$"#;

/// Headers that hold entity tags.
const WITH_TAGS: [&str; 2] = ["if-match", "if-none-match"];

/// Makes a document say what the server does.
pub(super) fn tidy(document: &mut Value) {
    for item in members(document.get_mut("paths")) {
        members(Some(item)).for_each(tidy_operation);
    }
    for name in CLOSED {
        let kinds = document.pointer_mut(&format!("/components/schemas/{name}/oneOf"));
        for kind in kinds.and_then(Value::as_array_mut).into_iter().flatten() {
            kind["additionalProperties"] = false.into();
        }
    }
    complete(document);
}

/// What takes no other keys than its own, which isn't derived for something of several kinds.
const CLOSED: [&str; 3] = ["BatchOperation", "CollectionBatchOperation", "TimingSpec"];

fn tidy_operation(operation: &mut Value) {
    let parameters = operation.get_mut("parameters").and_then(Value::as_array_mut);
    for parameter in parameters.into_iter().flatten() {
        let is_optional = parameter.get("required") != Some(&Value::Bool(true));
        let has_tags = WITH_TAGS.iter().any(|name| parameter["name"] == *name);
        let Some(schema) = parameter.get_mut("schema") else { continue };
        if is_optional {
            without_null(schema);
        }
        if has_tags {
            schema["pattern"] = TAGS.into();
        }
    }
    let body = operation.get_mut("requestBody");
    if let Some(body) = body.filter(|body| body.get("required") != Some(&Value::Bool(true))) {
        members(body.get_mut("content"))
            .filter_map(|of| of.get_mut("schema"))
            .for_each(without_null);
    }
    for answer in members(operation.get_mut("responses")) {
        let kinds = answer.get_mut("content").and_then(Value::as_object_mut);
        for (kind, content) in kinds.into_iter().flatten() {
            if !kind.ends_with("json") && content["schema"]["type"] == "array" {
                content["schema"] = json!({ "type": "string", "format": "binary" });
            }
        }
    }
}

fn members(value: Option<&mut Value>) -> impl Iterator<Item = &mut Value> {
    value.and_then(Value::as_object_mut).into_iter().flat_map(Map::values_mut)
}

/// What may be left out is derived as what may be null, which neither a parameter nor a missing body
/// can be.
fn without_null(schema: &mut Value) {
    if let Some(kinds) = schema.get_mut("type").and_then(Value::as_array_mut) {
        kinds.retain(|kind| kind != "null");
        if let [kind] = kinds.as_slice() {
            schema["type"] = kind.clone();
        }
    }
    if let Some(choices) = schema.get_mut("oneOf").and_then(Value::as_array_mut) {
        choices.retain(|choice| choice["type"] != "null");
        if let [choice] = choices.as_slice() {
            *schema = choice.clone();
        }
    }
}

/// Completes each schema: a `u32` is derived as the `int32` that can't hold its greater half, and an
/// object of anything as one that generated clients take for an empty one.
fn complete(value: &mut Value) {
    match value {
        Value::Object(map) => {
            let has = |key| map.contains_key(key);
            if has("minimum") && !has("maximum") && map.get("format") == Some(&"int32".into()) {
                map.insert("format".to_owned(), "int64".into());
                map.insert("maximum".to_owned(), u32::MAX.into());
            }
            if is_object(map) && !INSIDE.iter().any(|key| map.contains_key(*key)) {
                map.insert("additionalProperties".to_owned(), true.into());
            }
            map.values_mut().for_each(complete);
        }
        Value::Array(list) => list.iter_mut().for_each(complete),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// What of a schema says what is inside an object.
const INSIDE: [&str; 5] = ["properties", "additionalProperties", "oneOf", "anyOf", "allOf"];

fn is_object(schema: &Map<String, Value>) -> bool {
    match schema.get("type") {
        Some(Value::String(kind)) => kind == "object",
        Some(Value::Array(kinds)) => kinds.iter().any(|kind| kind == "object"),
        Some(_) | None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_left_out_is_not_null_and_unsigned_numbers_have_their_range() {
        let mut document = json!({ "paths": { "/a": { "get": {
            "parameters": [
                { "name": "if-match", "schema": { "type": ["string", "null"] } },
                { "name": "offset", "schema": { "type": "integer", "format": "int32", "minimum": 0 } },
                { "name": "id", "schema": { "oneOf": [{ "$ref": "#/x" }, { "type": "null" }] } },
                { "name": "all", "required": true, "schema": { "type": ["string", "null"] } },
            ],
            "requestBody": { "content": { "application/json": { "schema": { "type": ["object", "null"] } } } },
            "responses": { "200": { "content": { "image/png": { "schema": { "type": "array" } } } } },
        } } } });
        tidy(&mut document);
        let operation = &document["paths"]["/a"]["get"];
        assert_eq!(
            operation["parameters"],
            json!([
                { "name": "if-match", "schema": { "type": "string", "pattern": TAGS } },
                { "name": "offset", "schema":
                    { "type": "integer", "format": "int64", "minimum": 0, "maximum": 4_294_967_295_u32 } },
                { "name": "id", "schema": { "$ref": "#/x" } },
                { "name": "all", "required": true, "schema": { "type": ["string", "null"] } },
            ])
        );
        let body = &operation["requestBody"]["content"]["application/json"];
        assert_eq!(body["schema"], json!({ "type": "object", "additionalProperties": true }));
        let answer = &operation["responses"]["200"]["content"]["image/png"];
        assert_eq!(answer["schema"], json!({ "type": "string", "format": "binary" }));
        assert_eq!(document["paths"]["/a"].as_object().map(Map::len), Some(1), "nothing is added");
    }
}
