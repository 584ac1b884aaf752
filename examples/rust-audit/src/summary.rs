//! The function that sums up the species.

use std::collections::BTreeMap;
use std::sync::Arc;

use tinybase_sdk::prelude::*;

use crate::PENGUINS;
use crate::tally::{Tally, species};

/// What may be asked.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct Question {
    /// Only the penguins of this island.
    island: Option<String>,
}

/// What is answered.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Summary {
    /// How many penguins there are.
    penguins: usize,
    /// By species, in alphabetical order.
    species: Vec<Species>,
}

/// One species.
#[derive(Debug, Serialize, JsonSchema)]
struct Species {
    species: String,
    /// How many are stored.
    penguins: usize,
    /// How many this extension was told of, on all islands.
    counted: usize,
    /// The mean over those that were measured.
    mean_bill_length_mm: Option<f64>,
    mean_flipper_length_mm: Option<f64>,
    mean_body_mass_g: Option<f64>,
}

/// Reads the penguins as far as the caller may see them, and sums them up.
pub(crate) async fn summarise(
    ctx: Context,
    question: Question,
    tally: Arc<Tally>,
) -> Result<Summary> {
    let mut query = ctx.records().list::<Value>(PENGUINS).page_size(1000);
    if let Some(island) = &question.island {
        query = query.filter("data.island", Comparison::Equal, island);
    }
    let penguins = query.all().await?;
    let mut groups = BTreeMap::<&str, Vec<&Value>>::new();
    for penguin in &penguins {
        groups.entry(species(&penguin.data)).or_default().push(&penguin.data);
    }
    let counts = tally.counts();
    let species = groups.into_iter().map(|(species, group)| Species {
        species: species.to_owned(),
        penguins: group.len(),
        counted: counts.get(species).copied().unwrap_or_default(),
        mean_bill_length_mm: mean(&group, "bill_length_mm"),
        mean_flipper_length_mm: mean(&group, "flipper_length_mm"),
        mean_body_mass_g: mean(&group, "body_mass_g"),
    });
    Ok(Summary { penguins: penguins.len(), species: species.collect() })
}

/// The mean of what was measured, to one decimal.
fn mean(group: &[&Value], field: &str) -> Option<f64> {
    let (sum, number) = group
        .iter()
        .filter_map(|data| data[field].as_f64())
        .fold((0.0, 0_u32), |(sum, number), value| (sum + value, number + 1));
    (number > 0).then(|| (sum / f64::from(number) * 10.0).round() / 10.0)
}
