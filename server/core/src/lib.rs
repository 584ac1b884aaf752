//! What the product does: users, collections, records, functions, and who may do what with them.
//! It knows no HTTP, no SQL and no process.

mod access;
mod acting;
mod capability;
mod collection;
mod core;
mod credentials;
mod event_log;
mod extension_admin;
mod field;
mod field_type;
mod function;
mod function_call;
mod function_schema;
mod hook_engine;
mod host;
mod maintenance;
mod password;
mod problem;
mod record;
mod record_change;
mod schema;
mod settings;
mod settings_change;
mod shelf;
#[cfg(test)]
mod tests;
mod token;
mod user;

pub use crate::core::{Committed, Core, CoreOptions};
pub use access::{
    AccessDenied, AccessRules, Actor, Attempt, Granted, Operation, Rule, authorize,
    authorize_admin, authorize_function, authorize_self, authorize_user, authorize_users,
};
pub use capability::{Capabilities, MissingCapability};
pub use collection::{CollectionChange, CollectionError, Collections, NewCollection};
pub use event_log::event_log;
pub use extension_admin::{ExtensionAdmin, ExtensionError, HookInfo, InstalledExtension};
pub use function::{
    CallOutcome, FunctionError, FunctionInfo, FunctionMetrics, FunctionSchema, Functions,
};
pub use hook_engine::{Approved, CallFailure, HookEngine, HookRefusal};
pub use host::{Host, ValueError};
pub use problem::{Kind, Problem};
pub use record::{ListQuery, RecordError, RecordList, Records};
pub use settings::{
    JobSettings, PortalSettings, SchedulerSettings, Secret, Settings, SettingsRevision,
    StorageSettings,
};
pub use settings_change::SettingsError;
pub use tinybase_store::{
    CallPage, CallQuery, CallRecord, CallStatus, StoreError, Trigger, WriterStatistics,
};
pub use user::{Ensured, Login, UserError, Users};
