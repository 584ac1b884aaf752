//! What is bound to a placeholder.

use std::borrow::Cow;

/// A value, or the absence of one, with the type that the column has.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value<'q> {
    /// `text`; a JSON column takes it after a cast.
    Text(Option<Cow<'q, str>>),
    /// `integer` in `SQLite`, `bigint` in `PostgreSQL`; booleans are 0 and 1.
    Integer(Option<i64>),
    /// `real` in `SQLite`, `double precision` in `PostgreSQL`.
    Real(Option<f64>),
    /// `blob` in `SQLite`, `bytea` in `PostgreSQL`.
    Blob(Option<Cow<'q, [u8]>>),
}

macro_rules! into_value {
    ($($from:ty => |$given:ident| $value:expr),* $(,)?) => {
        $(
            impl<'q> From<$from> for Value<'q> {
                fn from($given: $from) -> Self {
                    $value
                }
            }

            impl<'q> From<Option<$from>> for Value<'q> {
                fn from(given: Option<$from>) -> Self {
                    match given {
                        Some($given) => $value,
                        None => <$from as Absent>::ABSENT,
                    }
                }
            }
        )*
    };
}

/// The absence of a value of a type.
trait Absent {
    const ABSENT: Value<'static>;
}

macro_rules! absent {
    ($($variant:ident: $($type:ty),*;)*) => {
        $($(
            impl Absent for $type {
                const ABSENT: Value<'static> = Value::$variant(None);
            }
        )*)*
    };
}

absent! {
    Text: &str, &String, String, Cow<'_, str>;
    Integer: i64, i32, u32, bool;
    Real: f64;
    Blob: &[u8], Vec<u8>;
}

into_value! {
    &'q str => |text| Value::Text(Some(Cow::Borrowed(text))),
    &'q String => |text| Value::Text(Some(Cow::Borrowed(text))),
    String => |text| Value::Text(Some(Cow::Owned(text))),
    Cow<'q, str> => |text| Value::Text(Some(text)),
    i64 => |integer| Value::Integer(Some(integer)),
    i32 => |integer| Value::Integer(Some(integer.into())),
    u32 => |integer| Value::Integer(Some(integer.into())),
    bool => |bool| Value::Integer(Some(bool.into())),
    f64 => |real| Value::Real(Some(real)),
    &'q [u8] => |bytes| Value::Blob(Some(Cow::Borrowed(bytes))),
    Vec<u8> => |bytes| Value::Blob(Some(Cow::Owned(bytes))),
}

impl<'q> From<&'q Option<String>> for Value<'q> {
    fn from(given: &'q Option<String>) -> Self {
        given.as_deref().into()
    }
}
