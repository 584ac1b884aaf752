//! The pages of `docs/` name everything that the server has: paths, configuration keys, problems.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use anyhow::{Context as _, Result};
use serde_json::Value;
use tinybase_tests::{TestServer, checkout};

fn page(path: &str) -> Result<String> {
    fs::read_to_string(checkout().join(path)).with_context(|| path.to_owned())
}

/// What stands between backticks.
fn codes(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

#[tokio::test]
async fn every_path_and_every_key_is_on_a_page() -> Result<()> {
    let server = TestServer::start().await?;
    let document = server.api.get("/openapi.json").await?;
    let output = server.cli(&["config", "show", "--json"]).await?;
    let config: Value = serde_json::from_slice(&output.stdout)?;
    server.stop().await?;
    assert_eq!(missing_paths(&document)?, BTreeSet::new());
    assert_eq!(missing_keys(&config)?, BTreeSet::new());
    Ok(())
}

/// Operations of which `docs/rest-api.md` has no row. A row may leave out what is as in the row above
/// it, as in `GET …/{id}`.
fn missing_paths(document: &Value) -> Result<BTreeSet<String>> {
    let text = page("docs/rest-api.md")?;
    let mut named = BTreeSet::new();
    for row in text.lines().filter(|line| line.starts_with('|')) {
        let first = row.trim_matches('|').split(" | ").next().unwrap_or_default();
        let mut methods: Vec<&str> = Vec::new();
        let mut is_fresh = true;
        for code in codes(first) {
            let words: Vec<_> = code.split_whitespace().collect();
            let (verbs, paths): (Vec<&str>, Vec<&str>) =
                words.iter().partition(|word| word.chars().all(|c| c.is_ascii_uppercase()));
            if !verbs.is_empty() && is_fresh {
                methods.clear();
            }
            methods.extend(verbs);
            is_fresh = !paths.is_empty();
            for path in paths {
                let path = path.split('?').next().unwrap_or_default();
                named.extend(methods.iter().map(|method| format!("{method} {}", plain(path))));
            }
        }
    }
    let paths = document["paths"].as_object().context("paths")?;
    let operations = paths.iter().flat_map(|(path, item)| {
        let methods = item.as_object().into_iter().flatten().map(|(method, _)| method);
        methods.map(move |method| format!("{} {}", method.to_uppercase(), plain(path)))
    });
    Ok(operations.filter(|operation| !is_named(&named, operation)).collect())
}

/// A path whose parameters have no names.
fn plain(path: &str) -> String {
    path.split('/')
        .map(|part| if part.starts_with('{') { "{}" } else { part })
        .collect::<Vec<_>>()
        .join("/")
}

fn is_named(named: &BTreeSet<String>, operation: &str) -> bool {
    let Some((method, path)) = operation.split_once(' ') else { return false };
    let mut endings = path.match_indices('/').map(|(at, _)| format!("{method} …{}", &path[at..]));
    named.contains(operation) || endings.any(|ending| named.contains(&ending))
}

/// Keys that `docs/configuration.md` has no row of.
fn missing_keys(config: &Value) -> Result<BTreeSet<String>> {
    let text = page("docs/configuration.md")?;
    let mut named: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for row in text.lines().filter(|line| line.starts_with("| `[")) {
        let first = row.trim_matches('|').split(" | ").next().unwrap_or_default();
        let mut section = "";
        for code in codes(first) {
            let (head, key) = match code.strip_prefix('[').and_then(|code| code.split_once("] ")) {
                Some((head, key)) => (head, key),
                None => (section, code),
            };
            section = head;
            named.entry(section).or_default().insert(key);
        }
    }
    let text = |row: &Value, name: &str| row[name].as_str().unwrap_or_default().to_owned();
    let shown = config.as_array().context("a list")?.iter();
    Ok(shown
        .map(|row| (text(row, "section"), text(row, "key")))
        .filter(|(section, key)| {
            !named.get(section.as_str()).is_some_and(|keys| keys.contains(key.as_str()))
        })
        .map(|(section, key)| format!("[{section}] {key}"))
        .collect())
}

#[test]
fn every_problem_is_on_its_page() -> Result<()> {
    let source = page("server/api/src/problem.rs")?;
    let table = source
        .split_once("const fn parts(self)")
        .and_then(|(_, rest)| rest.split_once("\n    }\n}"))
        .context("the table of problems")?
        .0;
    let text = page("docs/problems.md")?;
    let words = table.split('"').skip(1).step_by(2).filter(|text| {
        // Beside them are titles, which have capitals.
        text.chars().all(|c| c.is_ascii_lowercase() || c == '-')
    });
    let (known, missing): (Vec<_>, Vec<_>) =
        words.partition(|word| text.contains(&format!("| `{word}` |")));
    assert!(known.len() > 15, "the table was read: {known:?}");
    assert_eq!(missing, Vec::<&str>::new());
    Ok(())
}
