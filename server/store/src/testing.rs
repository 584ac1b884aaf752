//! A database of a test's own, gone with the test. Only with the feature `testing`.
//!
//! `TINYBASE_TEST_DATABASE=postgres` has [`TestDatabase::create`] make one on the server whose
//! administrative URL is in `TINYBASE_TEST_POSTGRES`; otherwise it is a file.

#![expect(clippy::expect_used, reason = "a test that has no database can only fail")]

use std::env;

use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor};
use tempfile::TempDir;
use uuid::Uuid;

use crate::DatabaseUrl;
use crate::database::Place;

/// A database of a test's own.
#[derive(Debug)]
pub struct TestDatabase {
    url: DatabaseUrl,
    kept: Kept,
}

/// What is removed with it.
#[derive(Debug)]
enum Kept {
    File { _folder: TempDir },
    Server { admin: Box<PgConnectOptions>, name: String },
}

impl TestDatabase {
    /// One of the kind that this run of the tests is about.
    ///
    /// # Panics
    /// If there can't be one.
    pub async fn create() -> Self {
        if env::var("TINYBASE_TEST_DATABASE").is_ok_and(|kind| kind == "postgres") {
            return Self::on_postgres().await.expect("TINYBASE_TEST_POSTGRES names a server");
        }
        Self::on_sqlite()
    }

    /// A file.
    ///
    /// # Panics
    /// If there can't be one.
    pub fn on_sqlite() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let url = DatabaseUrl::file(folder.path().join("test.db"));
        Self { url, kept: Kept::File { _folder: folder } }
    }

    /// A database of a server; none if the tests were given no server.
    ///
    /// # Panics
    /// If the server can't be reached.
    pub async fn on_postgres() -> Option<Self> {
        let admin: PgConnectOptions =
            env::var("TINYBASE_TEST_POSTGRES").ok()?.parse().expect("a URL of a server");
        let name = format!("test_{}", Uuid::now_v7().simple());
        // As it is recommended to operators, and not what the server happens to have.
        let create = format!("create database {name} template template0 locale 'C.UTF-8'");
        run(&admin, create).await;
        let url = DatabaseUrl { place: Place::Server(Box::new(admin.clone().database(&name))) };
        Some(Self { url, kept: Kept::Server { admin: Box::new(admin), name } })
    }

    /// Where it is.
    pub fn url(&self) -> DatabaseUrl {
        self.url.clone()
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let Kept::Server { admin, name } = &self.kept else { return };
        let (admin, name) = (admin.clone(), name.clone());
        // The test's own runtime can't be waited for from here.
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let drop = format!("drop database if exists {name} with (force)");
            runtime.expect("a runtime").block_on(run(&admin, drop));
        });
        drop(dropping.join());
    }
}

async fn run(admin: &PgConnectOptions, statement: String) {
    let mut connection = admin.connect().await.expect("a connection to the tests' server");
    connection.execute(AssertSqlSafe(statement)).await.expect("an administrative statement");
    connection.close().await.expect("an orderly end");
}
