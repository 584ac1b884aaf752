//! Which of several nodes delivers to a subscription.
//!
//! A lease is in the database, and by the database's clock, so that nodes with wrong clocks agree. Its
//! number grows when it changes hands, and what a subscription stores is stored only with the latest:
//! a node that stood still and goes on changes nothing.

use std::time::Duration;

use crate::delivery::insert_subscription;
use crate::event::NewEvent;
use crate::sql::{Connection, Dialect, Sql, query};
use crate::subscription::{Held, Hold, Subscriber};
use crate::write::Write;
use crate::{Store, StoreError};

/// How long a node holds a subscription unless it holds on.
const LEASE: Duration = Duration::from_secs(10);

const WHAT: &str = "a subscription's lease";

/// Whether a lease is to be had; answered by a reader, so that waiting nodes write nothing.
pub(crate) const LEASE_IS_FREE: Sql = Sql::each(
    "select 1 where $1 is not null and $2 is not null and $3 is not null",
    "
    select 1 where not exists (
        select 1 from subscriptions
        where extension = $1 and handler = $2 and node <> $3
          and held_until > (extract(epoch from clock_timestamp()) * 1000000)::bigint)",
);

/// A new holder makes the number grow; the same one only holds on.
pub(crate) const TAKE_LEASE: Sql = Sql::each(
    "
    update subscriptions set node = $3, held_until = $4 where extension = $1 and handler = $2
    returning fence",
    "
    update subscriptions
    set fence = case when node = $3 then fence else fence + 1 end, node = $3,
        held_until = (extract(epoch from clock_timestamp()) * 1000000)::bigint + $4
    where extension = $1 and handler = $2
      and (node is null or node = $3
           or held_until <= (extract(epoch from clock_timestamp()) * 1000000)::bigint)
    returning fence",
);

pub(crate) const GIVE_LEASE_UP: Sql = Sql::same(
    "update subscriptions set held_until = 0 where extension = $1 and handler = $2 and fence = $3",
);

impl Store {
    /// Takes a subscription for a node, or holds on to it; a new one is created at the head of the log.
    pub async fn hold(&self, subscriber: Subscriber, node: &str) -> Result<Hold, StoreError> {
        if self.dialect() == Dialect::Postgres {
            let free = query(LEASE_IS_FREE)
                .bind(subscriber.extension.as_str())
                .bind(&subscriber.handler)
                .bind(node)
                .fetch_optional(self.reader())
                .await
                .map_err(StoreError::read(WHAT))?;
            if free.is_none() {
                return Ok(Hold::Elsewhere);
            }
        }
        self.write(Take { subscriber, node: node.to_owned() }).await
    }

    /// Lets another node take a subscription at once.
    pub async fn let_go(&self, held: Held) -> Result<(), StoreError> {
        self.write(GiveUp(held)).await
    }
}

struct Take {
    subscriber: Subscriber,
    node: String,
}

impl Write for Take {
    type Output = Hold;

    async fn apply(
        &self,
        connection: &mut Connection,
        _: &mut Vec<NewEvent>,
    ) -> Result<Hold, StoreError> {
        let dialect = connection.dialect();
        let run = async {
            insert_subscription(connection, &self.subscriber).await?;
            let taken = query(TAKE_LEASE)
                .bind(self.subscriber.extension.as_str())
                .bind(&self.subscriber.handler)
                .bind(&self.node)
                .bind(i64::try_from(LEASE.as_micros()).unwrap_or(i64::MAX))
                .fetch_optional(connection)
                .await?;
            taken.map(|row| row.integer(0)).transpose()
        };
        let fence = run.await.map_err(StoreError::write(WHAT))?;
        Ok(match (fence, dialect) {
            (None, _) => Hold::Elsewhere,
            (Some(fence), Dialect::Sqlite) => Hold::Always { fence },
            (Some(fence), Dialect::Postgres) => Hold::For { fence, time: LEASE },
        })
    }
}

struct GiveUp(Held);

impl Write for GiveUp {
    type Output = ();

    async fn apply(
        &self,
        connection: &mut Connection,
        _: &mut Vec<NewEvent>,
    ) -> Result<(), StoreError> {
        let Held { subscriber, fence } = &self.0;
        let run = query(GIVE_LEASE_UP)
            .bind(subscriber.extension.as_str())
            .bind(&subscriber.handler)
            .bind(*fence);
        run.execute(connection).await.map(drop).map_err(StoreError::write(WHAT))
    }
}
