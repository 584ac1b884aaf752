//! Real processes under a real supervisor.
//!
//! This program plays every part itself, as its first argument says: the shim, an extension that
//! speaks the protocol, a server that is going to be killed, and, without any, the tests.

#![expect(clippy::expect_used, reason = "these are tests, though they bring their own `main`")]

mod claims;
mod extension;
mod host;
mod server;
mod stage;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

fn main() -> ExitCode {
    match std::env::args().nth(1).as_deref() {
        Some(tinybase_supervisor::shim::ARGUMENT) => {
            tinybase_supervisor::shim::run(std::env::args_os().skip(1))
        }
        Some(extension::ARGUMENT) => extension::play(),
        Some(server::ARGUMENT) => server::play(),
        Some(_) | None => libtest_mimic::run(&Arguments::from_args(), trials()).exit_code(),
    }
}

fn trials() -> Vec<Trial> {
    let trial = |name: &'static str, claim: fn()| {
        Trial::test(name, move || {
            claim();
            Ok(())
        })
    };
    claims::ALL.iter().map(|(name, claim)| trial(name, *claim)).collect()
}
