//! A collection's definition, read and checked as a whole.

use serde_json::Value;
use tinybase_model::{Collection, CollectionId, FieldViolation, JsonBytes};
use tinybase_store::{CollectionWrite, FieldIndex};

use super::CollectionError;
use crate::access::AccessRules;
use crate::relations::{UniqueGroups, indexes, targets};
use crate::schema::{Schema, violation};

/// Schema and options, as they work.
#[derive(Debug)]
pub(crate) struct Definition {
    pub(crate) schema: Schema,
    pub(crate) rules: AccessRules,
    groups: UniqueGroups,
}

impl Definition {
    /// Reads schema and options, with all that is wrong with them.
    pub(crate) fn read(schema: &Value, options: &Value) -> Result<Self, Vec<FieldViolation>> {
        let mut violations = Vec::new();
        if !options.is_object() {
            violations.push(violation("/options", "must be an object"));
        }
        let schema = match Schema::parse(schema) {
            Ok(schema) => schema,
            Err(found) => {
                violations.extend(found);
                return Err(violations);
            }
        };
        let rules = AccessRules::from_options(options, &schema);
        let groups = UniqueGroups::from_options(options, &schema);
        match (rules, groups) {
            (Ok(rules), Ok(groups)) if violations.is_empty() => Ok(Self { schema, rules, groups }),
            (rules, groups) => {
                violations.extend(rules.err().unwrap_or_default());
                violations.extend(groups.err().unwrap_or_default());
                Err(violations)
            }
        }
    }

    /// Reads those of a collection that is to be written, and checks its label.
    pub(crate) fn of(collection: &Collection) -> Result<Self, CollectionError> {
        let parse = |json: &JsonBytes| json.parse().unwrap_or(Value::Null);
        let read = Self::read(&parse(&collection.schema), &parse(&collection.options));
        let length = collection.label.chars().count();
        match (read, (1..=200).contains(&length)) {
            (Ok(definition), true) => Ok(definition),
            (read, fits) => {
                let mut violations = read.err().unwrap_or_default();
                if !fits {
                    violations.insert(0, violation("/label", "must have 1 to 200 characters"));
                }
                Err(CollectionError::Invalid(violations))
            }
        }
    }

    /// The indexes that the collection has.
    pub(crate) fn indexes(&self, collection: CollectionId) -> Vec<FieldIndex> {
        indexes(collection, &self.schema, &self.groups)
    }

    /// What is written for a collection.
    pub(crate) fn write(&self, collection: Collection) -> CollectionWrite {
        CollectionWrite {
            indexes: self.indexes(collection.id),
            targets: targets(&self.schema),
            collection,
        }
    }
}
