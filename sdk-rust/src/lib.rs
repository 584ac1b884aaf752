//! The Rust SDK of TinyBase.
pub mod client;
