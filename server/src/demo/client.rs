//! The demo talks to its server as any client would: over HTTP, with a login.

use anyhow::{Context, bail};
use reqwest::Method;
use serde_json::{Value, json};

/// A logged-in client of the API.
#[derive(Debug, Clone)]
pub(super) struct Client {
    http: reqwest::Client,
    base: String,
    token: String,
}

/// An answer that isn't a success.
#[derive(Debug)]
pub(super) struct Refused {
    /// The HTTP status.
    pub(super) status: u16,
    /// The problem's `detail`.
    pub(super) detail: String,
}

impl Client {
    /// Logs in.
    pub(super) async fn login(base: &str, email: &str, password: &str) -> anyhow::Result<Self> {
        let mut client =
            Self { http: reqwest::Client::new(), base: base.to_owned(), token: String::new() };
        let credentials = json!({ "email": email, "password": password });
        let answer = client.post("/api/auth/login", &credentials).await?;
        let token = answer["access_token"].as_str().context("no access token")?;
        token.clone_into(&mut client.token);
        Ok(client)
    }

    /// Reads; a refusal is an error.
    pub(super) async fn get(&self, path: &str) -> anyhow::Result<Value> {
        self.accepted(Method::GET, path, None).await
    }

    /// Posts; a refusal is an error.
    pub(super) async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        self.accepted(Method::POST, path, Some(body)).await
    }

    /// Posts; a refusal is an answer too.
    pub(super) async fn try_post(
        &self,
        path: &str,
        body: &Value,
    ) -> anyhow::Result<Result<Value, Refused>> {
        self.send(Method::POST, path, Some(body)).await
    }

    async fn accepted(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> anyhow::Result<Value> {
        match self.send(method.clone(), path, body).await? {
            Ok(answer) => Ok(answer),
            Err(Refused { status, detail }) => bail!("{method} {path}: {status}, {detail}"),
        }
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> anyhow::Result<Result<Value, Refused>> {
        let mut request = self.http.request(method, format!("{}{path}", self.base));
        if !self.token.is_empty() {
            request = request.bearer_auth(&self.token);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request.send().await?;
        let status = response.status();
        let answer: Value = response.json().await?;
        if status.is_success() {
            return Ok(Ok(answer));
        }
        let detail = answer["detail"].as_str().unwrap_or("no detail was given").to_owned();
        Ok(Err(Refused { status: status.as_u16(), detail }))
    }
}
