//! Extensions against a core that does what the test tells it, over a real socket.

#![expect(clippy::expect_used, reason = "a helper that fails fails its test")]

mod fake_core;
#[expect(dead_code, reason = "the log is for another test binary")]
mod fake_host;
mod handshake;
mod harness;
mod session;
