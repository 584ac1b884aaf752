//! A server of a test's own, run as its user runs it: the binary, a data folder, HTTP.

use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Output, Stdio};
use std::time::Duration;

use anyhow::{Context, ensure};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::{PostgresDatabase, Process, descendants, wait_for, wait_until};

const ADMIN_EMAIL: &str = "admin@example.com";
const ADMIN_PASSWORD: &str = "correct horse battery";

/// A program of the workspace, built beside the running test.
///
/// # Errors
/// If it isn't there; the message says which command builds it.
pub fn binary(name: &str) -> anyhow::Result<PathBuf> {
    let folder = std::env::current_exe()?
        .ancestors()
        .find(|folder| folder.file_name().is_some_and(|name| name == "deps"))
        .and_then(Path::parent)
        .map(Path::to_owned)
        .context("the test doesn't run from a target folder")?;
    let path = folder.join(name);
    ensure!(
        path.exists(),
        "{} isn't built: run `cargo build --workspace --all-targets`",
        path.display()
    );
    Ok(path)
}

/// A running server with its data folder.
#[derive(Debug)]
pub struct TestServer {
    folder: TempDir,
    environment: Vec<(String, String)>,
    /// Its database, if that isn't in the folder.
    database: Option<PostgresDatabase>,
    child: Child,
    /// Its API, with nobody logged in.
    pub api: Api,
    /// Its API as the administrator.
    pub admin: Api,
}

impl TestServer {
    /// Starts a server on a free port with an empty data folder.
    ///
    /// # Errors
    /// If it doesn't get as far as answering.
    pub async fn start() -> anyhow::Result<Self> {
        Self::start_with(&[]).await
    }

    /// The same, with variables in its environment.
    ///
    /// # Errors
    /// If it doesn't get as far as answering.
    pub async fn start_with(environment: &[(&str, &str)]) -> anyhow::Result<Self> {
        let has_one = environment.iter().any(|(key, _)| *key == "TINYBASE_DB_URL");
        let database = if has_one { None } else { PostgresDatabase::create_if_wanted()? };
        Self::start_on(database, environment).await
    }

    /// The same on a database of a PostgreSQL server.
    ///
    /// # Errors
    /// If it doesn't get as far as answering.
    pub async fn start_on(
        database: Option<PostgresDatabase>,
        environment: &[(&str, &str)],
    ) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let mut environment: Vec<_> = environment
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect();
        let url = database.as_ref().map(PostgresDatabase::url);
        environment.extend(url.map(|url| ("TINYBASE_DB_URL".to_owned(), url)));
        let init = command(folder.path(), &environment)?
            .args(["init", "--admin-email", ADMIN_EMAIL, "--admin-password", ADMIN_PASSWORD])
            .output()
            .await?;
        ensure!(init.status.success(), "init failed: {}", String::from_utf8_lossy(&init.stderr));
        let (child, api) = serve(folder.path(), &environment).await?;
        let admin = api.login(ADMIN_EMAIL, ADMIN_PASSWORD).await?;
        Ok(Self { folder, environment, database, child, api, admin })
    }

    /// Its database on a PostgreSQL server, if it has one there.
    pub const fn postgres(&self) -> Option<&PostgresDatabase> {
        self.database.as_ref()
    }

    /// The data folder.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The server's process.
    pub fn process(&self) -> Process {
        Process(self.child.id().unwrap_or(0))
    }

    /// All living processes that the server started.
    ///
    /// # Errors
    /// If `/proc` can't be read.
    pub fn children(&self) -> anyhow::Result<Vec<Process>> {
        descendants(self.process().0)
    }

    /// Runs a command of `tinybase` on this data folder.
    ///
    /// # Errors
    /// If it can't be run at all.
    pub async fn cli(&self, args: &[&str]) -> anyhow::Result<Output> {
        Ok(self.command()?.args(args).output().await?)
    }

    /// The program on this data folder, to be given a command and run by the caller.
    ///
    /// # Errors
    /// If it isn't built.
    pub fn command(&self) -> anyhow::Result<Command> {
        command(self.folder.path(), &self.environment)
    }

    /// Installs an extension and says what the command printed.
    ///
    /// # Errors
    /// If the command failed; the message has its output.
    pub async fn install(&self, source: &Path) -> anyhow::Result<String> {
        let source = source.display().to_string();
        let output = self.cli(&["extensions", "install", "--yes", &source]).await?;
        let text = format!(
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        ensure!(output.status.success(), "install {source} failed:\n{text}");
        Ok(text)
    }

    /// What the API says about an extension.
    ///
    /// # Errors
    /// If it isn't installed.
    pub async fn extension(&self, name: &str) -> anyhow::Result<Value> {
        self.admin.get(&format!("/api/admin/extensions/{name}")).await
    }

    /// Waits until an extension is in a state.
    ///
    /// # Panics
    /// If it doesn't get there in a minute.
    pub async fn wait_for_state(&self, name: &str, state: &str) -> Value {
        let what = format!("{name} becomes {state}");
        wait_for(&what, Duration::from_mins(1), || async {
            let status = self.extension(name).await.ok()?;
            (status["state"] == state).then_some(status)
        })
        .await
    }

    /// Kills the server with SIGKILL and waits until it is gone.
    ///
    /// # Errors
    /// If it is gone already.
    pub async fn kill(&mut self) -> anyhow::Result<()> {
        self.child.kill().await.context("kill the server")
    }

    /// Starts the server again on the same data folder.
    ///
    /// # Errors
    /// If it doesn't get as far as answering.
    pub async fn start_again(&mut self) -> anyhow::Result<()> {
        let (child, api) = serve(self.folder.path(), &self.environment).await?;
        self.child = child;
        self.admin = api.login(ADMIN_EMAIL, ADMIN_PASSWORD).await?;
        self.api = api;
        Ok(())
    }

    /// Waits until the server has ended by itself.
    ///
    /// # Errors
    /// If it doesn't.
    pub async fn ended(&mut self) -> anyhow::Result<ExitStatus> {
        let ended = tokio::time::timeout(Duration::from_secs(30), self.child.wait());
        Ok(ended.await.context("the server goes on")??)
    }

    /// Stops the server as Ctrl-C does, and checks that nothing is left of it.
    ///
    /// # Errors
    /// If it ended with anything but success.
    ///
    /// # Panics
    /// If one of its processes survives it.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        let children = self.children()?;
        self.process().signal(rustix::process::Signal::INT)?;
        let ended = self.ended().await?;
        ensure!(ended.success(), "the server ended with {ended}");
        wait_until("every process of the server is gone", Duration::from_secs(1), || async {
            children.iter().all(|process| !process.is_alive())
        })
        .await;
        Ok(())
    }
}

fn command(folder: &Path, environment: &[(String, String)]) -> anyhow::Result<Command> {
    let mut command = Command::new(binary("tinybase")?);
    command
        .current_dir(folder)
        // Tests log in more often than anybody else; those about limits switch them on.
        .env("TINYBASE_RATE_LIMIT_ENABLED", "false")
        .envs(environment.iter().map(|(key, value)| (key.as_str(), value.as_str())))
        .stdin(Stdio::null())
        .kill_on_drop(true);
    Ok(command)
}

async fn serve(folder: &Path, environment: &[(String, String)]) -> anyhow::Result<(Child, Api)> {
    let log =
        std::fs::OpenOptions::new().create(true).append(true).open(folder.join("server.log"))?;
    let address = folder.join("run/http.address");
    if address.exists() {
        std::fs::remove_file(&address)?;
    }
    let child = command(folder, environment)?
        .args(["serve", "--host", "127.0.0.1", "--port", "0"])
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()?;
    let base = wait_for("the server says where it listens", Duration::from_secs(30), || async {
        let text = std::fs::read_to_string(&address).ok()?;
        text.ends_with('\n').then(|| format!("http://{}", text.trim()))
    })
    .await;
    let api = Api { client: reqwest::Client::new(), base, token: None };
    wait_until("the server answers", Duration::from_secs(10), || async {
        api.send(Method::GET, "/health/live", None).await.is_ok_and(|(status, _)| status == 200)
    })
    .await;
    Ok((child, api))
}

/// A client of the API.
#[derive(Debug, Clone)]
pub struct Api {
    client: reqwest::Client,
    /// The address in front of each path.
    pub base: String,
    token: Option<String>,
}

impl Api {
    /// The same API as somebody else.
    ///
    /// # Errors
    /// If the login is refused.
    pub async fn login(&self, email: &str, password: &str) -> anyhow::Result<Self> {
        let answer =
            self.post("/api/auth/login", &json!({ "email": email, "password": password })).await?;
        let token = answer["access_token"].as_str().context("no access token")?.to_owned();
        Ok(Self { token: Some(token), ..self.clone() })
    }

    /// The same API with a token.
    #[must_use]
    pub fn with_token(&self, token: &str) -> Self {
        Self { token: Some(token.to_owned()), ..self.clone() }
    }

    /// Registers a user and logs in as that one.
    ///
    /// # Errors
    /// If either is refused.
    pub async fn register(&self, email: &str) -> anyhow::Result<Self> {
        let password = "a long enough password";
        self.post("/api/auth/register", &json!({ "email": email, "password": password })).await?;
        self.login(email, password).await
    }

    /// A request as whoever this is, to be sent by the caller.
    pub fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let request = self.client.request(method, format!("{}{path}", self.base));
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    /// Sends a request; whatever the status, gives it with the body (null if there is none).
    ///
    /// # Errors
    /// If there is no answer, or one that isn't JSON.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> anyhow::Result<(StatusCode, Value)> {
        let mut request = self.request(method, path);
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request.send().await?;
        let status = response.status();
        let bytes = response.bytes().await?;
        let body = if bytes.is_empty() { Value::Null } else { serde_json::from_slice(&bytes)? };
        Ok((status, body))
    }

    /// Reads.
    ///
    /// # Errors
    /// If the status isn't a success.
    pub async fn get(&self, path: &str) -> anyhow::Result<Value> {
        self.expect(Method::GET, path, None).await
    }

    /// Posts.
    ///
    /// # Errors
    /// If the status isn't a success.
    pub async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        self.expect(Method::POST, path, Some(body)).await
    }

    /// Changes.
    ///
    /// # Errors
    /// If the status isn't a success.
    pub async fn patch(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        self.expect(Method::PATCH, path, Some(body)).await
    }

    /// Deletes.
    ///
    /// # Errors
    /// If the status isn't a success.
    pub async fn delete(&self, path: &str) -> anyhow::Result<Value> {
        self.expect(Method::DELETE, path, None).await
    }

    /// Makes a collection whose fields are all optional strings.
    ///
    /// # Errors
    /// If it is refused.
    pub async fn make_collection(&self, name: &str, fields: &[&str]) -> anyhow::Result<Value> {
        let fields: Vec<_> =
            fields.iter().map(|field| json!({ "name": field, "type": "string" })).collect();
        let body = json!({ "name": name, "label": name, "schema": { "fields": fields } });
        self.post("/api/collections", &body).await
    }

    async fn expect(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> anyhow::Result<Value> {
        let (status, answer) = self.send(method.clone(), path, body).await?;
        ensure!(status.is_success(), "{method} {path}: {status} {answer}");
        Ok(answer)
    }
}
