//! The program `tinybase`: a backend server whose every extension is a supervised process of its own.

mod backup;
mod cli;
mod command;
mod config;
mod data_folder;
mod demo;
mod extensions;
mod host;
mod notify;
mod server;
mod signals;
mod telemetry;
mod terminal;

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    // Becomes an extension's process; nothing of the server may have been set up by then.
    if std::env::args_os().nth(1).is_some_and(|first| first == tinybase_supervisor::shim::ARGUMENT)
    {
        return tinybase_supervisor::shim::run(std::env::args_os().skip(1));
    }
    match command::run(cli::Cli::parse().command) {
        Ok(code) => code,
        Err(error) => {
            terminal::complain(&error);
            ExitCode::FAILURE
        }
    }
}
