//! Functions that stream: what clients read, and what becomes of extensions when they don't.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use reqwest::header::HeaderMap;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tinybase_tests::{Process, TestServer, Zoo, binary, wait_for, wait_until};

/// The same extension in Python as `sdk-rust/examples/streams.rs` is in Rust.
const PYTHON: &str = r#"
import asyncio
import time

from tinybase.functions import register

SEEN = {"sent": 0, "cancelled": 0}


class OutOfNumbers(Exception):
    pass


def number(payload, n):
    if payload.get("fail_at") == n:
        raise OutOfNumbers(f"there is no {n}")
    return {"n": n, "padding": "x" * payload.get("padding", 0)}


@register(name="count", description="Numbers from 1 on", auth="public")
def count(ctx, payload):
    ended = False
    try:
        for n in range(1, payload["to"] + 1):
            yield number(payload, n)
            SEEN["sent"] += 1
        while payload.get("linger") and not ctx.cancelled:
            time.sleep(0.01)
        ended = not payload.get("linger")
    except OutOfNumbers:
        ended = True
        raise
    finally:
        SEEN["cancelled"] += not ended


@register(name="count_async", auth="public")
async def count_async(ctx, payload):
    ended = False
    try:
        for n in range(1, payload["to"] + 1):
            yield number(payload, n)
            SEEN["sent"] += 1
        while payload.get("linger"):
            await asyncio.sleep(3600)
        ended = True
    except OutOfNumbers:
        ended = True
        raise
    finally:
        SEEN["cancelled"] += not ended


@register(name="counted", auth="public")
def counted(ctx, payload):
    return SEEN
"#;

const MANIFEST: &str = "[extension]\nname = \"streams\"\nversion = \"1.0.0\"\n";
/// Time for a stream that is to pass, in a manifest.
const SHORT: &str = "\n[[extension.functions]]\nname = \"count\"\ntimeout = \"1s\"\n\
                     \n[[extension.functions]]\nname = \"count_async\"\ntimeout = \"1s\"\n";
/// More than is granted at once, by far, and than sockets take.
const MANY: u64 = 4_000;

/// The extension in each language, with what its counting functions are called.
#[derive(Debug, Clone, Copy)]
enum Language {
    Rust,
    Python,
}

impl Language {
    const fn functions(self) -> &'static [&'static str] {
        match self {
            Self::Rust => &["count"],
            Self::Python => &["count", "count_async"],
        }
    }

    fn extension(self, zoo: &Zoo, tables: &str) -> Result<PathBuf> {
        match self {
            Self::Rust => {
                let program = binary("examples/streams")?;
                let run =
                    format!("\n[extension.run]\ncommand = [{:?}]\n", program.display().to_string());
                zoo.folder("streams", &[("extension.toml", &format!("{MANIFEST}{run}{tables}"))])
            }
            Self::Python => {
                let manifest = format!("{MANIFEST}{tables}");
                zoo.folder("streams", &[("extension.toml", &manifest), ("__init__.py", PYTHON)])
            }
        }
    }
}

async fn start(language: Language, tables: &str) -> Result<(TestServer, Zoo)> {
    let (server, zoo) = (TestServer::start().await?, Zoo::new()?);
    server.install(&language.extension(&zoo, tables)?).await?;
    Ok((server, zoo))
}

/// Calls a function and reads the answer to its end.
async fn call(
    server: &TestServer,
    function: &str,
    accept: Option<&str>,
    input: &Value,
) -> Result<(HeaderMap, String)> {
    let request = server.api.request(Method::POST, &format!("/api/functions/{function}"));
    let request = accept.into_iter().fold(request, |request, it| request.header("accept", it));
    let answer = request.json(input).send().await?;
    assert_eq!(answer.status(), StatusCode::OK, "{function} {input}");
    Ok((answer.headers().clone(), answer.text().await?))
}

/// The lines of an answer: the chunks, and how the call ended.
async fn lines(server: &TestServer, function: &str, input: &Value) -> Result<(Vec<Value>, Value)> {
    let (headers, text) = call(server, function, None, input).await?;
    assert_eq!(headers["content-type"], "application/x-ndjson");
    let mut lines: Vec<Value> = text.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    let outcome = lines.pop().context("no line at all")?;
    assert!(outcome["call_id"].is_string(), "the last line is the outcome: {outcome}");
    Ok((lines, outcome))
}

async fn counted(server: &TestServer) -> Result<(u64, u64)> {
    let answer = server.api.post("/api/functions/counted", &json!({})).await?;
    let seen = |name: &str| answer["result"][name].as_u64().context("a number");
    Ok((seen("sent")?, seen("cancelled")?))
}

/// Begins a call on a socket of its own, and reads so many bytes of the answer.
fn begin(server: &TestServer, function: &str, input: &Value, bytes: usize) -> Result<TcpStream> {
    let address = server.api.base.strip_prefix("http://").context("no address")?;
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    let body = input.to_string();
    let request = format!(
        "POST /api/functions/{function} HTTP/1.1\r\nhost: {address}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes())?;
    let mut read = vec![0; bytes];
    stream.read_exact(&mut read)?;
    Ok(stream)
}

/// Waits until the extension sends no more, and gives how many chunks it has sent: as many at
/// twenty looks in a row.
async fn held_up(server: &TestServer) -> u64 {
    let (last, same) = (AtomicU64::new(0), AtomicU64::new(0));
    wait_for("the extension is held up", Duration::from_mins(1), || async {
        let sent = counted(server).await.ok()?.0;
        if last.swap(sent, Ordering::Relaxed) != sent || sent == 0 {
            same.store(0, Ordering::Relaxed);
        }
        (same.fetch_add(1, Ordering::Relaxed) == 20).then_some(sent)
    })
    .await
}

async fn only_call(server: &TestServer, function: &str) -> Value {
    let path = format!("/api/admin/functions/calls?function_name={function}");
    wait_for("the call has ended", Duration::from_mins(1), || async {
        let page = server.admin.get(&path).await.ok()?;
        let call = page["calls"].get(0)?;
        (call["status"] != "running").then(|| call.clone())
    })
    .await
}

async fn chunks_come_in_order_in_every_form(language: Language) -> Result<()> {
    let (server, _zoo) = start(language, "").await?;
    let listed = server.api.get("/api/functions").await?;
    for function in language.functions() {
        let is_this = |one: &&Value| one["name"] == *function;
        let info = listed.as_array().context("an array")?.iter().find(is_this);
        assert_eq!(info.context("listed")?["streams"], true);
        let input = json!({ "to": 100 });
        let (chunks, outcome) = lines(&server, function, &input).await?;
        let numbers: Vec<_> = chunks.iter().filter_map(|chunk| chunk["n"].as_u64()).collect();
        assert_eq!(numbers, (1..=100).collect::<Vec<_>>());
        assert_eq!(outcome["status"], "succeeded", "{outcome}");
        assert!(outcome["result"].is_null() && outcome["duration_ms"].is_u64(), "{outcome}");

        let (headers, text) = call(&server, function, Some("text/event-stream"), &input).await?;
        assert_eq!(headers["content-type"], "text/event-stream");
        let events: Vec<&str> = text.split_terminator("\n\n").collect();
        assert_eq!(events.len(), 101);
        assert!(events[0].starts_with("data: {\"n\":1,"), "{}", events[0]);
        assert!(events[100].contains("event: outcome\n"), "{}", events[100]);

        let (headers, text) = call(&server, function, Some("application/json"), &input).await?;
        assert_eq!(headers["content-type"], "application/json");
        let whole: Value = serde_json::from_str(&text)?;
        assert_eq!(whole["status"], "succeeded");
        assert_eq!(whole["result"], json!(chunks), "all chunks as one result");

        let large = json!({ "to": 20, "padding": 100_000 });
        let (_, text) = call(&server, function, Some("application/json"), &large).await?;
        let whole: Value = serde_json::from_str(&text)?;
        assert_eq!(whole["error_type"], "ResultSizeError", "one result is 1 MiB at most");
        let (chunks, outcome) = lines(&server, function, &large).await?;
        assert_eq!((chunks.len(), &outcome["status"]), (20, &json!("succeeded")));

        let ann = server.api.register(&format!("{function}@example.com")).await?;
        let request = ann.request(Method::POST, &format!("/api/functions/{function}"));
        let answer =
            request.header("prefer", "respond-async").json(&json!({ "to": 3 })).send().await?;
        assert_eq!(answer.status(), StatusCode::ACCEPTED);
        let id = answer.json::<Value>().await?["call_id"].as_str().context("no id")?.to_owned();
        let path = format!("/api/functions/calls/{id}/result");
        let outcome = wait_for("the call ends", Duration::from_secs(30), || async {
            let (status, body) = ann.send(Method::GET, &path, None).await.ok()?;
            (status == StatusCode::OK).then_some(body)
        })
        .await;
        assert_eq!(outcome["result"].as_array().map(Vec::len), Some(3), "{outcome}");
    }
    let metrics = server.admin.get("/api/admin/functions/metrics?hours=1").await?;
    assert_eq!(metrics["functions"]["count"]["total_calls"], 6);
    server.stop().await
}

async fn a_failure_ends_the_stream_with_its_words(language: Language) -> Result<()> {
    let (server, _zoo) = start(language, SHORT).await?;
    for function in language.functions() {
        let input = json!({ "to": 100, "fail_at": 40 });
        let (chunks, outcome) = lines(&server, function, &input).await?;
        assert_eq!(chunks.len(), 39);
        assert_eq!(outcome["status"], "failed", "{outcome}");
        assert_eq!(outcome["error_type"], "OutOfNumbers");
        assert_eq!(outcome["error_message"], "there is no 40");

        let before = counted(&server).await?.1;
        let (chunks, outcome) =
            lines(&server, function, &json!({ "to": 3, "linger": true })).await?;
        assert_eq!(chunks.len(), 3, "what was sent in time was read in time");
        assert_eq!(outcome["error_type"], "TimeoutError", "{outcome}");
        wait_until("the handler was told to stop", Duration::from_secs(30), || async {
            counted(&server).await.is_ok_and(|(_, cancelled)| cancelled == before + 1)
        })
        .await;
    }
    let (chunks, outcome) =
        lines(&server, "count", &json!({ "to": 2, "padding": 300_000 })).await?;
    assert_eq!((chunks.len(), &outcome["status"]), (0, &json!("failed")), "a chunk has a limit");
    let message = outcome["error_message"].as_str().context("a message")?;
    assert!(message.contains("262144"), "{message}");
    server.stop().await
}

async fn a_client_that_does_not_read_holds_the_extension_up(language: Language) -> Result<()> {
    let (server, _zoo) = start(language, "").await?;
    for function in language.functions() {
        let before = counted(&server).await?;
        // 4,000 chunks of 64 KiB: far over what the sockets and the server take.
        let input = json!({ "to": MANY, "padding": 60_000 });
        let mut stream = begin(&server, function, &input, 1)?;
        let held = held_up(&server).await - before.0;
        assert!(held < MANY / 4, "{held} chunks were sent although nobody reads");
        // It goes on as soon as somebody reads.
        let mut rest = vec![0; 32 << 20];
        stream.read_exact(&mut rest)?;
        wait_until("it goes on", Duration::from_secs(30), || async {
            counted(&server).await.is_ok_and(|(sent, _)| sent - before.0 > held)
        })
        .await;
        drop(stream);
        wait_until("the handler was told to stop", Duration::from_secs(30), || async {
            counted(&server).await.is_ok_and(|(_, cancelled)| cancelled == before.1 + 1)
        })
        .await;
        let call = only_call(&server, function).await;
        assert_eq!(call["error_type"], "ClientGone", "{call}");
    }
    server.stop().await
}

async fn a_stream_of_a_killed_extension_ends_as_failed(language: Language) -> Result<()> {
    let (server, _zoo) = start(language, "").await?;
    let request = server.api.request(Method::POST, "/api/functions/count");
    let mut answer = request.json(&json!({ "to": 3, "linger": true })).send().await?;
    let mut text = Vec::new();
    while text.split(|byte| *byte == b'\n').count() <= 3 {
        text.extend(answer.chunk().await?.context("it ended too early")?);
    }
    let status = server.wait_for_state("streams", "ready").await;
    let process = Process(u32::try_from(status["pid"].as_u64().context("a pid")?)?);
    process.signal(rustix::process::Signal::KILL)?;
    while let Some(more) = answer.chunk().await? {
        text.extend(more);
    }
    let text = String::from_utf8(text)?;
    let outcome: Value = serde_json::from_str(text.lines().last().context("a last line")?)?;
    assert_eq!(
        (&outcome["status"], &outcome["error_type"]),
        (&json!("failed"), &json!("ExtensionExited"))
    );
    server.stop().await
}

macro_rules! in_each_language {
    ($($claim:ident)+) => {
        mod rust {
            $(
                #[tokio::test]
                async fn $claim() -> anyhow::Result<()> {
                    super::$claim(super::Language::Rust).await
                }
            )+
        }

        mod python {
            $(
                #[tokio::test]
                async fn $claim() -> anyhow::Result<()> {
                    super::$claim(super::Language::Python).await
                }
            )+
        }
    };
}

in_each_language! {
    chunks_come_in_order_in_every_form
    a_failure_ends_the_stream_with_its_words
    a_client_that_does_not_read_holds_the_extension_up
    a_stream_of_a_killed_extension_ends_as_failed
}
