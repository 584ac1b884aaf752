//! An extension on stock stubs that does on purpose, by its mode, what broken ones do by accident.
//!
//! In the mode `good`, and in all modes once they are past their misdeed, it offers functions
//! `<extension>_echo`, `_die`, `_sleep`, `_flood`, `_huge` and `_fault`, and writes one line for
//! each `record.create` in `orders` to the file named in `ZOO_OUT`.

mod link;
mod modes;

use std::process::ExitCode;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<ExitCode> {
    let mode = std::env::args().nth(1).unwrap_or_default();
    modes::run(&mode).await
}
