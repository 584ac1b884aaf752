//! What the document says of one collection: the operations on its records, with its own schemas.

use std::collections::HashMap;

use serde_json::{Map, Value, json};
use tinybase_core::DataSchemas;
use tinybase_model::Collection;

use super::served::{Added, redirect, reference};

/// Where the operations on any collection's records are.
const ANY: &str = "/api/collections/{name}/records";

/// Schemas of the base that hold records or their data.
const WITH_DATA: [&str; 3] = ["Record", "RecordList", "RecordBody"];

/// Adds a collection's operations and schemas, made of those for any collection. `visible` are the
/// collections that whoever asks may use.
pub(super) fn add(
    base: &Value,
    collection: &Collection,
    (is_admin, visible): (bool, &[&str]),
    added: &mut Added,
) {
    let name = collection.name.as_str();
    let Ok(definition) = collection.schema.parse::<Value>() else { return };
    let DataSchemas { input, patch, output } = DataSchemas::of(&definition, is_admin);
    let own = |what: &str| format!("{name}.{what}");
    let names: HashMap<&str, String> = WITH_DATA.map(|what| (what, own(what))).into();
    for (what, schema) in [("Input", input), ("Patch", patch), ("Data", output)] {
        added.schemas.insert(own(what), schema);
    }
    for (of, called, data) in [
        ("Record", "Record", Some("Data")),
        ("RecordList", "RecordList", None),
        ("RecordBody", "RecordBody", Some("Input")),
        ("RecordBody", "RecordPatch", Some("Patch")),
    ] {
        let mut schema = base["components"]["schemas"][of].clone();
        redirect(&mut schema, &names);
        if let Some(data) = data {
            schema["properties"]["data"] = json!({ "$ref": reference(&own(data)) });
        }
        if of == "Record" {
            set_expand(&mut schema, own_expand(&definition, visible));
        }
        added.schemas.insert(own(called), schema);
    }
    let tag = format!("collection:{name}");
    added.tags.push(json!({ "name": tag, "description": collection.label }));
    let paths = base["paths"].as_object().into_iter().flatten();
    for (path, item) in paths.filter(|(path, _)| path.starts_with(ANY)) {
        let mut item = item.clone();
        for (method, operation) in item.as_object_mut().into_iter().flatten() {
            let mut names = names.clone();
            if method == "patch" {
                names.insert("RecordBody", own("RecordPatch"));
            }
            own_operation(operation, name, &tag, &names);
        }
        added.paths.insert(path.replacen("{name}", name, 1), item);
    }
}

const EXPAND: &str = "What it refers to, by field, if that was asked for and may be read";

/// What the records of any collection refer to.
pub(super) fn any_expand() -> Value {
    let one_of = [json!({ "$ref": reference("Record") }), json!({ "$ref": reference("User") })];
    json!({ "type": "object", "description": EXPAND, "additionalProperties": { "anyOf": one_of } })
}

/// What the records of a collection refer to, as far as it is for whoever asks; none if it is nothing.
fn own_expand(schema: &Value, visible: &[&str]) -> Option<Value> {
    let fields = schema["fields"].as_array().into_iter().flatten();
    let properties: Map<String, Value> = fields
        .filter(|field| field["type"] == "reference")
        .filter_map(|field| {
            let target = match field["collection"].as_str()? {
                "users" => "User".to_owned(),
                name if visible.contains(&name) => format!("{name}.Record"),
                _ => return None,
            };
            Some((field["name"].as_str()?.to_owned(), json!({ "$ref": reference(&target) })))
        })
        .collect();
    let expand = json!({ "type": "object", "description": EXPAND, "properties": properties });
    (!properties.is_empty()).then_some(expand)
}

fn set_expand(schema: &mut Value, expand: Option<Value>) {
    if let Some(properties) = schema["properties"].as_object_mut() {
        match expand {
            Some(expand) => properties.insert("expand".to_owned(), expand),
            None => properties.remove("expand"),
        };
    }
}

fn own_operation(operation: &mut Value, name: &str, tag: &str, names: &HashMap<&str, String>) {
    redirect(operation, names);
    if let Some(id) = operation["operationId"].as_str() {
        operation["operationId"] = format!("{id}_of_{name}").into();
    }
    operation["tags"] = json!([tag]);
    if let Some(parameters) = operation["parameters"].as_array_mut() {
        parameters.retain(|one| !(one["name"] == "name" && one["in"] == "path"));
    }
}
