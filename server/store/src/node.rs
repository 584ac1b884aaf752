//! The servers on this database, so that what a dead one left open is found.

use std::sync::Arc;

use jiff::Timestamp;

use crate::event::NewEvent;
use crate::sql::{Connection, Dialect, Sql, query};
use crate::time::micros;
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

pub(crate) const FORGET_NODES: Sql =
    Sql::same("delete from nodes where id <> $1 and (seen_at < $2 or home = $3)");

pub(crate) const NOTE_NODE: Sql = Sql::same(
    "
    insert into nodes (id, seen_at, home) values ($1, $2, $3)
    on conflict (id) do update set seen_at = excluded.seen_at",
);

const WHAT: &str = "the nodes";

impl Store {
    /// Whether other servers may be on this database at the same time.
    pub fn is_shared(&self) -> bool {
        self.dialect() == Dialect::Postgres
    }

    /// Notes that a node is alive, and forgets nodes that weren't seen since a time, as well as
    /// former ones of its home. A file has one server at a time, so there all others are forgotten.
    pub async fn note_node(
        &self,
        node: NodeId,
        home: &str,
        now: Timestamp,
        dead_before: Timestamp,
    ) -> Result<(), StoreError> {
        self.write(NoteNode { node, home: home.to_owned(), now, dead_before }).await
    }
}

struct NoteNode {
    node: NodeId,
    home: String,
    now: Timestamp,
    dead_before: Timestamp,
}

impl Write for NoteNode {
    type Output = ();

    async fn apply(
        &self,
        connection: &mut Connection,
        _: &mut Vec<NewEvent>,
    ) -> Result<(), StoreError> {
        let dead_before = match connection.dialect() {
            Dialect::Sqlite => i64::MAX,
            Dialect::Postgres => micros(self.dead_before),
        };
        query(FORGET_NODES)
            .bind(self.node.as_str())
            .bind(dead_before)
            .bind(&self.home)
            .execute(&mut *connection)
            .await
            .map_err(StoreError::write(WHAT))?;
        query(NOTE_NODE)
            .bind(self.node.as_str())
            .bind(micros(self.now))
            .bind(&self.home)
            .execute(connection)
            .await
            .map(drop)
            .map_err(StoreError::write(WHAT))
    }
}
