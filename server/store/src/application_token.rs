//! Application tokens. The database knows their hashes only.

use jiff::Timestamp;
use tinybase_model::{ApplicationTokenId, Scope, Scopes, UserId};

use crate::event::NewEvent;
use crate::sql::{Connection, Row, Sql, query};
use crate::time::{micros, optional_timestamp, timestamp};
use crate::token::TokenHash;
use crate::write::Write;
use crate::{Store, StoreError};

/// An application token, without its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApplicationToken {
    /// Its id.
    pub id: ApplicationTokenId,
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// What it may do.
    pub scopes: Scopes,
    /// Whether it is switched on.
    pub is_active: bool,
    /// The administrator who made it; none if it was the operator, or if that one is gone.
    pub created_by: Option<UserId>,
    /// When it was made.
    pub created_at: Timestamp,
    /// Until when it is valid; none means for ever.
    pub expires_at: Option<Timestamp>,
    /// When it was used last, to the minute.
    pub last_used_at: Option<Timestamp>,
}

impl ApplicationToken {
    /// Whether it lets a program in.
    pub fn is_valid(&self, at: Timestamp) -> bool {
        self.is_active && self.expires_at.is_none_or(|expires_at| expires_at > at)
    }
}

/// An application token to be created.
#[derive(Debug, Clone)]
pub struct NewApplicationToken {
    /// The token.
    pub token: ApplicationToken,
    /// The secret's hash.
    pub hash: TokenHash,
}

/// What is to be changed of an application token.
#[derive(Debug, Clone)]
pub struct ApplicationTokenChange {
    /// The token.
    pub id: ApplicationTokenId,
    /// A new name.
    pub name: Option<String>,
    /// A new description.
    pub description: Option<String>,
    /// Other scopes.
    pub scopes: Option<Scopes>,
    /// Whether it is to be switched on.
    pub is_active: Option<bool>,
}

/// How many tokens there may be.
const TOKENS_MAX: u64 = 1000;

pub(crate) const COUNT_APPLICATION_TOKENS: Sql =
    Sql::same("select count(*) from application_tokens");

pub(crate) const INSERT_APPLICATION_TOKEN: Sql = Sql::same(
    "
    insert into application_tokens
        (id, hash, name, description, scopes, is_active, created_by, created_at, expires_at)
    values ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
);

pub(crate) const APPLICATION_TOKENS: Sql = Sql::same(
    "
    select id, name, description, scopes, is_active, created_by, created_at, expires_at,
        last_used_at
    from application_tokens order by created_at, id",
);

pub(crate) const APPLICATION_TOKEN_BY_ID: Sql = Sql::same(
    "
    select id, name, description, scopes, is_active, created_by, created_at, expires_at,
        last_used_at
    from application_tokens where id = $1",
);

pub(crate) const APPLICATION_TOKEN_BY_HASH: Sql = Sql::same(
    "
    select id, name, description, scopes, is_active, created_by, created_at, expires_at,
        last_used_at
    from application_tokens where hash = $1",
);

pub(crate) const UPDATE_APPLICATION_TOKEN: Sql = Sql::same(
    "
    update application_tokens set name = coalesce($2, name),
        description = coalesce($3, description), scopes = coalesce($4, scopes),
        is_active = coalesce($5, is_active)
    where id = $1
    returning id, name, description, scopes, is_active, created_by, created_at, expires_at,
        last_used_at",
);

pub(crate) const USE_APPLICATION_TOKEN: Sql =
    Sql::same("update application_tokens set last_used_at = $2 where id = $1");

pub(crate) const DELETE_APPLICATION_TOKEN: Sql =
    Sql::same("delete from application_tokens where id = $1");

impl Store {
    /// Notes an application token, unless there are too many. Tells whether it did.
    pub async fn create_application_token(
        &self,
        new: NewApplicationToken,
    ) -> Result<bool, StoreError> {
        self.write(new).await
    }

    /// All application tokens, the oldest first.
    pub async fn application_tokens(&self) -> Result<Vec<ApplicationToken>, StoreError> {
        let rows = query(APPLICATION_TOKENS).fetch_all(self.reader()).await;
        rows.map_err(StoreError::read(WHAT))?.iter().map(decode).collect()
    }

    /// An application token by its id.
    pub async fn application_token(
        &self,
        id: ApplicationTokenId,
    ) -> Result<Option<ApplicationToken>, StoreError> {
        let row =
            query(APPLICATION_TOKEN_BY_ID).bind(id.to_string()).fetch_optional(self.reader()).await;
        row.map_err(StoreError::read(WHAT))?.as_ref().map(decode).transpose()
    }

    /// An application token by its secret's hash, valid or not.
    pub async fn application_token_by_hash(
        &self,
        hash: &TokenHash,
    ) -> Result<Option<ApplicationToken>, StoreError> {
        let row = query(APPLICATION_TOKEN_BY_HASH)
            .bind(hash.as_slice())
            .fetch_optional(self.reader())
            .await;
        row.map_err(StoreError::read(WHAT))?.as_ref().map(decode).transpose()
    }

    /// Changes an application token; none if there is no such token.
    pub async fn change_application_token(
        &self,
        change: ApplicationTokenChange,
    ) -> Result<Option<ApplicationToken>, StoreError> {
        self.write(change).await
    }

    /// Notes that an application token was used, without waiting for it.
    pub fn use_application_token(
        &self,
        id: ApplicationTokenId,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        self.enqueue(Use { id, at }).map(drop)
    }

    /// Deletes an application token and tells whether it was there.
    pub async fn delete_application_token(
        &self,
        id: ApplicationTokenId,
    ) -> Result<bool, StoreError> {
        self.write(Deletion(id)).await
    }
}

const WHAT: &str = "an application token";

fn decode(row: &Row) -> Result<ApplicationToken, StoreError> {
    let read = StoreError::read;
    let time = |index: usize| row.optional_integer(index).map_err(read(WHAT));
    let description = row.optional_text(2).map_err(read(WHAT))?;
    let created_by = row.optional_text(5).map_err(read(WHAT))?;
    let created_by = created_by.map(str::parse).transpose();
    Ok(ApplicationToken {
        id: row
            .text(0)
            .map_err(read(WHAT))?
            .parse()
            .map_err(StoreError::corrupt("an application token's id"))?,
        name: row.text(1).map_err(read(WHAT))?.to_owned(),
        description: description.map(str::to_owned),
        scopes: scopes(row.text(3).map_err(read(WHAT))?)?,
        is_active: row.boolean(4).map_err(read(WHAT))?,
        created_by: created_by.map_err(StoreError::corrupt("an application token's maker"))?,
        created_at: timestamp(row.integer(6).map_err(read(WHAT))?)?,
        expires_at: optional_timestamp(time(7)?)?,
        last_used_at: optional_timestamp(time(8)?)?,
    })
}

/// Scopes as the column has them: words with spaces between them.
fn scopes(text: &str) -> Result<Scopes, StoreError> {
    let scopes = text.split_ascii_whitespace().map(str::parse::<Scope>);
    let scopes: Result<Vec<_>, _> = scopes.collect();
    Ok(Scopes::new(scopes.map_err(StoreError::corrupt("an application token's scopes"))?))
}

fn scopes_text(scopes: &Scopes) -> String {
    let words: Vec<_> = scopes.as_slice().iter().map(ToString::to_string).collect();
    words.join(" ")
}

impl Write for NewApplicationToken {
    type Output = bool;

    async fn apply(
        &self,
        connection: &mut Connection,
        _: &mut Vec<NewEvent>,
    ) -> Result<bool, StoreError> {
        let counted = query(COUNT_APPLICATION_TOKENS).fetch_one(&mut *connection).await;
        let count = counted.and_then(|row| row.count(0)).map_err(StoreError::read(WHAT))?;
        if count >= TOKENS_MAX {
            return Ok(false);
        }
        let token = &self.token;
        query(INSERT_APPLICATION_TOKEN)
            .bind(token.id.to_string())
            .bind(self.hash.as_slice())
            .bind(&token.name)
            .bind(token.description.as_deref())
            .bind(scopes_text(&token.scopes))
            .bind(token.is_active)
            .bind(token.created_by.map(|id| id.to_string()))
            .bind(micros(token.created_at))
            .bind(token.expires_at.map(micros))
            .execute(connection)
            .await
            .map(|_| true)
            .map_err(StoreError::write(WHAT))
    }
}

impl Write for ApplicationTokenChange {
    type Output = Option<ApplicationToken>;

    async fn apply(
        &self,
        connection: &mut Connection,
        _: &mut Vec<NewEvent>,
    ) -> Result<Option<ApplicationToken>, StoreError> {
        let updated = query(UPDATE_APPLICATION_TOKEN)
            .bind(self.id.to_string())
            .bind(self.name.as_deref())
            .bind(self.description.as_deref())
            .bind(self.scopes.as_ref().map(scopes_text))
            .bind(self.is_active)
            .fetch_optional(connection)
            .await;
        updated.map_err(StoreError::write(WHAT))?.as_ref().map(decode).transpose()
    }
}

struct Use {
    id: ApplicationTokenId,
    at: Timestamp,
}

impl Write for Use {
    type Output = ();

    async fn apply(
        &self,
        connection: &mut Connection,
        _: &mut Vec<NewEvent>,
    ) -> Result<(), StoreError> {
        query(USE_APPLICATION_TOKEN)
            .bind(self.id.to_string())
            .bind(micros(self.at))
            .execute(connection)
            .await
            .map(drop)
            .map_err(StoreError::write(WHAT))
    }
}

struct Deletion(ApplicationTokenId);

impl Write for Deletion {
    type Output = bool;

    async fn apply(
        &self,
        connection: &mut Connection,
        _: &mut Vec<NewEvent>,
    ) -> Result<bool, StoreError> {
        let deleted =
            query(DELETE_APPLICATION_TOKEN).bind(self.0.to_string()).execute(connection).await;
        deleted.map(|deleted| deleted > 0).map_err(StoreError::write(WHAT))
    }
}
