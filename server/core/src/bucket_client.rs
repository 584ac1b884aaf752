//! The HTTP client for buckets: the TLS that the server has anyway, and no wait without an end.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::stream;
use http_body_util::{BodyExt as _, StreamBody};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector as TcpConnector;
use hyper_util::client::legacy::{Client, Error as ClientError};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpRequestBody,
    HttpResponse, HttpResponseBody, HttpService,
};
use tokio::time::timeout;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto};

use crate::bucket::BucketError;

/// How long connecting may take.
const CONNECT_MAX: Duration = Duration::from_secs(3);
/// How long sending a request may take, until the answer begins. The largest one is a part of a file.
const ANSWER_MAX: Duration = Duration::from_secs(30);
/// How long the service may pause within an answer.
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// How long a connection is kept that nobody uses, and how many.
const IDLE_MAX: Duration = Duration::from_secs(30);
const IDLE_CONNECTIONS_MAX: usize = 8;

/// Gives every bucket the same client, and so the same connections.
#[derive(Debug)]
pub(crate) struct Connector(pub(crate) HttpClient);

impl HttpConnector for Connector {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(self.0.clone())
    }
}

/// A client that trusts whom the system trusts.
pub(crate) fn client() -> Result<HttpClient, BucketError> {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    let (added, _) = roots.add_parsable_certificates(found.certs);
    if added == 0 {
        tracing::warn!(
            "the system has no certificates of authorities, so that no service is reached by https"
        );
    }
    let provider = Arc::new(crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| {
            tracing::error!(%error, "TLS can't be used");
            BucketError::Settings
        })?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let mut tcp = TcpConnector::new();
    tcp.enforce_http(false);
    tcp.set_connect_timeout(Some(CONNECT_MAX));
    tcp.set_nodelay(true);
    let https = HttpsConnectorBuilder::new()
        .with_tls_config(config)
        .https_or_http()
        .enable_http1()
        .wrap_connector(tcp);
    let client = Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE_MAX)
        .pool_max_idle_per_host(IDLE_CONNECTIONS_MAX)
        .build(https);
    Ok(HttpClient::new(Patience(client)))
}

/// The client, with an end to each wait.
#[derive(Debug)]
struct Patience(Client<HttpsConnector<TcpConnector>, HttpRequestBody>);

#[async_trait]
impl HttpService for Patience {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let answered = timeout(ANSWER_MAX, self.0.request(request)).await;
        let response = answered
            .map_err(|_| late("the service didn't answer in time"))?
            .map_err(|error| HttpError::new(kind(&error), error))?;
        let (parts, body) = response.into_parts();
        let frames = stream::try_unfold(body, |mut body| async move {
            let frame = timeout(PAUSE_MAX, body.frame()).await;
            match frame.map_err(|_| late("the service stopped within its answer"))? {
                Some(Ok(frame)) => Ok(Some((frame, body))),
                Some(Err(error)) => Err(HttpError::new(HttpErrorKind::Interrupted, error)),
                None => Ok(None),
            }
        });
        Ok(HttpResponse::from_parts(parts, HttpResponseBody::new(StreamBody::new(frames))))
    }
}

fn late(what: &'static str) -> HttpError {
    HttpError::new(HttpErrorKind::Timeout, io::Error::new(io::ErrorKind::TimedOut, what))
}

/// What was wrong decides whether the request is sent again.
fn kind(error: &ClientError) -> HttpErrorKind {
    if error.is_connect() { HttpErrorKind::Connect } else { HttpErrorKind::Request }
}
