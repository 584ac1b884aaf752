//! What is checked and tidied before a penguin is stored.

use std::ops::RangeInclusive;

use tinybase_sdk::prelude::*;

/// What no penguin is outside of, from a hatched chick to an emperor. A field that is missing
/// was not measured.
const LIMITS: [(&str, RangeInclusive<f64>, &str); 5] = [
    ("bill_length_mm", 5.0..=150.0, "mm"),
    ("bill_depth_mm", 2.0..=60.0, "mm"),
    ("flipper_length_mm", 20.0..=450.0, "mm"),
    ("body_mass_g", 30.0..=46_000.0, "g"),
    ("year", 1775.0..=2100.0, ""),
];

/// Refuses a penguin that can't be, with every field that is wrong; tidies the others. Values of
/// the wrong type are left to the collection's schema.
pub(crate) async fn check(_ctx: Context, penguin: NewRecord) -> Result<Patch> {
    let mut wrong = Vec::new();
    for (name, limits, unit) in LIMITS {
        let Some(value) = penguin.data[name].as_f64() else { continue };
        if !limits.contains(&value) {
            let words = format!("{value} is not within {} to {}", limits.start(), limits.end());
            wrong.push((name, format!("{words} {unit}").trim_end().to_owned()));
        }
    }
    if !wrong.is_empty() {
        return Err(refusal(wrong));
    }
    let mut patch = Patch::none();
    for name in ["species", "island", "sex"] {
        let Some(text) = penguin.data[name].as_str() else { continue };
        let tidied = tidy(name, text);
        if tidied != text {
            patch = patch.and_set(name, tidied);
        }
    }
    Ok(patch)
}

fn refusal(wrong: Vec<(&str, String)>) -> Error {
    let names: Vec<_> = wrong.iter().map(|(name, _)| *name).collect();
    tracing::warn!("refused a penguin for its {}", names.join(", "));
    let sentences: Vec<_> = wrong.iter().map(|(name, words)| format!("{name} {words}")).collect();
    let refusal = Error::invalid(sentences.join("; "));
    wrong
        .into_iter()
        .fold(refusal, |refusal, (name, words)| refusal.field(format!("/{name}"), words))
}

/// A species is written `Adelie`, a sex `male`, and an island as it is but for the blanks.
fn tidy(name: &str, text: &str) -> String {
    let text = text.trim();
    if name == "island" {
        return text.to_owned();
    }
    let lower = text.to_lowercase();
    let mut letters = lower.chars();
    match letters.next() {
        Some(first) if name == "species" => first.to_uppercase().chain(letters).collect(),
        Some(_) | None => lower,
    }
}
