//! Extensions against a core that does what the test tells it, over a real socket.

mod fake_core;
mod fake_host;
mod handshake;
mod session;
