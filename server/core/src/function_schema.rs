//! Checking what goes into a function and what comes out against its JSON Schemas.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use jsonschema::Validator;
use serde_json::Value;
use tinybase_model::{FieldViolation, JsonBytes};

/// Compiled schemas of functions. Compiling takes milliseconds and validating less than one, so
/// each is compiled once for each registration.
#[derive(Debug, Default)]
pub(crate) struct Validators {
    compiled: Mutex<HashMap<(String, Direction), Compiled>>,
}

/// Which of a function's schemas.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Direction {
    Input,
    Output,
}

#[derive(Debug, Clone)]
struct Compiled {
    schema: JsonBytes,
    validator: Result<Arc<Validator>, String>,
}

/// Why a value doesn't pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Mismatch {
    /// The value doesn't fit.
    Value(Vec<FieldViolation>),
    /// The schema itself can't be used; the extension is at fault.
    Schema(String),
}

/// More schemas than a server has functions; then all are compiled again.
const COMPILED_MAX: usize = 4096;
/// How many mistakes of one value are told.
const VIOLATIONS_MAX: usize = 20;

impl Validators {
    /// Checks a value.
    pub(crate) fn check(
        &self,
        function: &str,
        direction: Direction,
        schema: &JsonBytes,
        value: &Value,
    ) -> Result<(), Mismatch> {
        let validator = self.validator(function, direction, schema).map_err(Mismatch::Schema)?;
        if validator.is_valid(value) {
            return Ok(());
        }
        let violations = validator.iter_errors(value).take(VIOLATIONS_MAX).map(|error| {
            FieldViolation { field: error.instance_path().to_string(), message: error.to_string() }
        });
        Err(Mismatch::Value(violations.collect()))
    }

    fn validator(
        &self,
        function: &str,
        direction: Direction,
        schema: &JsonBytes,
    ) -> Result<Arc<Validator>, String> {
        let key = (function.to_owned(), direction);
        let mut compiled = self.compiled.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = compiled.get(&key).filter(|entry| entry.schema == *schema) {
            return entry.validator.clone();
        }
        let validator = compile(schema);
        if compiled.len() >= COMPILED_MAX {
            compiled.clear();
        }
        let entry = Compiled { schema: schema.clone(), validator: validator.clone() };
        compiled.insert(key, entry);
        validator
    }
}

/// Compiles a schema. References to files and to the network are refused: jsonschema is built
/// without them.
fn compile(schema: &JsonBytes) -> Result<Arc<Validator>, String> {
    let schema: Value = schema.parse().map_err(|error| error.to_string())?;
    jsonschema::validator_for(&schema).map(Arc::new).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_mistake_names_the_field_and_a_new_schema_replaces_the_old() {
        let validators = Validators::default();
        let check = |schema: &Value, value: &Value| {
            validators.check("f", Direction::Input, &schema.into(), value)
        };
        let schema = json!({"type": "object", "properties": {"n": {"type": "integer"}},
                            "required": ["m"]});
        assert_eq!(check(&schema, &json!({"n": 1, "m": 1})), Ok(()));
        let Err(Mismatch::Value(violations)) = check(&schema, &json!({"n": "x"})) else {
            panic!("it should not fit");
        };
        let fields: Vec<_> = violations.iter().map(|v| v.field.as_str()).collect();
        assert_eq!(fields.len(), 2, "{violations:?}");
        assert!(fields.contains(&"/n") && fields.contains(&""), "{violations:?}");
        assert_eq!(check(&json!(true), &json!({"n": "x"})), Ok(()));
    }

    #[test]
    fn a_schema_that_reads_files_or_is_none_is_refused() {
        let validators = Validators::default();
        let dangerous = [
            json!({"$ref": "file:///etc/passwd"}),
            json!({"$ref": "http://127.0.0.1:1/schema"}),
            json!({"type": "nonsense"}),
        ];
        for schema in dangerous {
            let checked = validators.check("f", Direction::Output, &(&schema).into(), &json!(1));
            assert!(matches!(checked, Err(Mismatch::Schema(_))), "{schema}: {checked:?}");
        }
    }
}
