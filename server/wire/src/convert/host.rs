//! What call-backs ask for and get.

use jiff::Timestamp;
use tinybase_model::{
    CallSummary, Collection, Comparison, Condition, JsonBytes, LogLevel, LogLine, LogSource,
    Record, SortKey, User,
};
use tinybase_proto::v1;
use tonic::Status;

use super::invocation::text_or_empty;
use crate::status::Refusal;

pub(crate) fn stored_record(record: Record) -> v1::StoredRecord {
    v1::StoredRecord {
        id: record.id.to_string(),
        collection: record.collection.to_string(),
        collection_id: record.collection_id.to_string(),
        owner_id: text_or_empty(record.owner_id),
        data: record.data.into_bytes(),
        created_at: record.created_at.to_string(),
        updated_at: record.updated_at.to_string(),
        version: record.version,
    }
}

pub(crate) fn stored_collection(collection: Collection) -> v1::StoredCollection {
    v1::StoredCollection {
        id: collection.id.to_string(),
        name: collection.name.to_string(),
        label: collection.label,
        schema: collection.schema.into_bytes(),
        options: collection.options.into_bytes(),
        created_at: collection.created_at.to_string(),
        updated_at: collection.updated_at.to_string(),
    }
}

pub(crate) fn stored_user(user: User) -> v1::StoredUser {
    v1::StoredUser {
        id: user.id.to_string(),
        email: user.email,
        is_admin: user.is_admin,
        created_at: user.created_at.to_string(),
        updated_at: user.updated_at.to_string(),
    }
}

pub(crate) fn call_response(summary: CallSummary) -> v1::CallFunctionResponse {
    let status = if summary.succeeded { "succeeded" } else { "failed" };
    v1::CallFunctionResponse {
        call_id: summary.call_id.to_string(),
        status: status.to_owned(),
        output: summary.output.map(JsonBytes::into_bytes).unwrap_or_default(),
        error_message: summary.error_message.unwrap_or_default(),
        error_type: summary.error_type.unwrap_or_default(),
        duration_ms: summary.duration_ms,
    }
}

/// Reads a condition. A comparison from a later version can't be answered rightly, so it is refused.
pub(crate) fn condition(message: v1::Condition) -> Result<Condition, Status> {
    use v1::Comparison as Wire;
    let comparison = match Wire::try_from(message.comparison) {
        Ok(Wire::Unspecified | Wire::Equal) => Comparison::Equal,
        Ok(Wire::NotEqual) => Comparison::NotEqual,
        Ok(Wire::Less) => Comparison::Less,
        Ok(Wire::LessOrEqual) => Comparison::LessOrEqual,
        Ok(Wire::Greater) => Comparison::Greater,
        Ok(Wire::GreaterOrEqual) => Comparison::GreaterOrEqual,
        Ok(Wire::In) => Comparison::In,
        Err(_) => {
            return Err(Refusal::invalid(format!(
                "the condition on {:?} has comparison {}, which this server doesn't know",
                message.field, message.comparison
            ))
            .into());
        }
    };
    let value = serde_json::from_slice(&message.value).map_err(|error| {
        Refusal::invalid(format!("the value for {:?} is not JSON: {error}", message.field))
    })?;
    Ok(Condition { field: message.field, comparison, value })
}

pub(crate) fn sort_key(message: v1::SortKey) -> SortKey {
    SortKey { field: message.field, descending: message.descending }
}

/// Reads log lines. A time that can't be read is taken as now: no line is lost for its time.
pub(crate) fn log_lines(entries: Vec<v1::LogEntry>) -> Vec<LogLine> {
    let now = Timestamp::now();
    entries.into_iter().map(|entry| log_line(entry, now)).collect()
}

fn log_line(entry: v1::LogEntry, now: Timestamp) -> LogLine {
    let level = match v1::LogLevel::try_from(entry.level) {
        Ok(v1::LogLevel::Debug) => LogLevel::Debug,
        Ok(v1::LogLevel::Warning) => LogLevel::Warning,
        Ok(v1::LogLevel::Error) => LogLevel::Error,
        Ok(v1::LogLevel::Info | v1::LogLevel::Unspecified) | Err(_) => LogLevel::Info,
    };
    let message = match std::str::from_utf8(&entry.fields) {
        Ok("") | Err(_) => entry.message,
        Ok(fields) => format!("{} {fields}", entry.message),
    };
    LogLine {
        at: entry.time.parse().unwrap_or(now),
        level,
        source: LogSource::Log,
        logger: (!entry.logger.is_empty()).then_some(entry.logger),
        invocation_id: (!entry.invocation_id.is_empty()).then_some(entry.invocation_id),
        message,
    }
}
