//! Deleting what has become too old or too much: one statement, bounded by numbers.

use crate::event::NewEvent;
use crate::sql::{Connection, Sql, query};
use crate::write::Write;
use crate::{Store, StoreError};

impl Store {
    /// Runs a statement that deletes, with these bounds. How many rows there were.
    pub(crate) async fn sweep<const N: usize>(
        &self,
        what: &'static str,
        sql: Sql,
        bounds: [i64; N],
    ) -> Result<u64, StoreError> {
        self.write(Sweep { what, sql, bounds }).await
    }
}

struct Sweep<const N: usize> {
    what: &'static str,
    sql: Sql,
    bounds: [i64; N],
}

impl<const N: usize> Write for Sweep<N> {
    type Output = u64;

    async fn apply(
        &self,
        connection: &mut Connection,
        _: &mut Vec<NewEvent>,
    ) -> Result<u64, StoreError> {
        let sweep = self.bounds.iter().fold(query(self.sql), |query, bound| query.bind(*bound));
        sweep.execute(connection).await.map_err(StoreError::write(self.what))
    }
}
