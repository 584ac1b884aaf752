//! Between protobuf and the model, both ways.

mod chunk;
mod host;
mod invocation;
mod outcome;
mod registration;

pub(crate) use chunk::{chunks, spoiled};
pub(crate) use host::{
    call_response, condition, log_lines, sort_key, stored_collection, stored_record, stored_user,
};
pub(crate) use invocation::invocation_message;
pub(crate) use outcome::outcomes;
pub(crate) use registration::registration;
