//! The ways in, and how each is gone.

use std::collections::BTreeSet;

use tinybase_model::{JsonBytes, ListRecords, RecordId, SortKey};

use super::Round;
use super::oracle::{Role, Sample, Verdict};
use crate::tests::extension;
use crate::{
    BatchOperation, Change, CountQuery, Expected, ListQuery, Operation, Owner, Problem,
    RecordAddress, ViewQuery,
};

/// A way to one record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// A client's request.
    Client(Deed),
    /// A batch of a client's with one operation.
    Batch(Deed),
    /// A call-back that names the collection.
    Host(Deed),
    /// A call-back that knows the id only.
    HostById(Deed),
}

/// What is done there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Deed {
    Get,
    View,
    Create,
    Merge,
    Replace,
    Delete,
}

impl Way {
    /// The ways that somebody has.
    pub(super) fn of(role: &Role) -> Vec<Self> {
        use Deed::{Create, Delete, Get, Merge, Replace, View};

        if role.permissions.is_some() {
            let named = [Get, Create, Merge, Delete].map(Self::Host);
            let by_id = [Get, Merge, Delete].map(Self::HostById);
            return named.into_iter().chain(by_id).collect();
        }
        let alone = [Get, View, Create, Merge, Replace, Delete].map(Self::Client);
        let batches = [Create, Merge, Replace, Delete].map(Self::Batch);
        alone.into_iter().chain(batches).collect()
    }

    pub(super) const fn operation(self) -> Operation {
        let (Self::Client(deed) | Self::Batch(deed) | Self::Host(deed) | Self::HostById(deed)) =
            self;
        match deed {
            Deed::Get | Deed::View => Operation::Read,
            Deed::Create => Operation::Create,
            Deed::Merge | Deed::Replace => Operation::Update,
            Deed::Delete => Operation::Delete,
        }
    }

    pub(super) const fn is_named(self) -> bool {
        !matches!(self, Self::HostById(_))
    }

    /// Goes it with the sample's data and the record.
    pub(super) async fn go(self, round: &Round<'_>, sample: &Sample, id: RecordId) -> Verdict {
        match self {
            Self::Client(deed) => client(round, deed, sample, id).await,
            Self::Batch(deed) => batch(round, deed, sample, id).await,
            Self::Host(deed) => host(round, deed, sample, (Some(round.collection), id)).await,
            Self::HostById(deed) => host(round, deed, sample, (None, id)).await,
        }
    }
}

fn ended<T, E: Problem>(result: Result<T, E>) -> Verdict {
    Verdict::of(result.map(drop).map_err(|error| error.kind()))
}

async fn client(round: &Round<'_>, deed: Deed, sample: &Sample, id: RecordId) -> Verdict {
    let (records, collection) = (round.test.core.records(), round.collection);
    let (cause, identity) = (round.role.cause(), &round.role.identity);
    let address = RecordAddress::any(Some(collection), id);
    let data = sample.data();
    match deed {
        Deed::Get => ended(records.get(identity, collection, id).await),
        Deed::View => {
            let view = ViewQuery { fields: Some("id,n".to_owned()), ..ViewQuery::default() };
            ended(records.view(identity, collection, id, &view).await)
        }
        Deed::Create => ended(records.create(&cause, collection, data).await),
        Deed::Merge => ended(records.change(&cause, &address, Change::Merge(data)).await),
        Deed::Replace => ended(records.change(&cause, &address, Change::Replace(data)).await),
        Deed::Delete => ended(records.remove(&cause, &address).await),
    }
}

async fn batch(round: &Round<'_>, deed: Deed, sample: &Sample, id: RecordId) -> Verdict {
    let collection = round.collection.to_owned();
    let (data, expected) = (sample.data(), Expected::Any);
    let operation = match deed {
        Deed::Create => BatchOperation::Create { collection, data, owner: Owner::Same },
        Deed::Merge => {
            BatchOperation::Change { collection, id, edit: Change::Merge(data).into(), expected }
        }
        Deed::Replace => {
            BatchOperation::Change { collection, id, edit: Change::Replace(data).into(), expected }
        }
        Deed::Delete => BatchOperation::Delete { collection, id, expected },
        Deed::Get | Deed::View => unreachable!("batches don't read"),
    };
    ended(round.test.core.records().batch(&round.role.cause(), &[operation]).await)
}

async fn host(
    round: &Round<'_>,
    deed: Deed,
    sample: &Sample,
    (collection, id): (Option<&str>, RecordId),
) -> Verdict {
    let permissions = round.role.permissions.as_ref().expect("an extension");
    let cause = round.role.cause();
    let host = round.test.core.host(&extension(), permissions, &cause);
    let data = JsonBytes::from(&sample.data());
    match deed {
        Deed::Get => ended(host.get_record(collection, id).await),
        Deed::Create => ended(host.create_record(round.collection, &data, None).await),
        Deed::Merge => ended(host.update_record(collection, id, &data).await),
        Deed::Delete => ended(host.delete_record(collection, id).await),
        Deed::View | Deed::Replace => unreachable!("call-backs don't have that"),
    }
}

/// What every sort of list shows; none for one that is refused.
pub(super) async fn lists(round: &Round<'_>) -> Vec<(&'static str, Option<BTreeSet<RecordId>>)> {
    if round.role.permissions.is_some() {
        host_lists(round).await
    } else {
        client_lists(round).await
    }
}

async fn client_lists(round: &Round<'_>) -> Vec<(&'static str, Option<BTreeSet<RecordId>>)> {
    let (records, identity) = (round.test.core.records(), &round.role.identity);
    let filtered = "n == null || n > 0".to_owned();
    let filtered = ListQuery { filter: Some(filtered), ..ListQuery::default() };
    let mut shown = Vec::new();
    let queries = [("a list", ListQuery::default()), ("a list with a filter", filtered)];
    for (way, mut query) in queries {
        query.page.limit = 1000;
        let list = records.list(identity, round.collection, &query).await.ok();
        let counted = CountQuery { filter: query.filter.clone(), ..CountQuery::default() };
        let count = records.count(identity, round.collection, &counted).await.ok();
        assert_eq!(
            count.map(|count| count.count),
            list.as_ref().map(|list| list.records.len() as u64),
            "the count of {way}"
        );
        let ids = |list: crate::RecordList| {
            list.records.iter().map(|view| view.record().id).collect::<BTreeSet<_>>()
        };
        shown.push((way, list.map(ids)));
    }
    shown
}

async fn host_lists(round: &Round<'_>) -> Vec<(&'static str, Option<BTreeSet<RecordId>>)> {
    let permissions = round.role.permissions.as_ref().expect("an extension");
    let cause = round.role.cause();
    let host = round.test.core.host(&extension(), permissions, &cause);
    let newest = || ListRecords {
        sort: vec![SortKey { field: "created_at".to_owned(), descending: true }],
        page_size: 1000,
        ..ListRecords::default()
    };
    let named = ListRecords { collection: Some(round.collection.to_owned()), ..newest() };
    let ids = |page: tinybase_model::RecordPage| {
        page.records.iter().map(|record| record.id).collect::<BTreeSet<_>>()
    };
    let one = host.list_records(named).await.ok().map(ids);
    // A list of all collections is never refused; what may not be listed isn't in it.
    let all = host.list_records(newest()).await.expect("a list");
    let all = one.is_some().then(|| ids(all.clone())).or_else(|| {
        assert!(all.records.iter().all(|record| record.collection.as_str() != round.collection));
        None
    });
    vec![("a call-back's list", one), ("a call-back's list of all", all)]
}
