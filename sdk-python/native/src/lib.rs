//! The native half of the Python SDK: the client side of the protocol and the threads that run
//! handlers. What authors see is Python, in `sdk-python/src/tinybase`.
//!
//! One thread at a time *leads*: it drives the connection and runs quick handlers itself, so that
//! a lone call costs no hand-over between threads. Another stands by, and takes the connection
//! over as soon as a handler takes long; so no handler stops the others, and no held GIL stops a
//! heartbeat. `roles.rs` has the rules, `pool.rs` the threads.

mod binding;
mod callbacks;
mod dispatcher;
mod invocation;
mod lines;
mod outcome;
mod pace;
mod pool;
mod roles;
mod session;
mod wire;

use pyo3::prelude::*;

/// `tinybase._native`.
#[pymodule(name = "_native", gil_used = true)]
mod native {
    #[pymodule_export]
    use super::callbacks::Host;
    #[pymodule_export]
    use super::invocation::Invocation;
    #[pymodule_export]
    use super::session::{Session, open};
}
