//! The database: the only SQL. One task writes, many read, and every write that is an event appends
//! it to the event log in the same transaction.
//!
//! It is `SQLite` today. Everything above this crate sees domain types only, and statements use `$1`
//! placeholders, so that `PostgreSQL` can stand behind the same functions.

mod call;
mod call_log;
mod collection;
mod creation;
mod delivery;
mod error;
mod event;
mod filter;
mod payload;
mod record;
mod setting;
mod store;
mod subscription;
#[cfg(test)]
mod tests;
mod time;
mod token;
mod user;
mod value;
mod write;
mod writer;

pub use call::{
    CallCounts, CallPage, CallQuery, CallRecord, CallStatus, FinishedCall, StartedCall, Trigger,
};
pub use collection::{CollectionCreated, StoredCollection};
pub use creation::{RecordCreation, Written};
pub use error::StoreError;
pub use event::NewEvent;
pub use filter::{ListError, PageStart, RecordQuery, Scope};
pub use record::{RecordChange, RecordDeletion, StoredRecord};
pub use setting::{SettingsChange, StoredSetting};
pub use store::{OpenError, Store, StoreOptions, WriterStatistics};
pub use subscription::{DeadLetter, Parked, Subscriber, Subscription};
pub use time::now;
pub use token::{NewLogin, Rotation, TokenHash, TokenKind, TokenOwner, TokenPair};
pub use user::{NewUser, PasswordHash, UserCreated, UserWithPassword};
pub use value::ValueStored;
