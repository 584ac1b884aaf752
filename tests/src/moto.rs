//! An S3-compatible service of a test's own: moto's server, with everything in its memory.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, ensure};
use reqwest::Method;
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::{checkout, wait_for};

/// Names moto's program; without it, it is looked for where `sdk-python/botowrap/check` puts it.
const PROGRAM: &str = "TINYBASE_TEST_MOTO";

/// A busy machine starts it slowly.
const START_MAX: Duration = Duration::from_mins(2);

/// A running service.
#[derive(Debug)]
pub struct Moto {
    program: PathBuf,
    folder: TempDir,
    child: Child,
    port: u16,
    client: reqwest::Client,
}

impl Moto {
    /// Starts one on a free port; none, with a message, if there is no moto on this machine.
    ///
    /// # Errors
    /// If there is one that doesn't start.
    #[expect(clippy::print_stderr, reason = "says that a test is left out")]
    pub async fn start() -> anyhow::Result<Option<Self>> {
        let named = std::env::var_os(PROGRAM).map(PathBuf::from);
        let usual = checkout().join("target/botowrap-env/bin/moto_server");
        let program = named.unwrap_or(usual);
        if !program.exists() {
            eprintln!("left out: there is no {}; {PROGRAM} can name one", program.display());
            return Ok(None);
        }
        let folder = tempfile::tempdir()?;
        let (child, port) = launch(&program, &folder, 0).await?;
        Ok(Some(Self { program, folder, child, port, client: reqwest::Client::new() }))
    }

    /// Its address.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Kills it with SIGKILL. It forgets everything.
    ///
    /// # Errors
    /// If it is gone already.
    pub async fn kill(&mut self) -> anyhow::Result<()> {
        self.child.kill().await.context("kill moto")
    }

    /// Starts it again on the same port, empty.
    ///
    /// # Errors
    /// If it doesn't start.
    pub async fn start_again(&mut self) -> anyhow::Result<()> {
        (self.child, self.port) = launch(&self.program, &self.folder, self.port).await?;
        Ok(())
    }

    /// Makes a bucket.
    ///
    /// # Errors
    /// If it is refused.
    pub async fn make_bucket(&self, name: &str) -> anyhow::Result<()> {
        self.ask(Method::PUT, name, "").await.map(drop)
    }

    /// The keys of a bucket's objects.
    ///
    /// # Errors
    /// If it doesn't answer.
    pub async fn keys(&self, bucket: &str) -> anyhow::Result<Vec<String>> {
        let list = self.ask(Method::GET, &format!("{bucket}?list-type=2"), "").await?;
        Ok(elements(&list, "Key"))
    }

    /// Uploads in parts that nobody has ended.
    ///
    /// # Errors
    /// If it doesn't answer.
    pub async fn uploads(&self, bucket: &str) -> anyhow::Result<usize> {
        let list = self.ask(Method::GET, &format!("{bucket}?uploads"), "").await?;
        Ok(elements(&list, "UploadId").len())
    }

    /// Parts that those uploads have so far.
    ///
    /// # Errors
    /// If it doesn't answer.
    pub async fn parts(&self, bucket: &str) -> anyhow::Result<usize> {
        let list = self.ask(Method::GET, &format!("{bucket}?uploads"), "").await?;
        let mut count = 0;
        for (key, id) in elements(&list, "Key").iter().zip(elements(&list, "UploadId")) {
            let path = format!("{bucket}/{key}?uploadId={id}");
            count += elements(&self.ask(Method::GET, &path, "").await?, "Part").len();
        }
        Ok(count)
    }

    /// From now on lets nobody in, or again everybody.
    ///
    /// # Errors
    /// If it doesn't answer.
    pub async fn refuse(&self, everybody: bool) -> anyhow::Result<()> {
        let actions = if everybody { "0" } else { "inf" };
        self.ask(Method::POST, "moto-api/reset-auth", actions).await.map(drop)
    }

    async fn ask(&self, method: Method, path: &str, body: &str) -> anyhow::Result<String> {
        let url = format!("{}/{path}", self.url());
        let request = self.client.request(method, url).header("content-type", "text/plain");
        let response = request.body(body.to_owned()).send().await?;
        let status = response.status();
        let text = response.text().await?;
        ensure!(status.is_success(), "{path}: {status} {text}");
        Ok(text)
    }
}

/// What is in each element of a name.
fn elements(xml: &str, name: &str) -> Vec<String> {
    let (start, end) = (format!("<{name}>"), format!("</{name}>"));
    let found = xml.split(&start).skip(1).filter_map(|rest| rest.split(&end).next());
    found.map(str::to_owned).collect()
}

async fn launch(program: &PathBuf, folder: &TempDir, port: u16) -> anyhow::Result<(Child, u16)> {
    let log = folder.path().join("moto.log");
    let out = std::fs::File::create(&log)?;
    let mut child = Command::new(program)
        .args(["-H", "127.0.0.1", "-p", &port.to_string()])
        .env("PYTHONUNBUFFERED", "1")
        .stdin(Stdio::null())
        .stdout(out.try_clone()?)
        .stderr(out)
        .kill_on_drop(true)
        .spawn()?;
    let port = wait_for("moto says where it listens", START_MAX, || {
        let text = std::fs::read_to_string(&log).unwrap_or_default();
        let ended = child.try_wait().ok().flatten();
        async move {
            assert!(ended.is_none(), "moto ended: {text}");
            let rest = text.split("Running on http://127.0.0.1:").nth(1)?;
            rest.lines().next()?.trim().parse().ok()
        }
    })
    .await;
    Ok((child, port))
}
