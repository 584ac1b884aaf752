//! The rows of a create, written by one thread straight into SQLite with group commit.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions as _, Connection as _, SqliteConnection};
use tinybase_benches::load::Load;
use tinybase_benches::measure::median;
use tokio::time::Instant;

use crate::cases::{Case, Effort};
use crate::ours::{Ours, item};
use crate::table::Measurements;

/// How many rows share a commit: as many as there are clients that wait for one.
const GROUP: usize = 64;
const TABLES: [&str; 2] = [
    "create table records (id text primary key, data text not null, at integer not null) strict",
    "create table events (position integer primary key autoincrement, payload text not null) strict",
];
const RECORD: &str = "insert into records (id, data, at) values ($1, $2, $3)";
const EVENT: &str = "insert into events (payload) values ($1)";

/// Measures creates through the server against rows without one.
pub(crate) async fn measure(
    file: &Path,
    ours: &Ours,
    effort: Effort,
    into: &mut Measurements,
) -> Result<()> {
    let mut connection = SqliteConnectOptions::new()
        .filename(file)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .connect()
        .await?;
    for table in TABLES {
        sqlx::query(table).execute(&mut connection).await?;
    }
    let requests = ours.requests(Case::Create).context("creates can be measured")?;
    let load = Load {
        address: ours.address().to_owned(),
        requests: requests.bytes,
        status: requests.status,
        connections: GROUP,
        measured: effort.measured,
        process: ours.process(),
    };
    let (mut served, mut direct) = (Vec::new(), Vec::new());
    for _ in 0..effort.rounds {
        direct.push(write(&mut connection, effort.measured).await?);
        served.push(load.run().await?.rate);
    }
    let middle = |rates| median(rates, f64::total_cmp).context("nothing was measured");
    let (served, direct) = (middle(served)?, middle(direct)?);
    into.add_single("create, against one thread on SQLite", (served, direct, "/s"), (0.5, true));
    Ok(connection.close().await?)
}

async fn write(connection: &mut SqliteConnection, measured: Duration) -> Result<f64> {
    let (began, mut rows) = (Instant::now(), 0_u32);
    let data = item(7).to_string();
    while began.elapsed() < measured {
        let mut transaction = connection.begin_with("begin immediate").await?;
        for _ in 0..GROUP {
            let id = uuid::Uuid::now_v7().to_string();
            sqlx::query(RECORD)
                .bind(&id)
                .bind(&data)
                .bind(i64::from(rows))
                .execute(&mut *transaction)
                .await?;
            sqlx::query(EVENT).bind(&data).execute(&mut *transaction).await?;
            rows += 1;
        }
        transaction.commit().await?;
    }
    Ok(f64::from(rows) / began.elapsed().as_secs_f64())
}
