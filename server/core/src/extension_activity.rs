//! Activities that extensions note: under their own names, bounded in size and rate.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use serde_json::{Map, Value};
use thiserror::Error;
use tinybase_model::{ActivityNote, Cause, ExtensionName};
use tinybase_store::Deed;
use tokio::time::Instant;

use crate::capability::MissingCapability;
use crate::host::Host;
use crate::problem::{Kind, Problem};

/// The longest action, less its prefix.
const ACTION_BYTES_MAX: usize = 100;
/// The longest kind of thing.
const RESOURCE_TYPE_BYTES_MAX: usize = 100;
/// The longest id of a thing.
const RESOURCE_ID_BYTES_MAX: usize = 200;
/// The most that is said of one activity, in bytes of JSON.
const METADATA_BYTES_MAX: usize = 8 << 10;
/// How many an extension may note at once, and then each second.
const BURST: f64 = 200.0;
const PER_SECOND: f64 = 10.0;
/// What says who did it; extensions can't say that themselves.
const OURS: [&str; 2] = ["actor", "extension"];

/// Why an activity wasn't noted.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ActivityNoteError {
    /// The extension may not note any.
    #[error(transparent)]
    Denied(#[from] MissingCapability),
    /// What it says can't be taken.
    #[error("{field} {problem}")]
    Invalid {
        /// Which part.
        field: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// It notes too many.
    #[error("the extension notes too many activities: {PER_SECOND} a second, {BURST} at once")]
    TooMany,
}

impl Problem for ActivityNoteError {
    fn kind(&self) -> Kind {
        match self {
            Self::Denied(_) => Kind::Forbidden,
            Self::Invalid { .. } => Kind::Invalid,
            Self::TooMany => Kind::TooManyRequests,
        }
    }
}

/// How many more each extension may note now.
#[derive(Debug, Default)]
pub(crate) struct ActivityRates {
    left: Mutex<HashMap<ExtensionName, (f64, Instant)>>,
}

impl ActivityRates {
    /// Whether one more may be noted; if so, it counts.
    fn admit(&self, extension: &ExtensionName, now: Instant) -> bool {
        let mut all = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        let (left, filled_at) = all.entry(extension.clone()).or_insert((BURST, now));
        let gained = now.saturating_duration_since(*filled_at).as_secs_f64() * PER_SECOND;
        *left = (*left + gained).min(BURST);
        *filled_at = now;
        let has = *left >= 1.0;
        if has {
            *left -= 1.0;
        }
        has
    }
}

impl Host<'_> {
    /// Notes an activity of the extension, as `ext.<name>.<action>`.
    ///
    /// # Errors
    /// If it may not, says something that can't be taken, or says too much.
    pub fn write_activity(&self, note: &ActivityNote) -> Result<(), ActivityNoteError> {
        self.capabilities().activities()?;
        check(note)?;
        let metadata = metadata(note)?;
        let extension = self.capabilities().extension();
        if !self.core().inner.activity_rates.admit(extension, Instant::now()) {
            return Err(ActivityNoteError::TooMany);
        }
        let action = format!("ext.{extension}.{}", note.action);
        let deed = Deed {
            action: &action,
            resource_type: note.resource_type.as_deref(),
            resource_id: note.resource_id.as_deref(),
            user_id: note.user_id,
            metadata: metadata.as_ref(),
        };
        let cause = Cause { address: note.address, ..self.cause().clone() };
        self.core().note_deed(&cause, deed);
        Ok(())
    }
}

fn check(note: &ActivityNote) -> Result<(), ActivityNoteError> {
    let invalid = |field, problem| Err(ActivityNoteError::Invalid { field, problem });
    let action = &note.action;
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
    if action.is_empty() || action.len() > ACTION_BYTES_MAX || !action.bytes().all(fits) {
        let problem = format!(
            "has to be 1 to {ACTION_BYTES_MAX} letters, digits, '_', '-' and '.', not {action:?}"
        );
        return invalid("action", problem);
    }
    for (field, text, limit) in [
        ("resource_type", &note.resource_type, RESOURCE_TYPE_BYTES_MAX),
        ("resource_id", &note.resource_id, RESOURCE_ID_BYTES_MAX),
    ] {
        let bytes = text.as_ref().map_or(0, String::len);
        if bytes > limit {
            return invalid(field, format!("has {bytes} bytes; the limit is {limit}"));
        }
        if text.as_ref().is_some_and(|text| text.contains('\0')) {
            return invalid(field, "holds a null character".to_owned());
        }
    }
    Ok(())
}

fn metadata(note: &ActivityNote) -> Result<Option<Map<String, Value>>, ActivityNoteError> {
    let invalid = |problem| ActivityNoteError::Invalid { field: "metadata", problem };
    let Some(json) = &note.metadata else { return Ok(None) };
    let bytes = json.bytes().len();
    if bytes > METADATA_BYTES_MAX {
        return Err(invalid(format!("has {bytes} bytes; the limit is {METADATA_BYTES_MAX}")));
    }
    tinybase_model::check_json(json.bytes())
        .map_err(|found| invalid(format!("{} {}", found.pointer, found.fault)))?;
    let mut metadata: Map<String, Value> =
        json.parse().map_err(|error| invalid(format!("must be a JSON object: {error}")))?;
    for key in OURS {
        metadata.remove(key);
    }
    Ok(Some(metadata))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_rate_is_of_each_extension_and_comes_back_with_time() {
        let rates = ActivityRates::default();
        let (one, two) = ("one".parse().expect("a name"), "two".parse().expect("a name"));
        let now = Instant::now();
        assert_eq!((0..1000).filter(|_| rates.admit(&one, now)).count(), 200);
        assert!(rates.admit(&two, now));
        let later = now + Duration::from_secs(1);
        assert_eq!((0..1000).filter(|_| rates.admit(&one, later)).count(), 10);
        let much_later = later + Duration::from_hours(1);
        assert_eq!((0..1000).filter(|_| rates.admit(&one, much_later)).count(), 200);
    }
}
