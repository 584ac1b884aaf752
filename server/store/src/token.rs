//! Tokens of users. The database knows their hashes only.

use jiff::Timestamp;
use tinybase_model::{User, UserId};
use uuid::Uuid;

use crate::event::NewEvent;
use crate::sql::{Connection, Sql, query};
use crate::time::{micros, timestamp};
use crate::user;
use crate::write::Write;
use crate::{Store, StoreError};

/// The SHA-256 of a token.
pub type TokenHash = [u8; 32];

/// What a token is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenKind {
    /// For requests.
    Access,
    /// For a new pair of tokens, once.
    Refresh,
}

impl TokenKind {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Access => "access",
            Self::Refresh => "refresh",
        }
    }
}

/// A new pair of tokens.
#[derive(Debug, Clone, Copy)]
pub struct TokenPair {
    /// The access token's hash.
    pub access: TokenHash,
    /// Until when it is valid.
    pub access_expires_at: Timestamp,
    /// The refresh token's hash.
    pub refresh: TokenHash,
    /// Until when it is valid.
    pub refresh_expires_at: Timestamp,
    /// When they were made.
    pub created_at: Timestamp,
}

/// A login: a pair of tokens for a user, the first of its family.
#[derive(Debug, Clone)]
pub struct NewLogin {
    /// The user.
    pub user_id: UserId,
    /// The tokens.
    pub tokens: TokenPair,
    /// The event that says so.
    pub event: NewEvent,
}

/// Who an access token belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenOwner {
    /// The user.
    pub user_id: UserId,
    /// Whether the user is an administrator.
    pub is_admin: bool,
    /// Until when the token is valid.
    pub expires_at: Timestamp,
}

/// What came of a refresh token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rotation {
    /// It was valid, is now used up, and the new pair is there.
    Rotated(User),
    /// It was used up before: somebody has a copy. Its whole family is revoked.
    Reused {
        /// How many tokens were revoked.
        revoked: u64,
    },
    /// It is an access token.
    WrongKind,
    /// There is no such token, or it has expired.
    Unknown,
}

pub(crate) const INSERT_TOKEN: Sql = Sql::same(
    "
    insert into tokens (hash, kind, family, user_id, created_at, expires_at)
    values ($1, $2, $3, $4, $5, $6)",
);

pub(crate) const ACCESS_TOKEN: Sql = Sql::same(
    "
    select u.id, u.is_admin, t.expires_at from tokens t join users u on u.id = t.user_id
    where t.hash = $1 and t.kind = 'access' and t.expires_at > $2",
);

pub(crate) const TOKEN_FOR_ROTATION: Sql = Sql::same(
    "
    select u.id, u.email, u.is_admin, u.created_at, u.updated_at, t.kind, t.family, t.used_at
    from tokens t join users u on u.id = t.user_id where t.hash = $1 and t.expires_at > $2",
);

pub(crate) const USE_UP_TOKEN: Sql = Sql::same("update tokens set used_at = $2 where hash = $1");

pub(crate) const REVOKE_FAMILY: Sql = Sql::same("delete from tokens where family = $1");

pub(crate) const REVOKE_USER: Sql = Sql::same("delete from tokens where user_id = $1");

pub(crate) const CLEAN_UP_TOKENS: Sql = Sql::same(
    "
    delete from tokens where hash in (
        select hash from tokens where expires_at <= $1 order by expires_at limit $2)",
);

impl Store {
    /// Records a login.
    pub async fn create_login(&self, login: NewLogin) -> Result<(), StoreError> {
        self.write(login).await
    }

    /// Who an access token belongs to, unless it has expired by `now`.
    pub async fn access_token(
        &self,
        hash: &TokenHash,
        now: Timestamp,
    ) -> Result<Option<TokenOwner>, StoreError> {
        let row = query(ACCESS_TOKEN)
            .bind(hash.as_slice())
            .bind(micros(now))
            .fetch_optional(self.reader())
            .await
            .map_err(StoreError::read("a token"))?;
        let Some(row) = row else { return Ok(None) };
        let id = row.text(0).map_err(StoreError::read("a token"))?;
        Ok(Some(TokenOwner {
            user_id: id.parse().map_err(StoreError::corrupt("a user's id"))?,
            is_admin: row.boolean(1).map_err(StoreError::read("a token"))?,
            expires_at: timestamp(row.integer(2).map_err(StoreError::read("a token"))?)?,
        }))
    }

    /// Uses a refresh token up and puts a new pair in its place, in the same family.
    pub async fn rotate_token(
        &self,
        hash: TokenHash,
        tokens: TokenPair,
    ) -> Result<Rotation, StoreError> {
        self.write(Rotate { hash, tokens }).await
    }

    /// Revokes all tokens of a user and tells how many.
    pub async fn revoke_tokens(&self, user_id: UserId) -> Result<u64, StoreError> {
        self.write(RevokeUser(user_id)).await
    }

    /// Deletes at most `limit` tokens that expired by `now`, and tells how many.
    pub async fn clean_up_tokens(&self, now: Timestamp, limit: u32) -> Result<u64, StoreError> {
        self.sweep("tokens", CLEAN_UP_TOKENS, [micros(now), limit.into()]).await
    }
}

async fn insert_pair(
    connection: &mut Connection,
    tokens: &TokenPair,
    family: &str,
    user_id: UserId,
) -> Result<(), StoreError> {
    let pair = [
        (TokenKind::Access, &tokens.access, tokens.access_expires_at),
        (TokenKind::Refresh, &tokens.refresh, tokens.refresh_expires_at),
    ];
    for (kind, hash, expires_at) in pair {
        query(INSERT_TOKEN)
            .bind(hash.as_slice())
            .bind(kind.as_str())
            .bind(family)
            .bind(user_id.to_string())
            .bind(micros(tokens.created_at))
            .bind(micros(expires_at))
            .execute(&mut *connection)
            .await
            .map_err(StoreError::write("a token"))?;
    }
    Ok(())
}

impl Write for NewLogin {
    type Output = ();

    async fn apply(
        &self,
        connection: &mut Connection,
        events: &mut Vec<NewEvent>,
    ) -> Result<(), StoreError> {
        let family = Uuid::now_v7().to_string();
        insert_pair(connection, &self.tokens, &family, self.user_id).await?;
        events.push(self.event.clone());
        Ok(())
    }
}

struct Rotate {
    hash: TokenHash,
    tokens: TokenPair,
}

impl Write for Rotate {
    type Output = Rotation;

    async fn apply(
        &self,
        connection: &mut Connection,
        _: &mut Vec<NewEvent>,
    ) -> Result<Rotation, StoreError> {
        let now = micros(self.tokens.created_at);
        let row = query(TOKEN_FOR_ROTATION)
            .bind(self.hash.as_slice())
            .bind(now)
            .fetch_optional(&mut *connection)
            .await
            .map_err(StoreError::read("a token"))?;
        let Some(row) = row else { return Ok(Rotation::Unknown) };
        let get = || -> Result<_, sqlx::Error> {
            Ok((row.text(5)?, row.text(6)?.to_owned(), row.optional_integer(7)?))
        };
        let (kind, family, used_at) = get().map_err(StoreError::read("a token"))?;
        if kind != TokenKind::Refresh.as_str() {
            return Ok(Rotation::WrongKind);
        }
        if used_at.is_some() {
            let deleted = query(REVOKE_FAMILY)
                .bind(&family)
                .execute(connection)
                .await
                .map_err(StoreError::write("tokens"))?;
            return Ok(Rotation::Reused { revoked: deleted });
        }
        let user = user::decode(&row)?;
        query(USE_UP_TOKEN)
            .bind(self.hash.as_slice())
            .bind(now)
            .execute(&mut *connection)
            .await
            .map_err(StoreError::write("a token"))?;
        insert_pair(connection, &self.tokens, &family, user.id).await?;
        Ok(Rotation::Rotated(user))
    }
}

struct RevokeUser(UserId);

impl Write for RevokeUser {
    type Output = u64;

    async fn apply(
        &self,
        connection: &mut Connection,
        _: &mut Vec<NewEvent>,
    ) -> Result<u64, StoreError> {
        let deleted = query(REVOKE_USER)
            .bind(self.0.to_string())
            .execute(connection)
            .await
            .map_err(StoreError::write("tokens"))?;
        Ok(deleted)
    }
}
