//! The Rust extension that is measured: one hook that approves.

use std::process::ExitCode;

use serde::Deserialize;
use tinybase_sdk::{All, Context, Extension, NewRecord, Patch, Result, reject};

use crate::host::REFUSED;

/// The role of the extension's process.
pub const ROLE: &str = "extension";

/// The data of a record, read as an author would.
#[derive(Deserialize)]
struct Note {
    text: String,
}

/// Runs until the host ends the session.
pub fn run() -> ExitCode {
    Extension::new(crate::host::NAME).before_record_create(All, approve).main()
}

async fn approve(_context: Context, event: NewRecord<Note>) -> Result<Patch> {
    if event.data.text == REFUSED {
        return Err(reject(400, "refused", "the text is refused"));
    }
    Ok(Patch::none())
}
