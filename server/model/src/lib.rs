//! Plain data that the whole server speaks of: ids, events, bindings, invocations and outcomes,
//! installed extensions and what state they are in. No I/O.

mod binding;
mod cause;
mod event;
mod extension;
mod filter;
mod host;
mod identity;
mod ids;
mod invocation;
mod json;
mod limits;
mod name;
mod plan;
mod record;
mod reference;
mod schedule;
mod scope;
mod search;
mod status;
mod strict_json;
mod timing;

pub use binding::{
    DuplicateHandler, FunctionAuth, FunctionBinding, HookBinding, HookFilter, Phase, Registration,
};
pub use cause::Cause;
pub use event::{
    CompletionEvent, Event, EventKind, FunctionEvent, LoggedEvent, Position, RecordEvent,
    UnknownEvent, UserEvent,
};
pub use extension::{
    ExtensionSpec, FunctionLimits, HookDeclaration, LifecyclePolicy, Offer, Permissions,
};
pub use filter::{Comparison, Condition, Filter, PatternPart, RecordFacts, SortKey, pattern_parts};
pub use host::{ActivityNote, CallSummary, ListRecords, RecordPage};
pub use identity::Identity;
pub use ids::{ApplicationTokenId, CallId, CollectionId, EventId, RecordId, ScheduleId, UserId};
pub use invocation::{
    Body, Fault, FieldViolation, Invocation, InvocationTarget, InvokeError, Outcome, Rejection,
};
pub use json::JsonBytes;
pub use limits::Limits;
pub use name::{ExtensionName, InvalidName};
pub use plan::{CATCH_UP_MAX, Fate, MISSED_AFTER, Plan, plan};
pub use record::{Collection, CollectionName, InvalidCollectionName, Record, User};
pub use reference::{OnDelete, ReferenceTarget, Referrer};
pub use schedule::{
    JITTER_MAX, MissedPolicy, OverlapPolicy, RUN_TIMEOUT_MAX, RunPolicy, SCHEDULE_NAME_MAX,
    ScheduleBinding, ScheduleDeclaration,
};
pub use scope::{Application, InvalidScope, Scope, Scopes, Target};
pub use search::{Search, SearchFields, SearchWord};
pub use status::{CrashReport, ExtensionState, ExtensionStatus, LogLevel, LogLine, LogSource};
pub use strict_json::{DEPTH_MAX, JsonFault, JsonFaultAt, check_json};
pub use timing::{IntervalUnit, Origin, Timing, TimingError, TimingSpec, time_zone};
