//! The order of a list, and the rest of it after a record.
//!
//! What comes after a record in an order of several keys isn't one range of an index but a few, each
//! with equal values for the first keys and a range for the next one. They are asked for one after
//! the other, so that each can go straight to its place; usually the first one or two fill the page.

use serde_json::Value;
use tinybase_model::{RecordId, SortKey};

use super::field::Field;
use super::statement::Statement;
use super::{ListError, PageStart, RecordQuery};
use crate::sql::Dialect;

/// The keys that make a difference, and whether ids then descend.
struct Order<'a> {
    keys: Vec<(Field<'a>, &'a SortKey)>,
    ids_descend: bool,
}

/// A record's id says when it was made, and there is an index over it: after that, or after the id
/// itself, no key makes a difference, and none keeps the database from using the index.
fn order(sort: &[SortKey]) -> Result<Order<'_>, ListError> {
    let mut order = Order { keys: Vec::new(), ids_descend: false };
    for key in sort {
        order.ids_descend = key.descending;
        match Field::parse(&key.field)? {
            Field::Time("r.created_at") | Field::Id("r.id") => break,
            field @ (Field::Id(_) | Field::Time(_) | Field::Data(_)) => {
                order.keys.push((field, key));
            }
        }
    }
    Ok(order)
}

/// Whether an order is by fields of the data first.
pub(super) fn is_by_data(sort: &[SortKey]) -> bool {
    let first = order(sort).ok().and_then(|order| order.keys.into_iter().next());
    matches!(first, Some((Field::Data(_), _)))
}

/// Adds the order of a part. It ends with the id, which tells any two records apart. Keys in which
/// all of the part is equal are left out: `SQLite` would sort by them instead of going by the index.
pub(super) fn push_order(
    statement: &mut Statement,
    sort: &[SortKey],
    segment: &Segment<'_>,
) -> Result<(), ListError> {
    let Order { keys, ids_descend } = order(sort)?;
    let equal = match segment {
        Segment::Whole | Segment::Present => 0,
        Segment::SameKeys(..) => keys.len(),
        Segment::Beyond(_, index) => *index,
        Segment::Nothing(_, index) => index + 1,
    };
    statement.push(" order by ");
    for (field, key) in keys.into_iter().skip(equal) {
        field.push(statement);
        statement.push(if key.descending { " desc" } else { "" });
        // As SQLite has it anyway.
        if field.is_nullable() {
            statement.push_each("", if key.descending { " nulls last" } else { " nulls first" });
        }
        statement.push(", ");
    }
    statement.push(if ids_descend { "r.id desc" } else { "r.id" });
    Ok(())
}

/// A part of what comes after a record.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Segment<'a> {
    /// All of the list.
    Whole,
    /// With a value for the first key.
    Present,
    /// Equal in all keys, with a later id.
    SameKeys(&'a [Value], RecordId),
    /// Equal in the keys before this one, and after the value of this one.
    Beyond(&'a [Value], usize),
    /// Equal in the keys before this one, which has no value.
    Nothing(&'a [Value], usize),
}

/// The parts of a list, in order.
///
/// `SQLite` doesn't go by the index of a field that no condition is about, even if it is the order's. So
/// there the list is asked for in two parts, with and without a value.
pub(super) fn segments(
    dialect: Dialect,
    query: &RecordQuery,
) -> Result<Vec<Segment<'_>>, ListError> {
    let Order { keys, .. } = order(&query.sort)?;
    let PageStart::After { values, id } = &query.from else {
        return Ok(match keys.first() {
            Some((Field::Data(_), key))
                if dialect == Dialect::Sqlite && query.hints.order_has_index =>
            {
                let nothing = Segment::Nothing(&[], 0);
                if key.descending {
                    vec![Segment::Present, nothing]
                } else {
                    vec![nothing, Segment::Present]
                }
            }
            Some(_) | None => vec![Segment::Whole],
        });
    };
    if values.len() < keys.len() {
        let missing = query.sort.get(values.len()).map(|key| key.field.clone());
        return Err(ListError::Field(missing.unwrap_or_default()));
    }
    let mut segments = vec![Segment::SameKeys(values, *id)];
    for (index, (field, key)) in keys.iter().enumerate().rev() {
        // Without a value comes first in an ascending order and last in a descending one.
        match (key.descending, values[index].is_null()) {
            (true, true) => {}
            (false, _) => segments.push(Segment::Beyond(values, index)),
            (true, false) => {
                segments.push(Segment::Beyond(values, index));
                if field.is_nullable() {
                    segments.push(Segment::Nothing(values, index));
                }
            }
        }
    }
    Ok(segments)
}

/// Adds what a record of a part has to fulfil.
pub(super) fn push_segment(
    statement: &mut Statement,
    query: &RecordQuery,
    segment: &Segment<'_>,
) -> Result<(), ListError> {
    let Order { keys, ids_descend } = order(&query.sort)?;
    let (values, equal) = match segment {
        Segment::Whole => return Ok(()),
        Segment::Present => (&[][..], 0),
        Segment::SameKeys(values, _) => (*values, keys.len()),
        Segment::Beyond(values, index) | Segment::Nothing(values, index) => (*values, *index),
    };
    for ((field, key), value) in keys.iter().zip(values).take(equal) {
        statement.push(" and ");
        push_compared(statement, *field, key, value, " = ")?;
    }
    match segment {
        Segment::Whole => {}
        Segment::Present => {
            statement.push(" and ");
            push_present(statement, keys[0].0);
        }
        Segment::SameKeys(_, id) => {
            statement.push(if ids_descend { " and r.id < " } else { " and r.id > " });
            statement.bind(id.to_string());
        }
        Segment::Beyond(_, index) => {
            let (field, key) = &keys[*index];
            statement.push(" and ");
            if values[*index].is_null() {
                push_present(statement, *field);
            } else {
                let operator = if key.descending { " < " } else { " > " };
                push_compared(statement, *field, key, &values[*index], operator)?;
            }
        }
        Segment::Nothing(_, index) => {
            statement.push(" and ");
            keys[*index].0.push(statement);
            statement.push(" is null");
        }
    }
    Ok(())
}

/// Adds that a field has a value.
fn push_present(statement: &mut Statement, field: Field<'_>) {
    field.push(statement);
    if matches!(field, Field::Data(_)) {
        // Less than any value; SQLite doesn't go by an index to look for what isn't null.
        statement.push_each(" >= -9e999", " is not null");
    } else {
        statement.push(" is not null");
    }
}

fn push_compared(
    statement: &mut Statement,
    field: Field<'_>,
    key: &SortKey,
    value: &Value,
    operator: &str,
) -> Result<(), ListError> {
    field.push(statement);
    match field.value(statement.dialect, &key.field, value)? {
        Some(value) => {
            statement.push(operator);
            statement.bind_field(value);
        }
        None => statement.push(" is null"),
    }
    Ok(())
}
