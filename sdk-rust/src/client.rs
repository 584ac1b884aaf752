//! The client side of the extension protocol, once, for every SDK that is built on this crate.
//!
//! [`Connection::open`] dials the core, shakes hands and registers; [`Connection::run`] hands
//! work to a [`Dispatcher`] and carries its [`Outcomes`] back. Pings and receipts are answered
//! here, by whatever thread runs the connection, and never by an author's code. [`Host`] is the
//! way to call the core back, [`ChunkSender`] the way of a result that is sent in parts. Nothing in here knows about handlers: see [`crate::Extension`].

mod chunks;
mod connection;
mod dial;
mod dispatch;
mod error;
mod host;
mod options;
mod outbox;

pub use chunks::{ChunkError, ChunkSender};
pub use connection::Connection;
pub use dispatch::Dispatcher;
pub use error::{ConnectError, HostError, HostErrorKind, RunError};
pub use host::{CallScope, Host};
pub use options::{DEFAULT_CREDIT, Options};
pub use outbox::Outcomes;
pub(crate) use outbox::{Frames, Outbox};
pub use tinybase_proto::v1;
