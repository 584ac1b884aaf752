//! What the product does: users, collections, records, functions, and who may do what with them.
//! It knows no HTTP, no SQL and no process.

mod access;
mod acting;
mod activity;
mod application_token;
mod async_call;
mod bucket;
mod bucket_client;
mod bucket_upload;
mod call_limits;
mod capability;
mod chunk_intake;
mod collection;
mod core;
mod counts;
mod credentials;
mod cursor;
mod event_log;
mod expanded;
mod expansion;
mod extension_activity;
mod extension_admin;
mod extension_setting;
mod field;
mod field_type;
mod file;
mod file_key;
mod file_signature;
mod file_storage;
mod file_sweep;
mod file_upload;
mod filter;
mod function;
mod function_call;
mod function_schema;
mod function_stream;
mod hidden;
mod hook_engine;
mod host;
mod idempotency;
mod json_schema;
mod live;
mod login;
mod mail;
mod maintenance;
mod metrics;
mod password;
mod password_change;
mod post;
mod problem;
mod record;
mod record_batch;
mod record_change;
mod record_list;
mod record_plan;
mod record_view;
mod relations;
mod rule;
mod running_call;
mod schedule;
mod schedule_sync;
mod scheduler;
mod schema;
mod search;
mod settings;
mod settings_change;
mod shelf;
#[cfg(test)]
mod tests;
mod token;
mod user;
mod user_admin;

pub use crate::core::{CallOptions, Committed, Core, CoreOptions};
pub use access::{
    AccessDenied, AccessRules, Actor, Attempt, Granted, Operation, Rule, authorize,
    authorize_admin, authorize_function, authorize_self, authorize_user, authorize_users,
};
pub use activity::{ActivityError, ActivityPage};
pub use application_token::{
    ApplicationChange, ApplicationTokenError, ApplicationTokens, CreatedApplication, NewApplication,
};
pub use async_call::{AcceptedCall, CallResult, Repeated};
pub use bucket::BucketError;
pub use capability::{Capabilities, MissingCapability};
pub use collection::{
    ChangeProblem, ChangeReport, CollectionChange, CollectionError, CollectionStatus,
    CollectionSummary, Collections, CollectionsStatus, Health, IndexStatus, NewCollection,
    ReferenceStatus, RemovedField,
};
pub use event_log::event_log;
pub use extension_activity::ActivityNoteError;
pub use extension_admin::{ExtensionAdmin, ExtensionError, HookInfo, InstalledExtension};
pub use extension_setting::{ExtensionSetting, ExtensionSettingError};
pub use file::{FileError, FileOptions, Files, SIGNED_SECONDS};
pub use file_signature::FileSignature;
pub use file_storage::{FileBytes, StorageError};
pub use file_upload::{NewFile, Upload};
pub use filter::FilterError;
pub use function::{
    CallOutcome, FunctionDetails, FunctionError, FunctionInfo, FunctionMetrics, FunctionQuery,
    FunctionSchema, Functions, Schemas,
};
pub use function_stream::{OpenedCall, Streamed, StreamedCall};
pub use hook_engine::{Approved, CallFailure, HookEngine, HookRefusal};
pub use host::{Host, ValueError};
pub use idempotency::{Claim, Claimed, KeyError, SentKey};
pub use json_schema::DataSchemas;
pub use live::{LiveError, LiveEvent, LiveQuery, LiveStream, Viewer};
pub use login::Login;
pub use mail::{
    Delivery, Letter, MAIL_TEMPLATES, MailError, MailOptions, MailSetupError, Mailer,
    PasswordResetLetter, SmtpOptions, SmtpSecurity, StationeryError, mailer,
};
pub use metrics::{CollectionRecords, FunctionStats, MetricsError, MetricsSummary};
pub use problem::{Kind, Problem};
pub use record::{LIMIT_MAX, RecordError, Records};
pub use record_batch::{BATCH_MAX, BatchError, BatchOperation, BatchOutcome, Once};
pub use record_change::{Change, Edit, Expected, Owner, RecordAddress};
pub use record_list::{CountQuery, ListQuery, Page, RecordCount, RecordList};
pub use record_view::{RecordView, ViewQuery};
pub use schedule::{
    NewSchedule, RunPage, Schedule, ScheduleChange, ScheduleError, SchedulePage, ScheduleState,
    Schedules,
};
pub use settings::{
    JobSettings, PortalSettings, SchedulerSettings, Secret, Settings, SettingsRevision,
    StorageSettings,
};
pub use settings_change::SettingsError;
pub use tinybase_store::{
    Activity, ActivityQuery, ApplicationToken, CallPage, CallQuery, CallRecord, CallStatus,
    FileBackend, FileQuery, FileQuota, RunStatus, ScheduleQuery, ScheduleRun, StoreError,
    StoredFile, Trigger, UserPage, WriterStatistics,
};
pub use token::TokenLifetimes;
pub use user::{Ensured, UserError, Users};
pub use user_admin::{AccountChange, NewAccount};
