//! The wire through its own door: raw generated stubs over a real Unix socket.

#![expect(clippy::expect_used, reason = "a test says what it expects, its helpers too")]

mod bind;
mod calls;
mod chunks;
mod drain;
mod fake_host;
mod handshake;
mod heartbeat;
mod host;
mod kit;
mod slots;
mod startup;
mod violations;
