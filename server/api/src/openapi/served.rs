//! The document as somebody gets it: with the collections and functions that this one may use, each
//! with schemas of its own.

use std::collections::{HashMap, VecDeque};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use serde_json::{Map, Value};
use tinybase_core::{Core, FunctionInfo, FunctionQuery, FunctionSchema};
use tinybase_model::{Collection, Identity, JsonBytes};
use utoipa::openapi::OpenApi;

use super::{collection, function, tidy};
use crate::problem::HttpProblem;

/// How many documents are kept. Who may use the same things gets the same one.
const KEPT_MAX: usize = 32;

/// The document, ready to be completed for whoever asks. Cloning is cheap.
#[derive(Debug, Clone)]
pub(crate) struct Document(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    base: Value,
    /// What was served last, by what is in it.
    kept: Mutex<VecDeque<(u64, Bytes)>>,
}

/// What somebody may use.
struct Visible {
    is_admin: bool,
    collections: Vec<Collection>,
    functions: Vec<(FunctionInfo, FunctionSchema)>,
}

impl Document {
    pub(crate) fn new(api: &OpenApi) -> Self {
        let mut base = serde_json::to_value(api)
            .unwrap_or_else(|_| unreachable!("the document's keys are texts"));
        let record = &mut base["components"]["schemas"]["Record"];
        record["properties"]["expand"] = collection::any_expand();
        tidy::tidy(&mut base);
        Self(Arc::new(Inner { base, kept: Mutex::default() }))
    }

    /// The document for whoever asks, as JSON.
    pub(super) async fn for_identity(
        &self,
        core: &Core,
        identity: &Identity,
    ) -> Result<Bytes, HttpProblem> {
        let visible = Visible::to(core, identity).await?;
        let key = visible.fingerprint();
        if let Some(kept) = self.kept(key) {
            return Ok(kept);
        }
        let document = visible.complete(self.0.base.clone());
        let json: Bytes = document.to_string().into();
        let mut kept = self.0.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= KEPT_MAX {
            kept.pop_front();
        }
        kept.push_back((key, json.clone()));
        Ok(json)
    }

    fn kept(&self, key: u64) -> Option<Bytes> {
        let kept = self.0.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter().find(|(known, _)| *known == key).map(|(_, json)| json.clone())
    }
}

impl Visible {
    async fn to(core: &Core, identity: &Identity) -> Result<Self, HttpProblem> {
        let collections = core.collections().list(identity).await?;
        let functions = core.functions();
        let functions =
            functions.list(identity, &FunctionQuery::default()).into_iter().filter_map(|info| {
                // One that went away in between isn't described.
                let schema = functions.schema(identity, &info.name).ok()?;
                Some((info, schema))
            });
        let is_admin = tinybase_core::authorize_admin(identity).is_ok();
        Ok(Self { is_admin, collections, functions: functions.collect() })
    }

    /// The same for the same content, so that a change of a schema is seen at once.
    fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.is_admin.hash(&mut hasher);
        for collection in &self.collections {
            collection.name.as_str().hash(&mut hasher);
            collection.label.hash(&mut hasher);
            collection.schema.text().hash(&mut hasher);
        }
        for (info, schema) in &self.functions {
            info.name.hash(&mut hasher);
            info.description.hash(&mut hasher);
            info.streams.hash(&mut hasher);
            for schema in [&schema.input_schema, &schema.output_schema] {
                schema.as_ref().map(JsonBytes::text).hash(&mut hasher);
            }
        }
        hasher.finish()
    }

    fn complete(&self, mut document: Value) -> Value {
        let mut added = Added::default();
        let names: Vec<&str> = self.collections.iter().map(|one| one.name.as_str()).collect();
        for one in &self.collections {
            collection::add(&document, one, (self.is_admin, &names), &mut added);
        }
        for (info, schema) in &self.functions {
            function::add(&document, info, schema, &mut added);
        }
        let Added { paths, schemas, tags } = added;
        extend(&mut document["paths"], paths);
        extend(&mut document["components"]["schemas"], schemas);
        if let Some(known) = document["tags"].as_array_mut() {
            known.extend(tags);
        }
        document
    }
}

/// What goes into a document beside the base.
#[derive(Debug, Default)]
pub(super) struct Added {
    pub(super) paths: Map<String, Value>,
    pub(super) schemas: Map<String, Value>,
    pub(super) tags: Vec<Value>,
}

fn extend(target: &mut Value, members: Map<String, Value>) {
    if let Some(target) = target.as_object_mut() {
        target.extend(members);
    }
}

/// A reference to a schema of the document.
pub(super) fn reference(name: &str) -> String {
    format!("#/components/schemas/{name}")
}

/// Turns references to schemas into references to others.
pub(super) fn redirect(value: &mut Value, names: &HashMap<&str, String>) {
    match value {
        Value::Object(map) => {
            if let Some(Value::String(target)) = map.get_mut("$ref")
                && let Some(new) =
                    target.strip_prefix("#/components/schemas/").and_then(|name| names.get(name))
            {
                *target = reference(new);
            }
            map.values_mut().for_each(|value| redirect(value, names));
        }
        Value::Array(list) => list.iter_mut().for_each(|value| redirect(value, names)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
