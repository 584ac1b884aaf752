//! The OpenAPI document and the interactive page.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use reqwest::Client;
use serde_json::{Value, json};
use tinybase_tests::TestServer;

const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

#[tokio::test]
async fn the_document_is_openapi_3_1_and_describes_every_operation() -> Result<()> {
    let server = TestServer::start().await?;
    let document = server.api.get("/openapi.json").await?;
    assert_eq!(document["openapi"], "3.1.0");
    let tags = names(&document["tags"], "name");
    let mut ids = BTreeSet::new();
    for (path, method, operation) in operations(&document) {
        let at = format!("{method} {path}");
        let id = operation["operationId"].as_str().with_context(|| at.clone())?;
        assert!(ids.insert(id.to_owned()), "{at}: two operations are called {id}");
        assert!(operation["summary"].as_str().is_some_and(|text| !text.is_empty()), "{at}");
        let own = operation["tags"].as_array().with_context(|| at.clone())?;
        assert_eq!(own.len(), 1, "{at}");
        assert!(tags.contains(own[0].as_str().unwrap_or_default()), "{at}: {}", own[0]);
        if path.starts_with("/api/") {
            for status in ["500", "503"] {
                assert!(operation["responses"][status].is_object(), "{at}: no {status}");
            }
        }
        for parameter in path.split('{').skip(1).filter_map(|rest| rest.split('}').next()) {
            assert!(
                names(&operation["parameters"], "name").contains(parameter),
                "{at}: {parameter} isn't described"
            );
        }
    }
    assert!(ids.contains("list_records"), "{ids:?}");
    server.stop().await
}

#[tokio::test]
async fn every_reference_of_the_document_leads_somewhere() -> Result<()> {
    let server = TestServer::start().await?;
    let document = server.api.get("/openapi.json").await?;
    let mut references = BTreeSet::new();
    gather(&document, &mut references);
    assert!(references.contains("#/components/schemas/Problem"), "{references:?}");
    for reference in references {
        let pointer = reference.strip_prefix('#').context("a reference to elsewhere")?;
        assert!(document.pointer(pointer).is_some(), "{reference} leads nowhere");
    }
    server.stop().await
}

#[tokio::test]
async fn the_interactive_page_works_without_a_network() -> Result<()> {
    let server = TestServer::start().await?;
    let client = Client::builder().redirect(reqwest::redirect::Policy::none()).build()?;
    let base = &server.api.base;
    let page = client.get(format!("{base}/docs")).send().await?;
    assert_eq!(page.status(), 200);
    assert!(page.headers()["content-security-policy"].to_str()?.contains("default-src 'none'"));
    let text = page.text().await?;
    let linked: Vec<_> = text
        .split('"')
        .filter(|word| word.starts_with("docs/") || word.starts_with("http"))
        .collect();
    assert_eq!(linked.len(), 4, "{linked:?}");
    for file in linked {
        let answer = client.get(format!("{base}/{file}")).send().await?;
        assert_eq!(answer.status(), 200, "{file}");
        assert!(!answer.bytes().await?.is_empty(), "{file}");
    }
    let missing = client.get(format!("{base}/docs/secret")).send().await?;
    assert_eq!(missing.status(), 404);
    assert_eq!(missing.headers()["content-type"], "application/problem+json");
    let redoc = client.get(format!("{base}/redoc")).send().await?;
    assert_eq!((redoc.status().as_u16(), redoc.headers()["location"].to_str()?), (307, "docs"));
    server.stop().await
}

fn operations(document: &Value) -> impl Iterator<Item = (&str, &str, &Value)> {
    let paths = document["paths"].as_object().into_iter().flatten();
    paths.flat_map(|(path, item)| {
        METHODS.into_iter().filter_map(|method| {
            item.get(method).map(|operation| (path.as_str(), method, operation))
        })
    })
}

fn names<'a>(list: &'a Value, key: &str) -> BTreeSet<&'a str> {
    list.as_array().into_iter().flatten().filter_map(|entry| entry[key].as_str()).collect()
}

fn gather(value: &Value, references: &mut BTreeSet<String>) {
    match value {
        Value::Object(map) => {
            if let Some(Value::String(reference)) = map.get("$ref") {
                references.insert(reference.clone());
            }
            map.values().for_each(|value| gather(value, references));
        }
        Value::Array(list) => list.iter().for_each(|value| gather(value, references)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[tokio::test]
async fn a_collections_own_schema_is_there_for_those_who_may_use_it() -> Result<()> {
    let server = TestServer::start().await?;
    let fields = json!([
        { "name": "title", "type": "string", "required": true, "max_length": 20 },
        { "name": "amount", "type": "float", "min": 0, "default": 1 },
    ]);
    let collection = |name: &str, rule: &str| {
        let access = json!({ "list": rule, "read": rule, "create": rule });
        json!({ "name": name, "label": name, "schema": { "fields": fields },
                "options": { "access": access } })
    };
    server.admin.post("/api/collections", &collection("orders", "public")).await?;
    server.admin.post("/api/collections", &collection("secrets", "admin")).await?;
    let document = server.api.get("/openapi.json").await?;
    let create = &document["paths"]["/api/collections/orders/records"]["post"];
    assert_eq!(create["operationId"], "create_record_of_orders");
    let body = &create["requestBody"]["content"]["application/json"]["schema"]["$ref"];
    assert_eq!(body, "#/components/schemas/orders.RecordBody");
    let input = &document["components"]["schemas"]["orders.Input"];
    assert_eq!(input["required"], json!(["title"]));
    assert_eq!(input["properties"]["title"], json!({ "type": "string", "maxLength": 20 }));
    assert_eq!(input["properties"]["amount"]["default"], 1);
    let patch = &document["components"]["schemas"]["orders.Patch"];
    assert_eq!(patch["properties"]["amount"].get("default"), None, "it stays as it is: {patch}");
    assert!(document["paths"].get("/api/collections/secrets/records").is_none());
    let admins = server.admin.get("/openapi.json").await?;
    assert!(admins["paths"].get("/api/collections/secrets/records").is_some());
    let mut references = BTreeSet::new();
    gather(&admins, &mut references);
    for reference in references {
        assert!(admins.pointer(&reference[1..]).is_some(), "{reference} leads nowhere");
    }
    let more = json!({ "schema": { "fields": [{ "name": "added", "type": "int" }] } });
    server.admin.patch("/api/collections/orders", &more).await?;
    let changed = server.api.get("/openapi.json").await?;
    let input = &changed["components"]["schemas"]["orders.Input"];
    assert!(input["properties"]["added"].is_object(), "a change shows at once: {input}");
    server.stop().await
}

#[tokio::test]
async fn stock_generators_read_the_document_as_it_is_meant() -> Result<()> {
    let server = TestServer::start().await?;
    let document = server.api.get("/openapi.json").await?;
    for (path, method, operation) in operations(&document) {
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            let schema = &parameter["schema"];
            assert!(!schema.to_string().contains("null"), "{method} {path}: {parameter}");
        }
    }
    let paths = &document["paths"];
    let download = &paths["/api/files/download/{key}"]["get"]["responses"]["200"]["content"];
    let bytes = json!({ "type": "string", "format": "binary" });
    assert_eq!(download["application/octet-stream"]["schema"], bytes);
    let data = &document["components"]["schemas"]["RecordBody"]["properties"]["data"];
    assert_eq!(data["additionalProperties"], true, "an object of anything isn't empty: {data}");
    let create = &paths["/api/collections/{name}/records"]["post"];
    assert_eq!(create["security"], json!([{}, { "bearer": [] }]), "the rules may not ask for one");
    server.stop().await
}
