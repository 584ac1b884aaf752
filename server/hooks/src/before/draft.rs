//! An event while before-hooks patch it: JSON merge patches (RFC 7386) and who wrote what.

use serde_json::{Map, Value};
use tinybase_model::{Event, ExtensionName, JsonBytes};

/// An event, and what hooks wrote into it so far.
#[derive(Debug)]
pub(super) struct Draft {
    event: Event,
    writes: Vec<Write>,
}

/// Why a patch wasn't applied. The event is as it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Unpatched {
    /// It doesn't fit the event.
    Invalid(String),
    /// It undoes what another extension wrote.
    Conflict { first: ExtensionName, field: String },
}

/// A value that an extension's patch put into one place.
#[derive(Debug)]
struct Write {
    extension: ExtensionName,
    path: Vec<String>,
    value: Value,
}

impl Draft {
    pub(super) const fn new(event: Event) -> Self {
        Self { event, writes: Vec::new() }
    }

    pub(super) const fn event(&self) -> &Event {
        &self.event
    }

    pub(super) fn into_event(self) -> Event {
        self.event
    }

    /// Merges a patch, unless it undoes what another extension wrote before.
    pub(super) fn apply(
        &mut self,
        extension: &ExtensionName,
        patch: &JsonBytes,
    ) -> Result<(), Unpatched> {
        let invalid = |error: serde_json::Error| Unpatched::Invalid(error.to_string());
        let patch: Value = patch.parse().map_err(invalid)?;
        let Value::Object(fields) = &patch else {
            return Err(Unpatched::Invalid("a patch has to be a JSON object".to_owned()));
        };
        if fields.is_empty() {
            return Ok(());
        }
        let mut document = self.document()?;
        merge(&mut document, &patch);
        let undone = self
            .writes
            .iter()
            .filter(|write| !write.holds(&document))
            .find(|write| write.extension != *extension);
        if let Some(write) = undone {
            let first = write.extension.clone();
            return Err(Unpatched::Conflict { first, field: pointer(&write.path) });
        }
        self.replace(document)?;
        // What is left undone is the extension's own: its later hook has the last word.
        let Ok(document) = self.document() else { unreachable!("the document was just written") };
        self.writes.retain(|write| write.holds(&document));
        collect(extension, fields, &mut Vec::new(), &mut self.writes);
        Ok(())
    }

    /// The part of the event that may be patched.
    fn document(&self) -> Result<Value, Unpatched> {
        let json = match &self.event {
            Event::RecordCreate(record) | Event::RecordUpdate(record) => &record.data,
            Event::FunctionCall(call) => &call.input,
            Event::UserRegister(user) => {
                let email = Value::String(user.email.clone());
                return Ok(Value::Object(Map::from_iter([("email".to_owned(), email)])));
            }
            Event::RecordDelete(_) | Event::UserLogin(_) | Event::FunctionComplete(_) => {
                let problem = format!("nothing can be changed in {}", self.event.kind());
                return Err(Unpatched::Invalid(problem));
            }
        };
        json.parse().map_err(|error| Unpatched::Invalid(error.to_string()))
    }

    fn replace(&mut self, document: Value) -> Result<(), Unpatched> {
        match &mut self.event {
            Event::RecordCreate(record) | Event::RecordUpdate(record) => {
                record.data = JsonBytes::from(&document);
            }
            Event::FunctionCall(call) => call.input = JsonBytes::from(&document),
            Event::UserRegister(user) => user.email = email(document)?,
            Event::RecordDelete(_) | Event::UserLogin(_) | Event::FunctionComplete(_) => {
                unreachable!("it has no document")
            }
        }
        Ok(())
    }
}

impl Write {
    /// Whether the document still has what was written.
    fn holds(&self, document: &Value) -> bool {
        let found = self.path.iter().try_fold(document, |at, name| at.as_object()?.get(name));
        match (&self.value, found) {
            (Value::Null, found) => found.is_none(),
            // An empty object was written to have an object there; others may fill it.
            (Value::Object(_), found) => found.is_some_and(Value::is_object),
            (value, found) => found == Some(value),
        }
    }
}

/// The only thing of a user that a hook may change is the address.
fn email(document: Value) -> Result<String, Unpatched> {
    let refuse = |problem: &str| Err(Unpatched::Invalid(problem.to_owned()));
    let Value::Object(mut fields) = document else {
        unreachable!("a patch that is an object makes an object")
    };
    let email = fields.remove("email");
    if let Some(name) = fields.keys().next() {
        return refuse(&format!("of a user only \"email\" can be changed, not {name:?}"));
    }
    match email {
        Some(Value::String(email)) => Ok(email),
        Some(_) | None => refuse("the \"email\" of a user has to be text"),
    }
}

/// Applies a merge patch as RFC 7386 defines it.
fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(fields) = patch else {
        target.clone_from(patch);
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Value::Object(object) = target else { unreachable!("it was made one") };
    for (name, value) in fields {
        if value.is_null() {
            object.remove(name);
        } else {
            merge(object.entry(name.as_str()).or_insert(Value::Null), value);
        }
    }
}

/// Notes each place that a patch writes.
fn collect(
    extension: &ExtensionName,
    fields: &Map<String, Value>,
    path: &mut Vec<String>,
    writes: &mut Vec<Write>,
) {
    for (name, value) in fields {
        path.push(name.clone());
        match value.as_object() {
            Some(inner) if !inner.is_empty() => collect(extension, inner, path, writes),
            Some(_) | None => writes.push(Write {
                extension: extension.clone(),
                path: path.clone(),
                value: value.clone(),
            }),
        }
        path.pop();
    }
}

/// A path as a JSON pointer (RFC 6901).
fn pointer(path: &[String]) -> String {
    path.iter()
        .flat_map(|name| ["/".to_owned(), name.replace('~', "~0").replace('/', "~1")])
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::fakes::{created, name};

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            (0..3_i64).prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 12, 3, |inner| {
            let object = prop::collection::btree_map("[abc]", inner.clone(), 0..3);
            prop_oneof![
                object.prop_map(|fields| Value::Object(fields.into_iter().collect())),
                prop::collection::vec(inner, 0..2).prop_map(Value::Array),
            ]
        })
    }

    fn object() -> impl Strategy<Value = Value> {
        let fields = prop::collection::btree_map("[abc]", value(), 0..4);
        fields.prop_map(|fields| Value::Object(fields.into_iter().collect()))
    }

    fn data(draft: &Draft) -> Value {
        draft.document().expect("a record has a document")
    }

    #[test]
    fn the_examples_of_the_rfc_come_out_as_printed() {
        for (mut target, patch, result) in [
            (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "b"}), json!({"b": "c"}), json!({"a": "b", "b": "c"})),
            (json!({"a": "b"}), json!({"a": null}), json!({})),
            (json!({"a": "b", "b": "c"}), json!({"a": null}), json!({"b": "c"})),
            (json!({"a": ["b"]}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "c"}), json!({"a": ["b"]}), json!({"a": ["b"]})),
            (
                json!({"a": {"b": "c"}}),
                json!({"a": {"b": "d", "c": null}}),
                json!({"a": {"b": "d"}}),
            ),
            (json!({"a": [{"b": "c"}]}), json!({"a": [1]}), json!({"a": [1]})),
            (json!(["a", "b"]), json!(["c", "d"]), json!(["c", "d"])),
            (json!({"a": "b"}), json!(["c"]), json!(["c"])),
            (json!({"a": "foo"}), json!(null), json!(null)),
            (json!({"e": null}), json!({"a": 1}), json!({"e": null, "a": 1})),
            (json!([1, 2]), json!({"a": "b", "c": null}), json!({"a": "b"})),
            (json!({}), json!({"a": {"bb": {"ccc": null}}}), json!({"a": {"bb": {}}})),
        ] {
            merge(&mut target, &patch);
            assert_eq!(target, result);
        }
    }

    proptest! {
        #[test]
        fn one_extension_never_conflicts_with_itself(first in object(), second in object()) {
            let mut draft = Draft::new(created("orders", "{}"));
            for patch in [&first, &second] {
                prop_assert_eq!(draft.apply(&name("a"), &JsonBytes::from(patch)), Ok(()));
            }
            let mut merged = json!({});
            merge(&mut merged, &first);
            merge(&mut merged, &second);
            prop_assert_eq!(data(&draft), merged);
        }

        #[test]
        fn the_same_patch_twice_is_no_conflict(before in object(), patch in object()) {
            let mut draft = Draft::new(created("orders", &before.to_string()));
            let patch = JsonBytes::from(&patch);
            prop_assert_eq!(draft.apply(&name("a"), &patch), Ok(()));
            let once = data(&draft);
            prop_assert_eq!(draft.apply(&name("b"), &patch), Ok(()));
            prop_assert_eq!(data(&draft), once);
        }

        #[test]
        fn without_a_conflict_the_order_of_two_extensions_does_not_matter(
            before in object(),
            first in object(),
            second in object(),
        ) {
            let run = |patches: [(&str, &Value); 2]| {
                let mut draft = Draft::new(created("orders", &before.to_string()));
                for (extension, patch) in patches {
                    draft.apply(&name(extension), &JsonBytes::from(patch)).ok()?;
                }
                Some(data(&draft))
            };
            let forth = run([("a", &first), ("b", &second)]);
            let back = run([("b", &second), ("a", &first)]);
            if let (Some(forth), Some(back)) = (forth, back) {
                prop_assert_eq!(forth, back);
            }
        }

        #[test]
        fn a_conflict_leaves_the_event_as_it_was(first in object(), second in object()) {
            let mut draft = Draft::new(created("orders", "{}"));
            prop_assert_eq!(draft.apply(&name("a"), &JsonBytes::from(&first)), Ok(()));
            let held = data(&draft);
            if draft.apply(&name("b"), &JsonBytes::from(&second)).is_err() {
                prop_assert_eq!(data(&draft), held);
            }
        }
    }
}
