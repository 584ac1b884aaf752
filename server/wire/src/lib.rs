//! The gRPC server on a Unix socket, and the sessions of extensions that it holds.
//!
//! Nothing else of the server names protobuf: everything is turned into `tinybase-model` types at
//! this edge. [`Wire::expect`] announces a process, [`Expected::session`] waits until it has shaken
//! hands, and [`Session::invoke`] gives it work. What a process asks of the server goes to the
//! [`HostApi`].

mod bind;
mod book;
mod chunk_sink;
mod convert;
mod core;
mod desk;
mod drain;
mod handshake;
mod host_api;
mod host_service;
mod incoming;
mod invoke;
mod outgoing;
mod peer;
mod results;
mod router;
mod seat;
mod service;
mod session;
mod stage;
mod status;
mod ticket;
mod token;
mod violation;
mod wire;
mod work;

pub use bind::{BindError, BoundWire};
pub use chunk_sink::ChunkSink;
pub use host_api::{Caller, HostApi, HostError};
pub use session::{Session, SessionHealth};
pub use ticket::{Expected, HandshakeError, RegisterRefusal, Registrar, Ticket};
pub use wire::{Wire, WireOptions};
