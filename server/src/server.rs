//! The composition root: everything that a running server is made of, started and stopped in order.

mod no_hooks;

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use tinybase_api::{ApiOptions, RateLimits, ServeOptions, Tls, serve_tcp, serve_unix};
use tinybase_catalog::{Catalog, CatalogOptions};
use tinybase_core::{Core, CoreOptions, ExtensionAdmin};
use tinybase_hooks::Hooks;
use tinybase_model::{Limits, LogLevel};
use tinybase_store::Store;
use tinybase_supervisor::{HealthPolicy, Supervisor, SupervisorOptions};
use tinybase_wire::{BoundWire, HostApi, Wire, WireOptions};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::data_folder::{DataFolder, Lock};
use crate::extensions::{Extensions, Parts};
use crate::host::Host;

pub(crate) use no_hooks::NoHooks;

/// The protocol between server and extensions, as one file.
pub(crate) const PROTO: &str = include_str!("../../proto/tinybase/extension/v1/extension.proto");

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What a server is started with.
#[derive(Debug)]
pub(crate) struct ServerOptions {
    pub(crate) config: Config,
    pub(crate) data: DataFolder,
    /// The claim on the data folder, held as long as the server is there.
    pub(crate) lock: Lock,
    /// Whether extensions stay away.
    pub(crate) safe_mode: bool,
}

/// A running server.
#[derive(Debug)]
pub(crate) struct Server {
    address: SocketAddr,
    data: DataFolder,
    extensions: Arc<Extensions>,
    supervisor: Supervisor,
    store: Store,
    tls: Option<Arc<Tls>>,
    work: Work,
    _lock: Lock,
}

/// The tasks of a server, in the order in which they are stopped, and whether it takes requests.
#[derive(Debug)]
struct Work {
    ready: watch::Sender<bool>,
    http: Group,
    background: Group,
    delivery: Group,
    wire: Group,
}

/// Tasks that are stopped together.
#[derive(Debug, Default)]
struct Group {
    stop: CancellationToken,
    tasks: JoinSet<()>,
}

impl Group {
    /// Stops the tasks and waits for their end.
    async fn end(&mut self) {
        self.stop.cancel();
        while let Some(ended) = self.tasks.join_next().await {
            if let Err(error) = ended {
                tracing::error!(%error, "a task of the server failed");
            }
        }
    }
}

/// What everything else stands on.
struct Base {
    store: Store,
    host: Arc<Host>,
    wire: BoundWire,
    supervisor: Supervisor,
    hooks: Hooks,
    core: Core,
}

impl Server {
    /// Starts everything. When it returns, HTTP answers, and extensions are being started.
    pub(crate) async fn start(options: ServerOptions) -> anyhow::Result<Self> {
        let ServerOptions { config, data, lock, safe_mode } = options;
        let tls = tls(&config)?;
        let sockets = Sockets::bind(&config, &data).await?;
        let base = Base::build(&config, &data).await?;
        let extensions = Arc::new(extensions(&config, &data, &base, safe_mode).await?);
        base.core.refresh_settings().await.context("failed to read the settings")?;
        base.core.prepare_files().await.context("failed to prepare the folder of files")?;
        base.host.connect(base.core.clone(), base.supervisor.clone());

        let Base { store, wire, supervisor, hooks, core, .. } = base;
        let (ready, is_ready) = watch::channel(false);
        let mut work = Work {
            ready,
            http: Group::default(),
            background: Group::default(),
            delivery: Group::default(),
            wire: Group::default(),
        };
        let stop = work.wire.stop.clone();
        work.wire.tasks.spawn(async move { wire.serve(stop).await });
        let stop = work.delivery.stop.clone();
        work.delivery.tasks.spawn(async move { hooks.run(stop).await });
        let (stop, keeper) = (work.delivery.stop.clone(), core.clone());
        work.delivery.tasks.spawn(async move { keeper.maintain(stop).await });
        send_mail(&config, &data, sockets.address, &core, &mut work.delivery)?;
        let rate_limits = RateLimits::new(&config.rate_limit);
        let (stop, limits) = (work.http.stop.clone(), rate_limits.clone());
        work.http.tasks.spawn(async move { limits.tidy(stop).await });
        core.show_alive().await.context("failed to write to the database")?;
        let (stop, caller) = (work.background.stop.clone(), core.clone());
        work.background.tasks.spawn(async move { caller.run_calls(stop).await });
        let (stop, scheduler) = (work.background.stop.clone(), core.clone());
        work.background.tasks.spawn(async move { scheduler.run_schedules(stop).await });
        let router = |operator| -> Router {
            let options = ApiOptions {
                operator,
                body_bytes_max: config.limits.request_bytes_max,
                upload_bytes_max: config.core.files.upload_bytes_max,
                ready: is_ready.clone(),
                version: VERSION,
                rate_limits: rate_limits.clone(),
                trusted_proxies: config.server.trusted_proxies.clone(),
                access_log: config.server.access_log,
                allow_origins: if operator {
                    Vec::new()
                } else {
                    config.cors.allow_origins.clone()
                },
            };
            let extensions: Arc<dyn ExtensionAdmin> = Arc::clone(&extensions) as _;
            tinybase_api::router(core.clone(), extensions, options)
        };
        // With HTTP, so that the streams end before the connections are waited for.
        let (stop, teller) = (work.http.stop.clone(), core.clone());
        work.http.tasks.spawn(async move { teller.run_live(stop).await });
        let address = sockets.address;
        sockets.serve(&config, &mut work.http, [router(false), router(true)], tls.clone());
        if let Some(tls) = tls.clone() {
            let stop = work.http.stop.clone();
            work.http.tasks.spawn(async move { tls.watch(stop).await });
        }
        extensions.start_all().await;
        work.ready.send_replace(true);
        announce(&data.address_file(), address)?;
        Ok(Self { address, data, extensions, supervisor, store, tls, work, _lock: lock })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// `https` if it has a certificate.
    pub(crate) fn scheme(&self) -> &'static str {
        if self.tls.is_some() { "https" } else { "http" }
    }

    /// Reads again what can change while running: the certificate.
    pub(crate) fn reload(&self) {
        if let Some(tls) = &self.tls {
            tls.reload();
        } else {
            tracing::info!("there is no certificate to read again");
        }
    }

    /// Resolves when a part of the server that should run for ever has ended.
    pub(crate) async fn failed(&mut self) -> String {
        let Work { http, background, delivery, wire, .. } = &mut self.work;
        let (part, ended) = tokio::select! {
            Some(ended) = http.tasks.join_next() => ("HTTP", ended),
            Some(ended) = background.tasks.join_next() => ("the running of calls", ended),
            Some(ended) = delivery.tasks.join_next() => ("the delivery of events", ended),
            Some(ended) = wire.tasks.join_next() => ("the extensions' socket", ended),
        };
        match ended {
            Ok(()) => format!("{part} ended by itself"),
            Err(error) => format!("{part} failed: {error}"),
        }
    }

    /// Stops taking work, ends what is running, then stops extensions and closes the database.
    /// Every step has a bound.
    pub(crate) async fn stop(mut self) {
        self.work.ready.send_replace(false);
        remove(&self.data.address_file());
        // No schedule ticks and no call is accepted from here on; those that run may end.
        self.work.background.stop.cancel();
        // First, because a request that installs something would otherwise use up the grace.
        self.extensions.give_up();
        self.work.http.end().await;
        self.extensions.finish().await;
        // Extensions drain while their answers still count; what then is under way comes again.
        self.supervisor.shutdown().await;
        self.work.background.end().await;
        self.work.delivery.end().await;
        self.work.wire.end().await;
        self.store.close().await;
        for socket in [self.data.core_socket(), self.data.admin_socket()] {
            remove(&socket);
        }
    }
}

impl Base {
    /// Builds from the bottom: each part gets the ones below it, call-backs go through the host.
    async fn build(config: &Config, data: &DataFolder) -> anyhow::Result<Self> {
        let store =
            Store::open(config.database.options()).await.context("failed to open the database")?;
        let host = Arc::new(Host::default());
        let level: LogLevel = config.server.log_level;
        let options = WireOptions {
            limits: Limits::default(),
            server_version: VERSION.to_owned(),
            log_level: level,
        };
        let wire = Wire::new(options, Arc::clone(&host) as Arc<dyn HostApi>);
        let socket = data.core_socket();
        let bound = wire.bind(&socket)?;
        let supervisor = Supervisor::new(SupervisorOptions {
            wire,
            socket,
            shim: executable()?,
            run_folder: data.root().join("run"),
            log_folder: data.logs(),
            log_level: level,
            server_secrets: config.extensions.secrets.clone(),
            health: HealthPolicy::default(),
        })?;
        let log = tinybase_core::event_log(store.clone());
        let hooks = Hooks::new(supervisor.clone(), log, config.extensions.hooks);
        let options = CoreOptions { home: data.identity()?, ..config.core.clone() };
        let core = Core::new(options, store.clone(), Arc::new(hooks.clone()));
        if let Err(error) = core.repair_collections().await {
            let error = &error as &dyn std::error::Error;
            tracing::error!(error, "the collections are not in order");
        }
        Ok(Self { store, host, wire: bound, supervisor, hooks, core })
    }
}

/// Begins to send letters. Links in them begin with the configured address, or else with the one that
/// the server listens on.
fn send_mail(
    config: &Config,
    data: &DataFolder,
    address: SocketAddr,
    core: &Core,
    group: &mut Group,
) -> anyhow::Result<()> {
    let public_url = config.server.public_url.clone().unwrap_or_else(|| {
        let host = match address.ip() {
            ip if ip.is_unspecified() => "localhost".to_owned(),
            std::net::IpAddr::V6(ip) => format!("[{ip}]"),
            std::net::IpAddr::V4(ip) => ip.to_string(),
        };
        let scheme = if config.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{host}:{}", address.port())
    });
    let mailer = tinybase_core::mailer(config.mail.options(data.root(), &public_url))
        .context("failed to set up mail")?;
    let (stop, core) = (group.stop.clone(), core.clone());
    group.tasks.spawn(async move { core.send_mail(mailer, stop).await });
    Ok(())
}

/// The certificate that HTTPS is served with, if there is one.
fn tls(config: &Config) -> anyhow::Result<Option<Arc<Tls>>> {
    let Some(files) = &config.tls else { return Ok(None) };
    let tls = Tls::load(&files.certificate, &files.key).context("[server.tls] can't be used")?;
    Ok(Some(Arc::new(tls)))
}

/// This program, also after it was replaced on the disk.
pub(crate) fn executable() -> anyhow::Result<PathBuf> {
    std::env::current_exe().context("failed to find this program's own file")
}

/// The catalog of a data folder.
pub(crate) fn open_catalog(data: &Path) -> anyhow::Result<Catalog> {
    let options = CatalogOptions { data: data.to_owned(), executable: executable()?, proto: PROTO };
    Ok(Catalog::open(options)?)
}

/// Reads what is installed, so that the before-hooks that manifests declare hold from the first
/// request on.
async fn extensions(
    config: &Config,
    data: &DataFolder,
    base: &Base,
    safe_mode: bool,
) -> anyhow::Result<Extensions> {
    let folder = data.root().to_owned();
    let catalog = tokio::task::spawn_blocking(move || {
        let catalog = open_catalog(&folder)?;
        catalog.sweep()?;
        anyhow::Ok(catalog)
    });
    let parts = Parts {
        catalog: catalog.await.context("opening the catalog failed")??,
        supervisor: base.supervisor.clone(),
        hooks: base.hooks.clone(),
        host: Arc::clone(&base.host),
        times: config.extensions.hooks,
        asleep: safe_mode || !config.extensions.enabled,
    };
    Extensions::load(parts).await.context("failed to read which extensions are installed")
}

/// The sockets that HTTP comes in by. They are bound first: a port that is taken is the most
/// common reason for a server not to start.
struct Sockets {
    address: SocketAddr,
    tcp: TcpListener,
    admin: UnixListener,
}

impl Sockets {
    async fn bind(config: &Config, data: &DataFolder) -> anyhow::Result<Self> {
        let wanted = SocketAddr::new(config.server.host, config.server.port);
        let tcp = TcpListener::bind(wanted).await.with_context(|| {
            format!("can't listen on {wanted}; choose another port with --port or [server] port")
        })?;
        let address = tcp.local_addr().context("failed to read the address")?;
        let path = data.admin_socket();
        remove(&path);
        let admin = UnixListener::bind(&path)
            .with_context(|| format!("failed to bind {}", path.display()))?;
        // The folder is private already; this holds even if somebody opens it.
        let private = <fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o600);
        fs::set_permissions(&path, private)
            .with_context(|| format!("failed to protect {}", path.display()))?;
        Ok(Self { address, tcp, admin })
    }

    fn serve(
        self,
        config: &Config,
        http: &mut Group,
        [public, operator]: [Router; 2],
        tls: Option<Arc<Tls>>,
    ) {
        let options = ServeOptions {
            connections_max: config.limits.connections_max,
            header_timeout: config.limits.header_timeout,
            body_timeout: config.limits.body_timeout,
            write_timeout: config.limits.write_timeout,
            stop_grace: config.limits.stop_grace,
        };
        // The operator gets through when clients hold every connection that they may have.
        let few = ServeOptions { connections_max: 64, ..options };
        let stop = http.stop.clone();
        http.tasks.spawn(serve_tcp(self.tcp, public, options, tls, stop));
        let stop = http.stop.clone();
        http.tasks.spawn(serve_unix(self.admin, operator, few, stop));
    }
}

/// Writes the address to a file, whole or not at all, for whoever started us on port 0.
fn announce(path: &Path, address: SocketAddr) -> anyhow::Result<()> {
    let context = || format!("failed to write {}", path.display());
    let fresh = path.with_extension("fresh");
    fs::write(&fresh, format!("{address}\n")).with_context(context)?;
    fs::rename(&fresh, path).with_context(context)
}

fn remove(path: &Path) {
    match fs::remove_file(path) {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => tracing::warn!(path = %path.display(), %error, "a file could not be removed"),
    }
}

/// The longest that [`Server::stop`] takes: requests, then extensions, then the rest.
pub(crate) fn stop_limit(config: &Config) -> Duration {
    config.limits.stop_grace + Duration::from_mins(2)
}
