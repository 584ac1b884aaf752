//! Every way to records against an oracle of its own: roles × rules × records × ways in.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use serde_json::{Map, Value, json};
use tinybase_model::{
    Application, ApplicationTokenId, Cause, Identity, JsonBytes, ListRecords, Permissions, Record,
    RecordId, Scope, Scopes, UserId,
};

use super::{TestCore, caused_by, extension, map, operator, user};
use crate::acting::Acting;
use crate::{BatchOperation, Change, Expected, ListQuery, NewCollection};

/// Who asks, and what the oracle knows of them.
struct Role {
    identity: Identity,
    /// What the extension that asks was granted, if one asks.
    permissions: Option<Permissions>,
    /// What is allowed whatever the rules say, for reading and for writing.
    outright: [bool; 2],
    /// Whether the rules are asked, for reading and for writing.
    by_rule: [bool; 2],
}

/// What is done to a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Doing {
    Reading,
    Changing,
    Creating,
}

/// A record, as the oracle sees it.
#[derive(Clone)]
struct Sample {
    owner: Option<UserId>,
    status: Option<&'static str>,
    n: Option<i64>,
    members: Vec<UserId>,
}

type Oracle = fn(Option<UserId>, &Sample, bool) -> bool;

/// The rules, each with what it means: of a user, a record, and whether it is being created.
const RULES: [(&str, Oracle); 15] = [
    ("public", |_, _, _| true),
    ("auth", |user, _, _| user.is_some()),
    ("owner", |user, record, new| user.is_some() && (new || record.owner == user)),
    ("admin", |_, _, _| false),
    ("record.owner_id == user.id", |user, record, _| user.is_some() && record.owner == user),
    ("record.owner_id == null", |_, record, _| record.owner.is_none()),
    ("record.status == 'open'", |_, record, _| record.status == Some("open")),
    ("record.status != 'open' && user.is_authenticated", |user, record, _| {
        record.status != Some("open") && user.is_some()
    }),
    ("record.n > 1 || record.owner_id == user.id", |user, record, _| {
        record.n.is_some_and(|n| n > 1) || (user.is_some() && record.owner == user)
    }),
    ("!(record.n > 1)", |_, record, _| record.n.is_none_or(|n| n <= 1)),
    ("record.n <= 1", |_, record, _| record.n.is_some_and(|n| n <= 1)),
    ("user.id in record.members", |user, record, _| {
        user.is_some_and(|user| record.members.contains(&user))
    }),
    ("!(user.id in record.members) && user.id != null", |user, record, _| {
        user.is_some_and(|user| !record.members.contains(&user))
    }),
    ("record.status in ['open', 'draft'] && !(record.owner_id == null)", |_, record, _| {
        matches!(record.status, Some("open" | "draft")) && record.owner.is_some()
    }),
    ("user.is_admin || record.status == null", |_, record, _| record.status.is_none()),
];

impl Role {
    fn client(identity: Identity, outright: [bool; 2], by_rule: [bool; 2]) -> Self {
        Self { identity, permissions: None, outright, by_rule }
    }

    fn may(&self, doing: Doing, oracle: Oracle, record: &Sample) -> bool {
        let index = usize::from(doing != Doing::Reading);
        let new = doing == Doing::Creating;
        self.outright[index]
            || (self.by_rule[index] && oracle(self.identity.user_id(), record, new))
    }

    fn cause(&self) -> Cause {
        caused_by(self.identity.clone())
    }
}

fn application(scopes: &[&str]) -> Identity {
    let scopes = scopes.iter().map(|text| text.parse::<Scope>().expect("a scope"));
    Identity::Application(Application {
        id: ApplicationTokenId::generate(),
        scopes: Scopes::new(scopes),
    })
}

fn roles(owner: UserId, other: UserId) -> Vec<Role> {
    let listed = |capabilities: &[&str]| Permissions::Listed {
        capabilities: capabilities.iter().map(|text| (*text).to_owned()).collect(),
        environment: BTreeSet::new(),
        hooks: None,
    };
    let both = || Some(listed(&["records:read:*", "records:write:*"]));
    let (all, none) = ([true, true], [false, false]);
    let itself = Identity::Extension(extension());
    let mut roles = vec![
        Role::client(Identity::Anonymous, none, all),
        Role::client(user(owner), none, all),
        Role::client(user(other), none, all),
        Role::client(Identity::User { id: other, is_admin: true }, all, none),
        Role::client(Identity::Operator, all, none),
        Role::client(application(&["records:read:*"]), [true, false], none),
        Role::client(application(&["records:write:*"]), [false, true], none),
        Role::client(application(&[]), none, none),
    ];
    let extensions = [
        (itself.clone(), both(), all, none),
        (itself.clone(), Some(listed(&["records:read:*"])), [true, false], none),
        (itself, Some(Permissions::Broad), [true, false], none),
        (user(owner), both(), none, all),
        (user(owner), Some(listed(&["records:read:*"])), none, [true, false]),
        (user(other), Some(listed(&[])), none, none),
        (Identity::Anonymous, both(), none, all),
        (Identity::Operator, Some(Permissions::Broad), [true, false], none),
    ];
    roles.extend(extensions.map(|(identity, permissions, outright, by_rule)| Role {
        identity,
        permissions,
        outright,
        by_rule,
    }));
    roles
}

fn samples(owner: UserId, other: UserId) -> Vec<Sample> {
    let mut samples = Vec::new();
    for holder in [Some(owner), Some(other), None] {
        for (status, n) in [(Some("open"), Some(1)), (Some("draft"), Some(2)), (None, None)] {
            for members in [vec![], vec![owner]] {
                samples.push(Sample { owner: holder, status, n, members });
            }
        }
    }
    samples
}

impl Sample {
    fn data(&self) -> Map<String, Value> {
        let members: Vec<String> = self.members.iter().map(ToString::to_string).collect();
        map(json!({"status": self.status, "n": self.n, "members": members}))
    }
}

/// One role under one rule.
struct Round<'a> {
    test: &'a TestCore,
    role: &'a Role,
    collection: &'a str,
    oracle: Oracle,
    samples: &'a [Sample],
}

impl Round<'_> {
    /// Fresh records as the samples have them.
    async fn fill(&self) -> Vec<Record> {
        let cause = operator();
        let created = self.samples.iter().map(|sample| {
            let acting = Acting::client(&cause);
            self.test.core.create_record(acting, self.collection, sample.data(), sample.owner)
        });
        let created = join_all(created).await.into_iter();
        created.map(|created| created.expect("a record").value).collect()
    }

    fn check(&self, way: &str, doing: Doing, sample: &Sample, allowed: bool) {
        let expected = self.role.may(doing, self.oracle, sample);
        assert_eq!(
            allowed, expected,
            "{way} {:?} {} owner {:?} status {:?} n {:?}",
            self.role.identity, self.collection, sample.owner, sample.status, sample.n
        );
    }

    async fn reads(&self, records: &[Record]) -> usize {
        let cause = self.role.cause();
        let ids: BTreeSet<RecordId> = records.iter().map(|record| record.id).collect();
        let listed: BTreeSet<RecordId> = self.list(&cause).await;
        for (sample, record) in self.samples.iter().zip(records) {
            let read = match &self.role.permissions {
                None => {
                    let records = self.test.core.records();
                    records.get(&self.role.identity, self.collection, record.id).await.is_ok()
                }
                Some(permissions) => {
                    let host = self.test.core.host(&extension(), permissions, &cause);
                    host.get_record(Some(self.collection), record.id).await.is_ok()
                }
            };
            self.check("read", Doing::Reading, sample, read);
            self.check("list", Doing::Reading, sample, listed.contains(&record.id));
        }
        assert!(listed.is_subset(&ids), "nothing else is listed");
        2 * records.len()
    }

    async fn list(&self, cause: &Cause) -> BTreeSet<RecordId> {
        match &self.role.permissions {
            None => {
                let records = self.test.core.records();
                let query = ListQuery::default();
                let list = records.list(&self.role.identity, self.collection, &query).await;
                let list = list.map(|list| list.records).unwrap_or_default();
                let count = records.count(&self.role.identity, self.collection, None).await;
                assert_eq!(count.map_or(0, |count| count.count), list.len() as u64, "the count");
                list.iter().map(|view| view.record().id).collect()
            }
            Some(permissions) => {
                let host = self.test.core.host(&extension(), permissions, cause);
                let collection = Some(self.collection.to_owned());
                let list = ListRecords { collection, ..ListRecords::default() };
                let page = host.list_records(list).await.unwrap_or_default();
                page.records.iter().map(|record| record.id).collect()
            }
        }
    }

    async fn changes(&self, records: &[Record]) -> usize {
        let cause = self.role.cause();
        let changed = join_all(self.samples.iter().zip(records).map(async |(sample, record)| {
            let data = sample.data();
            match &self.role.permissions {
                None => {
                    let records = self.test.core.records();
                    records.patch(&cause, self.collection, record.id, data).await.is_ok()
                }
                Some(permissions) => {
                    let host = self.test.core.host(&extension(), permissions, &cause);
                    let data = JsonBytes::from(&data);
                    host.update_record(Some(self.collection), record.id, &data).await.is_ok()
                }
            }
        }));
        for (sample, changed) in self.samples.iter().zip(changed.await) {
            self.check("update", Doing::Changing, sample, changed);
        }
        records.len() + self.batches(records).await
    }

    async fn batches(&self, records: &[Record]) -> usize {
        if self.role.permissions.is_some() {
            return 0;
        }
        let cause = self.role.cause();
        let changed = join_all(self.samples.iter().zip(records).map(async |(sample, record)| {
            let change = BatchOperation::Change {
                collection: self.collection.to_owned(),
                id: record.id,
                change: Change::Merge(sample.data()),
                expected: Expected::Any,
            };
            self.test.core.records().batch(&cause, &[change]).await.is_ok()
        }));
        for (sample, changed) in self.samples.iter().zip(changed.await) {
            self.check("batch", Doing::Changing, sample, changed);
        }
        records.len()
    }

    async fn deletions(&self, records: &[Record]) -> usize {
        let cause = self.role.cause();
        let deleted = join_all(records.iter().map(async |record| match &self.role.permissions {
            None => {
                let records = self.test.core.records();
                records.delete(&cause, self.collection, record.id).await.is_ok()
            }
            Some(permissions) => {
                let host = self.test.core.host(&extension(), permissions, &cause);
                host.delete_record(Some(self.collection), record.id).await.is_ok()
            }
        }));
        for (sample, deleted) in self.samples.iter().zip(deleted.await) {
            self.check("delete", Doing::Changing, sample, deleted);
        }
        records.len()
    }

    async fn creations(&self) -> usize {
        let cause = self.role.cause();
        let created =
            join_all(self.samples.iter().map(async |sample| match &self.role.permissions {
                None => {
                    let records = self.test.core.records();
                    records.create(&cause, self.collection, sample.data()).await.is_ok()
                }
                Some(permissions) => {
                    let host = self.test.core.host(&extension(), permissions, &cause);
                    let data = JsonBytes::from(&sample.data());
                    host.create_record(self.collection, &data, None).await.is_ok()
                }
            }));
        for (sample, created) in self.samples.iter().zip(created.await) {
            let sample = Sample { owner: self.role.identity.user_id(), ..sample.clone() };
            self.check("create", Doing::Creating, &sample, created);
        }
        self.samples.len()
    }
}

#[tokio::test]
#[expect(clippy::print_stdout, reason = "the number of cases is a result")]
async fn every_way_to_records_decides_as_the_oracle_does() {
    let test = TestCore::new().await;
    let owner = test.user("owner@example.com").await.id;
    let other = test.user("other@example.com").await.id;
    let samples = samples(owner, other);
    let mut cases = 0;
    for (index, (rule, oracle)) in RULES.into_iter().enumerate() {
        for (number, role) in roles(owner, other).iter().enumerate() {
            let name = format!("c{index}_{number}");
            let access = ["list", "read", "create", "update", "delete"].map(|o| (o, json!(rule)));
            let access: Map<String, Value> =
                access.into_iter().map(|(o, rule)| (o.to_owned(), rule)).collect();
            let new = NewCollection {
                name: name.clone(),
                label: rule.to_owned(),
                schema: json!({"fields": [
                    {"name": "status", "type": "string"},
                    {"name": "n", "type": "int"},
                    {"name": "members", "type": "list[string]"},
                ]}),
                options: Some(json!({ "access": access })),
            };
            test.core.collections().create(&operator(), new).await.expect("a collection");
            let round = Round { test: &test, role, collection: &name, oracle, samples: &samples };
            let records = round.fill().await;
            cases += round.reads(&records).await;
            cases += round.changes(&records).await;
            cases += round.deletions(&records).await;
            cases += round.creations().await;
        }
    }
    println!("{cases} cases of who may do what");
    assert!(cases >= 10_000, "{cases}");
}
