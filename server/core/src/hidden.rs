//! Hidden fields: for whoever doesn't see them it is as if they weren't there.

use serde_json::{Map, Value};
use tinybase_model::{Collection, FieldViolation, Identity, JsonBytes, ListRecords, Record};

use crate::Core;
use crate::access::{Actor, Operation};
use crate::collection::is_visible;
use crate::filter::Fields;
use crate::record::RecordError;
use crate::record_change::RecordAddress;
use crate::schema::violation;
use crate::shelf::Shelved;

impl Actor<'_> {
    /// Whether hidden fields are there for whoever acts: administrators, and extensions on their own
    /// behalf. What an extension does for somebody it does as that one.
    pub(crate) fn sees_hidden(self) -> bool {
        match self.identity {
            Identity::Extension(_) => self.capabilities.is_some(),
            Identity::Anonymous
            | Identity::User { .. }
            | Identity::Application(_)
            | Identity::Operator => self.identity.is_admin(),
        }
    }
}

impl Shelved {
    /// The fields that somebody may name in a query.
    pub(crate) fn fields(&self, actor: Actor<'_>) -> Fields<'_> {
        Fields { schema: &self.schema, with_hidden: actor.sees_hidden() }
    }

    /// The fields of the data that aren't there for somebody.
    pub(crate) fn unseen(&self, actor: Actor<'_>) -> Vec<&str> {
        if actor.sees_hidden() { Vec::new() } else { self.schema.hidden().collect() }
    }

    /// A record as somebody sees it.
    pub(crate) fn shown(&self, actor: Actor<'_>, mut record: Record) -> Record {
        leave_out(&mut record.data, &self.unseen(actor));
        record
    }

    /// The collection as somebody sees it: without the definitions of these fields, and without rules
    /// and groups that name one.
    pub(crate) fn collection_shown(&self, actor: Actor<'_>) -> Collection {
        let mut collection = self.collection.clone();
        let unseen = self.unseen(actor);
        if unseen.is_empty() {
            return collection;
        }
        let is_unseen = |name: &Value| name.as_str().is_some_and(|name| unseen.contains(&name));
        // Both were read when the collection was.
        let mut schema: Value = collection.schema.parse().unwrap_or_default();
        if let Some(fields) = schema.get_mut("fields").and_then(Value::as_array_mut) {
            fields.retain(|field| !field.get("name").is_some_and(is_unseen));
        }
        let mut options: Value = collection.options.parse().unwrap_or_default();
        if let Some(groups) = options.get_mut("unique").and_then(Value::as_array_mut) {
            groups.retain(|group| !group.as_array().into_iter().flatten().any(is_unseen));
        }
        if let Some(access) = options.get_mut("access").and_then(Value::as_object_mut) {
            for operation in Operation::ALL {
                let rule = self.rules.rule(operation);
                if unseen.iter().any(|field| rule.names(field)) {
                    access.remove(operation.as_str());
                }
            }
        }
        collection.schema = JsonBytes::from(&schema);
        collection.options = JsonBytes::from(&options);
        collection
    }

    /// Whether a list names only fields that are there for somebody.
    ///
    /// # Errors
    /// If it doesn't.
    pub(crate) fn check_named(
        &self,
        actor: Actor<'_>,
        list: &ListRecords,
    ) -> Result<(), RecordError> {
        let fields = self.fields(actor);
        for name in named(list).filter(|name| name.starts_with("data.")) {
            let path: Vec<String> = name.split('.').map(str::to_owned).collect();
            if fields.find(&path).is_none() {
                return Err(RecordError::Query(format!("{name:?} is no field of the collection")));
            }
        }
        Ok(())
    }

    /// Whether a list names a field that isn't there for somebody.
    pub(crate) fn names_unseen(&self, actor: Actor<'_>, list: &ListRecords) -> bool {
        let unseen = self.unseen(actor);
        named(list).filter_map(|name| name.strip_prefix("data.")).any(|path| {
            let field = path.split_once('.').map_or(path, |(field, _)| field);
            unseen.contains(&field)
        })
    }

    /// Says of a mistake no more than somebody sees.
    fn told(&self, actor: Actor<'_>, error: RecordError) -> RecordError {
        let unseen = self.unseen(actor);
        if let RecordError::Invalid(violations) = error {
            return RecordError::Invalid(masked(violations, &unseen));
        }
        let RecordError::NotUnique { violations, .. } = error else { return error };
        let fields = violations.iter().filter_map(|violation| field_of(&violation.field));
        let fields: Vec<_> = fields.filter(|field| !unseen.contains(field)).collect();
        let fields = fields.join("', '");
        let violations = masked(violations, &unseen);
        if fields.is_empty() {
            return RecordError::Invalid(violations);
        }
        RecordError::NotUnique { fields, violations }
    }
}

impl Core {
    /// Says of an error no more than somebody sees.
    pub(crate) async fn told(
        &self,
        actor: Actor<'_>,
        address: Option<&RecordAddress<'_>>,
        collection: Option<&str>,
        error: RecordError,
    ) -> RecordError {
        if actor.sees_hidden() {
            return error;
        }
        if let RecordError::Referenced { collection, field } = &error {
            let shown = match self.find_collection(collection.as_str()).await {
                Ok(other) => {
                    is_visible(actor, &other) && !other.unseen(actor).contains(&field.as_str())
                }
                Err(_) => false,
            };
            return if shown { error } else { RecordError::ReferencedElsewhere };
        }
        if !matches!(error, RecordError::Invalid(_) | RecordError::NotUnique { .. }) {
            return error;
        }
        let found = match (collection, address) {
            (Some(collection), _) => self.find_collection(collection).await,
            (None, Some(address)) => {
                self.find_record(address.collection, address.id).await.map(|found| found.shelved)
            }
            (None, None) => return error,
        };
        match found {
            Ok(shelved) => shelved.told(actor, error),
            Err(error) => error,
        }
    }
}

fn named(list: &ListRecords) -> impl Iterator<Item = &str> {
    let conditions = list.conditions.iter().map(|condition| condition.field.as_str());
    conditions.chain(list.sort.iter().map(|key| key.field.as_str()))
}

/// Takes fields out of the data.
pub(crate) fn leave_out<T: AsRef<str>>(data: &mut JsonBytes, fields: &[T]) {
    if fields.is_empty() {
        return;
    }
    // Data is an object.
    let mut object: Map<String, Value> = data.parse().unwrap_or_default();
    for field in fields {
        object.remove(field.as_ref());
    }
    *data = JsonBytes::from(&object);
}

/// The field that a pointer into a record leads to.
fn field_of(pointer: &str) -> Option<&str> {
    let path = pointer.strip_prefix("/data/")?;
    Some(path.split_once('/').map_or(path, |(field, _)| field))
}

/// What is wrong, without the names of fields that aren't there.
fn masked(mut violations: Vec<FieldViolation>, unseen: &[&str]) -> Vec<FieldViolation> {
    let before = violations.len();
    violations.retain(|one| field_of(&one.field).is_none_or(|field| !unseen.contains(&field)));
    if violations.len() < before {
        let message = "doesn't fit the collection: a field that only administrators see needs \
                       another value; ask one of them";
        violations.push(violation("/data", message));
    }
    violations
}
