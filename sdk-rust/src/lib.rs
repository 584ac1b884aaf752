#![doc = include_str!("../README.md")]

pub mod client;
pub mod log;
pub mod prelude;
pub mod testing;

mod callbacks;
mod chunks;
mod context;
mod error;
mod event;
mod extension;
mod function;
mod handler;
mod hook;
mod patch;
mod run;
mod schedule;
mod worker;

pub use chunks::Chunks;
pub use context::{
    Activity, CallbackError, Comparison, Context, Functions, Identity, Page, Query, Record,
    Records, User, Users, Values,
};
pub use error::{Error, Result, reject};
pub use event::{
    FunctionCall, FunctionComplete, FunctionFailure, NewRecord, NewUser, RecordCreate,
    RecordDelete, RecordUpdate, UserLogin, UserRegister,
};
pub use extension::{Extension, SetupError};
pub use function::{Auth, Function};
pub use hook::{All, Filter, Hook};
pub use patch::Patch;
pub use run::ExtensionError;
pub use schedule::{Missed, Overlap, Schedule};

pub use {schemars, serde, serde_json, tracing};
