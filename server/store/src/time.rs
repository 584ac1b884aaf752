//! Times as the database keeps them: microseconds since 1970.

use jiff::Timestamp;

use crate::StoreError;

/// A time as a column has it.
pub(crate) fn micros(at: Timestamp) -> i64 {
    at.as_microsecond()
}

/// A column as a time.
pub(crate) fn timestamp(micros: i64) -> Result<Timestamp, StoreError> {
    Timestamp::from_microsecond(micros).map_err(StoreError::corrupt("a time"))
}

/// An optional column as a time.
pub(crate) fn optional_timestamp(micros: Option<i64>) -> Result<Option<Timestamp>, StoreError> {
    micros.map(timestamp).transpose()
}

/// The time, as exact as the database keeps it.
pub fn now() -> Timestamp {
    Timestamp::from_microsecond(Timestamp::now().as_microsecond())
        .unwrap_or_else(|_| unreachable!("it was a time before it was cut"))
}
