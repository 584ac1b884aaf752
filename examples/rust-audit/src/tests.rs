//! The whole extension, without a server.

use tinybase_sdk::prelude::*;
use tinybase_sdk::testing::{Failure, Harness, before_record_create, record_create};

use super::{PENGUINS, extension};

#[tokio::test]
async fn a_penguin_of_63_kg_is_refused_with_every_field_that_is_wrong() {
    let harness = Harness::new(extension());
    let giant =
        json!({"species": "Gentoo", "body_mass_g": 63_000, "bill_depth_mm": 0, "year": 2009});
    let refusal = harness.ask(before_record_create(PENGUINS, giant)).await;
    let Err(Failure::Rejected { status, violations, .. }) = refusal else { panic!("{refusal:?}") };
    assert_eq!(status, 422);
    let expected = [
        ("/bill_depth_mm", "0 is not within 2 to 60 mm"),
        ("/body_mass_g", "63000 is not within 30 to 46000 g"),
    ];
    assert_eq!(violations, expected.map(|(field, words)| (field.to_owned(), words.to_owned())));
}

#[tokio::test]
async fn text_is_tidied_and_nothing_else_is_touched() {
    let harness = Harness::new(extension());
    let untidy = json!({"species": " adelie ", "island": "Dream", "sex": "MALE", "year": 2008});
    let tidy = json!({"species": "Adelie", "island": "Dream", "sex": "male", "year": 2008});
    assert_eq!(harness.ask(before_record_create(PENGUINS, untidy)).await, Ok(tidy));
    // A penguin that was not measured is one all the same.
    let unmeasured = json!({"species": "Chinstrap", "island": "Dream", "body_mass_g": null});
    let answer = harness.ask(before_record_create(PENGUINS, unmeasured.clone())).await;
    assert_eq!(answer, Ok(unmeasured));
}

#[tokio::test]
async fn species_are_summed_up_from_what_is_stored() {
    let harness = Harness::new(extension());
    let host = harness.host();
    for (species, island, mass) in [
        ("Gentoo", "Biscoe", Some(5000)),
        ("Adelie", "Biscoe", Some(3700)),
        ("Adelie", "Dream", Some(3801)),
        ("Adelie", "Dream", None),
    ] {
        let data = json!({"species": species, "island": island, "body_mass_g": mass});
        host.add_record(PENGUINS, &data);
    }
    harness.startup().await.expect("it reads what is there");
    let all = harness.call("species_summary", json!({})).await.expect("a summary");
    assert_eq!(all["penguins"], 4);
    assert_eq!(all["species"][0]["species"], "Adelie");
    assert_eq!(all["species"][0]["counted"], 3);
    assert_eq!(all["species"][0]["mean_body_mass_g"], 3750.5);
    assert_eq!(all["species"][1]["mean_bill_length_mm"], Value::Null);
    let dream = harness.call("species_summary", json!({"island": "Dream"})).await;
    assert_eq!(dream.expect("a summary")["species"][0]["penguins"], 2);
}

#[tokio::test]
async fn an_event_that_comes_twice_counts_once() {
    let harness = Harness::new(extension());
    let data = json!({"species": "Adelie"});
    let id = harness.host().add_record(PENGUINS, &data);
    let event = record_create(PENGUINS, data).record_id(id);
    harness.emit(event.clone()).await.expect("counted");
    harness.emit(event.attempt(2)).await.expect("counted before");
    let summary = harness.call("species_summary", json!({})).await.expect("a summary");
    assert_eq!(summary["species"][0]["counted"], 1);
}

#[tokio::test]
async fn without_a_collection_it_starts_all_the_same() {
    let harness = Harness::new(extension());
    let missing = tinybase_sdk::client::HostErrorKind::NotFound;
    harness.host().fail_next(missing, "there is no collection \"penguins\"");
    harness.startup().await.expect("an empty tally");
}
