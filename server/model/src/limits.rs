//! Sizes and times that the server enforces on extensions.

use std::time::Duration;

/// What the core holds a session to. Sent in `Welcome`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The largest gRPC message, in bytes.
    pub message_bytes_max: usize,
    /// The largest JSON body within a message, in bytes.
    pub body_bytes_max: usize,
    /// The largest chunk of a stream, in bytes of JSON.
    pub chunk_bytes_max: usize,
    /// The most chunks of one stream that nobody has taken yet.
    pub chunk_credit: u32,
    /// The most invocations outstanding over all slots of a session.
    pub credit_max: u32,
    /// The most slots of a session.
    pub slots_max: u32,
    /// The most invocations that wait for a slot of a session.
    pub queue_max: usize,
    /// How often a session is pinged.
    pub heartbeat_interval: Duration,
    /// How long a session may be silent.
    pub heartbeat_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            message_bytes_max: 4 << 20,
            body_bytes_max: 1 << 20,
            chunk_bytes_max: 256 << 10,
            chunk_credit: 16,
            credit_max: 1024,
            slots_max: 64,
            queue_max: 1024,
            heartbeat_interval: Duration::from_secs(2),
            heartbeat_timeout: Duration::from_secs(10),
        }
    }
}
