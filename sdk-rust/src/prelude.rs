//! Everything that an extension usually needs: `use tinybase_sdk::prelude::*;`.
//!
//! The derives want `serde` (with its feature `derive`) and `schemars` among the extension's own
//! dependencies.

pub use std::process::ExitCode;

pub use schemars::JsonSchema;
pub use serde::{Deserialize, Serialize};
pub use serde_json::{Value, json};
pub use tracing;

pub use crate::{
    All, Auth, CallbackError, Chunks, Comparison, Context, Error, Extension, Function,
    FunctionCall, FunctionComplete, Hook, NewRecord, NewUser, Patch, Record, RecordCreate,
    RecordDelete, RecordUpdate, Result, Schedule, UserLogin, UserRegister, reject,
};
