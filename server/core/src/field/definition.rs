//! Reading the definition of a field, with all that is wrong with it.

use regex::Regex;
use serde_json::{Map, Value};
use tinybase_model::{FieldViolation, OnDelete};

use super::bounds::{FORMATS, Format, Range};
use super::{At, Bounds, Field, FieldType, Reference, Shape, Trait};
use crate::field_type::{Scalar, UnknownType, Word};

/// What the definition of a field may say.
const FIELD_KEYS: [&str; 22] = [
    "name",
    "type",
    "required",
    "default",
    "description",
    "min_length",
    "max_length",
    "pattern",
    "min",
    "max",
    "enum",
    "format",
    "items",
    "properties",
    "min_items",
    "max_items",
    "unique",
    "index",
    "hidden",
    "search",
    "collection",
    "on_delete",
];

/// How deep objects and lists may be defined in each other.
const DEPTH_MAX: usize = 8;
/// More properties than anybody needs.
const PROPERTIES_MAX: usize = 200;
const ENUM_MAX: usize = 1000;
/// The longest text that a field with an index takes: `PostgreSQL` can't index longer ones.
pub(crate) const INDEXED_LENGTH_MAX: usize = 512;

/// Where a definition stands, which decides what it may say.
#[derive(Debug, Clone, Copy)]
enum Level<'a> {
    Field,
    Property(&'a str),
    Item,
}

impl Level<'_> {
    fn allows(self, key: &str) -> bool {
        match self {
            Self::Field => FIELD_KEYS.contains(&key),
            Self::Property(_) => FIELD_KEYS[1..16].contains(&key),
            Self::Item => FIELD_KEYS[4..16].contains(&key) || key == "type",
        }
    }
}

/// Reads a field of a schema.
pub(super) fn field(definition: &Value, at: At<'_>) -> Result<Field, Vec<FieldViolation>> {
    let mut violations = Vec::new();
    let reader = Reader::new(definition, at, &mut violations, Level::Field, 0);
    let field = reader.and_then(Reader::field);
    match field {
        Some(field) if violations.is_empty() => Ok(field),
        Some(_) | None => Err(violations),
    }
}

/// Reads one definition and gathers all that is wrong with it.
struct Reader<'a> {
    definition: &'a Map<String, Value>,
    at: At<'a>,
    violations: &'a mut Vec<FieldViolation>,
    level: Level<'a>,
    depth: usize,
}

impl<'a> Reader<'a> {
    fn new(
        definition: &'a Value,
        at: At<'a>,
        violations: &'a mut Vec<FieldViolation>,
        level: Level<'a>,
        depth: usize,
    ) -> Option<Self> {
        let problem = match (definition.as_object(), level) {
            (Some(definition), _) if depth <= DEPTH_MAX => {
                return Some(Self { definition, at, violations, level, depth });
            }
            (Some(_), _) => format!("is nested deeper than {DEPTH_MAX} levels"),
            (None, Level::Field) => "must be an object with \"name\" and \"type\"".to_owned(),
            (None, Level::Property(_) | Level::Item) => {
                "must be an object with \"type\"".to_owned()
            }
        };
        violations.push(at.violation(&problem));
        None
    }

    fn wrong(&mut self, key: &str, message: &str) {
        self.violations.push(At::Key(&self.at, key).violation(message));
    }

    fn field(mut self) -> Option<Field> {
        let before = self.violations.len();
        self.refuse_unknown_keys();
        let name = self.name();
        let required = self.flag("required");
        let traits = self.traits();
        let shape = self.shape(required, &traits);
        let (name, shape) = (name?, shape?);
        let mut field = Field { name, shape, required, default: None, traits };
        self.check_traits(&field);
        if let Some(default) = self.given("default")
            && self.violations.len() == before
        {
            let at = At::Key(&self.at, "default");
            field.default = Some(field.shape.check(default.clone(), at, self.violations));
        }
        Some(field)
    }

    fn item(mut self) -> Option<Shape> {
        self.refuse_unknown_keys();
        self.shape(false, &[])
    }

    fn given(&self, key: &str) -> Option<&'a Value> {
        self.definition.get(key).filter(|value| !value.is_null())
    }

    fn refuse_unknown_keys(&mut self) {
        let (definition, level) = (self.definition, self.level);
        for key in definition.keys().filter(|key| !level.allows(key)) {
            if FIELD_KEYS.contains(&key.as_str()) {
                self.wrong(key, "is for the fields of a collection only, not for what is inside");
                continue;
            }
            let nearest = FIELD_KEYS.into_iter().filter(|known| level.allows(known));
            let message = match nearest.min_by_key(|known| strsim::levenshtein(known, key)) {
                Some(nearest) => format!("is not a known key; did you mean {nearest:?}?"),
                None => "is not a known key".to_owned(),
            };
            self.wrong(key, &message);
        }
    }

    fn name(&mut self) -> Option<String> {
        if let Level::Property(name) = self.level {
            return Some(name.to_owned());
        }
        let name = self.definition.get("name").and_then(Value::as_str).unwrap_or_default();
        if is_name(name) {
            return Some(name.to_owned());
        }
        self.wrong("name", "must be a name of letters, digits and '_', at most 100");
        None
    }

    fn flag(&mut self, key: &str) -> bool {
        match self.given(key) {
            None => false,
            Some(Value::Bool(flag)) => *flag,
            Some(_) => {
                self.wrong(key, "must be true or false");
                false
            }
        }
    }

    fn traits(&mut self) -> Vec<Trait> {
        let set = Trait::ALL.into_iter().filter(|(key, _)| self.flag(key));
        set.map(|(_, what)| what).collect()
    }

    fn check_traits(&mut self, field: &Field) {
        if field.is(Trait::Search) && field.scalar() != Some(Scalar::Text) {
            self.wrong("search", "is only for fields of type string");
        }
        if field.scalar().is_some() {
            return;
        }
        for (key, what) in [("unique", Trait::Unique), ("index", Trait::Index)] {
            if field.is(what) {
                self.wrong(key, "is only for single values, not for lists and objects");
            }
        }
    }

    fn shape(&mut self, required: bool, traits: &[Trait]) -> Option<Shape> {
        let word = self.word();
        let kind = word.and_then(|word| self.kind(word, required));
        let is_indexed = traits.contains(&Trait::Unique) || traits.contains(&Trait::Index);
        let bounds = self.bounds(word, is_indexed);
        let mut shape = Shape { kind: kind?, bounds };
        shape.bounds.one_of = self.one_of(&shape);
        Some(shape)
    }

    fn word(&mut self) -> Option<Word> {
        let Some(word) = self.definition.get("type").and_then(Value::as_str) else {
            self.wrong("type", "must name a type, such as \"string\"");
            return None;
        };
        match Word::parse(word) {
            Ok(word) => Some(word),
            Err(UnknownType { nearest }) => {
                let message = format!("{word:?} is not a known type; did you mean {nearest:?}?");
                self.wrong("type", &message);
                None
            }
        }
    }

    /// The type with what is inside it.
    fn kind(&mut self, word: Word, required: bool) -> Option<FieldType> {
        if !matches!(word, Word::List) && self.given("items").is_some() {
            let is_short = matches!(word, Word::ListOf(_));
            let message = "are already given by the type; use \"list\" with \"items\"";
            self.wrong("items", if is_short { message } else { "is only for fields of type list" });
        }
        if !matches!(word, Word::Object) && self.given("properties").is_some() {
            self.wrong("properties", "is only for fields of type object");
        }
        if !matches!(word, Word::Reference) {
            for key in ["collection", "on_delete"] {
                if self.given(key).is_some() && self.level.allows(key) {
                    self.wrong(key, "is only for fields of type reference");
                }
            }
        }
        match word {
            Word::Scalar(scalar) => Some(FieldType::Scalar(scalar)),
            Word::ListOf(scalar) => {
                let shape = Shape { kind: FieldType::Scalar(scalar), bounds: Bounds::default() };
                Some(FieldType::List(Some(Box::new(shape))))
            }
            Word::List => match self.given("items") {
                Some(items) => self.items(items).map(|items| FieldType::List(Some(items))),
                None => Some(FieldType::List(None)),
            },
            Word::Object => match self.given("properties") {
                Some(given) => self.properties(given).map(|fields| FieldType::Object(Some(fields))),
                None => Some(FieldType::Object(None)),
            },
            Word::Reference => self.reference(required).map(FieldType::Reference),
        }
    }

    fn items(&mut self, items: &Value) -> Option<Box<Shape>> {
        let at = At::Key(&self.at, "items");
        let reader = Reader::new(items, at, self.violations, Level::Item, self.depth + 1);
        reader.and_then(Reader::item).map(Box::new)
    }

    fn properties(&mut self, given: &Value) -> Option<Vec<Field>> {
        let Some(properties) = given.as_object().filter(|p| p.len() <= PROPERTIES_MAX) else {
            let message = format!(
                "must be an object such as {{\"street\": {{\"type\": \"string\"}}}} with at most \
                 {PROPERTIES_MAX} members"
            );
            self.wrong("properties", &message);
            return None;
        };
        let parent = At::Key(&self.at, "properties");
        let mut fields = Vec::with_capacity(properties.len());
        for (name, definition) in properties {
            let at = At::Key(&parent, name);
            if !is_name(name) {
                let message = "must be a name of letters, digits and '_', at most 100";
                self.violations.push(at.violation(message));
                continue;
            }
            let level = Level::Property(name);
            let reader = Reader::new(definition, at, self.violations, level, self.depth + 1);
            fields.extend(reader.and_then(Reader::field));
        }
        Some(fields)
    }

    fn reference(&mut self, required: bool) -> Option<Reference> {
        if !matches!(self.level, Level::Field) {
            self.wrong("type", "references stand in fields of a collection, not inside of them");
            return None;
        }
        let on_delete = self.on_delete(required);
        let Some(collection) = self.given("collection").and_then(Value::as_str) else {
            self.wrong("collection", "must name the collection that it refers to, or users");
            return None;
        };
        Some(Reference { collection: collection.to_owned(), on_delete: on_delete? })
    }

    fn on_delete(&mut self, required: bool) -> Option<OnDelete> {
        let Some(value) = self.given("on_delete") else { return Some(OnDelete::default()) };
        let found = OnDelete::ALL.into_iter().find(|(word, _)| value.as_str() == Some(*word));
        match found {
            Some((_, OnDelete::SetNull)) if required => {
                self.wrong("on_delete", "can't be set_null: the field is required");
                None
            }
            Some((_, on_delete)) => Some(on_delete),
            None => {
                let known = OnDelete::ALL.map(|(word, _)| word).join(", ");
                self.wrong("on_delete", &format!("must be one of {known}"));
                None
            }
        }
    }

    fn bounds(&mut self, word: Option<Word>, is_indexed: bool) -> Bounds {
        let scalar = match word {
            Some(Word::Scalar(scalar)) => Some(scalar),
            Some(Word::Reference | Word::List | Word::ListOf(_) | Word::Object) | None => None,
        };
        let text = word.is_none() || scalar == Some(Scalar::Text);
        let number = word.is_none() || matches!(scalar, Some(Scalar::Integer | Scalar::Float));
        let list = matches!(word, None | Some(Word::List | Word::ListOf(_)));
        let mut bounds = Bounds {
            length: self.range("length", text, "string"),
            items: self.range("items", list, "list"),
            number: Range { min: self.number("min", number), max: self.number("max", number) },
            pattern: self.pattern(text),
            format: self.format(text),
            one_of: None,
        };
        if bounds.number.is_empty() {
            self.wrong("min", "is larger than max");
        }
        if is_indexed && scalar == Some(Scalar::Text) {
            let max = bounds.length.max.get_or_insert(INDEXED_LENGTH_MAX);
            if *max > INDEXED_LENGTH_MAX {
                let message =
                    format!("must be at most {INDEXED_LENGTH_MAX}, since the field has an index");
                self.wrong("max_length", &message);
            }
        }
        bounds
    }

    /// The value of a key that only makes sense for some types.
    fn given_for(&mut self, key: &str, applies: bool, types: &str) -> Option<&'a Value> {
        let value = self.given(key)?;
        if !applies {
            self.wrong(key, &format!("is only for fields of type {types}"));
            return None;
        }
        Some(value)
    }

    fn range(&mut self, what: &str, applies: bool, types: &str) -> Range<usize> {
        let (least, most) = (format!("min_{what}"), format!("max_{what}"));
        let range = Range {
            min: self.count(&least, applies, types),
            max: self.count(&most, applies, types),
        };
        if range.is_empty() {
            self.wrong(&least, &format!("is larger than {most}"));
        }
        range
    }

    fn count(&mut self, key: &str, applies: bool, types: &str) -> Option<usize> {
        let value = self.given_for(key, applies, types)?;
        let count = value.as_u64().and_then(|count| usize::try_from(count).ok());
        if count.is_none() {
            self.wrong(key, "must be a whole number, 0 or more");
        }
        count
    }

    fn number(&mut self, key: &str, applies: bool) -> Option<f64> {
        let value = self.given_for(key, applies, "int and float")?;
        if !value.is_number() {
            self.wrong(key, "must be a number");
        }
        value.as_f64()
    }

    fn pattern(&mut self, applies: bool) -> Option<Regex> {
        let value = self.given_for("pattern", applies, "string")?;
        let Some(pattern) = value.as_str() else {
            self.wrong("pattern", "must be a regular expression as text");
            return None;
        };
        match Regex::new(pattern) {
            Ok(regex) => Some(regex),
            Err(error) => {
                let message = error.to_string();
                let last = message.lines().last().unwrap_or_default();
                self.wrong("pattern", &format!("is not a regular expression: {last}"));
                None
            }
        }
    }

    fn format(&mut self, applies: bool) -> Option<Format> {
        let value = self.given_for("format", applies, "string")?;
        let name = value.as_str().unwrap_or_default();
        let format = Format::find(name);
        if format.is_none() {
            let nearest = FORMATS.into_iter().min_by_key(|known| strsim::levenshtein(known, name));
            let nearest = nearest.unwrap_or_default();
            self.wrong("format", &format!("is not a known format; did you mean {nearest:?}?"));
        }
        format
    }

    /// The values of an enum, as the type makes them.
    fn one_of(&mut self, shape: &Shape) -> Option<Vec<Value>> {
        let applies = matches!(shape.kind, FieldType::Scalar(_));
        let given = self.given_for("enum", applies, "that is a single value")?;
        let Some(values) = given.as_array().filter(|v| (1..=ENUM_MAX).contains(&v.len())) else {
            self.wrong("enum", &format!("must be a list of 1 to {ENUM_MAX} values"));
            return None;
        };
        let parent = At::Key(&self.at, "enum");
        let checked = values.iter().enumerate().map(|(index, value)| {
            shape.check(value.clone(), At::Index(&parent, index), self.violations)
        });
        Some(checked.collect())
    }
}

fn is_name(name: &str) -> bool {
    name.len() <= 100
        && name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}
