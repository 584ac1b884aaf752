//! Keeping durable subscriptions: how far each has come, and what waits or was given up.

use tinybase_model::{ExtensionName, Position};

use crate::event::{HEAD, NewEvent};
use crate::sql::{Connection, Row, Sql, query};
use crate::subscription::{DeadLetter, Held, Parked, Subscriber, Subscription};
use crate::time::{micros, now, timestamp};
use crate::write::Write;
use crate::{Store, StoreError};

pub(crate) const INSERT_SUBSCRIPTION: Sql = Sql::same(
    "
    insert into subscriptions (extension, handler, cursor, created_at) values ($1, $2, $3, $4)
    on conflict (extension, handler) do nothing",
);

pub(crate) const CURSOR: Sql =
    Sql::same("select cursor from subscriptions where extension = $1 and handler = $2");

pub(crate) const PARKED: Sql = Sql::same(
    "
    select position, order_key, attempt, due_at, last_error from parked_deliveries
    where extension = $1 and handler = $2 order by position",
);

pub(crate) const UNSUBSCRIBE: Sql = Sql::each(
    "
    delete from subscriptions
    where extension = $1 and handler not in (select value from json_each($2))",
    "
    delete from subscriptions
    where extension = $1 and handler not in (select jsonb_array_elements_text($2::jsonb))",
);

pub(crate) const ADVANCE: Sql = Sql::same(
    "
    update subscriptions set cursor = case when cursor < $3 then $3 else cursor end
    where extension = $1 and handler = $2 and fence = $4",
);

pub(crate) const PARK: Sql = Sql::same(
    "
    insert into parked_deliveries
        (extension, handler, position, order_key, attempt, due_at, last_error)
    select $1, $2, $3, $4, $5, $6, $7
    where exists (
        select 1 from subscriptions where extension = $1 and handler = $2 and fence = $8)
    on conflict (extension, handler, position) do update
    set attempt = excluded.attempt, due_at = excluded.due_at, last_error = excluded.last_error",
);

pub(crate) const UNPARK: Sql = Sql::same(
    "
    delete from parked_deliveries
    where extension = $1 and handler = $2 and position = $3
      and exists (select 1 from subscriptions where extension = $1 and handler = $2 and fence = $4)",
);

pub(crate) const BURY: Sql = Sql::same(
    "
    insert into dead_letters (extension, handler, position, attempt, error, buried_at)
    select $1, $2, $3, $4, $5, $6
    where exists (
        select 1 from subscriptions where extension = $1 and handler = $2 and fence = $7)
    on conflict (extension, handler, position) do update
    set attempt = excluded.attempt, error = excluded.error",
);

pub(crate) const DEAD_LETTERS: Sql = Sql::same(
    "
    select position, attempt, error, buried_at from dead_letters
    where extension = $1 and handler = $2 order by position limit $3",
);

impl Store {
    /// Where a subscription stands; a new one is created at the head of the log.
    pub async fn subscribe(&self, subscriber: Subscriber) -> Result<Subscription, StoreError> {
        self.write(Subscribe(subscriber)).await
    }

    /// Ends the subscriptions of an extension but those of some handlers.
    pub async fn unsubscribe(
        &self,
        extension: ExtensionName,
        keep: &[String],
    ) -> Result<(), StoreError> {
        let keep = serde_json::to_string(keep).map_err(StoreError::corrupt("handler names"))?;
        self.write(Unsubscribe { extension, keep }).await
    }

    /// Moves a cursor forward, unless another node took over; so do the following.
    pub async fn advance(&self, held: Held, cursor: Position) -> Result<(), StoreError> {
        self.write(Advance { held, cursor }).await
    }

    /// Parks deliveries, all or none.
    pub async fn park(&self, held: Held, parked: Vec<Parked>) -> Result<(), StoreError> {
        self.write(Park { held, parked }).await
    }

    /// Forgets a parked delivery.
    pub async fn unpark(&self, held: Held, position: Position) -> Result<(), StoreError> {
        self.write(Unpark { held, position }).await
    }

    /// Makes a delivery a dead letter.
    pub async fn bury(
        &self,
        held: Held,
        position: Position,
        attempt: u32,
        error: String,
    ) -> Result<(), StoreError> {
        self.write(Bury { held, position, attempt, error }).await
    }

    /// At most `limit` dead letters of a subscriber, the oldest first.
    pub async fn dead_letters(
        &self,
        subscriber: &Subscriber,
        limit: u32,
    ) -> Result<Vec<DeadLetter>, StoreError> {
        let rows = query(DEAD_LETTERS)
            .bind(subscriber.extension.as_str())
            .bind(&subscriber.handler)
            .bind(limit)
            .fetch_all(self.reader())
            .await
            .map_err(StoreError::read("dead letters"))?;
        rows.iter().map(dead_letter).collect()
    }
}

const WHAT: &str = "a subscription";

/// Creates a subscription at the head of the log unless it is there.
pub(crate) async fn insert_subscription(
    connection: &mut Connection,
    subscriber: &Subscriber,
) -> Result<(), sqlx::Error> {
    let head = query(HEAD).fetch_one(&mut *connection).await?.integer(0)?;
    query(INSERT_SUBSCRIPTION)
        .bind(subscriber.extension.as_str())
        .bind(&subscriber.handler)
        .bind(head)
        .bind(micros(now()))
        .execute(connection)
        .await
        .map(drop)
}

struct Subscribe(Subscriber);

impl Write for Subscribe {
    type Output = Subscription;

    async fn apply(
        &self,
        connection: &mut Connection,
        _: &mut Vec<NewEvent>,
    ) -> Result<Subscription, StoreError> {
        let (extension, handler) = (self.0.extension.as_str(), self.0.handler.as_str());
        let run = async {
            insert_subscription(connection, &self.0).await?;
            let cursor = query(CURSOR)
                .bind(extension)
                .bind(handler)
                .fetch_one(&mut *connection)
                .await?
                .integer(0)?;
            let parked = query(PARKED).bind(extension).bind(handler).fetch_all(connection).await?;
            Ok((cursor, parked))
        };
        let (cursor, parked) = run.await.map_err(StoreError::write(WHAT))?;
        let parked = parked.iter().map(parked_delivery).collect::<Result<_, _>>()?;
        Ok(Subscription { cursor: Position(cursor), parked })
    }
}

struct Unsubscribe {
    extension: ExtensionName,
    keep: String,
}

impl Write for Unsubscribe {
    type Output = ();

    async fn apply(
        &self,
        connection: &mut Connection,
        _: &mut Vec<NewEvent>,
    ) -> Result<(), StoreError> {
        let run = query(UNSUBSCRIBE).bind(self.extension.as_str()).bind(&self.keep);
        run.execute(connection).await.map(drop).map_err(StoreError::write(WHAT))
    }
}

struct Advance {
    held: Held,
    cursor: Position,
}

impl Write for Advance {
    type Output = ();

    async fn apply(
        &self,
        connection: &mut Connection,
        _: &mut Vec<NewEvent>,
    ) -> Result<(), StoreError> {
        query(ADVANCE)
            .bind(self.held.subscriber.extension.as_str())
            .bind(&self.held.subscriber.handler)
            .bind(self.cursor.0)
            .bind(self.held.fence)
            .execute(connection)
            .await
            .map(drop)
            .map_err(StoreError::write(WHAT))
    }
}

struct Park {
    held: Held,
    parked: Vec<Parked>,
}

impl Write for Park {
    type Output = ();

    async fn apply(
        &self,
        connection: &mut Connection,
        _: &mut Vec<NewEvent>,
    ) -> Result<(), StoreError> {
        for parked in &self.parked {
            query(PARK)
                .bind(self.held.subscriber.extension.as_str())
                .bind(&self.held.subscriber.handler)
                .bind(parked.position.0)
                .bind(&parked.order_key)
                .bind(parked.attempt)
                .bind(micros(parked.due_at))
                .bind(&parked.last_error)
                .bind(self.held.fence)
                .execute(&mut *connection)
                .await
                .map_err(StoreError::write(WHAT))?;
        }
        Ok(())
    }
}

struct Unpark {
    held: Held,
    position: Position,
}

impl Write for Unpark {
    type Output = ();

    async fn apply(
        &self,
        connection: &mut Connection,
        _: &mut Vec<NewEvent>,
    ) -> Result<(), StoreError> {
        unpark(connection, &self.held, self.position).await.map_err(StoreError::write(WHAT))
    }
}

struct Bury {
    held: Held,
    position: Position,
    attempt: u32,
    error: String,
}

impl Write for Bury {
    type Output = ();

    async fn apply(
        &self,
        connection: &mut Connection,
        _: &mut Vec<NewEvent>,
    ) -> Result<(), StoreError> {
        let run = async {
            query(BURY)
                .bind(self.held.subscriber.extension.as_str())
                .bind(&self.held.subscriber.handler)
                .bind(self.position.0)
                .bind(self.attempt)
                .bind(&self.error)
                .bind(micros(now()))
                .bind(self.held.fence)
                .execute(&mut *connection)
                .await?;
            unpark(connection, &self.held, self.position).await
        };
        run.await.map_err(StoreError::write(WHAT))
    }
}

async fn unpark(
    connection: &mut Connection,
    held: &Held,
    position: Position,
) -> Result<(), sqlx::Error> {
    query(UNPARK)
        .bind(held.subscriber.extension.as_str())
        .bind(&held.subscriber.handler)
        .bind(position.0)
        .bind(held.fence)
        .execute(connection)
        .await
        .map(drop)
}

fn parked_delivery(row: &Row) -> Result<Parked, StoreError> {
    let text = |index: usize| row.text(index).map_err(StoreError::read(WHAT));
    let number = |index: usize| row.integer(index).map_err(StoreError::read(WHAT));
    Ok(Parked {
        position: Position(number(0)?),
        order_key: text(1)?.to_owned(),
        attempt: attempt(number(2)?)?,
        due_at: timestamp(number(3)?)?,
        last_error: text(4)?.to_owned(),
    })
}

fn dead_letter(row: &Row) -> Result<DeadLetter, StoreError> {
    let number = |index: usize| row.integer(index).map_err(StoreError::read("dead letters"));
    Ok(DeadLetter {
        position: Position(number(0)?),
        attempt: attempt(number(1)?)?,
        error: row.text(2).map_err(StoreError::read("dead letters"))?.to_owned(),
        buried_at: timestamp(number(3)?)?,
    })
}

fn attempt(number: i64) -> Result<u32, StoreError> {
    u32::try_from(number).map_err(StoreError::corrupt("a delivery's attempt"))
}
