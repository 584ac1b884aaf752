//! Our side: the binary in a data folder, a collection, its rows, and two extensions.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tinybase_benches::load::request;
use tinybase_benches::process::ROLE as FLAG;
use tinybase_benches::serve::{Connection, Served};
use tinybase_sdk::{Auth, Context, Extension, Function, NewRecord, Patch};
use tokio::task::JoinSet;

use crate::cases::{Case, Language, Requests};
use crate::table::Measurements;

/// The role of our Rust extension's process.
pub(crate) const ROLE: &str = "compare-extension";
/// How many rows there are to read.
pub(crate) const ROWS: usize = 1_000;
/// How many records match the indexed filter.
const GROUP: usize = 20;
/// How many connections fill a collection.
const FILLING: usize = 16;
/// How many records go into a batch.
const BATCH: usize = 100;

/// A running server of ours.
#[derive(Debug)]
pub(crate) struct Ours {
    served: Served,
    /// A plain user's token.
    token: String,
    ids: Vec<String>,
    python: bool,
}

#[derive(Serialize, Deserialize)]
struct Item {
    title: String,
}

#[derive(Serialize, Deserialize, schemars::JsonSchema)]
struct Echo {
    n: i64,
}

/// Runs as the Rust extension.
pub(crate) fn extension() -> ExitCode {
    Extension::new("rust-side")
        .before_record_create("hooked_rust", async |_: Context, _: NewRecord<Item>| {
            Ok(Patch::none())
        })
        .add_function(
            Function::new("rust_echo", async |_: Context, input: Echo| Ok(input)).auth(Auth::User),
        )
        .main()
}

/// One record, as both sides get it.
pub(crate) fn item(n: usize) -> Value {
    json!({
        "title": format!("Item number {n}"),
        "body": "A record of the size that an order, a note or a message has. ".repeat(3),
        "group": format!("g{}", n / GROUP),
        "n": n,
    })
}

impl Ours {
    /// Starts a server, fills it and installs the extensions.
    pub(crate) async fn start(
        folder: &Path,
        database: Option<&str>,
        into: &mut Measurements,
    ) -> Result<Self> {
        let environment: Vec<_> =
            database.map(|url| ("TINYBASE_DB_URL", url)).into_iter().collect();
        let served = Served::start_with(folder, &environment).await?;
        let mut admin = served.connect().await?;
        for name in ["items", "hooked_rust", "hooked_python", "few", "many"] {
            let fields = json!([
                { "name": "title", "type": "string", "required": true },
                { "name": "body", "type": "string" },
                { "name": "group", "type": "string", "max_length": 100, "index": name == "few" || name == "many" },
                { "name": "n", "type": "int" },
            ]);
            let access =
                json!({ "list": "auth", "read": "auth", "create": "auth", "update": "auth" });
            let collection = json!({
                "name": name, "label": name, "schema": { "fields": fields },
                "options": { "access": access },
            });
            admin.post("/api/collections", &collection).await?;
        }
        // All connections belong to one user here, who may then have as many calls at a time.
        let limit = json!({ "max_concurrent_functions_per_user": 1_000 });
        admin.patch("/api/admin/settings", &limit).await?;
        let who = json!({ "email": "user@example.com", "password": "correct horse battery" });
        admin.post("/api/auth/register", &who).await?;
        let login = admin.post("/api/auth/login", &who).await?;
        let token = login["access_token"].as_str().context("no access token")?.to_owned();
        let mut ids = Vec::with_capacity(ROWS);
        for n in 0..ROWS {
            let created = admin.post(&records("items"), &json!({ "data": item(n) })).await?;
            ids.push(created["id"].as_str().context("no id")?.to_owned());
        }
        served.install(&rust_side(folder)?)?;
        let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("compare/python-side");
        let python = match served.install(&python) {
            Ok(()) => true,
            Err(error) => {
                into.leave_out("the Python extension", &error);
                false
            }
        };
        Ok(Self { served, token, ids, python })
    }

    pub(crate) fn address(&self) -> &str {
        self.served.address()
    }

    pub(crate) fn process(&self) -> u32 {
        self.served.process()
    }

    /// What is sent for a case; nothing if it can't be measured.
    pub(crate) fn requests(&self, case: Case) -> Option<Requests> {
        let token = Some(self.token.as_str());
        let create = |collection: &str| {
            let body = json!({ "data": item(7) }).to_string();
            (vec![request("POST", &records(collection), token, Some(&body))], 201)
        };
        let each = |make: &dyn Fn(usize, &str) -> Bytes| -> Vec<Bytes> {
            self.ids.iter().enumerate().map(|(n, id)| make(n, id)).collect()
        };
        let (bytes, status) = match case {
            Case::Get => {
                let get = |_, id: &str| request("GET", &record("items", id), token, None);
                (each(&get), 200)
            }
            Case::List => {
                let path = format!("{}?limit=20", records("items"));
                (vec![request("GET", &path, token, None)], 200)
            }
            Case::Create => create("items"),
            Case::Hooked(Language::Rust) => create("hooked_rust"),
            Case::Hooked(Language::Python) if self.python => create("hooked_python"),
            Case::Patch => {
                let patch = |n: usize, id: &str| {
                    let body = json!({ "data": { "n": n + 1 } }).to_string();
                    request("PATCH", &record("items", id), token, Some(&body))
                };
                (each(&patch), 200)
            }
            Case::Batch => {
                let body = batch("items", 0..BATCH).to_string();
                (vec![request("POST", "/api/batch", token, Some(&body))], 200)
            }
            Case::Login => {
                let who =
                    json!({ "email": "user@example.com", "password": "correct horse battery" });
                (vec![request("POST", "/api/auth/login", None, Some(&who.to_string()))], 200)
            }
            Case::Function(Language::Rust) => call("rust_echo", token),
            Case::Function(Language::Python) if self.python => call("python_echo", token),
            Case::Hooked(Language::Python) | Case::Function(Language::Python) => return None,
        };
        Some(Requests { bytes: bytes.into(), status })
    }

    /// Fills a collection and gives lists of it by the indexed field.
    pub(crate) async fn fill(&self, collection: &'static str, rows: usize) -> Result<Requests> {
        let next = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let mut fillers = JoinSet::new();
        for _ in 0..FILLING {
            let mut connection = self.served.connect().await?;
            let next = Arc::clone(&next);
            fillers.spawn(async move {
                loop {
                    let first = next.fetch_add(BATCH, std::sync::atomic::Ordering::Relaxed);
                    if first >= rows {
                        return anyhow::Ok(());
                    }
                    let last = (first + BATCH).min(rows);
                    fill(&mut connection, collection, first..last).await?;
                }
            });
        }
        while let Some(filler) = fillers.join_next().await {
            filler??;
        }
        let groups = rows / GROUP;
        let lists = (0..groups.min(1_000)).map(|n| {
            let group = n * groups / groups.min(1_000);
            let path =
                format!("{}?limit=20&filter=group%20%3D%3D%20%22g{group}%22", records(collection));
            request("GET", &path, Some(&self.token), None)
        });
        Ok(Requests { bytes: lists.collect(), status: 200 })
    }
}

async fn fill(
    connection: &mut Connection,
    collection: &str,
    rows: std::ops::Range<usize>,
) -> Result<()> {
    let body = Bytes::from(batch(collection, rows).to_string());
    let (status, answer) = connection.send("/api/batch", body).await?;
    ensure!(status.is_success(), "batch: {status} {answer:?}");
    Ok(())
}

fn batch(collection: &str, rows: std::ops::Range<usize>) -> Value {
    let operations: Vec<_> = rows
        .map(|n| json!({ "op": "create", "collection": collection, "data": item(n) }))
        .collect();
    json!({ "operations": operations })
}

fn call(name: &str, token: Option<&str>) -> (Vec<Bytes>, u16) {
    let path = format!("/api/functions/{name}");
    (vec![request("POST", &path, token, Some(r#"{"n":7}"#))], 200)
}

fn records(collection: &str) -> String {
    format!("/api/collections/{collection}/records")
}

fn record(collection: &str, id: &str) -> String {
    format!("/api/collections/{collection}/records/{id}")
}

/// Writes the folder of the Rust extension, whose program is this one.
fn rust_side(folder: &Path) -> Result<std::path::PathBuf> {
    let source = folder.join("rust-side");
    std::fs::create_dir_all(&source)?;
    let program = std::env::current_exe().context("where am I?")?.display().to_string();
    let manifest = format!(
        "[extension]\nname = \"rust-side\"\nversion = \"1.0.0\"\n\n\
         [extension.run]\ncommand = [{program:?}, {FLAG:?}, {ROLE:?}]\n\n\
         [[extension.hooks]]\nevent = \"record.create\"\nphase = \"before\"\ncollection = \"hooked_rust\"\n"
    );
    std::fs::write(source.join("extension.toml"), manifest)?;
    Ok(source)
}
