//! Talks to the running server of a data folder, through its admin socket.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use reqwest::{Client, Method, RequestBuilder, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::net::UnixStream;

/// A running server, asked as its operator.
#[derive(Debug)]
pub(super) struct AdminClient {
    http: Client,
}

/// What a refusal looks like: RFC 9457.
#[derive(Deserialize)]
struct Problem {
    detail: Option<String>,
    title: Option<String>,
}

/// A request that the server refused.
#[derive(Debug, thiserror::Error)]
#[error("{detail}")]
pub(super) struct Refused {
    detail: String,
}

impl AdminClient {
    /// The server, if one listens on the socket.
    pub(super) async fn connect(socket: &Path) -> anyhow::Result<Option<Self>> {
        match UnixStream::connect(socket).await {
            Ok(_) => {}
            Err(error)
                if matches!(
                    error.kind(),
                    std::io::ErrorKind::NotFound | std::io::ErrorKind::ConnectionRefused
                ) =>
            {
                return Ok(None);
            }
            Err(error) => {
                return Err(error).with_context(|| {
                    format!("can't reach the server on {}; are you its user?", socket.display())
                });
            }
        }
        let socket: PathBuf = socket.to_owned();
        let http = Client::builder().unix_socket(socket).no_proxy().build();
        Ok(Some(Self { http: http.context("failed to set up the client")? }))
    }

    pub(super) async fn get<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<T> {
        read(self.request(Method::GET, path)).await
    }

    pub(super) async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &Value,
    ) -> anyhow::Result<T> {
        read(self.request(Method::POST, path).json(body)).await
    }

    pub(super) async fn patch<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &Value,
    ) -> anyhow::Result<T> {
        read(self.request(Method::PATCH, path).json(body)).await
    }

    pub(super) async fn delete(&self, path: &str) -> anyhow::Result<()> {
        send(self.request(Method::DELETE, path)).await.map(drop)
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("http://localhost{path}"))
    }
}

async fn read<T: DeserializeOwned>(request: RequestBuilder) -> anyhow::Result<T> {
    let body = send(request).await?;
    serde_json::from_slice(&body).context("the server's answer makes no sense to this version")
}

async fn send(request: RequestBuilder) -> anyhow::Result<Vec<u8>> {
    let response = request.send().await.context("the server didn't answer")?;
    let status = response.status();
    let body = response.bytes().await.context("the server's answer broke off")?;
    if status.is_success() {
        return Ok(body.to_vec());
    }
    let problem: Option<Problem> = serde_json::from_slice(&body).ok();
    match problem.and_then(|problem| problem.detail.or(problem.title)) {
        Some(detail) => Err(Refused { detail }.into()),
        None if status == StatusCode::NOT_FOUND => bail!("the server doesn't know this command"),
        None => bail!("the server answered {status}"),
    }
}
