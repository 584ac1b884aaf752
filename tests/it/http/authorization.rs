//! Who may do what, through the door that clients use: generated cases against a table of their own.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use futures_util::future::try_join_all;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tinybase_tests::{Api, TestServer};

/// Who asks: nobody, the owner of some records, another user, an administrator, programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Anonymous,
    Owner,
    Other,
    Admin,
    Reader,
    Writer,
    Stranger,
}

const ROLES: [Role; 7] = [
    Role::Anonymous,
    Role::Owner,
    Role::Other,
    Role::Admin,
    Role::Reader,
    Role::Writer,
    Role::Stranger,
];

/// A record: whose it is, and its status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Sample {
    owner: Role,
    status: &'static str,
}

type Meaning = fn(Role, Sample, bool) -> bool;

fn is_user(role: Role) -> bool {
    matches!(role, Role::Owner | Role::Other)
}

/// The rules and what they mean: of who asks, a record, and whether it is being created.
const RULES: [(&str, Meaning); 6] = [
    ("public", |_, _, _| true),
    ("auth", |role, _, _| is_user(role)),
    ("owner", |role, record, new| is_user(role) && (new || record.owner == role)),
    ("admin", |_, _, _| false),
    ("record.status == 'open'", |_, record, _| record.status == "open"),
    ("record.status == 'open' || record.owner_id == user.id", |role, record, _| {
        record.status == "open" || (is_user(role) && record.owner == role)
    }),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operation {
    List,
    Read,
    Create,
    Update,
    Delete,
}

impl Operation {
    const ALL: [Self; 5] = [Self::List, Self::Read, Self::Create, Self::Update, Self::Delete];

    const fn word(self) -> &'static str {
        match self {
            Self::List => "list",
            Self::Read => "read",
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
        }
    }
}

/// Another rule for each operation.
fn rule(first: usize, operation: Operation) -> (&'static str, Meaning) {
    RULES[(first + operation as usize) % RULES.len()]
}

fn samples() -> Vec<Sample> {
    let owners = [Role::Owner, Role::Other, Role::Admin];
    let each = |owner| ["open", "closed"].map(|status| Sample { owner, status });
    owners.into_iter().flat_map(each).collect()
}

/// The status that an operation has to end with; 0 is a success.
fn expected(first: usize, role: Role, operation: Operation, record: Sample) -> u16 {
    let writes = !matches!(operation, Operation::List | Operation::Read);
    match role {
        Role::Admin => return 0,
        Role::Reader => return if writes { 403 } else { 0 },
        Role::Writer => return if writes { 0 } else { 403 },
        Role::Stranger => return 403,
        Role::Anonymous | Role::Owner | Role::Other => {}
    }
    let new = operation == Operation::Create;
    let allows = |operation, record| rule(first, operation).1(role, record, new);
    let refused = if writes && role == Role::Anonymous { 401 } else { 403 };
    if !samples().into_iter().any(|other| allows(operation, other)) {
        return refused;
    }
    let is_seen = operation != Operation::Read && allows(Operation::Read, record);
    match allows(operation, record) {
        true => 0,
        false if new || is_seen => refused,
        false => 404,
    }
}

/// What an answer comes to for the oracle.
fn ended(status: StatusCode) -> u16 {
    if status.is_success() { 0 } else { status.as_u16() }
}

/// A way to one record: by itself with a method, or in a batch.
#[derive(Debug, Clone)]
enum Way {
    Alone(Method, Operation),
    Batch(&'static str, Operation),
}

impl Way {
    /// All of them; each of the last two has records of its own, since they go.
    const fn all() -> [Self; 9] {
        [
            Self::Alone(Method::GET, Operation::Read),
            Self::Alone(Method::POST, Operation::Create),
            Self::Alone(Method::PATCH, Operation::Update),
            Self::Alone(Method::PUT, Operation::Update),
            Self::Batch("create", Operation::Create),
            Self::Batch("update", Operation::Update),
            Self::Batch("replace", Operation::Update),
            Self::Alone(Method::DELETE, Operation::Delete),
            Self::Batch("delete", Operation::Delete),
        ]
    }

    const fn operation(&self) -> Operation {
        let (Self::Alone(_, operation) | Self::Batch(_, operation)) = self;
        *operation
    }

    /// Goes it.
    async fn go(&self, api: &Api, name: &str, id: &str, sample: Sample) -> Result<u16> {
        let operation = self.operation();
        let data = json!({ "status": sample.status });
        let (method, path, body) = match self {
            Self::Alone(method, _) => {
                let records = format!("/api/collections/{name}/records");
                let is_new = operation == Operation::Create;
                let path = if is_new { records } else { format!("{records}/{id}") };
                let has_body = !matches!(operation, Operation::Read | Operation::Delete);
                (method.clone(), path, has_body.then(|| json!({ "data": data })))
            }
            Self::Batch(op, _) => {
                let mut body = json!({ "op": op, "collection": name });
                if operation != Operation::Create {
                    body["id"] = json!(id);
                }
                if operation != Operation::Delete {
                    body["data"] = data;
                }
                let body = json!({ "operations": [body] });
                (Method::POST, "/api/batch".to_owned(), Some(body))
            }
        };
        Ok(ended(api.send(method, &path, body.as_ref()).await?.0))
    }
}

/// A server with somebody for each role.
struct Door {
    server: TestServer,
    /// In the order of the roles.
    apis: Vec<Api>,
}

/// One role in one collection.
struct Round<'a> {
    door: &'a Door,
    role: Role,
    first: usize,
    name: &'a str,
}

impl Door {
    async fn open() -> Result<Self> {
        let server = TestServer::start().await?;
        let owner = server.api.register("owner@example.com").await?;
        let other = server.api.register("other@example.com").await?;
        let mut apis = vec![server.api.clone(), owner, other, server.admin.clone()];
        for scope in ["records:read:*", "records:write:*", "users:read"] {
            let body = json!({ "name": "program", "scopes": [scope] });
            let made = server.admin.post("/api/admin/application-tokens", &body).await?;
            apis.push(server.api.with_token(made["token_value"].as_str().context("a token")?));
        }
        server.admin.make_collection("sentinel", &["status"]).await?;
        Ok(Self { server, apis })
    }

    fn api(&self, role: Role) -> &Api {
        &self.apis[role as usize]
    }
}

impl Round<'_> {
    async fn run(&self) -> Result<usize> {
        let fields = json!([{ "name": "status", "type": "string" }]);
        let body = json!({ "name": self.name, "label": "c", "schema": { "fields": fields } });
        self.door.server.admin.post("/api/collections", &body).await?;
        let sets = try_join_all((0..3).map(|_| self.fill())).await?;
        self.set_rules().await?;
        let mut cases = self.lists(&sets).await? + self.stream(&sets[0]).await?;
        for way in Way::all() {
            let ids = match &way {
                Way::Alone(Method::DELETE, _) => &sets[1],
                Way::Batch("delete", _) => &sets[2],
                Way::Alone(..) | Way::Batch(..) => &sets[0],
            };
            cases += self.try_way(&way, ids).await?;
        }
        Ok(cases)
    }

    /// Records as the samples have them, created by their owners while they may.
    async fn fill(&self) -> Result<Vec<String>> {
        let path = format!("/api/collections/{}/records", self.name);
        let created = samples().into_iter().map(async |sample| {
            let body = json!({ "data": { "status": sample.status } });
            let record = self.door.api(sample.owner).post(&path, &body).await?;
            record["id"].as_str().map(str::to_owned).context("an id")
        });
        try_join_all(created).await
    }

    async fn set_rules(&self) -> Result<()> {
        let access = Operation::ALL
            .map(|operation| (operation.word().to_owned(), rule(self.first, operation).0.into()));
        let access: serde_json::Map<String, Value> = access.into_iter().collect();
        let change = json!({ "options": { "access": access } });
        let path = format!("/api/collections/{}", self.name);
        self.door.server.admin.patch(&path, &change).await.map(drop)
    }

    /// Tries a way with each sample. What one creates is one's own.
    async fn try_way(&self, way: &Way, ids: &[String]) -> Result<usize> {
        for (sample, id) in samples().into_iter().zip(ids) {
            let found = way.go(self.door.api(self.role), self.name, id, sample).await?;
            let is_new = way.operation() == Operation::Create;
            let record = if is_new { Sample { owner: self.role, ..sample } } else { sample };
            let wanted = expected(self.first, self.role, way.operation(), record);
            ensure!(
                found == wanted,
                "{way:?} {:?} rules {} {record:?}: {found}, not {wanted}",
                self.role,
                self.first
            );
        }
        Ok(ids.len())
    }

    /// Which of these are in a list; none if there is no list.
    fn listed(&self, ids: &[String]) -> Option<BTreeSet<String>> {
        let is_listed = |sample: &Sample| match self.role {
            Role::Admin | Role::Reader => true,
            Role::Writer | Role::Stranger => false,
            Role::Anonymous | Role::Owner | Role::Other => {
                rule(self.first, Operation::List).1(self.role, *sample, false)
            }
        };
        let seen = samples().into_iter().zip(ids).filter(|(sample, _)| is_listed(sample));
        let seen = seen.map(|(_, id)| id.clone()).collect();
        samples().iter().any(is_listed).then_some(seen)
    }

    async fn lists(&self, sets: &[Vec<String>]) -> Result<usize> {
        let ids: Vec<_> = sets.concat();
        let wanted: Option<BTreeSet<String>> = sets
            .iter()
            .map(|set| self.listed(set))
            .collect::<Option<Vec<_>>>()
            .map(|sets| sets.into_iter().flatten().collect());
        let api = self.door.api(self.role);
        let path = format!("/api/collections/{}/records", self.name);
        let (status, list) = api.send(Method::GET, &path, None).await?;
        let found = status.is_success().then(|| ids_of(list["records"].as_array()));
        ensure!(found == wanted, "the list {:?} rules {}: {list}", self.role, self.first);
        let (status, count) = api.send(Method::GET, &format!("{path}/count"), None).await?;
        let found = status.is_success().then(|| count["count"].as_u64());
        let wanted = wanted.map(|wanted| Some(wanted.len() as u64));
        ensure!(found == wanted, "the count {:?} rules {}: {count}", self.role, self.first);
        Ok(2 * ids.len())
    }

    /// Touches each record, and compares what a stream tells of it.
    async fn stream(&self, ids: &[String]) -> Result<usize> {
        let (door, wanted) = (self.door, self.listed(ids));
        let path = format!("/api/events?collections={},sentinel", self.name);
        let mut response = door.api(self.role).request(Method::GET, &path).send().await?;
        let about = format!("the stream {:?} rules {}", self.role, self.first);
        ensure!(response.status().is_success() == wanted.is_some(), "{about}");
        let Some(wanted) = wanted else { return Ok(ids.len()) };
        response.chunk().await?.context("where it begins")?;
        for (sample, id) in samples().into_iter().zip(ids) {
            let body = json!({ "data": { "status": sample.status } });
            let path = format!("/api/collections/{}/records/{id}", self.name);
            door.server.admin.patch(&path, &body).await?;
        }
        let body = json!({ "data": {} });
        let last = door.server.admin.post("/api/collections/sentinel/records", &body).await?;
        let last = last["id"].as_str().context("an id")?;
        let mut text = String::new();
        while !text.contains(last) {
            let chunk = tokio::time::timeout(Duration::from_secs(30), response.chunk()).await??;
            text.push_str(std::str::from_utf8(&chunk.context("the stream ended")?)?);
        }
        let told = ids.iter().filter(|id| text.contains(*id)).cloned().collect();
        ensure!(wanted == told, "{about}: {text}");
        Ok(ids.len())
    }
}

fn ids_of(records: Option<&Vec<Value>>) -> BTreeSet<String> {
    let records = records.into_iter().flatten();
    records.filter_map(|record| record["id"].as_str().map(str::to_owned)).collect()
}

#[tokio::test]
async fn the_http_door_decides_as_the_table_says() -> Result<()> {
    let door = Door::open().await?;
    let mut cases = 0;
    for first in 0..RULES.len() {
        let rounds = ROLES.map(async |role| {
            let name = format!("c{first}_{}", role as usize);
            Round { door: &door, role, first, name: &name }.run().await
        });
        cases += try_join_all(rounds).await?.into_iter().sum::<usize>();
    }
    // Not `println!`, which is shown of failed tests only.
    writeln!(std::io::stdout(), "authorization: {cases} cases of who may do what over HTTP")?;
    ensure!(cases >= 500, "{cases}");
    door.server.stop().await
}
