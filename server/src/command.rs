//! The commands, each in a module of its own.

mod admin;
mod admin_client;
mod admin_token;
mod backup;
mod catalog;
mod config;
mod db;
mod extensions;
mod hooks;
mod init;
mod logs;
mod row;
mod serve;
mod templates;

use std::process::ExitCode;

use anyhow::Context as _;
use tokio::runtime::Runtime;

use crate::cli::{AdminCommand, Command, HooksCommand};
use crate::{demo, terminal};

pub(crate) use init::{Administrator, set_up};

/// Runs a command to its end.
pub(crate) fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Init(args) => small_runtime()?.block_on(init::run(args)),
        Command::Serve(args) => serve::run(&args),
        Command::Config(command) => config::run(command),
        Command::Demo(args) => demo_runtime()?.block_on(demo::run(args)),
        Command::Admin(AdminCommand::Add { email, password, data }) => {
            small_runtime()?.block_on(admin::add(&data.data, &email, password))
        }
        Command::Admin(AdminCommand::Token(command)) => {
            small_runtime()?.block_on(admin_token::run(command))
        }
        Command::Extensions(command) => small_runtime()?.block_on(extensions::run(command)),
        Command::Hooks(HooksCommand::List { common }) => {
            small_runtime()?.block_on(hooks::list(&common))
        }
        Command::Db(command) => small_runtime()?.block_on(db::run(command)),
        Command::Backup(command) => small_runtime()?.block_on(backup::run(command)),
        Command::Templates { directory, data } => {
            templates::write(&directory.unwrap_or_else(|| data.data.join("templates/emails")))
        }
        Command::Version => {
            terminal::say(&format!("TinyBase v{}", env!("CARGO_PKG_VERSION")))?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// One thread is enough for a command that only asks a server.
fn small_runtime() -> anyhow::Result<Runtime> {
    let built = tokio::runtime::Builder::new_current_thread().enable_all().build();
    built.context("failed to start the runtime")
}

fn demo_runtime() -> anyhow::Result<Runtime> {
    let built = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    built.context("failed to start the runtime")
}
