//! `tinybase serve`: a server until a signal comes.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;

use crate::cli::ServeArgs;
use crate::config::Config;
use crate::data_folder::DataFolder;
use crate::server::{Server, ServerOptions, stop_limit};
use crate::signals::{ReloadSignal, StopSignals};
use crate::{notify, telemetry, terminal};

/// What a shell reports for a process that was interrupted.
const INTERRUPTED: u8 = 130;

pub(super) fn run(args: &ServeArgs) -> anyhow::Result<ExitCode> {
    let config = Config::explain(&args.data.data, &args.flags.list())?.config;
    telemetry::init(&config.server).context("failed to set up logging")?;
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    let data = DataFolder::new(&args.data.data)?;
    let lock = data.lock()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(config.server.worker_threads.get())
        .thread_name("tinybase")
        .enable_all()
        .build()
        .context("failed to start the runtime")?;
    let options = ServerOptions { config, data, lock, safe_mode: args.safe_mode };
    let code = runtime.block_on(until_stopped(options));
    // Everything that matters was awaited; what is left may not keep the process.
    runtime.shutdown_timeout(Duration::from_millis(100));
    code
}

/// Tells systemd, if it asked to be told.
fn tell(state: &str) {
    if let Err(error) = notify::send(state) {
        tracing::warn!(%error, "systemd could not be told about {state}");
    }
}

async fn until_stopped(options: ServerOptions) -> anyhow::Result<ExitCode> {
    let mut signals = StopSignals::listen().context("failed to listen for signals")?;
    let mut reload = ReloadSignal::listen().context("failed to listen for signals")?;
    let limit = stop_limit(&options.config);
    let mut server = tokio::select! {
        server = Server::start(options) => server?,
        signal = signals.next() => {
            tracing::info!(signal, "stopped while starting");
            return Ok(ExitCode::SUCCESS);
        }
    };
    let (address, scheme) = (server.address(), server.scheme());
    terminal::say(&format!(
        "TinyBase v{} on {scheme}://{address} (Ctrl-C stops it)",
        env!("CARGO_PKG_VERSION")
    ))?;
    tracing::info!(%address, scheme, "the server takes requests");
    tell("READY=1");
    let failure = loop {
        tokio::select! {
            signal = signals.next() => {
                tracing::info!(signal, "stopping; a second signal ends the server at once");
                break None;
            }
            () = reload.next() => server.reload(),
            failure = server.failed() => {
                tracing::error!(failure, "stopping");
                break Some(failure);
            }
        }
    };
    tell("STOPPING=1");
    tokio::select! {
        ended = tokio::time::timeout(limit, server.stop()) => {
            if ended.is_ok() {
                tracing::info!("stopped");
            } else {
                tracing::error!(?limit, "stopping took too long; what is left is cut off");
            }
        }
        signal = signals.next() => {
            tracing::warn!(signal, "ended at once");
            return Ok(ExitCode::from(INTERRUPTED));
        }
    }
    match failure {
        None => Ok(ExitCode::SUCCESS),
        Some(failure) => anyhow::bail!("the server stopped because {failure}"),
    }
}
