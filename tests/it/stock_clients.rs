//! Extensions on nothing but stock gRPC stubs, in four languages.

use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::json;
use tinybase_tests::{TestServer, checkout, wait_until};

/// What an author writes: the example's own program.
const PROGRAMS: &[(&str, &str)] = &[
    ("python", "main.py"),
    ("node", "main.mjs"),
    ("go", "main.go"),
    ("java", "src/main/java/Main.java"),
];

/// Languages that this machine can build; all of them unless `tests/run` says otherwise.
fn languages() -> Vec<&'static str> {
    let chosen = std::env::var("TINYBASE_TEST_LANGUAGES").ok();
    PROGRAMS
        .iter()
        .map(|(language, _)| *language)
        .filter(|language| {
            chosen.as_ref().is_none_or(|chosen| chosen.split_whitespace().any(|c| c == *language))
        })
        .collect()
}

#[test]
fn each_program_has_at_most_sixty_lines() -> Result<()> {
    for (language, program) in PROGRAMS {
        let path = checkout().join(format!("examples/raw-{language}")).join(program);
        let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let code = lines.filter(|line| !line.starts_with("//") && !line.starts_with('#')).count();
        assert!(code <= 60, "{}: {code} lines", path.display());
    }
    Ok(())
}

#[tokio::test]
async fn each_takes_a_hook_registers_a_function_calls_back_and_is_called() -> Result<()> {
    let server = TestServer::start().await?;
    server.admin.make_collection("orders", &["email"]).await?;
    server.admin.make_collection("posts", &["title"]).await?;
    let post = json!({ "data": { "title": "rec-42" } });
    let post = server.admin.post("/api/collections/posts/records", &post).await?;
    let languages = languages();
    for language in &languages {
        server.install(&checkout().join(format!("examples/raw-{language}"))).await?;
    }
    let order = json!({ "data": { "email": "ada@example.com" } });
    server.admin.post("/api/collections/orders/records", &order).await?;
    for language in &languages {
        let name = format!("raw-{language}");
        wait_until("the hook printed the address", Duration::from_mins(1), || async {
            let output = server.cli(&["extensions", "logs", &name]).await;
            output.is_ok_and(|o| String::from_utf8_lossy(&o.stdout).contains("ada@example.com"))
        })
        .await;
        let function = format!("/api/functions/greet_{language}");
        let input = json!({ "name": "Ada", "record": post["id"] });
        let answer = server.admin.post(&function, &input).await?;
        assert_eq!(answer["result"], json!({ "message": "Hello Ada, rec-42" }), "{answer}");
        let answer = server.admin.post(&function, &json!({ "name": 7 })).await?;
        assert_eq!(answer["error_type"], "ValidationError", "{language}: {answer}");
    }
    server.stop().await
}
