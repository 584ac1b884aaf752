//! The database: the only SQL. One task writes, many read, and every write that is an event appends
//! it to the event log in the same transaction.
//!
//! `SQLite` and `PostgreSQL` stand behind one set of functions. Everything above this crate sees domain
//! types only; every statement goes through `sql`, where those few that differ have two texts.

mod activity;
mod application_token;
mod batch;
mod call;
mod call_log;
mod call_result;
mod cascade;
mod collection;
mod collection_removal;
mod collection_size;
mod creation;
mod database;
mod delivery;
mod error;
mod event;
mod file;
mod file_change;
mod filter;
mod group;
mod idempotency;
mod lease;
mod migration;
mod node;
mod open;
mod password_change;
mod payload;
mod record;
mod reference;
mod schedule;
mod schedule_log;
mod schedule_run;
mod search;
mod session;
mod setting;
mod sql;
mod store;
mod subscription;
mod sweep;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
#[cfg(test)]
mod tests;
mod time;
mod token;
mod transaction;
pub mod upkeep;
mod user;
mod user_admin;
mod value;
mod write;
mod writer;

pub use activity::{Activity, ActivityQuery, Deed, NewActivity, Noting};
pub use application_token::{ApplicationToken, ApplicationTokenChange, NewApplicationToken};
pub use batch::{BatchWritten, RecordWrite};
pub use call::{
    CallCounts, CallPage, CallQuery, CallRecord, CallStatus, FinishedCall, KeptResult, StartedCall,
    Trigger,
};
pub use cascade::Cascade;
pub use collection::{
    CollectionUpdate, CollectionWrite, CollectionWritten, Recheck, StoredCollection,
};
pub use collection_removal::CondemnedCollection;
pub use collection_size::CollectionSize;
pub use creation::{RecordCreation, Written};
pub use database::{BadDatabaseUrl, DatabaseUrl};
pub use error::{Refusal, StoreError};
pub use event::NewEvent;
pub use file::{FileBackend, FileQuery, FileQuota, StoredFile, UnfinishedFile};
pub use filter::{Duplicates, FieldIndex, ListError, ListHints, PageStart, RecordQuery, Scope};
pub use idempotency::{FoundKey, KeptAnswer, RequestKey, UsedKey};
pub use migration::{MigrationError, SchemaStep};
pub use node::NodeId;
pub use open::OpenError;
pub use password_change::{NewReset, PasswordChange, PasswordChanged, PasswordReset};
pub use record::{RecordChange, RecordDeletion, StoredRecord};
pub use reference::Reference;
pub use schedule::{
    QueuedRun, RunStatus, RunToStart, ScheduleDefinition, ScheduleOwner, ScheduleQuery,
    ScheduleRun, ScheduleTimes, StoredSchedule, TickKind, TickTaken, TickToTake,
};
pub use search::{MakeTerms, Refill};
pub use setting::{SettingsChange, StoredSetting};
pub use store::{Store, StoreOptions, WriterStatistics};
pub use subscription::{DeadLetter, Held, Hold, Parked, Subscriber, Subscription};
pub use time::now;
pub use token::{NewLogin, Rotation, TokenHash, TokenKind, TokenOwner, TokenPair};
pub use user::{NewUser, PasswordHash, UserCreated, UserWithPassword};
pub use user_admin::{UserChange, UserChanged, UserDeleted, UserPage};
pub use value::ValueStored;
