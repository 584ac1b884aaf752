//! Refuses penguins that can't be, tidies the others, and sums them up by species.

mod audit;
mod summary;
mod tally;

use std::sync::Arc;

use tally::Tally;
use tinybase_sdk::prelude::*;

/// The collection that this extension is about.
const PENGUINS: &str = "penguins";

fn main() -> ExitCode {
    extension().main()
}

fn extension() -> Extension {
    let tally = Arc::new(Tally::default());
    let (primed, counted, summed) = (Arc::clone(&tally), Arc::clone(&tally), tally);
    Extension::new("rust-audit")
        .version(env!("CARGO_PKG_VERSION"))
        .on_startup(move |ctx| tally::prime(ctx, Arc::clone(&primed)))
        .before_record_create(PENGUINS, audit::check)
        .on_record_create(PENGUINS, move |_, penguin| tally::count(penguin, Arc::clone(&counted)))
        .add_function(
            Function::new("species_summary", move |ctx, input| {
                summary::summarise(ctx, input, Arc::clone(&summed))
            })
            .description("Number and mean measurements of the penguins of each species")
            .tags(["penguins"]),
        )
}

#[cfg(test)]
mod tests;
