//! The Rust extension with one durable subscription: it counts the records that were created.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Value, json};
use tinybase_sdk::{All, Extension, Function, RecordCreate};

/// The role of the extension's process.
pub const ROLE: &str = "counter";
/// The extension's name.
pub const NAME: &str = "counter";
/// The function that tells the number of events so far, and the process.
pub const COUNT: &str = "count";

/// Runs until the server ends the session.
pub fn run() -> ExitCode {
    let seen = Arc::new(AtomicU64::new(0));
    let told = Arc::clone(&seen);
    Extension::new(NAME)
        .on_record_create(All, move |_, _: RecordCreate| {
            seen.fetch_add(1, Ordering::Relaxed);
            async { Ok(()) }
        })
        .add_function(Function::new(COUNT, move |_, _: Value| {
            let count = told.load(Ordering::Relaxed);
            async move { Ok(json!({ "count": count, "process": std::process::id() })) }
        }))
        .main()
}
