//! What is measured, against what, and in which order.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use bytes::Bytes;
use tinybase_benches::load::{Load, Sample};

use crate::ours::Ours;
use crate::pocketbase::PocketBase;
pub(crate) use crate::table::Measurements;
use crate::table::{Goals, Row};
use crate::{direct, start};

/// How much time is spent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Effort {
    /// How often each thing is measured, in turn. The middle one counts.
    pub(crate) rounds: usize,
    /// How long a measurement takes.
    pub(crate) measured: Duration,
    /// Whether a collection of a million records is made.
    pub(crate) million: bool,
}

/// What both sides can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Case {
    Get,
    List,
    Create,
    Patch,
    Batch,
    Login,
    Function(Language),
    Hooked(Language),
}

/// Where an extension of ours is written in; on the other side it is always its own JavaScript.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Language {
    Rust,
    Python,
}

impl Case {
    /// All of them, reading first.
    const ALL: [Self; 10] = [
        Self::Get,
        Self::List,
        Self::Function(Language::Rust),
        Self::Function(Language::Python),
        Self::Create,
        Self::Hooked(Language::Rust),
        Self::Hooked(Language::Python),
        Self::Patch,
        Self::Batch,
        Self::Login,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Get => "get by id",
            Self::List => "list 20 of 1,000",
            Self::Create => "create",
            Self::Patch => "patch",
            Self::Batch => "batch of 100 creates",
            Self::Login => "login",
            Self::Function(Language::Rust) => "function call, Rust",
            Self::Function(Language::Python) => "function call, Python",
            Self::Hooked(Language::Rust) => "create with a Rust hook",
            Self::Hooked(Language::Python) => "create with a Python hook",
        }
    }

    /// What is to be reached with 64 connections.
    const fn goals(self) -> Goals {
        let (rate, p99) = match self {
            Self::Get | Self::List | Self::Create => (Some(5.0), Some(1.0 / 3.0)),
            Self::Function(Language::Rust) => (Some(5.0), None),
            Self::Function(Language::Python) => (Some(2.5), None),
            Self::Hooked(Language::Rust) => (Some(8.0), None),
            Self::Hooked(Language::Python) => (Some(4.0), None),
            Self::Patch | Self::Batch | Self::Login => (None, None),
        };
        Goals { rate, p99 }
    }
}

/// What one side sends for a case.
#[derive(Debug, Clone)]
pub(crate) struct Requests {
    pub(crate) bytes: Arc<[Bytes]>,
    pub(crate) status: u16,
}

/// How many connections there are, in turn.
const CONNECTIONS: [usize; 3] = [1, 16, 64];

/// Measures everything.
pub(crate) async fn measure(folder: &Path, effort: Effort, into: &mut Measurements) -> Result<()> {
    let other = PocketBase::start(&folder.join("pocketbase")).await;
    let other = match other {
        Ok(other) => Some(other),
        Err(error) => {
            into.leave_out("PocketBase", &error);
            None
        }
    };
    let ours = Ours::start(&folder.join("sqlite"), None, into).await?;
    beside(&ours, other.as_ref(), "SQLite", effort, into).await?;
    direct::measure(&folder.join("direct.db"), &ours, effort, into).await?;
    if effort.million {
        million(&ours, effort, into).await?;
    }
    drop(ours);
    match std::env::var("TINYBASE_BENCH_POSTGRES") {
        Ok(url) => {
            let ours = Ours::start(&folder.join("postgres"), Some(&url), into).await?;
            beside(&ours, other.as_ref(), "PostgreSQL", effort, into).await?;
        }
        Err(_) => {
            into.note("left out: PostgreSQL; name an empty database in TINYBASE_BENCH_POSTGRES");
        }
    }
    drop(other);
    start::measure(folder, into).await
}

async fn beside(
    ours: &Ours,
    other: Option<&PocketBase>,
    store: &'static str,
    effort: Effort,
    into: &mut Measurements,
) -> Result<()> {
    for case in Case::ALL {
        for connections in CONNECTIONS {
            let Some(requests) = ours.requests(case) else { continue };
            // Password hashes are slow on purpose.
            if case == Case::Login && connections > 1 {
                continue;
            }
            let load = |address: &str, process, requests: Requests| Load {
                address: address.to_owned(),
                requests: requests.bytes,
                status: requests.status,
                connections,
                measured: effort.measured,
                process,
            };
            let mine = load(ours.address(), ours.process(), requests);
            let theirs =
                other.map(|other| load(other.address(), other.process(), other.requests(case)));
            let (mut by_us, mut by_them) = (Vec::new(), Vec::new());
            for _ in 0..effort.rounds {
                by_us.push(mine.run().await?);
                if let Some(theirs) = &theirs {
                    by_them.push(theirs.run().await?);
                }
            }
            let goals = if connections == 64 { case.goals() } else { Goals::default() };
            into.add(Row::new(case.name(), store, connections, (&by_us, &by_them), goals));
        }
    }
    Ok(())
}

/// Lists by an indexed filter of few and of many records; both have twenty that match.
async fn million(ours: &Ours, effort: Effort, into: &mut Measurements) -> Result<()> {
    let few = ours.fill("few", 1_000).await?;
    let many = ours.fill("many", 1_000_000).await?;
    let load = |requests: Requests| Load {
        address: ours.address().to_owned(),
        requests: requests.bytes,
        status: requests.status,
        connections: 1,
        measured: effort.measured,
        process: ours.process(),
    };
    let (few, many) = (load(few), load(many));
    let (mut of_few, mut of_many): (Vec<Sample>, Vec<Sample>) = (Vec::new(), Vec::new());
    for _ in 0..effort.rounds {
        of_few.push(few.run().await?);
        of_many.push(many.run().await?);
    }
    into.add_times("list by an indexed filter, 10⁶ against 10³", &of_many, &of_few, 1.5);
    Ok(())
}
