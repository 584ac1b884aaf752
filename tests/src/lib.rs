//! What the integration tests stand on: a server of one's own, the processes it started, and
//! waiting for a state instead of for a while.

mod database;
mod left_out;
mod moto;
mod process;
mod server;
mod wait;
mod zoo;

pub use database::{PostgresDatabase, PostgresServer};
pub use left_out::leave_out;
pub use moto::Moto;
pub use process::{Process, descendants};
pub use server::{Api, TestServer, binary};
pub use wait::{wait_for, wait_until};
pub use zoo::{Zoo, checkout, copy_folder};
