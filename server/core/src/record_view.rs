//! Records as clients see them: the fields that they asked for.

use std::sync::Arc;

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use serde_json::{Map, Value};
use tinybase_model::{JsonBytes, Record};

use crate::expanded::Expand;
use crate::filter::Fields;
use crate::hidden::leave_out;
use crate::record::RecordError;

/// The most fields of a selection.
const FIELDS_MAX: usize = 100;

/// Which fields of records to show. Cloning is cheap.
#[derive(Debug, Clone)]
pub(crate) struct Selection {
    /// Fields of the data that are never shown.
    hidden: Arc<[String]>,
    /// What was asked for; none is everything.
    chosen: Option<Arc<Chosen>>,
}

#[derive(Debug)]
struct Chosen {
    /// Fields of the record itself.
    own: Vec<&'static str>,
    /// Paths into the data; none shows no data.
    paths: Vec<Vec<String>>,
    /// Whether all of the data is shown.
    all_data: bool,
}

/// The record's own fields.
const OWN: [&str; 5] = ["id", "collection_id", "owner_id", "created_at", "updated_at"];

impl Selection {
    /// Reads a selection such as `id,data.title,author.name`.
    pub(crate) fn read(known: Fields<'_>, fields: Option<&str>) -> Result<Self, RecordError> {
        let hidden = known.schema.hidden().filter(|_| !known.with_hidden);
        let hidden = hidden.map(str::to_owned).collect();
        let Some(fields) = fields else { return Ok(Self { hidden, chosen: None }) };
        let mut chosen = Chosen { own: Vec::new(), paths: Vec::new(), all_data: false };
        for (index, name) in fields.split(',').map(str::trim).enumerate() {
            if index == FIELDS_MAX {
                let detail = format!("at most {FIELDS_MAX} fields can be selected");
                return Err(RecordError::Query(detail));
            }
            if let Some(own) = OWN.into_iter().find(|own| *own == name) {
                chosen.own.push(own);
                continue;
            }
            if name == "data" {
                chosen.all_data = true;
                continue;
            }
            let path: Vec<String> = name.split('.').map(str::to_owned).collect();
            let Some((field, _)) = known.find(&path) else {
                return Err(RecordError::Query(format!("{name:?} is no field of the collection")));
            };
            let path = field.strip_prefix("data.").unwrap_or(&field);
            chosen.paths.push(path.split('.').map(str::to_owned).collect());
        }
        Ok(Self { hidden, chosen: Some(Arc::new(chosen)) })
    }

    /// A record with what is selected, and beside it what it refers to.
    pub(crate) fn view(&self, mut record: Record, expand: Option<Expand>) -> RecordView {
        match &self.chosen {
            // Only fields that may be shown were chosen.
            Some(chosen) if !chosen.all_data => record.data = chosen.data(&record.data),
            Some(_) | None if !self.hidden.is_empty() => {
                leave_out(&mut record.data, &self.hidden);
            }
            Some(_) | None => {}
        }
        RecordView { record, selection: self.clone(), expand }
    }
}

impl Chosen {
    /// What is selected of the data.
    fn data(&self, data: &JsonBytes) -> JsonBytes {
        if self.paths.is_empty() {
            return JsonBytes::empty_object();
        }
        // Data is an object.
        let data: Map<String, Value> = data.parse().unwrap_or_default();
        let mut shown = Map::new();
        for path in &self.paths {
            copy(&data, path, &mut shown);
        }
        JsonBytes::from(&shown)
    }
}

/// Copies what a path leads to, with the objects on the way.
fn copy(from: &Map<String, Value>, path: &[String], to: &mut Map<String, Value>) {
    let Some((key, rest)) = path.split_first() else { return };
    let Some(value) = from.get(key) else { return };
    if rest.is_empty() {
        to.insert(key.clone(), value.clone());
        return;
    }
    let Value::Object(inner) = value else { return };
    let entry = to.entry(key.clone()).or_insert_with(|| Value::Object(Map::new()));
    if let Value::Object(entry) = entry {
        copy(inner, rest, entry);
    }
}

/// What of a record to show.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ViewQuery {
    /// Which fields, separated by commas; all unless given.
    pub fields: Option<String>,
    /// Which references to follow, separated by commas.
    pub expand: Option<String>,
}

/// A record as a client wants to see it.
#[derive(Debug, Clone)]
pub struct RecordView {
    record: Record,
    selection: Selection,
    /// What it refers to, if that was asked for.
    expand: Option<Expand>,
}

impl RecordView {
    /// The record's version.
    pub const fn version(&self) -> i64 {
        self.record.version
    }

    /// The record, with no other data than what is shown.
    pub const fn record(&self) -> &Record {
        &self.record
    }
}

impl Serialize for RecordView {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let record = &self.record;
        let chosen = self.selection.chosen.as_deref();
        if chosen.is_none() && self.expand.is_none() {
            return record.serialize(serializer);
        }
        let mut map = serializer.serialize_map(None)?;
        let is_chosen = |own: &&str| chosen.is_none_or(|chosen| chosen.own.contains(own));
        for own in OWN.into_iter().filter(is_chosen) {
            match own {
                "id" => map.serialize_entry(own, &record.id)?,
                "collection_id" => map.serialize_entry(own, &record.collection_id)?,
                "owner_id" => map.serialize_entry(own, &record.owner_id)?,
                "created_at" => map.serialize_entry(own, &record.created_at)?,
                _ => map.serialize_entry(own, &record.updated_at)?,
            }
        }
        if chosen.is_none_or(|chosen| chosen.all_data || !chosen.paths.is_empty()) {
            map.serialize_entry("data", &record.data)?;
        }
        if let Some(expand) = &self.expand {
            map.serialize_entry("expand", expand)?;
        }
        map.end()
    }
}
