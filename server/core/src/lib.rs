//! What the product does: users, collections, records, functions, and who may do what with them.
//! It knows no HTTP, no SQL and no process.

mod access;
mod capability;
mod collection;
mod core;
mod extension_admin;
mod function;
mod hook_engine;
mod problem;
mod record;
mod user;

pub use crate::core::{Committed, Core, CoreOptions};
pub use access::{
    AccessDenied, AccessRules, Actor, Attempt, Granted, Operation, Rule, authorize, authorize_admin,
};
pub use capability::{Capabilities, MissingCapability};
pub use collection::{CollectionChange, CollectionError, Collections, NewCollection};
pub use extension_admin::{ExtensionAdmin, ExtensionError, HookInfo, InstalledExtension};
pub use function::{
    CallOutcome, FunctionError, FunctionInfo, FunctionMetrics, FunctionSchema, Functions,
};
pub use hook_engine::{Approved, CallFailure, HookEngine, HookRefusal, OfferedFunction};
pub use problem::{Kind, Problem};
pub use record::{ListQuery, RecordError, RecordList, Records};
pub use tinybase_store::{CallPage, CallQuery, CallRecord, CallStatus, StoreError, Trigger};
pub use user::{Ensured, Login, UserError, Users};
