//! Every way to records against an oracle of its own: roles × rules × records × ways in.

mod oracle;
mod ways;

use std::collections::BTreeSet;
use std::io::Write as _;

use futures_util::future::join_all;
use serde_json::json;
use tinybase_model::{Record, RecordId};

use self::oracle::{RULES, Role, Rules, Sample, Verdict, roles, samples};
use self::ways::Way;
use super::{TestCore, operator};
use crate::acting::Acting;
use crate::{LiveQuery, LiveStream, NewCollection, Operation, Owner, Viewer};

/// A collection that everybody sees: what happens there comes after what happened before.
const SENTINEL: &str = "sentinel";

/// One role in one collection.
struct Round<'a> {
    test: &'a TestCore,
    role: &'a Role,
    rules: Rules,
    collection: &'a str,
    samples: &'a [Sample],
}

impl Round<'_> {
    /// Fresh records as the samples have them.
    async fn fill(&self) -> Vec<Record> {
        let cause = operator();
        let created = self.samples.iter().map(|sample| {
            let acting = Acting::client(&cause);
            let owner = Owner::Given(sample.owner);
            self.test.core.create_record(acting, self.collection, sample.data(), owner)
        });
        let created = join_all(created).await.into_iter();
        created.map(|created| created.expect("a record").value).collect()
    }

    fn check(&self, way: Way, sample: &Sample, ended: Verdict) {
        let meant = (self.rules, self.samples);
        let expected = self.role.verdict(way.operation(), meant, sample, way.is_named());
        assert_eq!(ended, expected, "{way:?} {}", self.about(sample));
    }

    fn about(&self, sample: &Sample) -> String {
        let Role { identity, permissions, .. } = self.role;
        format!("{identity:?} {permissions:?} {} {sample:?}", self.rules.access())
    }

    /// Tries a way with every sample, each time as it was.
    async fn try_way(&self, way: Way) -> usize {
        let records = self.fill().await;
        let tries = self.samples.iter().zip(&records);
        let ended = join_all(tries.map(|(sample, record)| way.go(self, sample, record.id))).await;
        for (sample, ended) in self.samples.iter().zip(ended) {
            if way.operation() == Operation::Create {
                self.check(way, &sample.clone().of(self.role.identity.user_id()), ended);
            } else {
                self.check(way, sample, ended);
            }
        }
        records.len()
    }

    /// Compares what a list shows with what it should.
    fn check_shown(&self, way: &str, records: &[Record], shown: Option<&BTreeSet<RecordId>>) {
        let meant = (self.rules, self.samples);
        for (sample, record) in self.samples.iter().zip(records) {
            let (listed, is_list) = self.role.lists(meant, sample);
            let seen = shown.is_some_and(|shown| shown.contains(&record.id));
            assert_eq!(seen, listed, "{way} {}", self.about(sample));
            assert_eq!(shown.is_some(), is_list, "{way} {}", self.about(sample));
        }
    }

    async fn lists(&self) -> usize {
        let records = self.fill().await;
        let here: BTreeSet<RecordId> = records.iter().map(|record| record.id).collect();
        let lists = ways::lists(self).await;
        for (way, shown) in &lists {
            let shown = shown.as_ref().map(|shown| shown & &here);
            self.check_shown(way, &records, shown.as_ref());
        }
        lists.len() * records.len()
    }

    /// Compares what a stream tells of creations, changes and deletions with what a list shows.
    async fn stream(&self) -> usize {
        if self.role.permissions.is_some() {
            return 0;
        }
        let collections = vec![self.collection.to_owned(), SENTINEL.to_owned()];
        let query = LiveQuery { collections, ..LiveQuery::default() };
        let viewer = Viewer::Known(self.role.identity.clone());
        let mut stream = self.test.core.watch(viewer, query).await.ok();
        let records = self.fill().await;
        self.check_shown("a stream's creations", &records, self.told(&mut stream).await.as_ref());
        let (cause, core) = (operator(), self.test.core.records());
        let each = self.samples.iter().zip(&records);
        let changed =
            join_all(each.map(|(sample, record)| {
                core.patch(&cause, self.collection, record.id, sample.data())
            }));
        assert!(changed.await.iter().all(Result::is_ok));
        self.check_shown("a stream's changes", &records, self.told(&mut stream).await.as_ref());
        let each = records.iter();
        let deleted = join_all(each.map(|record| core.delete(&cause, self.collection, record.id)));
        assert!(deleted.await.iter().all(Result::is_ok));
        self.check_shown("a stream's deletions", &records, self.told(&mut stream).await.as_ref());
        3 * records.len()
    }

    /// The records that a stream tells of until the sentinel.
    async fn told(&self, stream: &mut Option<LiveStream>) -> Option<BTreeSet<RecordId>> {
        let data = super::map(json!({}));
        let sentinel = self.test.core.records().create(&operator(), SENTINEL, data).await;
        let sentinel = sentinel.expect("a sentinel").value.id;
        let stream = stream.as_mut()?;
        let mut told = BTreeSet::new();
        loop {
            let event = stream.next().await.expect("a stream that goes on");
            if event.name.is_none() {
                continue;
            }
            let data: serde_json::Value = serde_json::from_str(&event.data).expect("JSON");
            let id = data["id"].as_str().and_then(|id| id.parse().ok()).expect("an id");
            if id == sentinel {
                return Some(told);
            }
            assert!(told.insert(id), "each once");
        }
    }
}

async fn collection(test: &TestCore, name: &str, access: &serde_json::Value) {
    let new = NewCollection {
        name: name.to_owned(),
        label: name.to_owned(),
        schema: json!({"fields": [
            {"name": "status", "type": "string"},
            {"name": "n", "type": "int"},
            {"name": "members", "type": "list[string]"},
        ]}),
        options: Some(json!({ "access": access })),
    };
    test.core.collections().create(&operator(), new).await.expect("a collection");
}

#[tokio::test]
async fn every_way_to_records_decides_as_the_oracle_does() {
    let mut cases = 0;
    for rules in (0..RULES.len()).map(Rules) {
        let test = TestCore::new().await;
        let owner = test.user("owner@example.com").await.id;
        let other = test.user("other@example.com").await.id;
        let samples = samples(owner, other);
        collection(&test, SENTINEL, &json!({})).await;
        for (number, role) in roles(owner, other).iter().enumerate() {
            let collection_name = format!("c{number}");
            collection(&test, &collection_name, &rules.access()).await;
            let (test, collection, samples) = (&test, collection_name.as_str(), &samples);
            let round = Round { test, role, rules, collection, samples };
            for way in Way::of(role) {
                cases += round.try_way(way).await;
            }
            cases += round.lists().await;
            cases += round.stream().await;
        }
    }
    // Not `println!`, which is shown of failed tests only.
    writeln!(std::io::stdout(), "authorization: {cases} cases of who may do what in the core")
        .expect("a terminal");
    assert!(cases >= 10_000, "{cases}");
}
