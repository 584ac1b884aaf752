//! The accept loop: HTTP/1.1 on TCP and on the admin socket, with every wait bounded.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use http::Request;
use hyper::body::Incoming;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use crate::client_address::Peer;
use crate::heads::{Doubts, Watched};
use crate::impatient::Impatient;
use crate::patience::TimelyBody;
use crate::tls::Tls;

/// Bounds of a listener.
#[derive(Debug, Clone, Copy)]
pub struct ServeOptions {
    /// The most connections at a time; further ones wait in the kernel's queue.
    pub connections_max: usize,
    /// How long a client may take to send a request's header, and to sit idle between requests.
    pub header_timeout: Duration,
    /// How long a client may send nothing of a request's body, or too little.
    pub body_timeout: Duration,
    /// How long a client may read nothing of its answer, or too little.
    pub write_timeout: Duration,
    /// How long running requests may take to end once stopping.
    pub stop_grace: Duration,
}

impl Default for ServeOptions {
    fn default() -> Self {
        Self {
            connections_max: 10_000,
            header_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(30),
            write_timeout: Duration::from_mins(1),
            stop_grace: Duration::from_secs(10),
        }
    }
}

/// Serves on TCP until `stop`, then ends running requests within the grace.
///
/// `axum::serve` isn't used because it never closes a connection whose header doesn't come.
pub async fn serve_tcp(
    listener: TcpListener,
    router: Router,
    options: ServeOptions,
    tls: Option<Arc<Tls>>,
    stop: CancellationToken,
) {
    let mut connections = Connections::new(router, options, stop);
    while let Some(accepted) = connections.next(|| listener.accept()).await {
        let (stream, peer) = accepted;
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY could not be set");
        }
        let peer = Some(Peer(peer.ip()));
        match &tls {
            None => connections.serve(async move { Some(stream) }, peer),
            Some(tls) => connections.serve(handshake(tls.acceptor(), stream), peer),
        }
    }
    // Whoever comes now is refused instead of waiting for nothing.
    drop(listener);
    connections.finish().await;
}

/// Serves on a Unix socket until `stop`, then ends running requests within the grace.
pub async fn serve_unix(
    listener: UnixListener,
    router: Router,
    options: ServeOptions,
    stop: CancellationToken,
) {
    let mut connections = Connections::new(router, options, stop);
    while let Some((stream, _)) = connections.next(|| listener.accept()).await {
        connections.serve(async move { Some(stream) }, None);
    }
    drop(listener);
    connections.finish().await;
}

/// Agrees on keys with a client; none if they can't.
async fn handshake(acceptor: TlsAcceptor, stream: TcpStream) -> Option<TlsStream<TcpStream>> {
    match acceptor.accept(stream).await {
        Ok(stream) => Some(stream),
        Err(error) => {
            tracing::debug!(%error, "a TLS handshake failed");
            None
        }
    }
}

/// The connections of one listener.
struct Connections {
    router: Router,
    options: ServeOptions,
    stop: CancellationToken,
    free: Arc<Semaphore>,
    tasks: JoinSet<()>,
}

impl Connections {
    fn new(router: Router, options: ServeOptions, stop: CancellationToken) -> Self {
        let free = Arc::new(Semaphore::new(options.connections_max));
        Self { router, options, stop, free, tasks: JoinSet::new() }
    }

    /// The next accepted connection; none once stopping.
    async fn next<T, F>(&mut self, mut accept: impl FnMut() -> F) -> Option<T>
    where
        F: Future<Output = std::io::Result<T>>,
    {
        loop {
            while self.tasks.try_join_next().is_some() {}
            let room = async {
                // The semaphore is never closed, so an error can't happen; the permit is taken
                // again in `serve`.
                drop(self.free.acquire().await);
                accept().await
            };
            let accepted = tokio::select! {
                () = self.stop.cancelled() => return None,
                accepted = room => accepted,
            };
            match accepted {
                Ok(accepted) => return Some(accepted),
                Err(error) => {
                    // Out of file descriptors, most likely: give requests time to end.
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
    }

    /// Serves what `opening` gives; it has as long as a request's header.
    fn serve<S>(
        &mut self,
        opening: impl Future<Output = Option<S>> + Send + 'static,
        peer: Option<Peer>,
    ) where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let Ok(permit) = Arc::clone(&self.free).try_acquire_owned() else { return };
        let ServeOptions { header_timeout, body_timeout, write_timeout, .. } = self.options;
        let doubts = Doubts::default();
        let raised = doubts.clone();
        let service = self.router.clone().map_request(move |mut request: Request<Incoming>| {
            if let Some(peer) = peer {
                request.extensions_mut().insert(peer);
            }
            if let Some(doubt) = doubts.about_next() {
                request.extensions_mut().insert(doubt);
            }
            request.map(|body| TimelyBody::new(body, body_timeout))
        });
        let service = TowerToHyperService::new(service);
        let stop = self.stop.clone();
        self.tasks.spawn(async move {
            let opened = tokio::select! {
                opened = tokio::time::timeout(header_timeout, opening) => opened,
                () = stop.cancelled() => return,
            };
            let Ok(Some(stream)) = opened else { return };
            let stream = Watched::new(Impatient::new(stream, write_timeout), raised);
            let connection = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(header_timeout)
                .serve_connection(TokioIo::new(stream), service);
            let mut connection = std::pin::pin!(connection);
            let ended = tokio::select! {
                ended = connection.as_mut() => ended,
                () = stop.cancelled() => {
                    connection.as_mut().graceful_shutdown();
                    connection.await
                }
            };
            if let Err(error) = ended {
                tracing::debug!(%error, "a connection ended early");
            }
            drop(permit);
        });
    }

    async fn finish(mut self) {
        let all = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(self.options.stop_grace, all).await.is_err() {
            let grace = self.options.stop_grace;
            tracing::warn!(?grace, "requests were still running and are cut off");
        }
    }
}
