//! Measures what goes between the server and its extensions, as ratios within one run.
//!
//! Absolute times say little on a machine that does other things too; a ratio to something simple
//! that was measured a moment before and after says more. Run `ipc` with the `dist` profile:
//! `cargo run --profile dist -p tinybase-benches --bin ipc`.

pub mod host;
pub mod ipc;
pub mod measure;
pub mod process;
pub mod python;
pub mod raw;
pub mod report;
pub mod rust_extension;
pub mod start;
pub mod unary;
