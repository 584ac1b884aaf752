//! What extensions ask of the core, and what it answers.

use std::net::IpAddr;

use crate::{CallId, Condition, JsonBytes, Record, SortKey, UserId};

/// Asks for a page of records.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ListRecords {
    /// The collection's name; none means all.
    pub collection: Option<String>,
    /// What the records have to fulfil, all of it.
    pub conditions: Vec<Condition>,
    /// Their order; empty means by creation, oldest first.
    pub sort: Vec<SortKey>,
    /// The most records to return; 0 means the default.
    pub page_size: u32,
    /// The token of the page before.
    pub page_token: Option<String>,
}

/// A page of records.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RecordPage {
    /// The records.
    pub records: Vec<Record>,
    /// To be sent for the next page; none at the end.
    pub next_page_token: Option<String>,
}

/// How a call of a function went. One that failed is a result too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallSummary {
    /// The recorded call.
    pub call_id: CallId,
    /// Whether it succeeded.
    pub succeeded: bool,
    /// The result of a success.
    pub output: Option<JsonBytes>,
    /// For a failure, what went wrong.
    pub error_message: Option<String>,
    /// For a failure, its type.
    pub error_type: Option<String>,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
}

/// Something that an extension says was done, for the activity log.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ActivityNote {
    /// What, less the prefix that all of an extension's have.
    pub action: String,
    /// What kind of thing it was done to.
    pub resource_type: Option<String>,
    /// Which one.
    pub resource_id: Option<String>,
    /// The user who did it; none means whoever the call acts for.
    pub user_id: Option<UserId>,
    /// More about it.
    pub metadata: Option<JsonBytes>,
    /// Where it was done from.
    pub address: Option<IpAddr>,
}
