//! Keeping durable subscriptions: how far each has come, and what waits or was given up.

use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};
use tinybase_model::{ExtensionName, Position};

use crate::event::{HEAD, NewEvent};
use crate::subscription::{DeadLetter, Parked, Subscriber, Subscription};
use crate::time::{micros, now, timestamp};
use crate::write::Write;
use crate::{Store, StoreError};

pub(crate) const INSERT_SUBSCRIPTION: &str = "
    insert into subscriptions (extension, handler, cursor, created_at) values ($1, $2, $3, $4)
    on conflict (extension, handler) do nothing";

pub(crate) const CURSOR: &str =
    "select cursor from subscriptions where extension = $1 and handler = $2";

pub(crate) const PARKED: &str = "
    select position, order_key, attempt, due_at, last_error from parked_deliveries
    where extension = $1 and handler = $2 order by position";

pub(crate) const UNSUBSCRIBE: &str = "
    delete from subscriptions
    where extension = $1 and handler not in (select value from json_each($2))";

pub(crate) const ADVANCE: &str = "
    update subscriptions set cursor = max(cursor, $3) where extension = $1 and handler = $2";

pub(crate) const PARK: &str = "
    insert into parked_deliveries
        (extension, handler, position, order_key, attempt, due_at, last_error)
    select $1, $2, $3, $4, $5, $6, $7
    where exists (select 1 from subscriptions where extension = $1 and handler = $2)
    on conflict (extension, handler, position) do update
    set attempt = excluded.attempt, due_at = excluded.due_at, last_error = excluded.last_error";

pub(crate) const UNPARK: &str = "
    delete from parked_deliveries where extension = $1 and handler = $2 and position = $3";

pub(crate) const BURY: &str = "
    insert into dead_letters (extension, handler, position, attempt, error, buried_at)
    select $1, $2, $3, $4, $5, $6
    where exists (select 1 from subscriptions where extension = $1 and handler = $2)
    on conflict (extension, handler, position) do update
    set attempt = excluded.attempt, error = excluded.error";

pub(crate) const DEAD_LETTERS: &str = "
    select position, attempt, error, buried_at from dead_letters
    where extension = $1 and handler = $2 order by position limit $3";

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

    /// Moves a cursor forward.
    pub async fn advance(
        &self,
        subscriber: Subscriber,
        cursor: Position,
    ) -> Result<(), StoreError> {
        self.write(Advance { subscriber, cursor }).await
    }

    /// Parks deliveries, all or none.
    pub async fn park(
        &self,
        subscriber: Subscriber,
        parked: Vec<Parked>,
    ) -> Result<(), StoreError> {
        self.write(Park { subscriber, parked }).await
    }

    /// Forgets a parked delivery.
    pub async fn unpark(
        &self,
        subscriber: Subscriber,
        position: Position,
    ) -> Result<(), StoreError> {
        self.write(Unpark { subscriber, position }).await
    }

    /// Makes a delivery a dead letter.
    pub async fn bury(
        &self,
        subscriber: Subscriber,
        position: Position,
        attempt: u32,
        error: String,
    ) -> Result<(), StoreError> {
        self.write(Bury { subscriber, position, attempt, error }).await
    }

    /// At most `limit` dead letters of a subscriber, the oldest first.
    pub async fn dead_letters(
        &self,
        subscriber: &Subscriber,
        limit: u32,
    ) -> Result<Vec<DeadLetter>, StoreError> {
        let rows = sqlx::query(DEAD_LETTERS)
            .bind(subscriber.extension.as_str())
            .bind(&subscriber.handler)
            .bind(limit)
            .fetch_all(self.readers())
            .await
            .map_err(StoreError::read("dead letters"))?;
        rows.iter().map(dead_letter).collect()
    }
}

const WHAT: &str = "a subscription";

struct Subscribe(Subscriber);

impl Write for Subscribe {
    type Output = Subscription;

    async fn apply(
        &self,
        connection: &mut SqliteConnection,
        _: &mut Vec<NewEvent>,
    ) -> Result<Subscription, StoreError> {
        let (extension, handler) = (self.0.extension.as_str(), self.0.handler.as_str());
        let run = async {
            let head: i64 = sqlx::query_scalar(HEAD).fetch_one(&mut *connection).await?;
            sqlx::query(INSERT_SUBSCRIPTION)
                .bind(extension)
                .bind(handler)
                .bind(head)
                .bind(micros(now()))
                .execute(&mut *connection)
                .await?;
            let cursor: i64 = sqlx::query_scalar(CURSOR)
                .bind(extension)
                .bind(handler)
                .fetch_one(&mut *connection)
                .await?;
            let parked =
                sqlx::query(PARKED).bind(extension).bind(handler).fetch_all(connection).await?;
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
        connection: &mut SqliteConnection,
        _: &mut Vec<NewEvent>,
    ) -> Result<(), StoreError> {
        let run = sqlx::query(UNSUBSCRIBE).bind(self.extension.as_str()).bind(&self.keep);
        run.execute(connection).await.map(drop).map_err(StoreError::write(WHAT))
    }
}

struct Advance {
    subscriber: Subscriber,
    cursor: Position,
}

impl Write for Advance {
    type Output = ();

    async fn apply(
        &self,
        connection: &mut SqliteConnection,
        _: &mut Vec<NewEvent>,
    ) -> Result<(), StoreError> {
        sqlx::query(ADVANCE)
            .bind(self.subscriber.extension.as_str())
            .bind(&self.subscriber.handler)
            .bind(self.cursor.0)
            .execute(connection)
            .await
            .map(drop)
            .map_err(StoreError::write(WHAT))
    }
}

struct Park {
    subscriber: Subscriber,
    parked: Vec<Parked>,
}

impl Write for Park {
    type Output = ();

    async fn apply(
        &self,
        connection: &mut SqliteConnection,
        _: &mut Vec<NewEvent>,
    ) -> Result<(), StoreError> {
        for parked in &self.parked {
            sqlx::query(PARK)
                .bind(self.subscriber.extension.as_str())
                .bind(&self.subscriber.handler)
                .bind(parked.position.0)
                .bind(&parked.order_key)
                .bind(parked.attempt)
                .bind(micros(parked.due_at))
                .bind(&parked.last_error)
                .execute(&mut *connection)
                .await
                .map_err(StoreError::write(WHAT))?;
        }
        Ok(())
    }
}

struct Unpark {
    subscriber: Subscriber,
    position: Position,
}

impl Write for Unpark {
    type Output = ();

    async fn apply(
        &self,
        connection: &mut SqliteConnection,
        _: &mut Vec<NewEvent>,
    ) -> Result<(), StoreError> {
        unpark(connection, &self.subscriber, self.position).await.map_err(StoreError::write(WHAT))
    }
}

struct Bury {
    subscriber: Subscriber,
    position: Position,
    attempt: u32,
    error: String,
}

impl Write for Bury {
    type Output = ();

    async fn apply(
        &self,
        connection: &mut SqliteConnection,
        _: &mut Vec<NewEvent>,
    ) -> Result<(), StoreError> {
        let run = async {
            sqlx::query(BURY)
                .bind(self.subscriber.extension.as_str())
                .bind(&self.subscriber.handler)
                .bind(self.position.0)
                .bind(self.attempt)
                .bind(&self.error)
                .bind(micros(now()))
                .execute(&mut *connection)
                .await?;
            unpark(connection, &self.subscriber, self.position).await
        };
        run.await.map_err(StoreError::write(WHAT))
    }
}

async fn unpark(
    connection: &mut SqliteConnection,
    subscriber: &Subscriber,
    position: Position,
) -> Result<(), sqlx::Error> {
    sqlx::query(UNPARK)
        .bind(subscriber.extension.as_str())
        .bind(&subscriber.handler)
        .bind(position.0)
        .execute(connection)
        .await
        .map(drop)
}

fn parked_delivery(row: &SqliteRow) -> Result<Parked, StoreError> {
    let get = || -> Result<(i64, String, u32, i64, String), sqlx::Error> {
        Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?, row.try_get(3)?, row.try_get(4)?))
    };
    let (position, order_key, attempt, due_at, last_error) =
        get().map_err(StoreError::read(WHAT))?;
    let due_at = timestamp(due_at)?;
    Ok(Parked { position: Position(position), order_key, attempt, due_at, last_error })
}

fn dead_letter(row: &SqliteRow) -> Result<DeadLetter, StoreError> {
    let get = || -> Result<(i64, u32, String, i64), sqlx::Error> {
        Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?, row.try_get(3)?))
    };
    let (position, attempt, error, buried_at) = get().map_err(StoreError::read("dead letters"))?;
    let buried_at = timestamp(buried_at)?;
    Ok(DeadLetter { position: Position(position), attempt, error, buried_at })
}
