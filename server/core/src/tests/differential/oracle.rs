//! Who may do what, written down once more: a table of roles and a table of rules, no code of the
//! server's.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};
use tinybase_model::{
    Application, ApplicationTokenId, Cause, Identity, Permissions, Scope, Scopes, UserId,
};

use super::super::{caused_by, extension, map, user};
use crate::{Kind, Operation};

/// How something ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is done.
    Done,
    /// It would need a login: 401.
    Login,
    /// It is not allowed: 403.
    No,
    /// As far as this one knows, the record isn't there: 404.
    Missing,
}

impl Verdict {
    /// What an error's kind comes to.
    pub(super) fn of(ended: Result<(), Kind>) -> Self {
        match ended {
            Ok(()) => Self::Done,
            Err(Kind::Unauthenticated) => Self::Login,
            Err(Kind::Forbidden) => Self::No,
            Err(Kind::NotFound) => Self::Missing,
            Err(other) => panic!("no decision is {other:?}"),
        }
    }
}

/// Who asks, and what the oracle knows of them.
pub(super) struct Role {
    pub(super) identity: Identity,
    /// What the extension that asks was granted, if one asks.
    pub(super) permissions: Option<Permissions>,
    /// What is allowed whatever the rules say, for reading and for writing.
    outright: [bool; 2],
    /// Whether the rules are asked, for reading and for writing.
    by_rule: [bool; 2],
}

/// A record, as the oracle sees it.
#[derive(Debug, Clone)]
pub(super) struct Sample {
    pub(super) owner: Option<UserId>,
    status: Option<&'static str>,
    n: Option<i64>,
    members: Vec<UserId>,
}

/// What a rule means: of a user, a record, and whether that is being created.
type Meaning = fn(Option<UserId>, &Sample, bool) -> bool;

/// The rules, each with what it means.
pub(super) const RULES: [(&str, Meaning); 15] = [
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

/// A collection's rules: another one for each operation, so that no operation can borrow one.
#[derive(Clone, Copy)]
pub(super) struct Rules(pub(super) usize);

impl Rules {
    fn rule(self, operation: Operation) -> (&'static str, Meaning) {
        let step = match operation {
            Operation::List => 0,
            Operation::Read => 4,
            Operation::Create => 7,
            Operation::Update => 9,
            Operation::Delete => 13,
        };
        RULES[(self.0 + step) % RULES.len()]
    }

    /// As a collection's options have them.
    pub(super) fn access(self) -> Value {
        let rules = Operation::ALL
            .map(|operation| (operation.as_str().to_owned(), Value::from(self.rule(operation).0)));
        Value::Object(rules.into_iter().collect())
    }
}

impl Role {
    fn client(identity: Identity, outright: [bool; 2], by_rule: [bool; 2]) -> Self {
        Self { identity, permissions: None, outright, by_rule }
    }

    pub(super) fn cause(&self) -> Cause {
        caused_by(self.identity.clone())
    }

    /// How an operation on a record ends. Whoever names the collection learns what its rules say
    /// of every record before anything of this one.
    pub(super) fn verdict(
        &self,
        operation: Operation,
        (rules, samples): (Rules, &[Sample]),
        record: &Sample,
        is_named: bool,
    ) -> Verdict {
        let writes = usize::from(!matches!(operation, Operation::List | Operation::Read));
        if self.outright[writes] {
            return Verdict::Done;
        }
        if !self.by_rule[writes] {
            return Verdict::No;
        }
        let user = self.identity.user_id();
        let new = operation == Operation::Create;
        let allows = |operation, record| rules.rule(operation).1(user, record, new);
        let refused = if writes == 1 && user.is_none() { Verdict::Login } else { Verdict::No };
        if is_named && !samples.iter().any(|other| allows(operation, other)) {
            return refused;
        }
        if allows(operation, record) {
            return Verdict::Done;
        }
        let seen = operation != Operation::Read && allows(Operation::Read, record);
        if new || seen { refused } else { Verdict::Missing }
    }

    /// Whether a record is in a list, and whether there is a list at all.
    pub(super) fn lists(
        &self,
        (rules, samples): (Rules, &[Sample]),
        record: &Sample,
    ) -> (bool, bool) {
        let listed = |record| {
            self.outright[0]
                || (self.by_rule[0]
                    && rules.rule(Operation::List).1(self.identity.user_id(), record, false))
        };
        (listed(record), samples.iter().any(listed))
    }
}

fn application(scopes: &[&str]) -> Identity {
    let scopes = scopes.iter().map(|text| text.parse::<Scope>().expect("a scope"));
    Identity::Application(Application {
        id: ApplicationTokenId::generate(),
        scopes: Scopes::new(scopes),
    })
}

/// Clients, and extensions by themselves and on behalf of somebody.
pub(super) fn roles(owner: UserId, other: UserId) -> Vec<Role> {
    let listed = |capabilities: &[&str]| Permissions::Listed {
        capabilities: capabilities.iter().map(|text| (*text).to_owned()).collect(),
        environment: BTreeSet::new(),
        hooks: None,
    };
    let (reading, writing) = (listed(&["records:read:*"]), listed(&["records:write:*"]));
    let both = listed(&["records:read:*", "records:write:*"]);
    let (all, none) = ([true, true], [false, false]);
    let (reads, writes) = ([true, false], [false, true]);
    let itself = Identity::Extension(extension());
    let clients = [
        (Identity::Anonymous, none, all),
        (user(owner), none, all),
        (user(other), none, all),
        (Identity::User { id: other, is_admin: true }, all, none),
        (Identity::Operator, all, none),
        (application(&["records:read:*"]), reads, none),
        (application(&["records:write:*"]), writes, none),
        (application(&["records:read:*", "records:write:*"]), all, none),
        (application(&["records:read:elsewhere", "users:read"]), none, none),
    ];
    let extensions = [
        (itself.clone(), both.clone(), all, none),
        (itself.clone(), reading.clone(), reads, none),
        (itself.clone(), writing.clone(), writes, none),
        (itself, Permissions::Broad, reads, none),
        (user(owner), both.clone(), none, all),
        (user(owner), reading.clone(), none, reads),
        (user(owner), writing, none, writes),
        (user(other), listed(&["records:read:elsewhere"]), none, none),
        (Identity::Anonymous, both.clone(), none, all),
        (Identity::Operator, Permissions::Broad, reads, none),
        (application(&["records:write:*"]), reading, none, none),
        (application(&["records:write:*"]), both, writes, none),
    ];
    let clients = clients.map(|(who, outright, by_rule)| Role::client(who, outright, by_rule));
    let extensions = extensions.map(|(identity, permissions, outright, by_rule)| Role {
        identity,
        permissions: Some(permissions),
        outright,
        by_rule,
    });
    clients.into_iter().chain(extensions).collect()
}

/// Records of every sort that the rules tell apart.
pub(super) fn samples(owner: UserId, other: UserId) -> Vec<Sample> {
    let mut samples = Vec::new();
    for holder in [Some(owner), Some(other), None] {
        for (status, n) in [(Some("open"), Some(1)), (Some("draft"), Some(2)), (None, None)] {
            let some = if status.is_some() { owner } else { other };
            for members in [vec![], vec![some]] {
                samples.push(Sample { owner: holder, status, n, members });
            }
        }
    }
    samples
}

impl Sample {
    /// The same of somebody else.
    pub(super) fn of(self, owner: Option<UserId>) -> Self {
        Self { owner, ..self }
    }

    pub(super) fn data(&self) -> Map<String, Value> {
        let members: Vec<String> = self.members.iter().map(ToString::to_string).collect();
        map(json!({"status": self.status, "n": self.n, "members": members}))
    }
}
