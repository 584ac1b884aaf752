//! The servers on this database, so that what a dead one left open is found.

use std::sync::Arc;
use std::time::Duration;

use crate::event::NewEvent;
use crate::sql::{Connection, Dialect, Sql, query};
use crate::write::Write;
use crate::{Store, StoreError};

/// One run of a server. A server that is started again is another node.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct NodeId(Arc<str>);

impl NodeId {
    /// A new one.
    pub fn generate() -> Self {
        Self(uuid::Uuid::now_v7().to_string().into())
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for NodeId {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

/// On a file all others are gone. A server's clock counts, so that nodes with wrong ones agree.
pub(crate) const FORGET_NODES: Sql = Sql::each(
    "delete from nodes where id <> $1 and $2 is not null and $3 is not null",
    "
    delete from nodes where id <> $1
      and (home = $2
           or seen_at < (extract(epoch from clock_timestamp()) * 1000000)::bigint - $3)",
);

pub(crate) const NOTE_NODE: Sql = Sql::each(
    "
    insert into nodes (id, seen_at, home) values ($1, unixepoch() * 1000000, $2)
    on conflict (id) do update set seen_at = excluded.seen_at",
    "
    insert into nodes (id, seen_at, home)
    values ($1, (extract(epoch from clock_timestamp()) * 1000000)::bigint, $2)
    on conflict (id) do update set seen_at = excluded.seen_at",
);

const WHAT: &str = "the nodes";

impl Store {
    /// Whether other servers may be on this database at the same time.
    pub fn is_shared(&self) -> bool {
        self.dialect() == Dialect::Postgres
    }

    /// Notes that a node is alive, and forgets nodes that were silent for so long, as well as former
    /// ones of its home. A file has one server at a time, so there all others are forgotten.
    pub async fn note_node(
        &self,
        node: NodeId,
        home: &str,
        silence_max: Duration,
    ) -> Result<(), StoreError> {
        self.write(NoteNode { node, home: home.to_owned(), silence_max }).await
    }
}

struct NoteNode {
    node: NodeId,
    home: String,
    silence_max: Duration,
}

impl Write for NoteNode {
    type Output = ();

    async fn apply(
        &self,
        connection: &mut Connection,
        _: &mut Vec<NewEvent>,
    ) -> Result<(), StoreError> {
        query(FORGET_NODES)
            .bind(self.node.as_str())
            .bind(&self.home)
            .bind(i64::try_from(self.silence_max.as_micros()).unwrap_or(i64::MAX))
            .execute(&mut *connection)
            .await
            .map_err(StoreError::write(WHAT))?;
        query(NOTE_NODE)
            .bind(self.node.as_str())
            .bind(&self.home)
            .execute(connection)
            .await
            .map(drop)
            .map_err(StoreError::write(WHAT))
    }
}
