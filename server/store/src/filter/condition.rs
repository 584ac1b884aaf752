//! A filter as SQL. Each condition is true or unknown where it doesn't hold, never wrongly true; an
//! opposite is `is not true`, so that unknown counts as false in both databases and in memory.

use serde_json::Value;
use tinybase_model::{Comparison, Condition, Filter, PatternPart, pattern_parts};

use super::ListError;
use super::field::{Field, bad_value};
use super::search::push_search;
use super::statement::Statement;
use crate::sql::Dialect;

/// Adds a filter, in parentheses if it needs them.
pub(super) fn push_filter(statement: &mut Statement, filter: &Filter) -> Result<(), ListError> {
    match filter {
        Filter::All(all) => push_joined(statement, all, " and ", "true"),
        Filter::Any(any) => push_joined(statement, any, " or ", "false"),
        Filter::Not(inner) => push_not(statement, |statement| push_filter(statement, inner)),
        Filter::Value(condition) => push_condition(statement, condition),
        Filter::Fields { left, comparison, right } => {
            let left = (left.as_str(), Field::parse(left)?);
            let right = (right.as_str(), Field::parse(right)?);
            push_fields(statement, left, *comparison, right)
        }
        Filter::Search(search) => {
            push_search(statement, search);
            Ok(())
        }
    }
}

fn push_joined(
    statement: &mut Statement,
    parts: &[Filter],
    between: &str,
    none: &str,
) -> Result<(), ListError> {
    if parts.is_empty() {
        statement.push(none);
        return Ok(());
    }
    statement.push("(");
    for (index, part) in parts.iter().enumerate() {
        if index > 0 {
            statement.push(between);
        }
        push_filter(statement, part)?;
    }
    statement.push(")");
    Ok(())
}

fn push_not(
    statement: &mut Statement,
    inner: impl FnOnce(&mut Statement) -> Result<(), ListError>,
) -> Result<(), ListError> {
    statement.push("((");
    inner(statement)?;
    statement.push(") is not true)");
    Ok(())
}

fn push_condition(statement: &mut Statement, condition: &Condition) -> Result<(), ListError> {
    let field = Field::parse(&condition.field)?;
    let value = &condition.value;
    match condition.comparison {
        Comparison::Equal => push_equal(statement, field, condition, value),
        Comparison::NotEqual => {
            push_not(statement, |statement| push_equal(statement, field, condition, value))
        }
        Comparison::Less => push_range(statement, field, condition, " < "),
        Comparison::LessOrEqual => push_range(statement, field, condition, " <= "),
        Comparison::Greater => push_range(statement, field, condition, " > "),
        Comparison::GreaterOrEqual => push_range(statement, field, condition, " >= "),
        Comparison::In => push_list(statement, field, condition),
        Comparison::Like => push_like(statement, field, condition),
        Comparison::Contains => push_contains(statement, field, condition),
    }
}

fn push_equal(
    statement: &mut Statement,
    field: Field<'_>,
    condition: &Condition,
    value: &Value,
) -> Result<(), ListError> {
    let compared = field.value(statement.dialect, &condition.field, value)?;
    statement.push("(");
    field.push(statement);
    match compared {
        None => statement.push(" is null"),
        Some(compared) => {
            statement.push(" = ");
            statement.bind_field(compared);
            // PostgreSQL compares JSON, where only things of a kind are equal.
            if statement.dialect == Dialect::Sqlite {
                push_kind(statement, field, value);
            }
        }
    }
    statement.push(")");
    Ok(())
}

fn push_range(
    statement: &mut Statement,
    field: Field<'_>,
    condition: &Condition,
    operator: &str,
) -> Result<(), ListError> {
    let value = &condition.value;
    if value.is_array() || value.is_object() {
        return Err(bad_value(&condition.field, value, "nothing is less or greater than that"));
    }
    match field.value(statement.dialect, &condition.field, value)? {
        // Nothing is less or greater than null.
        None => statement.push("false"),
        Some(compared) => {
            statement.push("(");
            field.push(statement);
            statement.push(operator);
            statement.bind_field(compared);
            push_kind(statement, field, value);
            statement.push(")");
        }
    }
    Ok(())
}

/// Adds that the field is of the value's kind, where the schema doesn't see to it.
fn push_kind(statement: &mut Statement, field: Field<'_>, value: &Value) {
    if !field.is_nested() {
        return;
    }
    let (sqlite, postgres) = match value {
        Value::Bool(_) => (" in ('true', 'false')", " = 'boolean'"),
        Value::Number(_) => (" in ('integer', 'real')", " = 'number'"),
        Value::String(_) => (" = 'text'", " = 'string'"),
        Value::Array(_) => (" = 'array'", " = 'array'"),
        Value::Object(_) => (" = 'object'", " = 'object'"),
        Value::Null => return,
    };
    statement.push(" and ");
    field.push_type(statement);
    statement.push_each(sqlite, postgres);
}

fn push_list(
    statement: &mut Statement,
    field: Field<'_>,
    condition: &Condition,
) -> Result<(), ListError> {
    let Value::Array(values) = &condition.value else {
        return Err(bad_value(&condition.field, &condition.value, "give an array"));
    };
    let given: Vec<_> = values.iter().filter(|value| !value.is_null()).collect();
    // A list without a value is in the grammar of one database only.
    if given.is_empty() {
        statement.push("false");
        return Ok(());
    }
    if field.is_nested() && statement.dialect == Dialect::Sqlite {
        statement.push("(");
        for (index, value) in given.into_iter().enumerate() {
            if index > 0 {
                statement.push(" or ");
            }
            push_equal(statement, field, condition, value)?;
        }
        statement.push(")");
        return Ok(());
    }
    field.push(statement);
    statement.push(" in (");
    for (index, value) in given.into_iter().enumerate() {
        if index > 0 {
            statement.push(", ");
        }
        if let Some(value) = field.value(statement.dialect, &condition.field, value)? {
            statement.bind_field(value);
        }
    }
    statement.push(")");
    Ok(())
}

fn push_like(
    statement: &mut Statement,
    field: Field<'_>,
    condition: &Condition,
) -> Result<(), ListError> {
    let (Field::Data(_), Value::String(pattern)) = (field, &condition.value) else {
        return Err(bad_value(&condition.field, &condition.value, "only texts have patterns"));
    };
    statement.push("(");
    field.push_text(statement);
    // SQLite's own `like` doesn't tell upper from lower case, but only in ASCII.
    statement.push_each(" glob ", " like ");
    let parts = pattern_parts(pattern);
    statement.bind(match statement.dialect {
        Dialect::Sqlite => glob(&parts),
        Dialect::Postgres => like(&parts),
    });
    push_kind(statement, field, &condition.value);
    statement.push(")");
    Ok(())
}

fn glob(parts: &[PatternPart]) -> String {
    let mut text = String::new();
    for part in parts {
        match part {
            PatternPart::Many => text.push('*'),
            PatternPart::One => text.push('?'),
            PatternPart::Exactly(special @ ('*' | '?' | '[')) => {
                text.extend(['[', *special, ']']);
            }
            PatternPart::Exactly(character) => text.push(*character),
        }
    }
    text
}

fn like(parts: &[PatternPart]) -> String {
    let mut text = String::new();
    for part in parts {
        match part {
            PatternPart::Many => text.push('%'),
            PatternPart::One => text.push('_'),
            PatternPart::Exactly(special @ ('%' | '_' | '\\')) => text.extend(['\\', *special]),
            PatternPart::Exactly(character) => text.push(*character),
        }
    }
    text
}

fn push_contains(
    statement: &mut Statement,
    field: Field<'_>,
    condition: &Condition,
) -> Result<(), ListError> {
    let bad = |expected| bad_value(&condition.field, &condition.value, expected);
    let Field::Data(_) = field else { return Err(bad("only lists and texts contain something")) };
    statement.push("((");
    field.push_type(statement);
    statement.push(" = 'array' and ");
    match statement.dialect {
        Dialect::Sqlite => {
            statement.push("exists (select 1 from ");
            field.push_items(statement);
            let kind = match &condition.value {
                Value::Bool(true) => " where e.type = 'true')",
                Value::Bool(false) => " where e.type = 'false')",
                Value::Number(_) => " where e.type in ('integer', 'real') and e.value = ",
                Value::String(_) => " where e.type = 'text' and e.value = ",
                Value::Null | Value::Array(_) | Value::Object(_) => {
                    return Err(bad("give a single value"));
                }
            };
            statement.push(kind);
            if !condition.value.is_boolean()
                && let Some(value) = field.value(Dialect::Sqlite, "", &condition.value)?
            {
                statement.bind_field(value);
                statement.push(")");
            }
        }
        Dialect::Postgres => {
            if matches!(condition.value, Value::Null | Value::Array(_) | Value::Object(_)) {
                return Err(bad("give a single value"));
            }
            field.push(statement);
            statement.push(" @> ");
            statement.bind(condition.value.to_string());
            statement.push("::jsonb");
        }
    }
    statement.push(")");
    if let Value::String(text) = &condition.value {
        statement.push(" or (");
        field.push_type(statement);
        statement.push_each(" = 'text' and instr(", " = 'string' and strpos(");
        field.push_text(statement);
        statement.push(", ");
        statement.bind(text.clone());
        statement.push(") > 0)");
    }
    statement.push(")");
    Ok(())
}

/// Adds a comparison of two fields.
fn push_fields(
    statement: &mut Statement,
    (left_name, left): (&str, Field<'_>),
    comparison: Comparison,
    (right_name, right): (&str, Field<'_>),
) -> Result<(), ListError> {
    let bad = |expected| bad_value(left_name, &Value::from(right_name), expected);
    let operator = match comparison {
        Comparison::NotEqual => {
            return push_not(statement, |statement| {
                let (left, right) = ((left_name, left), (right_name, right));
                push_fields(statement, left, Comparison::Equal, right)
            });
        }
        Comparison::Equal => match statement.dialect {
            Dialect::Sqlite => " is ",
            Dialect::Postgres => " is not distinct from ",
        },
        Comparison::Less => " < ",
        Comparison::LessOrEqual => " <= ",
        Comparison::Greater => " > ",
        Comparison::GreaterOrEqual => " >= ",
        Comparison::Contains => return push_fields_contain(statement, left, right, bad),
        Comparison::In | Comparison::Like => return Err(bad("two fields can't be compared so")),
    };
    statement.push("(");
    match (left, right) {
        (Field::Data(_), Field::Data(_)) => {
            left.push(statement);
            statement.push(operator);
            right.push(statement);
            push_same_kind(statement, left, right, comparison);
        }
        (Field::Time(one), Field::Time(other)) | (Field::Id(one), Field::Id(other)) => {
            statement.push(&format!("{one}{operator}{other}"));
        }
        (Field::Data(_), Field::Id(_)) | (Field::Id(_), Field::Data(_)) => {
            left.push_text(statement);
            statement.push(operator);
            right.push_text(statement);
        }
        (Field::Time(_), _) | (_, Field::Time(_)) => {
            return Err(bad("a time is only compared with a time"));
        }
    }
    statement.push(")");
    Ok(())
}

/// Adds that both are of a kind, or neither is there, where the schema doesn't see to it.
fn push_same_kind(
    statement: &mut Statement,
    left: Field<'_>,
    right: Field<'_>,
    comparison: Comparison,
) {
    if !left.is_nested() && !right.is_nested() {
        return;
    }
    let kinds = |statement: &mut Statement, field: Field<'_>| {
        statement.push_each("replace(replace(replace(", "");
        field.push_type(statement);
        let same = ", 'integer', 'real'), 'true', 'bool'), 'false', 'bool')";
        statement.push_each(same, "");
    };
    statement.push(" and (");
    kinds(statement, left);
    statement.push(" = ");
    kinds(statement, right);
    if comparison == Comparison::Equal {
        statement.push(" or (");
        left.push(statement);
        statement.push(" is null and ");
        right.push(statement);
        statement.push(" is null)");
    }
    statement.push(")");
}

fn push_fields_contain(
    statement: &mut Statement,
    left: Field<'_>,
    right: Field<'_>,
    bad: impl Fn(&'static str) -> ListError,
) -> Result<(), ListError> {
    let Field::Data(_) = left else { return Err(bad("only lists and texts contain something")) };
    statement.push("((");
    left.push_type(statement);
    statement.push(" = 'array' and ");
    match (statement.dialect, right) {
        (Dialect::Sqlite, Field::Data(_) | Field::Id(_)) => {
            statement.push("exists (select 1 from ");
            left.push_items(statement);
            statement.push(" where e.value = ");
            right.push(statement);
            statement.push(")");
        }
        (Dialect::Postgres, Field::Data(_)) => {
            left.push(statement);
            statement.push(" @> ");
            right.push(statement);
        }
        (Dialect::Postgres, Field::Id(column)) => {
            left.push(statement);
            statement.push(&format!(" @> to_jsonb({column})"));
        }
        (Dialect::Sqlite | Dialect::Postgres, Field::Time(_)) => {
            return Err(bad("a time is only compared with a time"));
        }
    }
    statement.push(") or (");
    left.push_type(statement);
    statement.push_each(" = 'text' and instr(", " = 'string' and strpos(");
    left.push_text(statement);
    statement.push(", ");
    right.push_text(statement);
    statement.push(") > 0))");
    Ok(())
}
