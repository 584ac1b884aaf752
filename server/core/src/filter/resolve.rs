//! Checks a filter against the schema and makes it what the store understands.

use serde_json::Value;
use tinybase_model::{Comparison, Filter};

use super::expression::{Expression, Operand, Operator, Path, Test};
use super::kind::{FieldKind, Fields};
use super::{FilterError, WILDCARDS_MAX};
use crate::field_type::Scalar;

pub(super) fn resolve(expression: &Expression, fields: Fields<'_>) -> Result<Filter, FilterError> {
    match expression {
        Expression::And(parts) => resolve_all(parts, fields).map(Filter::All),
        Expression::Or(parts) => resolve_all(parts, fields).map(Filter::Any),
        Expression::Not(inner) => Ok(not(resolve(inner, fields)?)),
        Expression::Test(test) => resolve_test(test, fields),
    }
}

fn resolve_all(parts: &[Expression], fields: Fields<'_>) -> Result<Vec<Filter>, FilterError> {
    parts.iter().map(|part| resolve(part, fields)).collect()
}

/// A field that was found.
struct Found<'a> {
    name: String,
    kind: FieldKind,
    path: &'a Path,
}

impl Found<'_> {
    fn wrong(&self, message: &str) -> FilterError {
        FilterError::new(self.path.at, format!("{} {message}", self.path))
    }

    /// The error that it can't be compared with something.
    fn unlike(&self, other: &str) -> FilterError {
        self.wrong(&format!("is {} and can't be compared with {other}", self.kind.noun()))
    }
}

fn find<'a>(path: &'a Path, fields: Fields<'_>) -> Result<Found<'a>, FilterError> {
    match fields.find(&path.keys) {
        Some((name, kind)) => Ok(Found { name, kind, path }),
        None => Err(FilterError::new(path.at, format!("{path} is no field of the collection"))),
    }
}

fn resolve_test(test: &Test, fields: Fields<'_>) -> Result<Filter, FilterError> {
    let field = find(&test.field, fields)?;
    match &test.operand {
        Operand::Field(path) => compare_fields(&field, test.operator, &find(path, fields)?),
        Operand::List(values) => {
            let listed = listed(&field, values)?;
            Ok(if test.operator == Operator::NotIn { not(listed) } else { listed })
        }
        Operand::Value(value) => compared(&field, test.operator, value),
    }
}

/// A field compared with a value.
fn compared(field: &Found<'_>, operator: Operator, value: &Value) -> Result<Filter, FilterError> {
    match operator {
        Operator::Like | Operator::NotLike => {
            let like = like(field, value)?;
            Ok(if operator == Operator::NotLike { not(like) } else { like })
        }
        Operator::Contains => contains(field, value),
        Operator::In | Operator::NotIn => unreachable!("the parser gives these a list"),
        Operator::Equal
        | Operator::NotEqual
        | Operator::Less
        | Operator::LessOrEqual
        | Operator::Greater
        | Operator::GreaterOrEqual => {
            let is_equality = matches!(operator, Operator::Equal | Operator::NotEqual);
            let is_null = value.is_null() && is_equality;
            let value = if is_null { Value::Null } else { fitting(field, value)? };
            if !is_equality && value.is_boolean() {
                return Err(field.wrong("can only be == or != to true or false"));
            }
            Ok(Filter::value(&field.name, comparison(operator), value))
        }
    }
}

const fn comparison(operator: Operator) -> Comparison {
    match operator {
        Operator::Equal => Comparison::Equal,
        Operator::NotEqual => Comparison::NotEqual,
        Operator::Less => Comparison::Less,
        Operator::LessOrEqual => Comparison::LessOrEqual,
        Operator::Greater => Comparison::Greater,
        Operator::GreaterOrEqual => Comparison::GreaterOrEqual,
        Operator::Like | Operator::NotLike => Comparison::Like,
        Operator::Contains => Comparison::Contains,
        Operator::In | Operator::NotIn => Comparison::In,
    }
}

/// A value as the field has it, if it can be compared with it.
fn fitting(field: &Found<'_>, value: &Value) -> Result<Value, FilterError> {
    if let Some(value) = field.kind.value(value) {
        return Ok(value);
    }
    Err(match (field.kind, value) {
        (FieldKind::Time | FieldKind::Scalar(Scalar::DateTime), Value::String(_)) => {
            field.wrong("is a time: write it as \"2026-01-31T12:00:00Z\"")
        }
        (FieldKind::Scalar(Scalar::Date), Value::String(_)) => {
            field.wrong("is a date: write it as \"2026-01-31\"")
        }
        (_, value) => field.unlike(&value.to_string()),
    })
}

/// A field that is one of some values.
fn listed(field: &Found<'_>, values: &[Value]) -> Result<Filter, FilterError> {
    let (nulls, values): (Vec<_>, Vec<_>) = values.iter().partition(|value| value.is_null());
    let values: Vec<Value> =
        values.into_iter().map(|value| fitting(field, value)).collect::<Result<_, _>>()?;
    let among = Filter::value(&field.name, Comparison::In, values);
    if nulls.is_empty() {
        return Ok(among);
    }
    Ok(Filter::Any(vec![among, Filter::value(&field.name, Comparison::Equal, Value::Null)]))
}

fn like(field: &Found<'_>, value: &Value) -> Result<Filter, FilterError> {
    if !matches!(field.kind, FieldKind::Scalar(Scalar::Text) | FieldKind::Any) {
        return Err(field.wrong(&format!("is {}; ~ is for texts", field.kind.noun())));
    }
    let Value::String(pattern) = value else {
        return Err(field.wrong(&format!("needs a pattern such as \"ann%\", not {value}")));
    };
    if pattern.matches('%').count() > WILDCARDS_MAX {
        return Err(field.wrong(&format!("has a pattern with more than {WILDCARDS_MAX} %")));
    }
    Ok(Filter::value(&field.name, Comparison::Like, pattern.clone()))
}

fn contains(field: &Found<'_>, value: &Value) -> Result<Filter, FilterError> {
    let fits = match field.kind {
        FieldKind::Scalar(Scalar::Text) => value.is_string(),
        FieldKind::List | FieldKind::Any => !value.is_null(),
        FieldKind::Scalar(_) | FieldKind::Time | FieldKind::Id | FieldKind::Object => false,
    };
    if !fits {
        return Err(field.wrong(&format!("is {} and can't contain {value}", field.kind.noun())));
    }
    Ok(Filter::value(&field.name, Comparison::Contains, value.clone()))
}

/// A field compared with another one.
fn compare_fields(
    left: &Found<'_>,
    operator: Operator,
    right: &Found<'_>,
) -> Result<Filter, FilterError> {
    let fits = match operator {
        Operator::Like | Operator::NotLike => {
            return Err(right.wrong("is a field; ~ needs a pattern such as \"ann%\""));
        }
        Operator::Contains => {
            matches!(
                (left.kind, right.kind),
                (
                    FieldKind::List | FieldKind::Any,
                    FieldKind::Scalar(_) | FieldKind::Id | FieldKind::Any
                ) | (FieldKind::Scalar(Scalar::Text), FieldKind::Scalar(Scalar::Text))
            )
        }
        Operator::In | Operator::NotIn => unreachable!("the parser gives these a list"),
        Operator::Equal
        | Operator::NotEqual
        | Operator::Less
        | Operator::LessOrEqual
        | Operator::Greater
        | Operator::GreaterOrEqual => are_alike(left.kind, right.kind),
    };
    if !fits {
        return Err(left.unlike(&format!("{}, {}", right.path, right.kind.noun())));
    }
    let (left, right) = (left.name.clone(), right.name.clone());
    Ok(Filter::Fields { left, comparison: comparison(operator), right })
}

/// Whether two fields can be compared. A time of a column isn't one of the data: one is a number to
/// the database, the other a text.
fn are_alike(left: FieldKind, right: FieldKind) -> bool {
    use FieldKind::{Any, Id, List, Object, Time};

    match (left, right) {
        (List | Object, _) | (_, List | Object) => false,
        (Time, other) | (other, Time) => other == Time,
        (Any, _) | (_, Any) | (Id, Id) => true,
        (Id, FieldKind::Scalar(scalar)) | (FieldKind::Scalar(scalar), Id) => {
            matches!(scalar, Scalar::Id | Scalar::Text)
        }
        (FieldKind::Scalar(left), FieldKind::Scalar(right)) => {
            let kind = |scalar| match scalar {
                Scalar::Integer | Scalar::Float => Scalar::Float,
                Scalar::Text | Scalar::Id => Scalar::Text,
                Scalar::Bool | Scalar::Date | Scalar::DateTime => scalar,
            };
            kind(left) == kind(right)
        }
    }
}

fn not(filter: Filter) -> Filter {
    Filter::Not(Box::new(filter))
}
