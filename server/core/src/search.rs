//! Searching records for words.

use std::sync::Arc;

use serde_json::Value;
use tinybase_model::{CollectionId, Filter, JsonBytes, Search, SearchFields, SearchWord};
use tinybase_store::Refill;

use crate::access::Actor;
use crate::record::RecordError;
use crate::schema::Schema;
use crate::shelf::Shelved;

/// The longest text that is searched for, in bytes.
const TEXT_BYTES_MAX: usize = 1000;
/// The most words that are searched for.
const WORDS_MAX: usize = 16;

impl Shelved {
    /// What records have to fulfil so that they have all the words of a text.
    ///
    /// # Errors
    /// If nothing can be searched, or the text has no words or too many.
    pub(crate) fn search(&self, actor: Actor<'_>, text: &str) -> Result<Filter, RecordError> {
        let mut fields = self.schema.search_fields();
        if !actor.sees_hidden() {
            fields.hidden.clear();
        }
        let refuse = |detail: String| Err(RecordError::Query(detail));
        let name = &self.collection.name;
        if fields.is_empty() {
            return refuse(format!(
                "search: '{name}' has no field that can be searched; an administrator gives fields \
                 of type string \"search\": true"
            ));
        }
        let words = SearchWord::read(text);
        if text.len() > TEXT_BYTES_MAX || words.len() > WORDS_MAX {
            let limits = format!("at most {TEXT_BYTES_MAX} bytes and {WORDS_MAX} words");
            return refuse(format!("search: what is searched for has {limits}"));
        }
        if words.is_empty() {
            return refuse(
                "search: there is no word in it; give some letters or digits".to_owned(),
            );
        }
        Ok(Filter::Search(Search { collection: self.collection.id, fields, words }))
    }

    /// The words of a record's data, as they are kept for searches; none if there are no fields to
    /// search.
    pub(crate) fn terms(&self, data: &JsonBytes) -> Option<String> {
        let fields = self.schema.search_fields();
        (!fields.is_empty()).then(|| terms(&fields, self.collection.id, data))
    }
}

/// How the words of all records are made anew if other fields are searched now.
pub(crate) fn refill(collection: CollectionId, old: &Schema, new: &Schema) -> Option<Refill> {
    let fields = new.search_fields();
    if fields == old.search_fields() {
        return None;
    }
    if fields.is_empty() {
        return Some(Refill(None));
    }
    Some(Refill(Some(Arc::new(move |data: &JsonBytes| terms(&fields, collection, data)))))
}

fn terms(fields: &SearchFields, collection: CollectionId, data: &JsonBytes) -> String {
    // Data is an object.
    let data: Value = data.parse().unwrap_or_default();
    fields.terms(collection, &data)
}
