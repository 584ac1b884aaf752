//! The database: the only SQL. One task writes, many read, and every write that is an event appends
//! it to the event log in the same transaction.

mod call;
mod error;
mod store;

pub use call::{CallPage, CallQuery, CallRecord, CallStatus, Trigger};
pub use error::StoreError;
pub use store::Store;
