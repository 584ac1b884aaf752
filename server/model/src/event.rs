//! What happens in the server that extensions can hook.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use thiserror::Error;

use crate::{CallId, EventId, ExtensionName, JsonBytes, RecordId, ScheduleId, UserId};

/// The nine things that can be hooked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EventKind {
    /// The extension's process is ready.
    Startup,
    /// The extension's process is about to be stopped.
    Shutdown,
    /// A user registered.
    UserRegister,
    /// A user logged in.
    UserLogin,
    /// A record was created.
    RecordCreate,
    /// A record was changed.
    RecordUpdate,
    /// A record was deleted.
    RecordDelete,
    /// A function is about to run.
    FunctionCall,
    /// A function ended.
    FunctionComplete,
}

/// A name that isn't an event's.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("there is no event {text:?}; did you mean {nearest:?}?")]
pub struct UnknownEvent {
    text: String,
    nearest: &'static str,
}

impl EventKind {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Startup,
        Self::Shutdown,
        Self::UserRegister,
        Self::UserLogin,
        Self::RecordCreate,
        Self::RecordUpdate,
        Self::RecordDelete,
        Self::FunctionCall,
        Self::FunctionComplete,
    ];

    /// The name on the wire, in the log and in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Startup => "startup",
            Self::Shutdown => "shutdown",
            Self::UserRegister => "user.register",
            Self::UserLogin => "user.login",
            Self::RecordCreate => "record.create",
            Self::RecordUpdate => "record.update",
            Self::RecordDelete => "record.delete",
            Self::FunctionCall => "function.call",
            Self::FunctionComplete => "function.complete",
        }
    }

    /// Whether it is about a record, so that a collection filter makes sense.
    pub const fn is_record(self) -> bool {
        matches!(self, Self::RecordCreate | Self::RecordUpdate | Self::RecordDelete)
    }

    /// Whether it is about a function, so that a function filter makes sense.
    pub const fn is_function(self) -> bool {
        matches!(self, Self::FunctionCall | Self::FunctionComplete)
    }
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for EventKind {
    type Err = UnknownEvent;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text).ok_or_else(|| {
            let nearest = Self::ALL
                .into_iter()
                .map(Self::as_str)
                .min_by_key(|name| strsim::levenshtein(name, text))
                .unwrap_or("record.create");
            UnknownEvent { text: text.to_owned(), nearest }
        })
    }
}

/// A record's creation, change or deletion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordEvent {
    /// The collection's name.
    pub collection: String,
    /// The record; none before a creation.
    pub record_id: Option<RecordId>,
    /// The owner, if there is one; for a change, the owner after it.
    pub owner_id: Option<UserId>,
    /// For a change, the owner before it; else the same.
    pub old_owner_id: Option<UserId>,
    /// The data after the change, or before it for a deletion.
    pub data: JsonBytes,
    /// For a change, the data before it.
    pub old_data: Option<JsonBytes>,
    /// The record's version with this change: 1 for a creation, one more for each change and for
    /// the deletion. 0 if it was logged before versions were.
    pub version: i64,
}

/// A registration or a login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserEvent {
    /// The user; none before a registration.
    pub user_id: Option<UserId>,
    /// The address.
    pub email: String,
    /// Whether the user is an administrator.
    pub is_admin: bool,
}

/// A function that is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FunctionEvent {
    /// The function's name.
    pub name: String,
    /// The recorded call.
    pub call_id: CallId,
    /// The caller, if logged in.
    pub user_id: Option<UserId>,
    /// Whether the caller is an administrator.
    pub is_admin: bool,
    /// The input.
    pub input: JsonBytes,
    /// The schedule that caused it, if one did.
    pub schedule: Option<ScheduleId>,
}

/// A function that ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompletionEvent {
    /// The function's name.
    pub name: String,
    /// The recorded call.
    pub call_id: CallId,
    /// The caller, if logged in.
    pub user_id: Option<UserId>,
    /// Whether it succeeded.
    pub succeeded: bool,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
    /// For a failure, what went wrong.
    pub error_message: Option<String>,
    /// For a failure, its type.
    pub error_type: Option<String>,
}

/// Something that happens, with what it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A user registered.
    UserRegister(UserEvent),
    /// A user logged in.
    UserLogin(UserEvent),
    /// A record was created.
    RecordCreate(RecordEvent),
    /// A record was changed.
    RecordUpdate(RecordEvent),
    /// A record was deleted.
    RecordDelete(RecordEvent),
    /// A function is about to run.
    FunctionCall(FunctionEvent),
    /// A function ended.
    FunctionComplete(CompletionEvent),
}

impl Event {
    /// Which kind it is.
    pub const fn kind(&self) -> EventKind {
        match self {
            Self::UserRegister(_) => EventKind::UserRegister,
            Self::UserLogin(_) => EventKind::UserLogin,
            Self::RecordCreate(_) => EventKind::RecordCreate,
            Self::RecordUpdate(_) => EventKind::RecordUpdate,
            Self::RecordDelete(_) => EventKind::RecordDelete,
            Self::FunctionCall(_) => EventKind::FunctionCall,
            Self::FunctionComplete(_) => EventKind::FunctionComplete,
        }
    }

    /// The collection or the function that filters look at.
    pub fn subject(&self) -> Option<&str> {
        match self {
            Self::UserRegister(_) | Self::UserLogin(_) => None,
            Self::RecordCreate(record)
            | Self::RecordUpdate(record)
            | Self::RecordDelete(record) => Some(&record.collection),
            Self::FunctionCall(call) => Some(&call.name),
            Self::FunctionComplete(completion) => Some(&completion.name),
        }
    }
}

/// A place in the event log. Positions grow in the order of commits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Position(pub i64);

/// An event as the log keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoggedEvent {
    /// Where it stands in the log.
    pub position: Position,
    /// Its id, the same for every subscriber and attempt.
    pub id: EventId,
    /// What must not overtake what: the record's id, or the user's or the call's.
    pub order_key: String,
    /// When it was committed.
    pub occurred_at: Timestamp,
    /// The extension whose call-back caused it, if one did.
    pub origin: Option<ExtensionName>,
    /// How many invocations led to it; 0 for a client's request.
    pub depth: u32,
    /// The W3C trace context of the request that caused it; empty if there was none.
    pub traceparent: String,
    /// What happened.
    pub event: Event,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_reads_back_from_its_name() {
        for kind in EventKind::ALL {
            assert_eq!(kind.as_str().parse(), Ok(kind));
        }
    }

    #[test]
    fn a_misspelt_event_names_the_nearest() {
        let error = "record.creat".parse::<EventKind>().expect_err("not an event");
        assert_eq!(
            error.to_string(),
            r#"there is no event "record.creat"; did you mean "record.create"?"#
        );
    }
}
