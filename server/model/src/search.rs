//! Full-text search: what the words of a text are, and which records have those that are asked for.
//!
//! One meaning for memory and both databases: they are only given words, as terms that say what kind
//! of field a word is from. A term has nothing but letters and digits.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::CollectionId;

/// The most characters of a word; of longer ones these count.
const WORD_CHARACTERS_MAX: usize = 64;
/// The most different words of a record; further ones aren't found.
const TERMS_MAX: usize = 10_000;
/// The most bytes of all its words: what `PostgreSQL` takes has a limit.
const TERMS_BYTES_MAX: usize = 512 << 10;

/// The kinds of fields, as the first letter of a term.
const SHOWN: char = 's';
const HIDDEN: char = 'h';
const COLLECTION: char = 'c';

/// The fields of a collection that can be searched.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SearchFields {
    /// By everybody.
    pub shown: Vec<String>,
    /// By those who see hidden fields.
    pub hidden: Vec<String>,
}

/// A word that is searched for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchWord {
    /// The word, or how it begins.
    pub text: String,
    /// Whether it may go on.
    pub is_prefix: bool,
}

/// What the fields of a record have to have: each of the words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Search {
    /// The collection.
    pub collection: CollectionId,
    /// Where to look.
    pub fields: SearchFields,
    /// The words.
    pub words: Vec<SearchWord>,
}

impl SearchWord {
    /// The words of what somebody asks for. One with a `*` after it may go on.
    pub fn read(text: &str) -> Vec<Self> {
        let mut words = Vec::new();
        let mut rest = text;
        while let Some(start) = rest.find(is_part) {
            let word = &rest[start..];
            let end = word.find(|c| !is_part(c)).unwrap_or(word.len());
            let (word, tail) = word.split_at(end);
            let text = folded(word);
            if !text.is_empty() {
                words.push(Self { text, is_prefix: tail.starts_with('*') });
            }
            rest = tail;
        }
        words
    }
}

impl SearchFields {
    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.shown.is_empty() && self.hidden.is_empty()
    }

    /// The terms of a record, with spaces between them; the first is the collection's.
    pub fn terms(&self, collection: CollectionId, data: &Value) -> String {
        let mut text = collection_term(collection);
        for term in self.gather(data) {
            text.push(' ');
            text.push_str(&term);
        }
        text
    }

    fn gather(&self, data: &Value) -> BTreeSet<String> {
        let shown = self.shown.iter().map(|field| (SHOWN, field));
        let hidden = self.hidden.iter().map(|field| (HIDDEN, field));
        let mut terms = BTreeSet::new();
        let mut bytes = 0;
        for (kind, field) in shown.chain(hidden) {
            let text = data.get(field).and_then(Value::as_str).unwrap_or_default();
            for word in text.split(|c| !is_part(c)).map(folded).filter(|word| !word.is_empty()) {
                if terms.len() >= TERMS_MAX || bytes + word.len() + 2 > TERMS_BYTES_MAX {
                    return terms;
                }
                let size = word.len() + 2;
                if terms.insert(format!("{kind}{word}")) {
                    bytes += size;
                }
            }
        }
        terms
    }
}

impl Search {
    /// The collection's term, which each of its records has.
    pub fn collection_term(&self) -> String {
        collection_term(self.collection)
    }

    /// The terms of which one is enough for a word, or how they begin.
    pub fn terms<'a>(&'a self, word: &'a SearchWord) -> impl Iterator<Item = String> + 'a {
        let hidden = (!self.fields.hidden.is_empty()).then_some(HIDDEN);
        let shown = (!self.fields.shown.is_empty()).then_some(SHOWN);
        shown.into_iter().chain(hidden).map(|kind| format!("{kind}{}", word.text))
    }

    /// Whether a record's data has all of the words.
    pub fn matches(&self, collection: CollectionId, data: &Value) -> bool {
        let terms = self.fields.gather(data);
        let has = |wanted: String, is_prefix: bool| {
            let mut from = terms.range(wanted.clone()..);
            from.next()
                .is_some_and(|term| *term == wanted || is_prefix && term.starts_with(&wanted))
        };
        let found = |word: &SearchWord| self.terms(word).any(|term| has(term, word.is_prefix));
        self.collection == collection && self.words.iter().all(found)
    }
}

fn collection_term(collection: CollectionId) -> String {
    format!("{COLLECTION}{}", collection.uuid().as_simple())
}

/// Whether a character belongs to a word: letters and digits, and the accents that follow a letter.
fn is_part(character: char) -> bool {
    character.is_alphanumeric() || ('\u{300}'..='\u{36f}').contains(&character)
}

/// A word as it is compared: in lower case.
fn folded(word: &str) -> String {
    let lower = word.chars().flat_map(char::to_lowercase).filter(|c| c.is_alphanumeric());
    // There are two small sigmas for one large one.
    lower.map(|c| if c == 'ς' { 'σ' } else { c }).take(WORD_CHARACTERS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn found(query: &str, text: &str) -> bool {
        let fields = SearchFields { shown: vec!["t".to_owned()], hidden: vec!["h".to_owned()] };
        let collection = CollectionId::generate();
        let search = Search { collection, fields, words: SearchWord::read(query) };
        search.matches(collection, &json!({ "t": text, "h": "secret", "other": "elsewhere" }))
    }

    #[test]
    fn a_record_is_found_by_its_words() {
        for (query, text, expected) in [
            ("tea", "Green TEA, fresh", true),
            ("tea green", "Green TEA, fresh", true),
            ("te", "Green TEA, fresh", false),
            ("te*", "Green TEA, fresh", true),
            ("te *", "Green TEA, fresh", false),
            ("teapot*", "Green TEA, fresh", false),
            ("tea coffee", "Green TEA, fresh", false),
            ("\"tea\" AND -fresh", "Green tea and fresh", true),
            ("2026", "in 2026-01-31", true),
            ("don't", "I don't", true),
            ("CAFÉ", "café", true),
            ("cafe", "café", false),
            ("ΟΔΟΣ", "οδός οδος", true),
            ("secret", "x", true),
            ("elsewhere", "x", false),
            ("日本*", "日本語 は", true),
        ] {
            assert_eq!(found(query, text), expected, "{query} in {text}");
        }
    }

    #[test]
    fn terms_are_words_and_bounded() {
        let fields = SearchFields { shown: vec!["t".to_owned()], hidden: Vec::new() };
        let collection = CollectionId::generate();
        let terms = fields.terms(collection, &json!({ "t": "b a' \"b* (x) \u{1F375}\n{y}" }));
        let expected = format!("c{} sa sb sx sy", collection.uuid().as_simple());
        assert_eq!(terms, expected);
        let many: Vec<String> = (0..20_000).map(|n| format!("w{n}")).collect();
        let terms = fields.terms(collection, &json!({ "t": many.join(" ") }));
        assert_eq!(terms.split(' ').count(), TERMS_MAX + 1);
        let long = "ü".repeat(1000);
        let terms = fields.terms(collection, &json!({ "t": long }));
        assert_eq!(terms.split(' ').next_back().map(|term| term.chars().count()), Some(65));
        let wide: Vec<String> =
            (10_000..19_999).map(|n| format!("{n}{}", "ü".repeat(59))).collect();
        let terms = fields.terms(collection, &json!({ "t": wide.join(" ") }));
        assert!((TERMS_BYTES_MAX - 200..TERMS_BYTES_MAX + 50).contains(&terms.len()));
    }
}
