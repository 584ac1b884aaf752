//! A database of a test's own on a PostgreSQL server, and such a server of a test's own.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, ensure};
use tempfile::TempDir;
use uuid::Uuid;

use crate::{checkout, leave_out};

/// The administrative URL of the server that the tests were given.
const SERVER: &str = "TINYBASE_TEST_POSTGRES";

/// A database on a server, gone with this value.
#[derive(Debug)]
pub struct PostgresDatabase {
    server: String,
    name: String,
}

impl PostgresDatabase {
    /// One on the server that the tests were given; none if they were given none.
    ///
    /// # Errors
    /// If the server refuses.
    pub fn create() -> anyhow::Result<Option<Self>> {
        let Ok(server) = std::env::var(SERVER) else {
            leave_out("what needs PostgreSQL", &format!("{SERVER} names no server"));
            return Ok(None);
        };
        Self::create_on(&server).map(Some)
    }

    /// One if this run of the tests is about PostgreSQL.
    ///
    /// # Errors
    /// If it is and there is no server, or it refuses.
    pub(crate) fn create_if_wanted() -> anyhow::Result<Option<Self>> {
        if std::env::var("TINYBASE_TEST_DATABASE").is_ok_and(|kind| kind == "postgres") {
            let database = Self::create()?;
            ensure!(database.is_some(), "TINYBASE_TEST_DATABASE=postgres needs {SERVER}");
            return Ok(database);
        }
        Ok(None)
    }

    /// One on this server.
    ///
    /// # Errors
    /// If the server refuses.
    pub fn create_on(server: &str) -> anyhow::Result<Self> {
        let name = format!("test_{}", Uuid::now_v7().simple());
        let database = Self { server: server.to_owned(), name };
        // As it is recommended to operators, and not what the server happens to have.
        psql(
            server,
            &format!("create database {} template template0 locale 'C.UTF-8'", database.name),
        )?;
        Ok(database)
    }

    /// Where it is.
    pub fn url(&self) -> String {
        let (before, _) = self.server.rsplit_once('/').unwrap_or((&self.server, ""));
        format!("{before}/{}", self.name)
    }

    /// Runs statements as its administrator and gives what they print, a line a row.
    ///
    /// # Errors
    /// If one fails.
    pub fn run(&self, sql: &str) -> anyhow::Result<String> {
        psql(&self.url(), sql)
    }
}

impl Drop for PostgresDatabase {
    #[expect(clippy::print_stderr, reason = "a test's output is where to say it")]
    fn drop(&mut self) {
        let gone =
            psql(&self.server, &format!("drop database if exists {} with (force)", self.name));
        if let Err(error) = gone {
            eprintln!("a test's database is left behind: {error}");
        }
    }
}

/// A PostgreSQL server that a test may stop and start.
#[derive(Debug)]
pub struct PostgresServer {
    folder: TempDir,
    /// Its administrative URL.
    pub url: String,
}

impl PostgresServer {
    /// Starts one, unless the tests were given none: then there are no programs for it either.
    ///
    /// # Errors
    /// If it doesn't start.
    pub fn start() -> anyhow::Result<Option<Self>> {
        if std::env::var(SERVER).is_err() {
            leave_out("what stops and starts PostgreSQL", &format!("{SERVER} names no server"));
            return Ok(None);
        }
        let folder = tempfile::tempdir()?;
        let url = script(&["start", &folder.path().display().to_string()])?;
        Ok(Some(Self { folder, url }))
    }

    /// Stops it in a mode of `pg_ctl`: `fast` ends all sessions, `immediate` is a crash.
    ///
    /// # Errors
    /// If it doesn't stop.
    pub fn stop(&self, mode: &str) -> anyhow::Result<()> {
        script(&["stop", &self.folder.path().display().to_string(), mode]).map(drop)
    }

    /// Starts it again.
    ///
    /// # Errors
    /// If it doesn't, or has another address than before.
    pub fn start_again(&self) -> anyhow::Result<()> {
        let url = script(&["start", &self.folder.path().display().to_string()])?;
        ensure!(url == self.url, "the server moved to {url}");
        Ok(())
    }
}

impl Drop for PostgresServer {
    #[expect(clippy::print_stderr, reason = "a test's output is where to say it")]
    fn drop(&mut self) {
        if let Err(error) = self.stop("immediate") {
            eprintln!("a test's PostgreSQL server was not running any more: {error}");
        }
    }
}

fn script(args: &[&str]) -> anyhow::Result<String> {
    let script: PathBuf = checkout().join("tests/postgres");
    let output = Command::new(&script).args(args).output().context("tests/postgres")?;
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let complaint = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "tests/postgres {args:?}: {complaint}");
    Ok(text)
}

fn psql(url: &str, sql: &str) -> anyhow::Result<String> {
    let output = Command::new("psql")
        .args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align"])
        .args(["--set", "ON_ERROR_STOP=1", "--dbname", url, "--command", sql])
        .output()
        .context("psql")?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{sql}: {complaint}");
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
