//! Keeps extensions running: processes, time and restarts.
//!
//! [`Supervisor`] is the handle. Each extension has one owner task, which feeds a pure machine
//! (`lifecycle`) with what happened and does what the machine says. One thread starts all
//! processes through the [`shim`]; what they write goes to their logs and never blocks them.

mod board;
mod entry;
mod environment;
mod failure;
mod guard;
mod launch;
mod lifecycle;
mod log;
mod options;
mod owner;
mod process;
mod procfs;
mod program;
mod roster;
pub mod shim;
mod spawner;
mod supervisor;
mod world;

pub use lifecycle::HealthPolicy;
pub use options::{NotSupervised, SetupError, SupervisorOptions};
pub use supervisor::Supervisor;
pub use tinybase_wire::{ChunkSink, RegisterRefusal, Registrar};
