//! A server as its user runs it: the binary, a data folder, HTTP.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::process::Process;

const EMAIL: &str = "admin@example.com";
const PASSWORD: &str = "correct horse battery";
/// How long the server may take until it says where it listens.
const START_TIMEOUT: Duration = Duration::from_secs(30);

/// A running server with its data folder.
#[derive(Debug)]
pub struct Served {
    folder: PathBuf,
    environment: Vec<(String, String)>,
    process: Process,
    address: String,
    token: String,
}

/// One connection to a server, as the administrator.
#[derive(Debug)]
pub struct Connection {
    sender: SendRequest<Full<Bytes>>,
    token: String,
    /// Moves the bytes; it ends with the connection.
    _driver: JoinSet<()>,
}

impl Served {
    /// Starts a server in an empty folder.
    ///
    /// # Errors
    /// If it doesn't get as far as answering.
    pub async fn start(folder: &Path) -> Result<Self> {
        Self::start_with(folder, &[]).await
    }

    /// The same with variables in its environment.
    ///
    /// # Errors
    /// If it doesn't get as far as answering.
    pub async fn start_with(folder: &Path, environment: &[(&str, &str)]) -> Result<Self> {
        let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        let environment: Vec<_> = environment.iter().map(owned).collect();
        initialize(folder, &environment)?;
        let mut serve = serve(folder, "127.0.0.1:0")?;
        // All clients have one address here.
        serve.env("TINYBASE_RATE_LIMIT_ENABLED", "false");
        serve.envs(environment.iter().cloned());
        let process = Process::start(&mut serve)?;
        let address = address(&folder.join("run/http.address")).await?;
        let folder = folder.to_owned();
        let nobody = Self { folder, environment, process, address, token: String::new() };
        let who = json!({ "email": EMAIL, "password": PASSWORD });
        let answer = nobody.connect().await?.post("/api/auth/login", &who).await?;
        let token = answer["access_token"].as_str().context("no access token")?.to_owned();
        Ok(Self { token, ..nobody })
    }

    /// Installs an extension.
    ///
    /// # Errors
    /// If it is refused.
    pub fn install(&self, extension: &Path) -> Result<()> {
        let extension = extension.to_str().context("a path isn't valid UTF-8")?;
        let arguments = ["extensions", "install", "--yes", extension];
        command(&self.folder, &self.environment, &arguments)
    }

    /// Where it listens.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Its process.
    pub fn process(&self) -> u32 {
        self.process.id()
    }

    /// A connection of its own.
    ///
    /// # Errors
    /// If the server doesn't take it.
    pub async fn connect(&self) -> Result<Connection> {
        let stream = TcpStream::connect(&self.address).await.context("failed to connect")?;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        let mut driver = JoinSet::new();
        // A connection that breaks fails the request that is under way.
        driver.spawn(async move { drop(connection.await) });
        Ok(Connection { sender, token: self.token.clone(), _driver: driver })
    }
}

impl Connection {
    /// Posts and reads the answer.
    ///
    /// # Errors
    /// If it isn't a success.
    pub async fn post(&mut self, path: &str, body: &Value) -> Result<Value> {
        let (status, answer) = self.send(path, Bytes::from(body.to_string())).await?;
        ensure!(status.is_success(), "{path}: {status} {answer:?}");
        Ok(serde_json::from_slice(&answer)?)
    }

    /// Posts bytes.
    ///
    /// # Errors
    /// If there is no answer.
    pub async fn send(&mut self, path: &str, body: Bytes) -> Result<(StatusCode, Bytes)> {
        self.exchange(Method::POST, path, body).await
    }

    /// Changes something.
    ///
    /// # Errors
    /// If the answer isn't a success.
    pub async fn patch(&mut self, path: &str, body: &Value) -> Result<()> {
        let body = Bytes::from(body.to_string());
        let (status, answer) = self.exchange(Method::PATCH, path, body).await?;
        ensure!(status.is_success(), "{path}: {status} {answer:?}");
        Ok(())
    }

    async fn exchange(
        &mut self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<(StatusCode, Bytes)> {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "localhost")
            .header("content-type", "application/json");
        let request = if self.token.is_empty() {
            request
        } else {
            request.header("authorization", format!("Bearer {}", self.token))
        };
        self.sender.ready().await?;
        let response = self.sender.send_request(request.body(Full::new(body))?).await?;
        let status = response.status();
        Ok((status, response.into_body().collect().await?.to_bytes()))
    }
}

/// The server's binary beside this one.
fn tinybase() -> Result<PathBuf> {
    let path = std::env::current_exe().context("where am I?")?.with_file_name("tinybase");
    ensure!(path.exists(), "{} isn't built; build it with the same profile", path.display());
    Ok(path)
}

/// Sets up a data folder.
///
/// # Errors
/// If that fails.
pub fn initialize(folder: &Path, environment: &[(String, String)]) -> Result<()> {
    std::fs::create_dir_all(folder)?;
    let arguments = ["init", "--admin-email", EMAIL, "--admin-password", PASSWORD];
    command(folder, environment, &arguments)
}

/// The command that serves a data folder at an address; what it prints goes into `server.log`.
///
/// # Errors
/// If the binary isn't there.
pub fn serve(folder: &Path, address: &str) -> Result<Command> {
    let log = std::fs::File::create(folder.join("server.log"))?;
    let (host, port) = address.rsplit_once(':').context("an address has a port")?;
    let mut serve = Command::new(tinybase()?);
    serve.current_dir(folder).args(["serve", "--host", host, "--port", port]);
    serve.stdout(log.try_clone()?).stderr(log);
    Ok(serve)
}

fn command(folder: &Path, environment: &[(String, String)], arguments: &[&str]) -> Result<()> {
    let mut command = Command::new(tinybase()?);
    command.current_dir(folder).args(arguments).envs(environment.iter().cloned());
    let output = command.stdin(Stdio::null()).output()?;
    let words = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "tinybase {arguments:?}: {words}");
    Ok(())
}

async fn address(file: &Path) -> Result<String> {
    let deadline = Instant::now() + START_TIMEOUT;
    loop {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        if let Some(address) = text.strip_suffix('\n') {
            return Ok(address.to_owned());
        }
        ensure!(Instant::now() < deadline, "the server doesn't say where it listens");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
