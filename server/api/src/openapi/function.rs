//! What the document says of one function: its call, with its own schemas.

use std::collections::HashMap;

use serde_json::{Map, Value, json};
use tinybase_core::{FunctionInfo, FunctionSchema};
use tinybase_model::JsonBytes;

use super::served::{Added, redirect, reference};

/// Where any function is called.
const ANY: &str = "/api/functions/{name}";

/// Adds a function's call and schemas, made of those for any function.
pub(super) fn add(base: &Value, info: &FunctionInfo, schema: &FunctionSchema, added: &mut Added) {
    let name = &info.name;
    // Others would have to be written differently in the path and in names.
    if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte)) {
        return;
    }
    let own = |what: &str| format!("function.{name}.{what}");
    let mut item = base["paths"][ANY].clone();
    let operation = &mut item["post"];
    if operation.is_null() {
        return;
    }
    let names = HashMap::from([("CallOutcome", own("Outcome"))]);
    redirect(operation, &names);
    operation["operationId"] = format!("call_function_{name}").into();
    operation["summary"] = format!("Calls the function {name} of {}.", info.extension).into();
    if let Some(words) = &info.description {
        operation["description"] = words.as_str().into();
    }
    if let Some(parameters) = operation["parameters"].as_array_mut() {
        parameters.retain(|one| !(one["name"] == "name" && one["in"] == "path"));
    }
    if let Some(input) = rebase(schema.input_schema.as_ref(), &own("Input"), added) {
        operation["requestBody"]["content"]["application/json"]["schema"] = input;
    }
    let mut outcome = base["components"]["schemas"]["CallOutcome"].clone();
    let output = rebase(schema.output_schema.as_ref(), &own("Output"), added);
    describe_forms(operation, info.streams, output.as_ref());
    let result = match (info.streams, output) {
        (false, output) => output,
        (true, output) => Some(json!({ "type": "array", "items": output.unwrap_or(json!({})) })),
    };
    if let Some(result) = result {
        outcome["properties"]["result"] = json!({ "oneOf": [{ "type": "null" }, result] });
    }
    added.schemas.insert(own("Outcome"), outcome);
    added.paths.insert(ANY.replacen("{name}", name, 1), item);
}

/// Says what is in the lines and events of a function that streams, and takes those forms from
/// others, which don't have them.
fn describe_forms(operation: &mut Value, streams: bool, chunk: Option<&Value>) {
    let content = &mut operation["responses"]["200"]["content"];
    if !streams {
        if let Some(content) = content.as_object_mut() {
            content.retain(|form, _| form == "application/json");
        }
        if let Some(parameters) = operation["parameters"].as_array_mut() {
            parameters.retain(|one| one["name"] != "accept");
        }
        return;
    }
    let chunk = chunk.and_then(|chunk| chunk["$ref"].as_str()).unwrap_or("any JSON value");
    for (form, part) in [("application/x-ndjson", "line"), ("text/event-stream", "event")] {
        let words = format!("A chunk in each {part}: {chunk}. In the last one how the call ended.");
        content[form]["schema"] = json!({ "type": "string", "description": words });
    }
}

/// Puts a JSON Schema with all that it refers to into the document, and gives a reference to it.
fn rebase(schema: Option<&JsonBytes>, name: &str, added: &mut Added) -> Option<Value> {
    let mut schema: Value = schema?.parse().ok()?;
    let mut definitions = Map::new();
    if let Some(root) = schema.as_object_mut() {
        root.remove("$schema");
        root.remove("$id");
        for key in ["$defs", "definitions"] {
            if let Some(Value::Object(found)) = root.remove(key) {
                definitions.extend(found);
            }
        }
    }
    for (key, mut definition) in definitions {
        move_references(&mut definition, name);
        added.schemas.insert(format!("{name}.{}", safe(&key)), definition);
    }
    move_references(&mut schema, name);
    added.schemas.insert(name.to_owned(), schema);
    Some(json!({ "$ref": reference(name) }))
}

fn move_references(value: &mut Value, name: &str) {
    match value {
        Value::Object(map) => {
            if let Some(Value::String(target)) = map.get_mut("$ref")
                && let Some(pointer) = target.strip_prefix('#')
            {
                *target = moved(pointer, name);
            }
            map.values_mut().for_each(|value| move_references(value, name));
        }
        Value::Array(list) => list.iter_mut().for_each(|value| move_references(value, name)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Where a place of the schema is in the document.
fn moved(pointer: &str, name: &str) -> String {
    let definition = pointer.strip_prefix("/$defs/").or(pointer.strip_prefix("/definitions/"));
    match definition {
        Some(rest) => {
            let (key, inside) =
                rest.split_once('/').map_or((rest, ""), |(key, _)| (key, &rest[key.len()..]));
            let key = key.replace("~1", "/").replace("~0", "~");
            reference(&format!("{name}.{}{inside}", safe(&key)))
        }
        None => reference(&format!("{name}{pointer}")),
    }
}

/// A name that a component may have.
fn safe(name: &str) -> String {
    let kept = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    name.chars().map(|c| if kept(c) { c } else { '_' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_inside_a_schema_lead_to_components() {
        let schema = json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "$defs": {
                "Line": { "type": "object", "properties": { "next": { "$ref": "#/$defs/Page[Line]" } } },
                "Page[Line]": { "type": "array", "items": { "$ref": "#/$defs/Line" } },
            },
            "type": "object",
            "properties": { "lines": { "$ref": "#/$defs/Page[Line]" }, "self": { "$ref": "#" } },
        });
        let mut added = Added::default();
        let schema = JsonBytes::from(&schema);
        let found = rebase(Some(&schema), "function.f.Input", &mut added).expect("rebased");
        assert_eq!(found, json!({ "$ref": "#/components/schemas/function.f.Input" }));
        let root = &added.schemas["function.f.Input"];
        assert_eq!(root.get("$defs"), None);
        assert_eq!(root.get("$schema"), None);
        assert_eq!(
            root["properties"]["lines"]["$ref"],
            "#/components/schemas/function.f.Input.Page_Line_"
        );
        assert_eq!(root["properties"]["self"]["$ref"], "#/components/schemas/function.f.Input");
        let line = &added.schemas["function.f.Input.Line"];
        assert_eq!(
            line["properties"]["next"]["$ref"],
            "#/components/schemas/function.f.Input.Page_Line_"
        );
    }
}
