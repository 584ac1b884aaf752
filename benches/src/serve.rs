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
        std::fs::create_dir_all(folder)?;
        command(folder, &["init", "--admin-email", EMAIL, "--admin-password", PASSWORD])?;
        let log = std::fs::File::create(folder.join("server.log"))?;
        let mut serve = Command::new(tinybase()?);
        // All clients have one address here.
        serve.env("TINYBASE_RATE_LIMIT_ENABLED", "false");
        serve.current_dir(folder).args(["serve", "--host", "127.0.0.1", "--port", "0"]);
        let process = Process::start(serve.stdout(log.try_clone()?).stderr(log))?;
        let address = address(&folder.join("run/http.address")).await?;
        let nobody = Self { folder: folder.to_owned(), process, address, token: String::new() };
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
        command(&self.folder, &["extensions", "install", "--yes", extension])
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
        let request = Request::builder()
            .method(Method::POST)
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

fn command(folder: &Path, arguments: &[&str]) -> Result<()> {
    let mut command = Command::new(tinybase()?);
    let output = command.current_dir(folder).args(arguments).stdin(Stdio::null()).output()?;
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
