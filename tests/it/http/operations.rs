//! What an operator sets: origins for browsers, the access log, where a value came from, stopping.

use std::time::Duration;

use anyhow::Result;
use reqwest::{Client, Method};
use serde_json::Value;
use tinybase_tests::{TestServer, wait_until};

#[tokio::test]
async fn a_page_of_a_listed_origin_may_use_the_api_and_others_may_not() -> Result<()> {
    let origins = "https://app.example.com, http://localhost:5173";
    let server = TestServer::start_with(&[("TINYBASE_CORS_ALLOW_ORIGINS", origins)]).await?;
    let url = format!("{}/api/collections", server.api.base);
    let client = Client::new();
    for (origin, allowed) in [
        ("https://app.example.com", true),
        ("http://localhost:5173", true),
        ("https://evil.example.com", false),
        ("https://app.example.com.evil.example", false),
        ("null", false),
    ] {
        let asked = client.request(Method::OPTIONS, &url).header("origin", origin);
        let asked = asked.header("access-control-request-method", "POST").send().await?;
        let sent = client.get(&url).header("origin", origin).send().await?;
        for answer in [&asked, &sent] {
            let told = answer.headers().get("access-control-allow-origin");
            assert_eq!(told.is_some_and(|told| told == origin), allowed, "{origin}");
            assert!(answer.headers().get("access-control-allow-credentials").is_none());
        }
        assert!(asked.status().is_success(), "{origin}: {}", asked.status());
    }
    server.stop().await
}

#[tokio::test]
async fn no_origin_may_unless_it_is_configured() -> Result<()> {
    let server = TestServer::start().await?;
    let url = format!("{}/api/collections", server.api.base);
    let answer = Client::new().get(&url).header("origin", "https://app.example.com").send().await?;
    assert!(answer.headers().get("access-control-allow-origin").is_none());
    assert_eq!(answer.headers()["x-content-type-options"], "nosniff");
    server.stop().await
}

#[tokio::test]
async fn the_access_log_has_routes_and_ids_and_no_secrets() -> Result<()> {
    let environment = [("TINYBASE_LOG_ACCESS", "true"), ("TINYBASE_LOG_FORMAT", "json")];
    let server = TestServer::start_with(&environment).await?;
    let url = format!("{}/api/collections/hush/records?sort_by=hush", server.api.base);
    let answer = Client::new().get(url).header("x-request-id", "find-me").send().await?;
    assert_eq!(answer.headers()["x-request-id"], "find-me");
    let log = server.folder().join("server.log");
    let line = || async {
        let text = std::fs::read_to_string(&log).unwrap_or_default();
        text.lines().any(|line| line.contains("find-me"))
    };
    wait_until("the request is in the log", Duration::from_secs(5), line).await;
    let text = std::fs::read_to_string(&log)?;
    let line = text.lines().find(|line| line.contains("find-me")).unwrap_or_default();
    let line: Value = serde_json::from_str(line)?;
    assert_eq!(line["route"], "/api/collections/{name}/records");
    assert_eq!((&line["method"], &line["status"]), (&"GET".into(), &404.into()));
    assert!(!text.contains("hush"), "names of data and queries are in the log");
    assert!(!text.contains("correct horse battery"), "a password is in the log");
    server.stop().await
}

#[tokio::test]
async fn config_show_says_where_each_value_came_from() -> Result<()> {
    let server = TestServer::start_with(&[("TINYBASE_LIMITS_STOP_GRACE", "7s")]).await?;
    let shown =
        server.cli(&["config", "show", "--origin", "--set", "log.access=true"]).await?.stdout;
    let shown = String::from_utf8(shown)?;
    let line = |key: &str| {
        let line = shown.lines().find(|line| line.starts_with(key)).unwrap_or_default();
        line.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(line("stop_grace"), "stop_grace = \"7s\" # environment TINYBASE_LIMITS_STOP_GRACE");
    assert_eq!(line("access"), "access = true # flag --set log.access");
    assert_eq!(line("log_format"), "log_format = \"text\" # default");
    assert!(line("port").starts_with("port = 8000 # tinybase.toml:"), "{shown}");
    let wrong = server.cli(&["config", "check", "--set", "server.prot=1"]).await?;
    assert!(!wrong.status.success());
    let words = String::from_utf8(wrong.stderr)?;
    assert!(words.contains("did you mean \"server.port\"?"), "{words}");
    server.stop().await
}
