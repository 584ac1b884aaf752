//! `tinybase demo`: a server, two extensions, real data, a crash and a recovery, told as it happens.

mod client;
mod dataset;
mod narrator;
mod story;

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, ensure};
use tokio::net::TcpListener;

use crate::cli::DemoArgs;
use crate::command::{Administrator, set_up};
use crate::config::{Config, ServerConfig};
use crate::data_folder::DataFolder;
use crate::server::{Server, ServerOptions, executable};
use crate::signals::StopSignals;
use crate::{telemetry, terminal};
use client::Client;
use narrator::Narrator;

/// Marks a folder as the demo's own, so that the next demo may start afresh in it.
const MARK: &str = ".tinybase-demo";

const USUAL_PORT: u16 = 8000;

/// Tells the story; then, unless asked to exit, leaves the server running until Ctrl-C.
pub(crate) async fn run(args: DemoArgs) -> anyhow::Result<ExitCode> {
    let mut signals = StopSignals::listen().context("failed to listen for signals")?;
    let examples = examples()?;
    let mut narrator = Narrator::default();
    narrator.chapter("A data folder and a server")?;
    fresh_folder(&args.data)?;
    let administrator = set_up(&args.data, None, None).await?;
    narrator.tell(&format!("data folder {}", args.data.display()))?;
    let mut server = start(&args).await?;
    let base = format!("http://{}", server.address());
    narrator.tell(&format!("server at {base}, process {}", std::process::id()))?;

    let told = tokio::select! {
        told = tell(&mut narrator, &base, &administrator, &examples, &args.data) => told.map(|()| true),
        name = signals.next() => {
            narrator.tell(&format!("{name}: stopping early"))?;
            Ok(false)
        }
    };
    let stay = matches!(told, Ok(true)) && !args.exit;
    if stay {
        show_addresses(&base, &administrator, &args.data)?;
        tokio::select! {
            _ = signals.next() => {}
            failure = server.failed() => terminal::note(&failure),
        }
    }
    narrator.chapter("The end")?;
    tokio::select! {
        () = server.stop() => {}
        name = signals.next() => anyhow::bail!("{name} again: not waiting for the rest to stop"),
    }
    narrator.tell("server and extensions are stopped")?;
    told.map(|_| ExitCode::SUCCESS)
}

async fn tell(
    narrator: &mut Narrator,
    base: &str,
    administrator: &Administrator,
    examples: &Path,
    data: &Path,
) -> anyhow::Result<()> {
    let client = Client::login(base, &administrator.email, &administrator.password).await?;
    story::tell(narrator, &client, examples, &data.join("cache/palmerpenguins")).await
}

fn show_addresses(base: &str, administrator: &Administrator, data: &Path) -> anyhow::Result<()> {
    terminal::say("")?;
    terminal::say("The server goes on until Ctrl-C:")?;
    terminal::say(&format!("   {base}/api/collections/penguins/records?limit=3"))?;
    terminal::say(&format!("   curl -X POST {base}/api/functions/heaviest_penguins"))?;
    terminal::say(&format!("   administrator {}", administrator.email))?;
    terminal::say(&format!("   one-time password {}", administrator.password))?;
    let (program, data) = (executable()?, data.display());
    terminal::say(&format!("   {} extensions list --data {data}", program.display()))?;
    Ok(())
}

/// The checkout's examples.
fn examples() -> anyhow::Result<PathBuf> {
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."));
    let examples = checkout.join("examples");
    ensure!(
        examples.join(story::PYTHON).is_dir(),
        "the demo installs two examples from a checkout of TinyBase, and there is none at {}",
        checkout.display()
    );
    Ok(examples)
}

/// An empty folder: a new one, or that of an earlier demo with everything in it removed.
fn fresh_folder(folder: &Path) -> anyhow::Result<()> {
    let mark = folder.join(MARK);
    if mark.exists() {
        // Fails while a server uses the folder.
        drop(DataFolder::new(folder)?.lock()?);
        fs::remove_dir_all(folder)
            .with_context(|| format!("failed to remove {}", folder.display()))?;
    }
    fs::create_dir_all(folder).with_context(|| format!("failed to create {}", folder.display()))?;
    let empty = fs::read_dir(folder)?.next().is_none();
    ensure!(
        empty,
        "{} isn't empty and isn't an earlier demo's; choose another with --data",
        folder.display()
    );
    fs::write(&mark, "Made by `tinybase demo`, which removes it when it runs again.\n")
        .with_context(|| format!("failed to write {}", mark.display()))
}

async fn start(args: &DemoArgs) -> anyhow::Result<Server> {
    let data = DataFolder::new(&args.data)?;
    let lock = data.lock()?;
    let mut config = Config::load(&args.data)?;
    config.server.port = match args.port {
        Some(port) => port,
        None => free_port().await,
    };
    // What extensions print belongs into their logs here; the story is on standard output.
    let quiet =
        ServerConfig { log_level: tinybase_model::LogLevel::Error, ..config.server.clone() };
    telemetry::init(&quiet)?;
    Server::start(ServerOptions { config, data, lock, safe_mode: false }).await
}

/// The usual port, or any other while somebody has it.
async fn free_port() -> u16 {
    let usual = SocketAddr::from((Ipv4Addr::LOCALHOST, USUAL_PORT));
    TcpListener::bind(usual).await.map_or(0, |_| USUAL_PORT)
}
