//! The socket: binding it, and serving the connections to it.

use std::fs::Permissions;
use std::future::Future;
use std::io;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::os::unix::net::UnixListener as StdListener;
use std::os::unix::net::UnixStream as StdStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hyper::rt::Executor;
use hyper::server::conn::http2;
use hyper_util::rt::{TokioIo, TokioTimer};
use thiserror::Error;
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, error, warn};

use crate::peer::Peer;
use crate::router::Router;
use crate::wire::Wire;

/// The most connections at a time.
const CONNECTIONS_MAX: usize = 1024;
/// The most RPCs at a time on a connection: slots and call-backs.
const STREAMS_MAX: u32 = 1024;
/// How much may be on its way in a stream before the reader has read it.
const STREAM_WINDOW: u32 = 1 << 20;
/// The same for a connection.
const CONNECTION_WINDOW: u32 = 4 << 20;
/// How long to wait when the system has no more file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How long connections get to end by themselves.
const STOP_GRACE: Duration = Duration::from_secs(1);

/// Why the socket can't be bound.
#[derive(Debug, Error)]
pub enum BindError {
    /// Another process answers on it.
    #[error("another server listens on {path}; stop it first, or use another data folder")]
    InUse {
        /// The socket file.
        path: PathBuf,
    },
    /// Something else has that name.
    #[error("{path} is in the way of the socket and isn't a socket itself; move it")]
    NotASocket {
        /// The file.
        path: PathBuf,
    },
    /// The system refused.
    #[error("failed to bind the socket {path}")]
    Bind {
        /// The socket file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// A server whose socket file is there. Connections wait until it is served.
#[derive(Debug)]
#[must_use = "connections wait until it is served"]
pub struct BoundWire {
    wire: Wire,
    listener: StdListener,
    path: PathBuf,
}

impl BoundWire {
    pub(crate) fn bind(wire: Wire, path: &Path) -> Result<Self, BindError> {
        let failed = |source| BindError::Bind { path: path.to_owned(), source };
        remove_stale(path)?;
        let listener = StdListener::bind(path).map_err(failed)?;
        std::fs::set_permissions(path, Permissions::from_mode(0o600)).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        Ok(Self { wire, listener, path: path.to_owned() })
    }

    /// Serves connections until told to stop; then ends all sessions and removes the socket file.
    pub async fn serve(self, stop: CancellationToken) {
        let listener = match UnixListener::from_std(self.listener) {
            Ok(listener) => listener,
            Err(error) => {
                error!(path = %self.path.display(), %error, "failed to listen on the socket");
                return;
            }
        };
        let server = Server::new(&self.wire);
        let mut connections = JoinSet::new();
        loop {
            // `accept` and `join_next` are cancel-safe.
            tokio::select! {
                () = stop.cancelled() => break,
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) if connections.len() < CONNECTIONS_MAX => {
                        server.connect(stream, &mut connections);
                    }
                    Ok(_) => warn!(CONNECTIONS_MAX, "too many connections; one was turned away"),
                    Err(error) => {
                        warn!(%error, "failed to accept a connection");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                },
                Some(_) = connections.join_next() => {}
            }
        }
        drop(listener);
        if let Err(error) = std::fs::remove_file(&self.path) {
            debug!(path = %self.path.display(), %error, "failed to remove the socket file");
        }
        self.wire.close_all();
        self.wire.tasks().close();
        if tokio::time::timeout(STOP_GRACE, self.wire.tasks().wait()).await.is_err() {
            debug!("connections did not end by themselves");
        }
        connections.shutdown().await;
        self.wire.tasks().wait().await;
    }
}

fn remove_stale(path: &Path) -> Result<(), BindError> {
    let failed = |source| BindError::Bind { path: path.to_owned(), source };
    match std::fs::symlink_metadata(path) {
        Ok(metadata) if !metadata.file_type().is_socket() => {
            Err(BindError::NotASocket { path: path.to_owned() })
        }
        Ok(_) if StdStream::connect(path).is_ok() => {
            Err(BindError::InUse { path: path.to_owned() })
        }
        Ok(_) => std::fs::remove_file(path).map_err(failed),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(failed(error)),
    }
}

/// What all connections share.
struct Server {
    router: Router,
    http: http2::Builder<Tracked>,
    uid: u32,
}

impl Server {
    fn new(wire: &Wire) -> Self {
        let limits = &wire.options().limits;
        let mut http = http2::Builder::new(Tracked(wire.tasks().clone()));
        http.timer(TokioTimer::new())
            .max_concurrent_streams(STREAMS_MAX)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .keep_alive_interval(limits.heartbeat_interval)
            .keep_alive_timeout(limits.heartbeat_timeout)
            .auto_date_header(false);
        Self { router: wire.router(), http, uid: rustix::process::geteuid().as_raw() }
    }

    /// Serves a connection, if it comes from the user that runs the server.
    fn connect(&self, stream: UnixStream, connections: &mut JoinSet<()>) {
        let peer = match stream.peer_cred() {
            Ok(credentials) if credentials.uid() == self.uid => Peer::new(credentials.pid()),
            Ok(credentials) => {
                warn!(uid = credentials.uid(), "turned away a connection of another user");
                return;
            }
            Err(error) => {
                warn!(%error, "turned away a connection without credentials");
                return;
            }
        };
        let service = self.router.with_peer(peer);
        let connection = self.http.serve_connection(TokioIo::new(stream), service);
        connections.spawn(async move {
            if let Err(error) = connection.await {
                debug!(%error, "a connection ended");
            }
        });
    }
}

/// Runs hyper's tasks, one for each RPC, where the server waits for them.
#[derive(Clone)]
struct Tracked(TaskTracker);

impl<F> Executor<F> for Tracked
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    fn execute(&self, task: F) {
        self.0.spawn(task);
    }
}
