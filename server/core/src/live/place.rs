//! A place in the event log, as a client keeps it to go on from there.

use jiff::Timestamp;
use tinybase_model::Position;

/// A place in the log of one database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// The database and its restore: another one has other events at the same position.
    pub(super) epoch: String,
    /// The position.
    pub(super) position: Position,
    /// When what is there happened: the log keeps everything after it for the retention.
    pub(super) at: Timestamp,
}

impl Place {
    /// As a client gets it: no line break, no space.
    pub(super) fn text(&self) -> String {
        format!("{}-{:x}-{:x}", self.epoch, self.position.0, self.at.as_microsecond())
    }

    /// Reads one; none if it can't be one.
    pub(super) fn read(text: &str) -> Option<Self> {
        let mut parts = text.split('-');
        let (epoch, position, at) = (parts.next()?, parts.next()?, parts.next()?);
        let is_sound = !epoch.is_empty() && parts.next().is_none();
        let position = Position(i64::from_str_radix(position, 16).ok()?);
        let at = Timestamp::from_microsecond(i64::from_str_radix(at, 16).ok()?).ok()?;
        is_sound.then(|| Self { epoch: epoch.to_owned(), position, at })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_reads_back_and_nothing_else_does() {
        let at = Timestamp::from_microsecond(1_790_000_000_123_456).expect("a time");
        let place = Place { epoch: "abc".to_owned(), position: Position(77), at };
        assert_eq!(Place::read(&place.text()), Some(place));
        for wrong in ["", "-", "a-b", "a--", "a-1-1-1", "-1-1", "a-xyz-1", "a-1-7fffffffffffffff"] {
            assert_eq!(Place::read(wrong), None, "{wrong}");
        }
    }
}
