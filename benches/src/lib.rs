//! Measures what goes between the server and its extensions, as ratios within one run.
//!
//! Absolute times say little on a machine that does other things too; a ratio to something simple
//! that was measured a moment before and after says more. Of the two programs `ipc` is about
//! the protocol alone, `server` about the server around it. `docs/performance.md` says how to run
//! them and what came out.

pub mod counter;
pub mod create;
pub mod host;
pub mod inside;
pub mod ipc;
pub mod load;
pub mod measure;
pub mod process;
pub mod python;
pub mod raw;
pub mod report;
pub mod rust_extension;
pub mod serve;
pub mod server;
pub mod start;
pub mod unary;
