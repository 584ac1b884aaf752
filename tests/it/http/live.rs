//! Live changes: everything that one may see, once and in order, across restarts.

use std::collections::VecDeque;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tinybase_tests::{Api, TestServer};

const RECORDS: &str = "/api/collections/notes/records";
const PATIENCE: Duration = Duration::from_secs(30);

async fn server(list: &str) -> Result<TestServer> {
    let server = TestServer::start().await?;
    let fields = json!([
        { "name": "title", "type": "string" },
        { "name": "n", "type": "int" },
    ]);
    let body = json!({
        "name": "notes", "label": "Notes", "schema": { "fields": fields },
        "options": { "access": { "list": list } },
    });
    server.admin.post("/api/collections", &body).await?;
    Ok(server)
}

/// An event as a client has it.
#[derive(Debug)]
struct Event {
    name: String,
    data: Value,
}

/// A client that listens.
struct Listener {
    response: reqwest::Response,
    buffer: String,
    ready: VecDeque<Event>,
    last_id: String,
}

impl Listener {
    async fn open(api: &Api, query: &str, after: Option<&str>) -> Result<Self> {
        let mut request = api.request(Method::GET, &format!("{RECORDS}/events{query}"));
        if let Some(after) = after {
            request = request.header("last-event-id", after);
        }
        let response = request.send().await?;
        anyhow::ensure!(response.status() == StatusCode::OK, "{}", response.status());
        let kind = response.headers().get("content-type").and_then(|kind| kind.to_str().ok());
        anyhow::ensure!(kind == Some("text/event-stream"), "{kind:?}");
        let mut listener = Self {
            response,
            buffer: String::new(),
            ready: VecDeque::new(),
            last_id: after.unwrap_or_default().to_owned(),
        };
        // The first thing that comes says where the stream begins.
        while listener.last_id.is_empty() && listener.ready.is_empty() {
            anyhow::ensure!(listener.read().await?, "the stream ended at once");
        }
        Ok(listener)
    }

    /// Reads on; false at the end.
    async fn read(&mut self) -> Result<bool> {
        let chunk = tokio::time::timeout(PATIENCE, self.response.chunk()).await;
        let Some(chunk) = chunk.context("nothing came")?? else { return Ok(false) };
        self.buffer.push_str(std::str::from_utf8(&chunk)?);
        while let Some(end) = self.buffer.find("\n\n") {
            let block: String = self.buffer.drain(..end + 2).collect();
            let field = |name: &str| {
                let line = block.lines().find_map(|line| line.strip_prefix(name));
                line.map(|value| value.trim_start_matches(':').trim().to_owned())
            };
            if let Some(id) = field("id") {
                self.last_id = id;
            }
            if let (Some(name), Some(data)) = (field("event"), field("data")) {
                self.ready.push_back(Event { name, data: serde_json::from_str(&data)? });
            }
        }
        Ok(true)
    }

    async fn next(&mut self) -> Result<Event> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Ok(event);
            }
            if !self.read().await? {
                bail!("the stream ended");
            }
        }
    }

    /// The next event's name and what it says of `n`.
    async fn expect(&mut self, name: &str) -> Result<Value> {
        let event = self.next().await?;
        anyhow::ensure!(event.name == name, "{name} expected: {event:?}");
        Ok(event.data)
    }

    /// Everything up to the end of the stream.
    async fn rest(mut self) -> Result<Vec<Event>> {
        while self.read().await? {}
        Ok(self.ready.into())
    }
}

async fn create(api: &Api, data: &Value) -> Result<String> {
    let created = api.post(RECORDS, &json!({ "data": data })).await?;
    Ok(created["id"].as_str().context("an id")?.to_owned())
}

#[tokio::test]
async fn changes_arrive_in_order_and_as_records() -> Result<()> {
    let server = server("public").await?;
    let mut listener = Listener::open(&server.api, "", None).await?;
    let id = create(&server.admin, &json!({ "title": "a", "n": 1 })).await?;
    let path = format!("{RECORDS}/{id}");
    let patched = server.admin.patch(&path, &json!({ "data": { "n": 2 } })).await?;
    server.admin.delete(&path).await?;
    let created = listener.expect("record.create").await?;
    assert_eq!((&created["id"], &created["data"]["n"]), (&json!(id), &json!(1)));
    assert_eq!(listener.expect("record.update").await?, patched);
    assert_eq!(listener.expect("record.delete").await?["id"], json!(id));
    server.stop().await
}

#[tokio::test]
async fn a_filter_makes_what_passes_its_border_come_and_go() -> Result<()> {
    let server = server("public").await?;
    let query = "?filter=n%20%3E%205&fields=id,n";
    let mut listener = Listener::open(&server.api, query, None).await?;
    let id = create(&server.admin, &json!({ "n": 1 })).await?;
    let path = format!("{RECORDS}/{id}");
    for n in [6, 7, 2] {
        server.admin.patch(&path, &json!({ "data": { "n": n } })).await?;
    }
    assert_eq!(listener.expect("record.create").await?, json!({ "id": id, "data": { "n": 6 } }));
    assert_eq!(listener.expect("record.update").await?["data"]["n"], 7);
    assert_eq!(listener.expect("record.delete").await?["id"], json!(id));
    for (query, status) in [("?filter=n%20%3E", 400), ("?filtr=x", 400), ("?fields=x", 400)] {
        let path = format!("{RECORDS}/events{query}");
        let (answered, problem) = server.api.send(Method::GET, &path, None).await?;
        assert_eq!(answered, status, "{query}: {problem}");
    }
    server.stop().await
}

#[tokio::test]
async fn a_reader_hears_only_of_what_the_list_would_show() -> Result<()> {
    let server = server("owner").await?;
    let mine = server.api.register("me@example.com").await?;
    let yours = server.api.register("you@example.com").await?;
    let (status, _) = server.api.send(Method::GET, &format!("{RECORDS}/events"), None).await?;
    assert_eq!(status, 403);
    let (status, _) =
        server.api.send(Method::GET, "/api/collections/none/records/events", None).await?;
    assert_eq!(status, 404);
    let mut listener = Listener::open(&mine, "", None).await?;
    create(&yours, &json!({ "title": "not for me" })).await?;
    create(&mine, &json!({ "title": "mine" })).await?;
    assert_eq!(listener.expect("record.create").await?["data"]["title"], "mine");
    let mut admin = Listener::open(&server.admin, "", None).await?;
    create(&yours, &json!({ "title": "yours" })).await?;
    assert_eq!(admin.expect("record.create").await?["data"]["title"], "yours");
    server.stop().await
}

#[tokio::test]
async fn a_reader_goes_on_where_it_was_also_after_a_restart() -> Result<()> {
    let mut server = server("public").await?;
    let mut listener = Listener::open(&server.api, "", None).await?;
    let begin = listener.last_id.clone();
    for n in 0..40 {
        create(&server.admin, &json!({ "n": n })).await?;
    }
    for n in 0..10 {
        assert_eq!(listener.expect("record.create").await?["data"]["n"], n);
    }
    let place = listener.last_id.clone();
    drop(listener);
    server.kill().await?;
    server.start_again().await?;
    for n in 40..50 {
        create(&server.admin, &json!({ "n": n })).await?;
    }
    let mut listener = Listener::open(&server.api, "", Some(&place)).await?;
    for n in 10..50 {
        assert_eq!(listener.expect("record.create").await?["data"]["n"], n, "no gap, no repeat");
    }
    // From the beginning again, by the query.
    let query = format!("?last_event_id={begin}");
    let mut again = Listener::open(&server.api, &query, None).await?;
    for n in 0..50 {
        assert_eq!(again.expect("record.create").await?["data"]["n"], n);
    }
    server.stop().await
}

#[tokio::test]
async fn a_place_that_the_log_does_not_have_is_a_reset() -> Result<()> {
    let server = server("public").await?;
    create(&server.admin, &json!({ "n": 1 })).await?;
    let listener = Listener::open(&server.api, "", None).await?;
    let foreign = format!("x{}", listener.last_id);
    for place in ["nonsense", foreign.as_str()] {
        let mut listener = Listener::open(&server.api, "", Some(place)).await?;
        listener.expect("reset").await?;
        create(&server.admin, &json!({ "n": 2 })).await?;
        assert_eq!(listener.expect("record.create").await?["data"]["n"], 2);
    }
    server.stop().await
}

#[tokio::test]
async fn a_token_that_is_revoked_ends_the_stream() -> Result<()> {
    let server = server("auth").await?;
    let user = server.api.register("user@example.com").await?;
    let listener = Listener::open(&user, "", None).await?;
    user.post("/api/auth/logout", &json!({})).await?;
    let rest = listener.rest().await?;
    let names: Vec<_> = rest.iter().map(|event| event.name.as_str()).collect();
    assert_eq!(names, ["end"]);
    server.stop().await
}

#[tokio::test]
async fn a_rule_that_changes_holds_for_streams_that_are_open() -> Result<()> {
    let server = server("auth").await?;
    let user = server.api.register("user@example.com").await?;
    let mut listener = Listener::open(&user, "", None).await?;
    let rule = |list: &str| json!({ "options": { "access": { "list": list } } });
    server.admin.patch("/api/collections/notes", &rule("owner")).await?;
    listener.expect("reset").await?;
    create(&server.admin, &json!({ "title": "not for you" })).await?;
    create(&user, &json!({ "title": "yours" })).await?;
    assert_eq!(listener.expect("record.create").await?["data"]["title"], "yours");
    server.admin.patch("/api/collections/notes", &rule("admin")).await?;
    let rest = listener.rest().await?;
    assert_eq!(rest.last().map(|event| event.name.as_str()), Some("end"));
    server.stop().await
}

#[tokio::test]
async fn one_stream_is_of_several_collections_and_ends_with_the_server() -> Result<()> {
    let server = server("public").await?;
    server.admin.make_collection("other", &["title"]).await?;
    let path = "/api/events?collections=notes,other";
    let mut response = server.api.request(Method::GET, path).send().await?;
    assert_eq!(response.status(), 200);
    response.chunk().await?.context("where it begins")?;
    server
        .admin
        .post("/api/collections/other/records", &json!({ "data": { "title": "b" } }))
        .await?;
    create(&server.admin, &json!({ "title": "a" })).await?;
    let mut text = String::new();
    while text.matches("event: record.create").count() < 2 {
        let chunk = tokio::time::timeout(PATIENCE, response.chunk()).await??;
        text.push_str(std::str::from_utf8(&chunk.context("the stream ended")?)?);
    }
    assert!(text.find("\"b\"") < text.find("\"a\""), "{text}");
    for path in ["/api/events", "/api/events?collections=", "/api/events?collections=notes,none"] {
        let (status, problem) = server.api.send(Method::GET, path, None).await?;
        assert!(matches!(status.as_u16(), 400 | 404 | 422), "{path}: {problem}");
    }
    let (stopped, rest) = tokio::join!(server.stop(), async {
        while response.chunk().await?.is_some() {}
        anyhow::Ok(())
    });
    rest.context("the stream ends in good order")?;
    stopped
}
